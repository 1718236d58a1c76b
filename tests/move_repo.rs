//! `migrate-repo`: a database that moves from one engine to the other and back.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use testkit::postgres::{Cluster, Database};
use testkit::server::DATABASE_URL;

use crate::support::client::process_path;
use crate::support::upstream::Upstream;
use crate::support::{Answer, Launch, Server, Uploaded, database, eventually, pictures};

const KEY: (&str, &str) = ("X-Api-Token", "the-key");

/// A server with an embedded database, whatever other tests are run on.
fn embedded() -> Launch {
    let launch = Launch::new()
        .setting("server.api_key", KEY.1)
        .setting("client.allow_local_connections", true)
        .setting("repo.type", "sqlite")
        .without_environment("PICTRS__REPO__URL");
    let _ = std::fs::remove_file(launch.folder().join(DATABASE_URL));
    launch
}

/// The same server on another database.
fn on(launch: &Launch, database: &Database) -> Launch {
    launch
        .clone()
        .setting("repo.type", "postgres")
        .setting("repo.url", database.url())
}

fn command(launch: &Launch, words: &[&str]) -> Command {
    let words = ["migrate-repo"].into_iter().chain(words.iter().copied());
    launch.clone().arguments(words).command()
}

/// Its exit code, and all it said.
fn migrate(launch: &Launch, words: &[&str]) -> (Option<i32>, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command(launch, words).output().expect("runs");
    let said = [stdout, stderr].concat();
    (status.code(), String::from_utf8_lossy(&said).into_owned())
}

#[track_caller]
fn moved(launch: &Launch, words: &[&str]) -> String {
    let (code, said) = migrate(launch, words);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("are the same on both sides"), "{said}");
    said
}

#[track_caller]
fn refused(launch: &Launch, words: &[&str], code: i32, parts: &[&str]) {
    let (found, said) = migrate(launch, words);
    assert_eq!(found, Some(code), "{said}");
    for part in parts {
        assert!(said.contains(part), "{part}: {said}");
    }
}

fn internal(server: &Server, method: &str, route: &str) -> Answer {
    server.send(method, &format!("/internal/{route}"), &[KEY], None)
}

/// What clients see of an alias: its original, details and a variant.
fn seen(server: &Server, alias: &str) -> Vec<(Option<String>, Vec<u8>)> {
    let paths = [
        format!("/image/original/{alias}"),
        format!("/image/details/original/{alias}"),
        process_path("webp", alias, "thumbnail=16"),
    ];
    let answer = |path: &String| {
        let answer = server.get(path).ok();
        (answer.header("etag").map(str::to_owned), answer.body)
    };
    paths.iter().map(answer).collect()
}

/// What the server tells of everything that it has, without what each start changes.
fn told(server: &Server) -> Vec<Value> {
    let json = |route: &str| internal(server, "GET", route).ok().json();
    let usage = json("usage");
    let count = |class: &str| usage[class]["count"].clone();
    vec![
        json("hashes?limit=500"),
        json("blocklist"),
        json("audit?limit=500"),
        count("aliases"),
        count("originals"),
        usage["originals"]["bytes"].clone(),
        count("variants"),
        usage["variants"]["bytes"].clone(),
        count("proxied"),
    ]
}

