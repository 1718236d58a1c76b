//! A server that starts, stops, logs, or refuses to.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::client::{content_type, part_head};
use crate::support::server::is_emulated;
use crate::support::{File, Launch, Server, database, disk, eventually, pictures, programs, work};

#[test]
fn without_arguments_and_settings_it_serves_within_a_second() {
    let servers: Vec<_> = (0..5).map(|_| Server::start()).collect();
    servers[0].get("/healthz").ok();
    for word in [
        "optional programs",
        "missing",
        "data/database",
        "data/files",
    ] {
        servers[0].wait_for_output(word);
    }
    assert!(servers[0].data().join("files").is_dir());
    // Other tests may hold the processors; one of five undisturbed starts is enough.
    let fastest = servers.iter().map(Server::start_time).min();
    if is_emulated() {
        return programs::skip("speed", "start within a second", "the program is emulated");
    }
    assert!(fastest < Some(Duration::from_secs(1)), "{fastest:?}");
}

#[test]
fn optional_programs_are_looked_for_on_the_path() {
    let launch = Launch::new();
    let folder = launch.folder().join("programs");
    std::fs::create_dir(&folder).expect("made");
    let program = folder.join("ffmpeg");
    std::fs::write(&program, "#!/bin/false\n").expect("written");
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, executable).expect("set");
    let server = launch.environment("PATH", folder.display()).start();
    let output = server.output();
    let line = output
        .lines()
        .find(|line| line.contains("optional programs"))
        .expect("a line");
    assert!(line.contains("found=\"ffmpeg\""), "{line}");
    assert!(line.contains("missing=\"magick\""), "{line}");
}

#[test]
fn the_command_line_of_existing_deployments_starts_on_fresh_paths() {
    for (word, flag) in [("sled", "-p"), ("fjall", "-f"), ("sqlite", "-p")] {
        let launch = Launch::new().without_environment("PICTRS__SERVER__ADDRESS");
        let folder = launch.folder().to_owned();
        let line = format!(
            "run -a 127.0.0.1:0 --api-key key filesystem -p some/files {word} {flag} some/repo"
        );
        let server = launch.arguments(line.split(' ')).start();
        let bytes = pictures::png(&pictures::photo(32, 32));
        let uploaded = server.upload(&bytes);
        server.original(&uploaded.alias);
        assert_eq!(disk::objects(&folder.join("some/files")).len(), 1);
        assert!(folder.join("some/repo").is_dir());
        assert!(!folder.join("data").exists());
        server
            .get_with(
                &format!("/internal/aliases?alias={}", uploaded.alias),
                &[("X-Api-Token", "key")],
            )
            .ok();
    }
}

/// What contract and sources say that the existing pict-rs leaves on disk.
const FOREIGN: [(&str, &[&str]); 6] = [
    ("sled 0.5", &["v0.5.0/conf", "v0.5.0/db", "v0.5.0/blobs/1"]),
    ("sled 0.4", &["v0.4.0-alpha.1/conf", "v0.4.0-alpha.1/db"]),
    (
        "fjall 0.6",
        &["v0.5.20/keyspaces/1/manifest", "v0.5.20/lock"],
    ),
    ("fjall 0.5", &["v0.5.18/partitions/a/manifest"]),
    ("sled itself", &["conf", "db", "snap.0000"]),
    ("fjall itself", &["keyspaces/1/manifest", "version"]),
];

#[test]
fn data_of_the_existing_pict_rs_is_refused_and_untouched() {
    for (what, files) in FOREIGN {
        let launch = Launch::new();
        let folder = launch.folder().to_owned();
        for (number, file) in files.iter().enumerate() {
            let file = folder.join("repo").join(file);
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("made");
            std::fs::write(file, [number as u8; 100]).expect("written");
        }
        let before = (disk::snapshot(&folder), disk::folders(&folder));
        let (word, flag) = if what.starts_with("sled") {
            ("sled", "-p")
        } else {
            ("fjall", "-f")
        };
        let refusal = launch
            .clone()
            .arguments(["run", "filesystem", word, flag, "repo"])
            .refused();
        assert_eq!(refusal.status.code(), Some(78), "{what}");
        for word in ["existing pict-rs", "Nothing was changed", "repo"] {
            assert!(refusal.output.contains(word), "{what}: {}", refusal.output);
        }
        assert_eq!(before.0, disk::snapshot(&folder), "{what}");
        assert_eq!(before.1, disk::folders(&folder), "{what}");
    }
}

