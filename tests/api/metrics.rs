//! What Prometheus reads.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use testkit::postgres::Cluster;

use crate::support::client::{Client, process_path};
use crate::support::s3::{self, S3};
use crate::support::server::address_after;
use crate::support::upstream::Upstream;
use crate::support::{Launch, Server, database, eventually, pictures, programs};

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

/// What stands there, after many kinds of work.
fn exposition() -> String {
    let upstream = Upstream::serving(&pictures::png(&pictures::photo(33, 22)));
    let server = Server::with([
        ("metrics.prometheus_address", "127.0.0.1:0"),
        ("client.allow_local_connections", "true"),
    ]);
    let metrics = Client::new(metrics_address(&server));
    let alias = server
        .upload(&pictures::png(&pictures::photo(64, 48)))
        .alias;
    server.process("webp", &alias, "thumbnail=16");
    let proxied = format!("/image/original?proxy={}", upstream.url("/a.png"));
    server.get(&proxied).ok();
    let id = server.background(&pictures::png(&pictures::photo(20, 20)));
    server.claim(&id).claimed();
    // All of it, where `text` shows a beginning.
    String::from_utf8(metrics.get("/metrics").ok().body).expect("text")
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Names that look like ours in an expression.
fn names(expression: &str) -> BTreeSet<&str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    expression
        .split(|c| !is_part(c))
        .filter(|word| word.starts_with("pict_rs_") || word.starts_with("process_"))
        .collect()
}

