//! Long work over everything: variants that go, and records whose file is missing.

use serde_json::{Value, json};

use crate::support::client::process_path;
use crate::support::{Answer, Server, database, disk, eventually, pictures};

const KEY: (&str, &str) = ("X-Api-Token", "the-key");

fn with_key() -> Server {
    Server::with([("server.api_key", KEY.1)])
}

fn prune(server: &Server, query: &str) -> Value {
    let path = format!("/internal/prune_missing{query}");
    server.send("POST", &path, &[KEY], None).ok().json()
}

/// Asks until it is over.
fn pruned(server: &Server) -> Value {
    eventually("everything is looked at", || {
        Some(prune(server, "")).filter(|progress| progress["complete"] == true)
    })
}

fn drop_variants(server: &Server) -> Answer {
    server.send("DELETE", "/internal/variants", &[KEY], None)
}

/// Waits until there are no variants any more, and expects so many files.
fn assert_tidy(server: &Server, files: usize) {
    eventually("all variants are gone", || {
        let left = "SELECT object FROM variants \
                    UNION ALL SELECT object FROM garbage WHERE not_before = 0";
        database::texts(&server.data(), left)
            .is_empty()
            .then_some(())
    });
    assert_eq!(disk::objects(&server.files()).len(), files);
}

fn lose(server: &Server, alias: &str) {
    let path = format!("/internal/identifier?alias={alias}");
    let json = server.get_with(&path, &[KEY]).ok().json();
    let identifier = json["identifier"].as_str().expect("a path");
    std::fs::remove_file(server.files().join(identifier)).expect("removed");
}

#[test]
fn prune_missing_purges_what_lost_its_file_and_a_new_upload_restores_it() {
    let server = with_key();
    let pictures = [20, 21, 22].map(|width| pictures::png(&pictures::photo(width, 20)));
    let kept = server.upload(&pictures[0]).alias;
    let lost = server.upload(&pictures[1]).alias;
    let other = server.upload(&pictures[1]).alias;
    let also_kept = server.upload(&pictures[2]).alias;
    server.process("webp", &lost, "thumbnail=9");
    lose(&server, &lost);
    server
        .get(&format!("/image/original/{lost}"))
        .refused(500, "lost-file");

    let first = prune(&server, "?reason=disk%20died");
    assert_eq!(
        first,
        json!({ "msg": "ok", "complete": false, "progress": 0, "total": 3 })
    );
    assert_eq!(
        pruned(&server),
        json!({ "msg": "ok", "complete": true, "progress": 1, "total": 3 })
    );
    for alias in [&lost, &other] {
        for path in [
            format!("/image/original/{alias}"),
            format!("/image/details/original/{alias}"),
            process_path("webp", alias, "thumbnail=9"),
        ] {
            server.get(&path).refused(404, "alias-not-found");
        }
    }
    assert_tidy(&server, 2);
    let log = server.get_with("/internal/audit", &[KEY]).ok().json();
    let mut aliases = [&lost, &other];
    aliases.sort();
    assert_eq!(log["audit"][0]["action"], "prune");
    assert_eq!(log["audit"][0]["actor"], "server");
    assert_eq!(log["audit"][0]["aliases"], json!(aliases));
    assert_eq!(log["audit"][0]["reason"], "disk died");
    assert_eq!(log["audit"].as_array().map(Vec::len), Some(1));

    let restored = server.upload(&pictures[1]).alias;
    for alias in [&kept, &also_kept, &restored] {
        server.original(alias);
    }
}

#[test]
fn what_is_pruned_can_be_kept_from_coming_again() {
    let server = with_key();
    let lost = pictures::jpeg(&pictures::photo(21, 20));
    let small = server.upload_with("resize=10", &lost).alias;
    let came_back = pictures::png(&pictures::photo(22, 20));
    let old = server.upload(&came_back).alias;
    let kept = pictures::png(&pictures::photo(23, 20));
    server.upload(&kept);
    lose(&server, &small);
    lose(&server, &old);
    let new = server.upload(&came_back).alias;
    prune(&server, "?block=true&reason=scanner");
    assert_eq!(pruned(&server)["progress"], 1);
    for alias in [&small, &old] {
        let path = format!("/image/original/{alias}");
        server.get(&path).refused(404, "alias-not-found");
    }
    server.original(&new);
    server.upload(&kept);
    // As it was sent, as it was stored, and what had come back before.
    server.upload_refused("", &lost, 400, "blocked");
    server.upload_refused("resize=10", &lost, 400, "blocked");
    server.upload_refused("", &came_back, 400, "blocked");
    let list = server.get_with("/internal/blocklist", &[KEY]).ok().json();
    let list = list["blocklist"].as_array().expect("a list").clone();
    assert!(list.len() >= 3, "{list:?}");
    assert!(list.iter().all(|entry| entry["reason"] == "scanner"));
    let bad = "/internal/prune_missing?block=1";
    server
        .send("POST", bad, &[KEY], None)
        .refused(400, "invalid-query");
}

