//! What Prometheus reads.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::support::client::{Client, process_path};
use crate::support::server::address_after;
use crate::support::{Launch, Server, eventually, pictures};

fn counted() -> (Server, Client) {
    let server = Server::with([
        ("metrics.prometheus_address", "127.0.0.1:0"),
        ("server.api_key", "key"),
    ]);
    let address = metrics_address(&server);
    (server, Client::new(address))
}

fn metrics_address(server: &Server) -> SocketAddr {
    eventually("the listener says where it is", || {
        let output = server.output();
        output
            .lines()
            .find_map(|line| address_after("metrics on http://", line))
    })
}

/// Every sample under its name with labels, as they stand there.
fn scrape(metrics: &Client) -> BTreeMap<String, f64> {
    let answer = metrics.get("/metrics").ok();
    let kind = answer.header("content-type").expect("a type");
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    let text = String::from_utf8(answer.body).expect("text");
    let samples = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    samples
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').expect("a value");
            (name.to_owned(), value.parse().expect("a number"))
        })
        .collect()
}

#[test]
fn requests_are_counted_by_route_and_status() {
    let (server, metrics) = counted();
    let uploaded = server.upload(&pictures::png(&pictures::photo(64, 48)));
    let alias = &uploaded.alias;
    let size = server.original(alias).len();
    server.original(alias);
    server.get("/image/original/absent.png").status(404);
    server.process("webp", alias, "thumbnail=16");
    server.delete("/image").status(405);
    server.get("/internal/aliases?alias=a").status(401);
    for path in ["/", "/wp-login.php", "/image/nothing", "/%F0%9F"] {
        server.get(path).status(404);
    }
    let samples = scrape(&metrics);
    let check = |name: &str, value: f64| {
        assert_eq!(samples.get(name), Some(&value), "{name} in {samples:#?}");
    };
    let end = |path: &str, status: u16| {
        format!("pict_rs_request_end{{path=\"{path}\",status=\"{status}\"}}")
    };
    check("pict_rs_request_start", 11.0);
    check(&end("/image", 201), 1.0);
    check(&end("/image", 405), 1.0);
    check(&end("/image/original/{alias}", 200), 2.0);
    check(&end("/image/original/{alias}", 404), 1.0);
    check(&end("/image/process.{extension}", 200), 1.0);
    check(&end("/internal", 401), 1.0);
    check(&end("unknown", 404), 4.0);
    check(
        "pict_rs_request_timings_count{path=\"/image/original/{alias}\"}",
        3.0,
    );
    assert!(samples["pict_rs_bytes_served"] > 2.0 * size as f64);
    check("pict_rs_files{files=\"inline\"}", 1.0);
    check("pict_rs_ingest_end{completed=\"true\"}", 1.0);
    check("pict_rs_generate_end{completed=\"true\"}", 1.0);
    check("pict_rs_generate_process", 1.0);
    check("pict_rs_process_map_inserted", 1.0);
    check("pict_rs_process_map_removed", 1.0);
    assert!(samples["pict_rs_known_hits"] >= 1.0);
    assert!(samples["pict_rs_known_misses"] >= 1.0);
    // No path of a client is a label.
    assert!(!samples.keys().any(|name| name.contains("wp-login")));
    assert!(!samples.keys().any(|name| name.contains(alias.as_str())));
}

#[test]
fn large_files_are_counted_as_they_leave() {
    let (server, metrics) = counted();
    let bytes = pictures::png(&pictures::noise(700, 500, 1));
    let alias = server.upload(&bytes).alias;
    let size = server.original(&alias).len();
    assert!(size > 256 * 1024);
    let range = [("Range", "bytes=0-299999")];
    let path = format!("/image/original/{alias}");
    server.get_with(&path, &range).status(206);
    let served = scrape(&metrics)["pict_rs_bytes_served"];
    assert_eq!(served, (size + 300_000) as f64);
}