#[test]
fn box_a_database_moves_to_the_other_engine_and_back_and_clients_see_no_difference() {
    let test = "box_a_database_moves_to_the_other_engine_and_back";
    let Some(cluster) = Cluster::shared_or_skip(test) else {
        return;
    };
    let upstream = Upstream::serving(&pictures::png(&pictures::photo(50, 40)));
    let server = embedded().start();
    let mut uploads: Vec<Uploaded> = (0..200)
        .map(|seed| {
            // Some are uploaded twice, and have two aliases.
            let picture = pictures::noise(20 + seed as u32 % 9, 20, seed - seed % 10 / 9);
            match seed % 3 {
                0 => server.upload(&pictures::png(&picture)),
                1 => server.upload(&pictures::jpeg(&picture)),
                _ => server.upload(&pictures::webp(&picture)),
            }
        })
        .collect();
    uploads.push(server.upload(&pictures::gif(&pictures::film(30, 20, 4))));
    let proxied = format!("/image/original?proxy={}", upstream.url("/a.png"));
    let proxied_bytes = server.get(&proxied).ok().body;
    // A removal is in the log, a blocked content on the list.
    let gone = uploads.pop().expect("there are some");
    let route = format!("purge?alias={}&block=true&reason=bad", gone.alias);
    internal(&server, "POST", &route).ok();
    let body = format!("{{\"alias\":\"{}\"}}", uploads[0].alias);
    let headers = [KEY, ("content-type", "application/json")];
    let set = server.send(
        "POST",
        "/internal/set_not_found",
        &headers,
        Some(body.as_bytes()),
    );
    set.status(201);
    let before: Vec<_> = uploads
        .iter()
        .map(|upload| seen(&server, &upload.alias))
        .collect();
    server.settle();
    let facts = told(&server);
    // Acknowledged, and hardly all of it done before the end.
    let waiting: Vec<_> = (0..10)
        .map(|seed| server.background(&pictures::png(&pictures::noise(300, 300, 1000 + seed))))
        .collect();
    let launch = server.kill();

    let database = cluster.database();
    let files = launch.folder().join("data/files");
    let said = moved(&launch, &["sqlite", "postgres", "-u", &database.url()]);
    assert!(said.contains("aliases: "), "{said}");
    // The files and all that clients know are what they were.
    std::fs::rename(
        launch.folder().join("data/database"),
        launch.folder().join("old"),
    )
    .expect("moved away");
    let server = on(&launch, &database).start();
    assert_eq!(server.files(), files);
    for id in &waiting {
        let claimed = server.claim(id).claimed();
        server.original(&claimed.alias);
        let path = format!("/image/delete/{}/{}", claimed.token, claimed.alias);
        server.delete(&path).status(204);
    }
    for (upload, before) in uploads.iter().zip(&before) {
        assert_eq!(&seen(&server, &upload.alias), before, "{}", upload.alias);
    }
    let now = told(&server);
    assert_eq!(now[..2], facts[..2]);
    assert_eq!(now[3..], facts[3..]);
    assert_eq!(server.get(&proxied).ok().body, proxied_bytes);
    assert_eq!(upstream.asked().len(), 1);
    let placeholder = server.get("/image/original/absent.png").status(404);
    assert_eq!(placeholder.body, before[0][0].1);
    server.upload_refused(
        "",
        &pictures::gif(&pictures::film(30, 20, 4)),
        400,
        "blocked",
    );
    // Tokens are what they were. What is logged now is numbered after what was logged before.
    let numbers = |server: &Server| {
        let log = internal(server, "GET", "audit?limit=500").ok().json();
        let log = log["audit"].as_array().expect("a list").clone();
        log.iter()
            .map(|entry| entry["number"].as_i64().expect("a number"))
            .collect::<Vec<_>>()
    };
    let last = numbers(&server);
    let first = uploads.remove(1);
    let path = format!("/image/delete/wrong/{}", first.alias);
    server.delete(&path).refused(403, "invalid-delete-token");
    let path = format!("/image/delete/{}/{}", first.token, first.alias);
    server.delete(&path).status(204);
    assert_eq!(numbers(&server).len(), last.len() + 1);
    let facts = told(&server);
    let launch = server.stop();

    // Back, into a new folder.
    moved(
        &launch,
        &["postgres", "-u", &database.url(), "sqlite", "-p", "new"],
    );
    let server = launch.setting("repo.path", "new").start();
    assert_eq!(told(&server), facts);
    let before = before.iter().take(1).chain(&before[2..]);
    for (upload, before) in uploads.iter().zip(before) {
        assert_eq!(&seen(&server, &upload.alias), before, "{}", upload.alias);
    }
    let second = &uploads[1];
    let path = format!("/image/delete/{}/{}", second.token, second.alias);
    server.delete(&path).status(204);
    assert_eq!(numbers(&server).len(), last.len() + 2);
}