/// The family of a sample: `x` for `x_bucket` of a histogram.
fn family<'a>(name: &'a str, types: &BTreeMap<&str, &str>) -> &'a str {
    for end in ["_bucket", "_sum", "_count"] {
        if let Some(start) = name.strip_suffix(end)
            && types.get(start) == Some(&"histogram")
        {
            return start;
        }
    }
    name
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
    for path in ["/images", "/wp-login.php", "/image/nothing", "/%F0%9F"] {
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
    assert!(samples["process_virtual_memory_bytes"] > samples["process_resident_memory_bytes"]);
    assert!(samples["process_open_fds"] > 3.0);
    assert!(samples["process_max_fds"] > samples["process_open_fds"]);
    assert!(samples["process_threads"] > 1.0);
    assert!(samples["process_cpu_seconds_total"] >= 0.0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.expect("after 1970").as_secs_f64();
    let age = now - samples["process_start_time_seconds"];
    assert!((-5.0..600.0).contains(&age), "{age}");
    // The disk of a server is its own affair.
    let parts = if database::is_embedded() {
        &["repo", "store"][..]
    } else {
        &["store"]
    };
    for part in parts {
        assert!(samples[&format!("pict_rs_free_bytes{{part=\"{part}\"}}")] > 0.0);
    }
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
fn what_postgres_and_the_bucket_are_asked_is_counted() {
    let test = "what_postgres_and_the_bucket_are_asked_is_counted";
    let Some(bucket) = S3::shared(s3::Kind::S3sFs, test).map(S3::bucket) else {
        return;
    };
    let Some(cluster) = Cluster::shared_or_skip(test) else {
        return;
    };
    let database = cluster.database();
    let launch = Launch::new()
        .setting("metrics.prometheus_address", "127.0.0.1:0")
        .setting("repo.type", "postgres")
        .setting("repo.url", database.url());
    let server = bucket.holds(launch).setting("store.cache_size", 0).start();
    let metrics = Client::new(metrics_address(&server));
    let of_bucket = |request: &str| {
        let name = format!("pict_rs_object_storage_{request}_request_count{{complete=\"true\"}}");
        scrape(&metrics).get(&name).copied().unwrap_or(0.0)
    };
    let before = [of_bucket("put_object"), of_bucket("get_object")];
    let alias = server
        .upload(&pictures::png(&pictures::photo(64, 48)))
        .alias;
    server.original(&alias);
    let id = server.background(&pictures::png(&pictures::photo(20, 20)));
    server.claim(&id).claimed();
    assert_eq!(of_bucket("put_object"), before[0] + 3.0);
    assert!(of_bucket("get_object") > before[1]);
    eventually("the file as it was sent is removed", || {
        (of_bucket("delete_object") >= 1.0).then_some(())
    });
    // Larger than what is sent at once.
    server.upload(&pictures::png(&pictures::noise(1920, 1600, 7)));
    assert_eq!(of_bucket("create_upload_part"), 2.0);
    for request in ["create_multipart", "complete_multipart"] {
        assert!(of_bucket(request) >= 1.0, "{request}");
    }

    let samples = scrape(&metrics);
    let at_least = |name: &str, least: f64| {
        let found = samples.get(name).copied();
        assert!(
            found.is_some_and(|found| found >= least),
            "{name}: {found:?}"
        );
    };
    at_least("pict_rs_postgres_pool_connection_create", 2.0);
    at_least("pict_rs_postgres_pool_connection_recycle", 1.0);
    at_least("pict_rs_postgres_pool_get{completed=\"true\"}", 10.0);
    at_least(
        "pict_rs_postgres_pool_duration_count{completed=\"true\"}",
        10.0,
    );
    at_least("pict_rs_postgres_statement_duration_count", 10.0);
    at_least("pict_rs_postgres_notification", 2.0);
    at_least("pict_rs_postgres_job_notifier_notified", 1.0);
    at_least("pict_rs_postgres_upload_notifier_notified", 1.0);
    for pool in ["read", "write"] {
        let connections: f64 = ["idle", "used", "free"]
            .map(|state| {
                let labels = format!("pool=\"{pool}\",state=\"{state}\"");
                samples[&format!("pict_rs_postgres_pool_connections{{{labels}}}")]
            })
            .iter()
            .sum();
        assert!(connections >= 1.0, "{pool}");
    }
    assert_eq!(samples["pict_rs_nodes"], 1.0);
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

#[test]
fn what_is_stored_and_what_retention_drops_is_counted() {
    let upstream = Upstream::serving(&pictures::png(&pictures::photo(33, 22)));
    let server = Server::with([
        ("metrics.prometheus_address", "127.0.0.1:0"),
        ("client.allow_local_connections", "true"),
        ("media.retention.variants", "1s"),
    ]);
    let metrics = Client::new(metrics_address(&server));
    let stored = |samples: &BTreeMap<String, f64>, class: &str| {
        let of = |name: &str| samples[&format!("{name}{{class=\"{class}\"}}")];
        (of("pict_rs_stored"), of("pict_rs_stored_bytes"))
    };
    let empty = scrape(&metrics);
    for class in ["originals", "variants", "proxied"] {
        assert_eq!(stored(&empty, class), (0.0, 0.0), "{class}");
    }
    let alias = server
        .upload(&pictures::png(&pictures::photo(64, 48)))
        .alias;
    let size = server.original(&alias).len() as f64;
    let proxied = format!("/image/original?proxy={}", upstream.url("/a.png"));
    let proxied = server.get(&proxied).ok().body.len() as f64;
    let filled = scrape(&metrics);
    assert_eq!(stored(&filled, "originals"), (2.0, size + proxied));
    assert_eq!(stored(&filled, "proxied"), (1.0, proxied));
    let variant = server.process("webp", &alias, "thumbnail=16").len() as f64;
    let labels = "{class=\"variants\",reason=\"age\"}";
    let after = eventually("the variant is dropped", || {
        let samples = scrape(&metrics);
        let key = format!("pict_rs_evictions{labels}");
        samples.contains_key(&key).then_some(samples)
    });
    assert_eq!(after[&format!("pict_rs_evictions{labels}")], 1.0);
    // What was freed on the disk: whole blocks, and a bit for the inode.
    let freed = (variant / 4096.0).ceil() * 4096.0 + 512.0;
    assert_eq!(after[&format!("pict_rs_evicted_bytes{labels}")], freed);
    // The same scrape may have asked for sums before the counters were read.
    eventually("no variant is counted", || {
        (stored(&scrape(&metrics), "variants") == (0.0, 0.0)).then_some(())
    });
}

#[test]
fn every_metric_has_a_type_and_a_help_text_and_is_documented() {
    let text = exposition();
    let pairs = |mark: &str| -> BTreeMap<&str, &str> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(mark));
        lines.filter_map(|line| line.split_once(' ')).collect()
    };
    let (types, helps) = (pairs("# TYPE "), pairs("# HELP "));
    assert!(types.len() > 50, "{}", types.len());
    assert_eq!(
        text.matches("# TYPE ").count(),
        types.len(),
        "one type each"
    );
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        assert!(
            name.is_empty() || types.contains_key(family(name, &types)),
            "{line}"
        );
    }
    let docs = std::fs::read_to_string(repository().join("docs/deployment.md")).expect("text");
    for name in types.keys() {
        let help = helps.get(name).copied().unwrap_or_default();
        assert!(help.len() > 3, "{name} has no help text");
        // In a table of pairs the second may stand as its end.
        let is_written = docs.contains(&format!("`{name}`"))
            || name.match_indices('_').any(|(at, _)| {
                docs.contains(&format!("`{}`", &name[..at]))
                    && docs.contains(&format!("`{}`", &name[at..]))
            })
            || docs.lines().any(|line| {
                let words: Vec<_> = line.split('`').skip(1).step_by(2).collect();
                words.iter().any(|end| {
                    end.starts_with('_')
                        && name
                            .strip_suffix(end)
                            .is_some_and(|start| words.iter().any(|word| word.starts_with(start)))
                })
            });
        assert!(is_written, "docs/deployment.md lacks {name}");
    }
}