#[test]
fn background_work_is_counted() {
    let (server, metrics) = counted();
    let id = server.background(&pictures::png(&pictures::photo(20, 20)));
    let alias = server.claim(&id).claimed().alias;
    let refused = server.background(b"no picture");
    server.claim(&refused).refused(422, "discover-error");
    let later =
        process_path("webp", &alias, "thumbnail=8").replace("process", "process_backgrounded");
    server.get(&later).status(202);
    let variant = process_path("webp", &alias, "thumbnail=8");
    eventually("the variant is made", || {
        (server.head(&variant).status == 200).then_some(())
    });
    let samples = eventually("the last job has ended", || {
        let samples = scrape(&metrics);
        let ended: f64 = samples
            .iter()
            .filter(|(name, _)| name.starts_with("pict_rs_job_end{"))
            .map(|(_, jobs)| jobs)
            .sum();
        (ended == 3.0 && samples["pict_rs_jobs_waiting"] == 0.0).then_some(samples)
    });
    let check = |name: &str, value: f64| {
        assert_eq!(samples.get(name), Some(&value), "{name} in {samples:#?}");
    };
    check("pict_rs_background_upload", 2.0);
    check("pict_rs_background_upload_ingest{completed=\"true\"}", 1.0);
    check("pict_rs_background_upload_ingest{completed=\"false\"}", 1.0);
    check("pict_rs_background_upload_claim", 2.0);
    check("pict_rs_files{files=\"background\"}", 1.0);
    check("pict_rs_queue_push{queue=\"ingest\"}", 2.0);
    check("pict_rs_queue_push{queue=\"variant\"}", 1.0);
    check("pict_rs_queue_pop{queue=\"ingest\"}", 2.0);
    check("pict_rs_job_end{job=\"ingest\",completed=\"true\"}", 1.0);
    check("pict_rs_job_end{job=\"ingest\",completed=\"false\"}", 1.0);
}

#[test]
fn the_state_of_this_moment_is_told() {
    let (server, metrics) = counted();
    let samples = scrape(&metrics);
    assert_eq!(samples["pict_rs_healthy{part=\"repo\"}"], 1.0);
    assert_eq!(samples["pict_rs_healthy{part=\"store\"}"], 1.0);
    assert_eq!(samples["pict_rs_media_waiting"], 0.0);
    assert_eq!(samples["pict_rs_media_running"], 0.0);
    assert!(samples["pict_rs_media_slots"] >= 1.0);
    assert_eq!(samples["pict_rs_media_memory_bytes"], 0.0);
    let limit = samples["pict_rs_media_memory_limit_bytes"];
    assert_eq!(limit, 512.0 * 1024.0 * 1024.0);
    assert!(samples["process_resident_memory_bytes"] > 1e6);
    assert!(samples["process_open_fds"] > 3.0);
    let version = format!(
        "pict_rs_build_info{{version=\"{}\"}}",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(samples[&version], 1.0);

    let files = server.files();
    std::fs::rename(&files, files.with_extension("away")).expect("renamed");
    let broken = scrape(&metrics);
    std::fs::rename(files.with_extension("away"), &files).expect("renamed");
    assert_eq!(broken["pict_rs_healthy{part=\"store\"}"], 0.0);
    assert_eq!(broken["pict_rs_healthy{part=\"repo\"}"], 1.0);
}

#[test]
fn metrics_are_served_on_their_own_socket_only() {
    let (server, metrics) = counted();
    server.get("/metrics").status(404);
    metrics.get("/").ok();
    metrics.get("/anything/else").ok();
    metrics.get("/healthz").ok();
}

#[test]
fn a_socket_that_cannot_be_had_is_refused_and_named() {
    let first = Server::start();
    let address = first.address.to_string();
    let refusal = Launch::new()
        .setting("metrics.prometheus_address", &address)
        .refused();
    assert_eq!(refusal.status.code(), Some(1));
    for word in ["metrics.prometheus_address", &address] {
        assert!(refusal.output.contains(word), "{}", refusal.output);
    }
}