#[test]
fn data_of_the_existing_pict_rs_beside_ours_is_refused_unless_a_path_is_given() {
    for name in ["sled-repo", "fjall-repo", "data/sled-repo"] {
        let launch = Launch::new();
        let foreign = launch.folder().join(name).join("v0.5.0");
        std::fs::create_dir_all(&foreign).expect("made");
        let refusal = launch.clone().refused();
        assert_eq!(refusal.status.code(), Some(78));
        for word in ["existing pict-rs", "Nothing was changed", name, "repo.path"] {
            assert!(refusal.output.contains(word), "{}", refusal.output);
        }
        assert!(!launch.folder().join("data/database").exists());
        let server = launch.setting("repo.path", "data/database").start();
        server.wait_for_output("is not used");
        // From then on there is a database, and no question any more.
        let server = server
            .stop()
            .without_environment("PICTRS__REPO__PATH")
            .start();
        assert!(!server.output().contains("is not used"));
        assert!(foreign.is_dir());
    }
}

#[test]
fn a_key_from_a_file_opens_the_internal_api() {
    let launch = Launch::new();
    let file = launch.folder().join("key");
    std::fs::write(&file, "from-a-file\n").expect("written");
    let server = launch
        .setting("server.api_key_file", file.display())
        .start();
    let ask = |key| server.get_with("/internal/aliases?alias=a", &[("X-Api-Token", key)]);
    ask("from-a-file").refused(404, "alias-not-found");
    ask("another").refused(401, "invalid-api-token");
    assert!(!server.output().contains("from-a-file"));
}

#[test]
fn a_second_server_on_the_same_data_is_refused() {
    let launch = Launch::new();
    let first = launch.clone().start();
    let refusal = launch.refused();
    assert_eq!(refusal.status.code(), Some(1));
    assert!(
        refusal.output.contains("another pict-rs is running"),
        "{}",
        refusal.output
    );
    // The first neither noticed nor suffered.
    first.upload(&pictures::png(&pictures::photo(16, 16)));
    first.stop().start();
}

#[test]
fn a_second_server_on_the_same_files_is_refused_although_its_database_is_another() {
    let launch = Launch::new();
    let first = launch.clone().start();
    // At its start the second would tidy away what the first is about to finish.
    let refusal = launch.setting("repo.path", "another/database").refused();
    assert_eq!(refusal.status.code(), Some(1));
    for word in ["another pict-rs is running", "files"] {
        assert!(refusal.output.contains(word), "{}", refusal.output);
    }
    first.stop().start();
}

#[test]
fn an_address_in_use_is_refused_and_named() {
    let first = Server::start();
    let address = first.address.to_string();
    let refusal = Launch::new().setting("server.address", &address).refused();
    assert_eq!(refusal.status.code(), Some(1));
    assert!(refusal.output.contains(&address), "{}", refusal.output);
}

#[test]
fn under_systemd_data_goes_to_the_state_directory() {
    let launch = Launch::new();
    let folder = launch.folder().to_owned();
    let state = folder.join("state");
    let server = launch
        .environment("STATE_DIRECTORY", state.display())
        .start();
    server.upload(&pictures::png(&pictures::photo(16, 16)));
    assert_eq!(disk::objects(&state.join("files")).len(), 1);
    assert!(!folder.join("data").exists());
}