/// Enough rows for a copy that takes a while.
const MANY: u64 = 100_000;

/// A stopped server with an upload and a long log.
fn with_a_long_log() -> (Launch, Uploaded) {
    let server = embedded().start();
    let upload = server.upload(&pictures::png(&pictures::photo(30, 20)));
    let launch = server.stop();
    let statement = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY}) \
         INSERT INTO audit (action, actor, aliases, created_at) \
         SELECT 'delete', 'admin', '[]', CAST(strftime('%s') AS INTEGER) * 1000 FROM n"
    );
    database::change(&launch.folder().join("data"), &statement);
    (launch, upload)
}

/// Kills the copy while it copies the log.
fn killed(mut copy: Child, mark: impl Fn() -> String) {
    eventually("the log is being copied", || {
        let ended = copy.try_wait().expect("asked");
        assert!(ended.is_none(), "it ended too early: {ended:?}");
        let mark = mark();
        (mark.contains("\"audit\"") && mark.contains("\"after\":[")).then_some(())
    });
    copy.kill().expect("killed");
    copy.wait().expect("ended");
}

fn start(launch: &Launch, words: &[&str]) -> Child {
    command(launch, words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("runs")
}

const MARK: &str = "SELECT value FROM settings WHERE name = 'copied-from'";

#[test]
fn a_copy_that_is_killed_is_no_database_and_is_continued() {
    let test = "a_copy_that_is_killed_is_no_database_and_is_continued";
    let Some(cluster) = Cluster::shared_or_skip(test) else {
        return;
    };
    let (launch, upload) = with_a_long_log();
    let database = cluster.database();
    let url = database.url();
    let words = ["sqlite", "postgres", "-u", &url];
    killed(start(&launch, &words), || {
        cluster.run(database.name(), MARK).unwrap_or_default()
    });

    let refusal = on(&launch, &database).refused();
    assert_eq!(refusal.status.code(), Some(78));
    assert!(
        refusal.output.contains("holds only a part"),
        "{}",
        refusal.output
    );
    let (code, said) = migrate(&launch, &[&["--dry-run"], &words[..]].concat());
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains(&format!("audit: {MANY} rows")) && said.contains("already"),
        "{said}"
    );
    // A half is no source either, and continues only its own one.
    let other = ["postgres", "-u", &url, "sqlite", "-p", "other"];
    refused(&launch, &other, 78, &["holds only a part"]);
    let server = embedded().start();
    let elsewhere = server.stop();
    refused(&elsewhere, &words, 78, &["not from", "--restart"]);

    let said = moved(&launch, &words);
    assert!(said.contains("continuing after"), "{said}");
    let server = on(&launch, &database).start();
    server.original(&upload.alias);
    let path = format!("/image/delete/{}/{}", upload.token, upload.alias);
    server.delete(&path).status(204);
    drop(server);
    let numbers = database.run("SELECT COUNT(*), MAX(number) FROM audit");
    assert_eq!(numbers.trim(), format!("{}|{}", MANY + 1, MANY + 1));
}

#[test]
fn a_source_that_changes_between_two_runs_is_noticed() {
    let test = "a_source_that_changes_between_two_runs_is_noticed";
    let Some(cluster) = Cluster::shared_or_skip(test) else {
        return;
    };
    let (launch, upload) = with_a_long_log();
    let database = cluster.database();
    let url = database.url();
    moved(&launch, &["sqlite", "postgres", "-u", &url]);
    // The other way, into a folder.
    let words = ["postgres", "-u", &url, "sqlite", "-p", "new"];
    let file = launch.folder().join("new/pict-rs.sqlite3");
    killed(start(&launch, &words), || mark_in(&file));
    // A server was started on the source meanwhile.
    let server = on(&launch, &database).start();
    let added = server.upload(&pictures::png(&pictures::photo(31, 20)));
    server.stop();
    refused(&launch, &words, 1, &["aliases: not the same", "--restart"]);
    let new = launch.clone().setting("repo.path", "new");
    assert_eq!(new.clone().refused().status.code(), Some(78));
    moved(&launch, &[&["--restart"], &words[..]].concat());
    let server = new.start();
    server.original(&upload.alias);
    server.original(&added.alias);
}