#[test]
fn every_metric_of_the_dashboard_and_of_the_alerts_exists() {
    let text = exposition();
    let types: BTreeMap<_, _> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .collect();
    let check = |expression: &str, place: &str| {
        let names = names(expression);
        assert!(!names.is_empty(), "{place} asks for nothing: {expression}");
        for name in names {
            assert!(
                types.contains_key(family(name, &types)),
                "{place}: no {name}"
            );
        }
    };
    let dashboard = repository().join("contrib/grafana/pict-rs.json");
    let dashboard = std::fs::read_to_string(dashboard).expect("text");
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let mut ids = BTreeSet::new();
    let mut graphs = 0;
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().expect("an id")), "{panel}");
        let title = panel["title"].as_str().expect("a title");
        for target in panel["targets"].as_array().into_iter().flatten() {
            check(target["expr"].as_str().expect("an expression"), title);
            graphs += 1;
        }
    }
    assert!(graphs > 20, "{graphs}");
    let docs = std::fs::read_to_string(repository().join("docs/deployment.md")).expect("text");
    let alerts: Vec<_> = docs
        .lines()
        .filter_map(|line| line.trim().strip_prefix("expr: "))
        .collect();
    assert!(alerts.len() >= 4);
    for alert in alerts {
        check(alert, "an alert");
    }
}

/// Whether the matchers of an expression take a status; as much of PromQL as the alerts use.
fn takes(expression: &str, status: &str) -> bool {
    let (_, matchers) = expression.split_once('{').expect("matchers");
    let (matchers, _) = matchers.split_once('}').expect("they end");
    let fits = |pattern: &str| {
        pattern.split('|').any(|pattern| {
            pattern.len() == status.len()
                && pattern
                    .chars()
                    .zip(status.chars())
                    .all(|(p, c)| p == '.' || p == c)
        })
    };
    matchers
        .split(',')
        .filter_map(|matcher| matcher.strip_prefix("status"))
        .all(|matcher| {
            let pattern = matcher
                .trim_start_matches(['=', '!', '~'])
                .trim_matches('"');
            fits(pattern) != matcher.starts_with('!')
        })
}

#[test]
fn the_alert_for_faults_leaves_out_dead_links_of_others() {
    let docs = std::fs::read_to_string(repository().join("docs/deployment.md")).expect("text");
    let (_, rest) = docs.split_once("alert: PictrsFaults").expect("the alert");
    let (_, expression) = rest.split_once("expr: ").expect("its expression");
    let expression = expression.lines().next().expect("a line");
    for (status, expected) in [
        ("500", true),
        ("501", true),
        ("502", false),
        ("504", false),
        ("404", false),
        ("200", false),
    ] {
        assert_eq!(
            takes(expression, status),
            expected,
            "{status}: {expression}"
        );
    }
    // And that is what a dead link is counted as.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = gone.local_addr().expect("bound");
    drop(gone);
    let server = Server::with([
        ("metrics.prometheus_address", "127.0.0.1:0"),
        ("client.allow_local_connections", "true"),
    ]);
    let metrics = Client::new(metrics_address(&server));
    let path = format!("/image/original?proxy=http://{address}/a.png");
    server.get(&path).status(502);
    let samples = scrape(&metrics);
    let ends = samples
        .iter()
        .filter(|(name, _)| name.starts_with("pict_rs_request_end{"));
    let statuses: Vec<_> = ends
        .filter_map(|(name, _)| name.split_once("status=\"")?.1.get(..3))
        .collect();
    assert_eq!(statuses, ["502"]);
    assert!(statuses.iter().all(|status| !takes(expression, status)));
}

/// Reads the exposition as Prometheus' own library for Python does, and says what it found.
const PARSER: &str = r#"
import sys
from prometheus_client.parser import text_string_to_metric_families
families = list(text_string_to_metric_families(sys.stdin.read()))
for family in families:
    assert family.documentation, family.name
    assert family.type in ("counter", "gauge", "histogram"), (family.name, family.type)
    if family.type == "histogram":
        counts = {}
        for sample in family.samples:
            labels = tuple(sorted((k, v) for k, v in sample.labels.items() if k != "le"))
            if sample.name.endswith("_bucket"):
                assert sample.value >= counts.get(labels, 0), sample
                counts[labels] = sample.value
        for sample in family.samples:
            labels = tuple(sorted(sample.labels.items()))
            if sample.name.endswith("_count"):
                assert sample.value == counts[labels], sample
    for sample in family.samples:
        print(sample.name, sample.value)
"#;

#[test]
fn prometheus_own_library_reads_what_is_exposed() {
    let Some(folder) = std::env::var_os("PICTRS_TEST_CLIENTS_DIR") else {
        programs::skip(
            "clients",
            "the library of Prometheus",
            "PICTRS_TEST_CLIENTS_DIR is not set; cargo xtask test sets it",
        );
        return;
    };
    let mut parser = Command::new(Path::new(&folder).join("python/bin/python"))
        .args(["-c", PARSER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Python");
    let mut input = parser.stdin.take().expect("piped");
    input.write_all(exposition().as_bytes()).expect("taken");
    drop(input);
    let output = parser.wait_with_output().expect("it ends");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let said = String::from_utf8_lossy(&output.stdout);
    // It calls every counter a total.
    for sample in [
        "pict_rs_files_total 1",
        "pict_rs_stored 1",
        "process_cpu_seconds_total ",
        "process_start_time_seconds ",
    ] {
        assert!(
            said.lines().any(|line| line.starts_with(sample)),
            "no {sample} in {said}"
        );
    }
}