#[test]
fn data_survives_a_restart() {
    let server = Server::start();
    let uploaded = server.upload(&pictures::jpeg(&pictures::photo(64, 48)));
    let original = server.original(&uploaded.alias);
    let variant = server.process("webp", &uploaded.alias, "thumbnail=16");
    let server = server.stop().start();
    assert_eq!(server.original(&uploaded.alias), original);
    // It was not made again: HEAD never makes one.
    let path = format!("/image/process.webp?src={}&thumbnail=16", uploaded.alias);
    server.head(&path).ok();
    assert_eq!(
        server.process("webp", &uploaded.alias, "thumbnail=16"),
        variant
    );
    let deleted = format!("/image/delete/{}/{}", uploaded.token, uploaded.alias);
    server.delete(&deleted).status(204);
    disk::assert_nothing_stored(&server);
}

#[test]
fn unknown_names_in_the_environment_are_one_warning() {
    let server = Launch::new()
        .environment("PICTRS_OPENTELEMETRY_URL", "http://otel:4137")
        .environment("PICTRS__API_KEY", "old")
        .environment("PICTRS__MEDIA__GIF__MAX_WIDTH", 256)
        .environment("PICTRS__MEDIA__VIDEO_CODEC", "vp9")
        .environment("PICTRS__MEDIA__VIDEO__ENABLE", "True")
        .start();
    let output = server.output();
    let warnings: Vec<_> = output
        .lines()
        .filter(|line| line.contains("WARN"))
        .collect();
    assert_eq!(warnings.len(), 1, "{output}");
    for name in [
        "PICTRS_OPENTELEMETRY_URL",
        "api_key (now server.api_key)",
        "media.gif.max_width (now media.animation.max_width)",
        "media.video_codec (now media.video.video_codec)",
    ] {
        assert!(warnings[0].contains(name), "{}", warnings[0]);
    }
    assert!(!warnings[0].contains("media.video.enable"));
}

#[test]
fn a_database_of_a_newer_version_is_refused_in_words_and_unchanged() {
    let server = Server::start();
    let alias = server
        .upload(&pictures::png(&pictures::photo(16, 16)))
        .alias;
    let newer = "INSERT INTO _sqlx_migrations \
                 (version, description, success, checksum, execution_time) \
                 SELECT 9999, 'tomorrow', 1, checksum, 0 FROM _sqlx_migrations WHERE version = 1";
    database::change(&server.data(), newer);
    let data = server.data();
    let launch = server.stop();
    let refusal = launch.clone().refused();
    assert_eq!(refusal.status.code(), Some(78));
    for word in [
        "database",
        "newer version of pict-rs",
        "9999",
        "Nothing was changed",
    ] {
        assert!(refusal.output.contains(word), "{}", refusal.output);
    }
    database::change(&data, "DELETE FROM _sqlx_migrations WHERE version = 9999");
    launch.start().original(&alias);
}

#[test]
fn an_old_name_of_the_address_is_listened_on_and_told() {
    for name in ["PICTRS__ADDR", "PICTRS__SERVER__ADDR", "PICTRS_ADDR"] {
        let server = Launch::new()
            .without_environment("PICTRS__SERVER__ADDRESS")
            .environment(name, "127.0.0.1:0")
            .start();
        server.get("/healthz").ok();
        let output = server.output();
        assert!(
            output.contains("listening on http://127.0.0.1:"),
            "{output}"
        );
        assert!(
            output.contains(&format!("{name} is an old name")),
            "{output}"
        );
    }
    let server = Launch::new()
        .without_environment("PICTRS__SERVER__ADDRESS")
        .arguments(["run", "--addr", "127.0.0.1:0"])
        .start();
    assert!(server.output().contains("listening on http://127.0.0.1:"));
    let refusal = Launch::new()
        .without_environment("PICTRS__SERVER__ADDRESS")
        .environment("PICTRS__ADDR", "localhost")
        .refused();
    assert!(
        refusal.output.contains("server.address"),
        "{}",
        refusal.output
    );
}

#[test]
fn what_this_build_cannot_do_is_a_warning_and_pictures_are_served() {
    for (key, value) in [
        ("tracing.console.address", "127.0.0.1:6669"),
        (
            "tracing.opentelemetry.url",
            "https://collector.example:4317",
        ),
        ("tracing.colour", "blue"),
    ] {
        let server = Server::with([(key, value)]);
        server.upload(&pictures::png(&pictures::photo(16, 16)));
        let output = server.output();
        let warning = output.lines().find(|line| line.contains("WARN"));
        assert!(warning.is_some_and(|line| line.contains(key)), "{output}");
    }
}