#[test]
fn prune_missing_is_begun_anew_by_force_only() {
    let server = with_key();
    let alias = server
        .upload(&pictures::png(&pictures::photo(20, 20)))
        .alias;
    prune(&server, "");
    let first = pruned(&server);
    assert_eq!(first["progress"], 0);
    lose(&server, &alias);
    // Later calls only report.
    assert_eq!(prune(&server, ""), first);
    assert_eq!(prune(&server, "?force=false"), first);
    let again = prune(&server, "?force=true");
    assert_eq!(again["total"], 1);
    assert_eq!(pruned(&server)["progress"], 1);
    assert_eq!(prune(&server, "?force=true")["total"], 0);
    assert_eq!(pruned(&server)["progress"], 0);
    let bad = "/internal/prune_missing?force=1";
    server
        .send("POST", bad, &[KEY], None)
        .refused(400, "invalid-query");
}

#[test]
fn a_run_that_a_death_of_the_server_cut_off_goes_on_with_the_next_start() {
    let server = with_key();
    let aliases: Vec<_> = (0..3)
        .map(|n| {
            let bytes = pictures::png(&pictures::photo(20 + n, 20));
            server.upload(&bytes).alias
        })
        .collect();
    prune(&server, "");
    pruned(&server);
    for alias in &aliases {
        lose(&server, alias);
    }
    let launch = server.kill();
    let data = launch.folder().join("data");
    database::change(
        &data,
        "UPDATE maintenance SET finished_at = NULL, cursor = \
         (SELECT hash FROM hashes ORDER BY hash LIMIT 1)",
    );
    let server = launch.start();
    // The first one was looked at before the death, when it was there.
    assert_eq!(pruned(&server)["progress"], 2);
    assert_eq!(database::texts(&data, "SELECT alias FROM aliases").len(), 1);
}

#[test]
fn a_store_that_is_not_there_is_not_taken_for_lost_files() {
    let server = with_key();
    let alias = server
        .upload(&pictures::png(&pictures::photo(20, 20)))
        .alias;
    // As when a disk is not mounted.
    let (files, aside) = (server.files(), server.data().join("aside"));
    std::fs::rename(&files, &aside).expect("moved");
    prune(&server, "");
    server.wait_for_output("maintenance fails");
    assert_eq!(prune(&server, "")["complete"], false);
    std::fs::rename(&aside, &files).expect("moved back");
    prune(&server, "?force=true");
    assert_eq!(pruned(&server)["progress"], 0);
    server.original(&alias);
}

#[test]
fn variants_delete_removes_every_variant_and_no_original() {
    let server = with_key();
    let bytes = pictures::png(&pictures::photo(90, 60));
    let alias = server.upload(&bytes).alias;
    let original = server.original(&alias);
    let paths = [30, 31, 32].map(|size| process_path("webp", &alias, &format!("thumbnail={size}")));
    for path in &paths {
        server.get(path).ok();
    }
    assert_eq!(disk::objects(&server.files()).len(), 4);
    let answer = drop_variants(&server).status(204);
    assert!(answer.body.is_empty());
    assert_tidy(&server, 1);
    assert_eq!(server.original(&alias), original);
    for path in &paths {
        assert_eq!(server.head(path).status, 404);
        // They are made again when somebody asks.
        server.get(path).ok();
        server.head(path).ok();
    }
    let log = server.get_with("/internal/audit", &[KEY]).ok().json();
    assert_eq!(log["audit"][0]["action"], "variants");
    assert_eq!(log["audit"][0]["amount"], 3);
}

#[test]
fn more_variants_than_one_step_takes_go_all_and_survive_no_death() {
    let server = Server::with([
        ("server.api_key", KEY.1),
        ("media.variants_per_original", "0"),
    ]);
    let alias = server
        .upload(&pictures::png(&pictures::plain(600, 2)))
        .alias;
    for size in 0..450 {
        // Cheap: a few pixels each.
        server.process("png", &alias, &format!("resize={}", 1 + size));
    }
    assert_eq!(disk::objects(&server.files()).len(), 451);
    drop_variants(&server).status(204);
    let server = server.kill().start();
    assert_tidy(&server, 1);
    assert_eq!(
        database::texts(&server.data(), "SELECT variant FROM variants"),
        Vec::<String>::new()
    );
    server.original(&alias);
}