/// The mark in a file that another process writes to, or nothing if it is not there yet.
fn mark_in(file: &Path) -> String {
    if !file.is_file() {
        return String::new();
    }
    database::block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new()
            .filename(file)
            .read_only(true);
        let Ok(mut connection) = sqlx::sqlite::SqliteConnection::connect_with(&options).await
        else {
            return String::new();
        };
        let found: Option<String> = sqlx::query_scalar(MARK)
            .fetch_optional(&mut connection)
            .await
            .unwrap_or_default();
        found.unwrap_or_default()
    })
}

#[test]
fn what_cannot_be_copied_is_refused_and_stays_as_it_is() {
    let none = embedded();
    let words = ["sqlite", "-p", "absent", "sqlite", "-p", "new"];
    refused(&none, &words, 78, &["no database of pict-rs", "absent"]);
    assert!(!none.folder().join("new").exists() && !none.folder().join("absent").exists());
    let sled = ["sled", "-p", "a", "-c", "5", "postgres", "-u", "b"];
    refused(&none, &sled, 78, &["pict-rs migrate"]);
    let fjall = ["fjall", "-f", "a", "sqlite"];
    refused(&none, &fjall, 78, &["fjall", "pict-rs migrate"]);
    let sled = ["sqlite", "sled", "-p", "a"];
    refused(&none, &sled, 78, &["writes no sled"]);

    let server = embedded().start();
    let upload = server.upload(&pictures::png(&pictures::photo(30, 20)));
    let words = ["sqlite", "sqlite", "-p", "new"];
    let running = server.data();
    let launch = Launch::in_folder(
        testkit::server::Program::under_test(),
        running.parent().expect("a folder"),
    );
    refused(&launch, &words, 1, &["another pict-rs is running"]);
    let launch = server.stop();
    let same = ["sqlite", "sqlite", "-p", "data/../data/database"];
    refused(&launch, &same, 78, &["the same database"]);
    let (code, said) = migrate(&launch, &["--dry-run", "sqlite", "sqlite", "-p", "new"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("nothing was changed"), "{said}");
    assert!(!launch.folder().join("new").exists());

    // What another server has.
    let other = launch.clone().setting("repo.path", "other");
    let other = other.setting("store.path", "other-files").start();
    other.upload(&pictures::png(&pictures::photo(30, 20)));
    other.stop();
    let words = ["sqlite", "sqlite", "-p", "other"];
    refused(&launch, &words, 78, &["holds data already"]);
    let dry = [&["--dry-run"], &words[..]].concat();
    refused(&launch, &dry, 1, &["holds data already"]);
    // An empty one that was started once is none.
    let empty = launch.clone().setting("repo.path", "empty");
    empty.setting("store.path", "empty-files").start().stop();
    moved(&launch, &["sqlite", "sqlite", "-p", "empty"]);
    let server = launch.setting("repo.path", "empty").start();
    server.original(&upload.alias);
}

#[test]
fn servers_and_copies_keep_out_of_each_others_way_on_a_server_of_postgres() {
    let test = "servers_and_copies_keep_out_of_each_others_way_on_a_server_of_postgres";
    let Some(cluster) = Cluster::shared_or_skip(test) else {
        return;
    };
    let database = cluster.database();
    let url = database.url();
    let server = on(&embedded(), &database).start();
    let launch = embedded();
    let words = ["postgres", "-u", &url, "sqlite", "-p", "new"];
    refused(&launch, &words, 1, &["another pict-rs is running"]);
    let launch = server.stop();
    // As a copy holds it.
    database::block_on(async {
        let mut held = PgConnection::connect(&url).await.expect("connected");
        sqlx::query("SELECT pg_advisory_lock(8100114755432379137)")
            .execute(&mut held)
            .await
            .expect("locked");
        let refusal = launch.clone().refused();
        assert!(
            refusal.output.contains("migrate-repo is working"),
            "{}",
            refusal.output
        );
        held.close().await.expect("closed");
    });
    launch.start();
}