#[test]
fn the_line_that_installers_wait_for_is_printed() {
    let server = Server::start();
    server.wait_for_output("starting in existing Tokio runtime");
}

#[test]
fn json_logs_parse_and_carry_the_ids_that_clients_see() {
    let server = Server::with([
        ("tracing.logging.format", "json"),
        ("tracing.logging.log_requests", "true"),
    ]);
    let own = server.get("/image/original/absent.png").status(404);
    let own = own.header("x-request-id").expect("an id").to_owned();
    let given = [("X-Request-Id", "from-the-proxy.7")];
    let answer = server.get_with("/healthz", &given).ok();
    assert_eq!(answer.header("x-request-id"), Some(given[0].1));
    // What would write lines into our log is not taken.
    let evil = [("X-Request-Id", "a b\" c")];
    let answer = server.get_with("/healthz", &evil).ok();
    assert_ne!(answer.header("x-request-id"), Some(evil[0].1));

    let line = |id: &str| {
        eventually("the request is logged", || {
            let output = server.output();
            let mut lines = output.lines().map(|line| -> Value {
                serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"))
            });
            lines.find(|line| line["span"]["id"] == id)
        })
    };
    let refused = line(&own);
    assert_eq!(refused["fields"]["status"], 404);
    assert_eq!(refused["fields"]["code"], "alias-not-found");
    assert_eq!(refused["fields"]["path"], "/image/original/absent.png");
    assert_eq!(line(given[0].1)["fields"]["status"], 200);
}

#[test]
fn json_logs_carry_the_id_of_the_request_from_other_tasks_too() {
    let server = Server::with([("tracing.logging.format", "json")]);
    let bytes = pictures::png(&pictures::photo(20, 20));
    server.upload(&bytes);
    for name in disk::objects(&server.files()).into_keys() {
        std::fs::remove_file(server.files().join(name)).expect("removed");
    }
    let answer = server.upload_form("", &[File::new(&bytes)]).status(201);
    let id = answer.header("x-request-id").expect("an id");
    server.wait_for_output("healed by an upload");
    let output = server.output();
    let line = output
        .lines()
        .find(|line| line.contains("healed by an upload"))
        .expect("a line");
    let line: Value = serde_json::from_str(line).expect("JSON");
    assert_eq!(line["spans"][0]["name"], "request");
    assert_eq!(line["spans"][0]["id"], id);
}

#[test]
fn logs_hold_no_secrets() {
    let server = Server::with([
        ("server.api_key", "the-api-key"),
        ("tracing.logging.log_requests", "true"),
        ("tracing.logging.targets", "debug"),
    ]);
    let uploaded = server.upload(&pictures::png(&pictures::photo(16, 16)));
    server
        .delete(&format!("/image/delete/wrong-token/{}", uploaded.alias))
        .status(403);
    server
        .delete(&format!(
            "/image/delete/{}/{}",
            uploaded.token, uploaded.alias
        ))
        .status(204);
    server
        .send(
            "POST",
            "/internal/purge?alias=x",
            &[("X-Api-Token", "the-api-key")],
            None,
        )
        .status(404);
    server.wait_for_output("/internal/purge");
    let output = server.output();
    for secret in ["the-api-key", &uploaded.token, "wrong-token"] {
        assert!(!output.contains(secret), "{secret} in the log");
    }
}

#[test]
fn a_signal_ends_it_with_success_after_the_running_request() {
    for signal in [Signal::TERM, Signal::INT] {
        let server = Server::with([("media.concurrency", "1"), ("media.queue_length", "0")]);
        let uploaded = server.upload(&pictures::jpeg(&pictures::photo(1500, 1000)));
        let request = work::occupy(&server, &uploaded.alias);
        server.signal(signal);
        let answer = request.join().expect("answered").ok();
        assert_eq!(answer.header("content-type"), Some("image/png"));
        let (code, launch) = server.ended();
        assert_eq!(code, Some(0));
        // And the data is whole.
        launch.start().original(&uploaded.alias);
    }
}

/// A connection on which half an upload has been sent.
fn half_an_upload(server: &Server) -> TcpStream {
    let mut stream = server.connect();
    let part = part_head("images[]", Some("half.png"));
    let head = format!(
        "POST /image HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Type: {}\r\n\
         Content-Length: 100000\r\n\r\n",
        content_type()
    );
    stream.write_all(head.as_bytes()).expect("sent");
    // The server has begun to read: it asks for the body.
    stream.read_exact(&mut [0; 25]).expect("asked for");
    stream.write_all(part.as_bytes()).expect("sent");
    stream
}

#[test]
fn a_request_that_does_not_end_is_given_up_after_a_while() {
    let server = Server::with([("server.shutdown_timeout", "1")]);
    let stream = half_an_upload(&server);
    let asked = Instant::now();
    server.signal(Signal::TERM);
    let (code, launch) = server.ended();
    assert_eq!(code, Some(0));
    let took = asked.elapsed();
    assert!((1..15).contains(&took.as_secs()), "{took:?}");
    drop(stream);
    disk::assert_nothing_stored(&launch.start());
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let server = Server::with([("server.shutdown_timeout", "600")]);
    let stream = half_an_upload(&server);
    server.signal(Signal::TERM);
    server.wait_for_output("stopping");
    server.signal(Signal::INT);
    let (code, _) = server.ended();
    assert_eq!(code, Some(0));
    drop(stream);
}

#[test]
fn patience_beyond_all_clocks_is_as_good_as_any() {
    let longest = u64::MAX.to_string();
    let server = Server::with([
        ("server.shutdown_timeout", longest.as_str()),
        ("server.upload_timeout", &longest),
        ("media.process_timeout", &longest),
        ("client.timeout", &longest),
    ]);
    let uploaded = server.upload(&pictures::png(&pictures::photo(40, 30)));
    server.original(&uploaded.alias);
    server.signal(Signal::TERM);
    let (code, _) = server.ended();
    assert_eq!(code, Some(0));
}

#[test]
fn health_is_told_to_get_and_head() {
    let server = Server::start();
    assert!(server.get("/healthz").ok().body.is_empty());
    server.head("/healthz").ok();
    assert!(server.get("/readyz").ok().body.is_empty());
    server.head("/readyz").ok();
}

#[test]
fn health_fails_when_nothing_can_be_served() {
    let server = Server::start();
    let files = server.files();
    std::fs::rename(&files, files.with_extension("away")).expect("renamed");
    server.get("/healthz").refused(503, "file-io-error");
    server.get("/readyz").refused(503, "file-io-error");
    std::fs::rename(files.with_extension("away"), &files).expect("renamed");
    server.get("/healthz").ok();
    server.get("/readyz").ok();
}

#[test]
fn root_makes_no_database_among_the_files_of_another_user() {
    if !rustix::process::geteuid().is_root() {
        return programs::skip("root", "a database of root", "this is another user");
    }
    let launch = Launch::new();
    let data = launch.folder().join("data");
    let give = |user| std::os::unix::fs::chown(&data, Some(user), None).expect("root may");
    std::fs::create_dir_all(data.join("files")).expect("made");
    give(54_321);
    for command in ["run", "accept-store"] {
        let refusal = launch.clone().arguments([command]).refused();
        assert_eq!(refusal.status.code(), Some(1), "{command}");
        for word in [
            "data belongs",
            "54321",
            "pict-rs-admin",
            "Nothing was changed",
        ] {
            assert!(refusal.output.contains(word), "{}", refusal.output);
        }
        assert!(!data.join("database").exists(), "{command}");
    }
    give(0);
    let launch = launch.start().stop();
    // One that is there is used: what SQLite makes beside it belongs to its owner.
    give(54_321);
    launch.start().stop();
}
