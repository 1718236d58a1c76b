//! A disk that is not mounted, a folder that belongs to another server, a clock that is wrong:
//! nothing is removed for such a reason.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::support::{Launch, Server, database, disk, eventually, pictures};

const KEY: [(&str, &str); 1] = [("X-Api-Token", "key")];

fn with_key() -> Launch {
    Launch::new().setting("server.api_key", "key")
}

/// A server with so many different pictures.
fn filled(launch: Launch, count: u32) -> (Server, Vec<String>) {
    let server = launch.start();
    let upload = |n| server.upload(&pictures::png(&pictures::photo(20 + n, 20)));
    let aliases = (0..count).map(|n| upload(n).alias).collect();
    (server, aliases)
}

fn data(launch: &Launch) -> PathBuf {
    launch.folder().join("data")
}

/// Puts an empty folder where `name` is, as a mount point is without its disk.
fn unmount(data: &Path, name: &str) {
    fs::rename(data.join(name), data.join(format!("{name}.disk"))).expect("moved");
    fs::create_dir(data.join(name)).expect("made");
}

fn mount(data: &Path, name: &str) {
    fs::remove_dir_all(data.join(name)).expect("removed");
    fs::rename(data.join(format!("{name}.disk")), data.join(name)).expect("moved");
}

fn post(server: &Server, path: &str) -> crate::support::Answer {
    server.send("POST", path, &KEY, None)
}

fn prune(server: &Server, query: &str) -> Value {
    post(server, &format!("/internal/prune_missing{query}"))
        .ok()
        .json()
}

fn rows(data: &Path) -> usize {
    database::texts(data, "SELECT object FROM hashes").len()
}

fn accept(launch: &Launch) -> String {
    let output = launch
        .clone()
        .arguments(["accept-store"])
        .command()
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn an_empty_folder_in_place_of_the_files_ends_the_start_and_says_what_to_check() {
    let (server, aliases) = filled(with_key(), 3);
    let launch = server.stop();
    let data = data(&launch);
    unmount(&data, "files");
    let refusal = launch.clone().refused();
    assert_eq!(refusal.status.code(), Some(1));
    for words in [
        "data/files",
        "data/database",
        "not mounted",
        "of 3 files that the database names, 0 are there",
        "pict-rs accept-store",
    ] {
        assert!(
            refusal.output.contains(words),
            "{words}: {}",
            refusal.output
        );
    }
    mount(&data, "files");
    let server = launch.start();
    for alias in &aliases {
        server.original(alias);
    }
}

#[test]
fn an_empty_folder_in_place_of_the_database_ends_the_start_and_no_file_is_removed() {
    let (server, aliases) = filled(with_key(), 3);
    let launch = server.stop();
    let data = data(&launch);
    let files = disk::snapshot(&data.join("files"));
    unmount(&data, "database");
    for _ in 0..2 {
        let refusal = launch.clone().refused();
        assert!(
            refusal.output.contains("the database is empty"),
            "{}",
            refusal.output
        );
    }
    assert_eq!(disk::snapshot(&data.join("files")), files);
    // On purpose it works, and even then files do not go unless that is asked for twice.
    let said = accept(&launch);
    assert!(said.contains("The database has 0 contents"), "{said}");
    let server = launch.clone().start();
    let collect = "/internal/collect?dry_run=false&min_age=0s";
    let message = post(&server, collect).refused(409, "mass-removal");
    assert!(message.contains("3 files"), "{message}");
    assert_eq!(disk::objects(&server.files()).len(), 3);
    let launch = server.stop();
    mount(&data, "database");
    // The files have another id by now.
    let refusal = launch.clone().refused();
    assert!(
        refusal.output.contains("different ids"),
        "{}",
        refusal.output
    );
    accept(&launch);
    let server = launch.start();
    for alias in &aliases {
        server.original(alias);
    }
}

#[test]
fn the_files_of_another_server_are_refused_although_they_are_many() {
    let (server, _) = filled(with_key(), 2);
    let (other, _) = filled(with_key(), 2);
    let (launch, other) = (server.stop(), other.stop());
    let files = data(&launch).join("files");
    fs::remove_dir_all(&files).expect("removed");
    fs::rename(data(&other).join("files"), &files).expect("moved");
    let refusal = launch.refused();
    assert!(
        refusal.output.contains("different ids"),
        "{}",
        refusal.output
    );
}

#[test]
fn an_installation_without_an_id_gets_one_and_an_id_that_was_not_copied_comes_back() {
    let (server, aliases) = filled(with_key(), 3);
    let launch = server.stop();
    let data = data(&launch);
    let id = data.join("files").join(disk::STORE_ID);
    let first = fs::read_to_string(&id).expect("there");
    // A copy that left hidden files out.
    fs::remove_file(&id).expect("removed");
    let launch = launch.start().stop();
    assert_eq!(fs::read_to_string(&id).expect("there"), first);
    // As an older version left it, with one file lost.
    fs::remove_file(&id).expect("removed");
    database::change(&data, "DELETE FROM settings WHERE name = 'store-id'");
    let (name, _) = disk::objects(&data.join("files"))
        .pop_first()
        .expect("some");
    fs::remove_file(data.join("files").join(name)).expect("removed");
    let server = launch.start();
    assert_ne!(fs::read_to_string(&id).expect("there"), first);
    let served = aliases.iter().filter(|alias| {
        let path = format!("/image/original/{alias}");
        server.get(&path).status == 200
    });
    assert_eq!(served.count(), 2);
    let launch = server.stop();
    unmount(&data, "files");
    launch.refused();
}

#[test]
fn an_id_without_any_media_is_no_hindrance() {
    let launch = with_key().start().stop();
    let data = data(&launch);
    for name in ["files", "database", "files"] {
        fs::remove_dir_all(data.join(name)).expect("removed");
        let _stopped = launch.clone().start().stop();
    }
}

#[test]
fn nothing_is_removed_while_a_server_that_runs_has_lost_its_files() {
    let launch = with_key().setting("media.retention.variants", "4s");
    let (server, aliases) = filled(launch, 3);
    server.process("webp", &aliases[0], "thumbnail=8");
    let data = server.data();
    unmount(&data, "files");
    assert_eq!(prune(&server, "?force=true")["complete"], false);
    server.wait_for_output("maintenance fails");
    server.wait_for_output("unused media cannot be dropped");
    let collect = post(&server, "/internal/collect?dry_run=false&min_age=0s");
    let message = collect.refused(409, "store-mismatch");
    assert!(message.contains("mounted"), "{message}");
    // Removed on purpose, but its file waits until it can be found.
    let purge = format!("/internal/purge?alias={}", aliases[2]);
    post(&server, &purge).ok();
    assert_eq!(rows(&data), 2);
    assert_eq!(
        database::texts(&data, "SELECT object FROM garbage").len(),
        1
    );
    assert_eq!(
        database::texts(&data, "SELECT object FROM variants").len(),
        1
    );
    mount(&data, "files");
    let left = || disk::objects(&server.files()).len();
    eventually("garbage and the unused variant go", || {
        (left() == 2).then_some(())
    });
    // Tried again in a minute, or now.
    prune(&server, "?force=true");
    eventually("the run comes to its end", || {
        let progress = prune(&server, "");
        (progress["complete"] == true).then_some(progress)
    });
    assert_eq!(rows(&data), 2);
}

/// Removes the files of all contents but one.
fn lose_all_but_one(server: &Server) {
    for name in disk::objects(&server.files()).into_keys().skip(1) {
        fs::remove_file(server.files().join(name)).expect("removed");
    }
}

#[test]
fn pruning_stops_before_it_removes_more_than_it_may_and_goes_on_by_force() {
    let launch = with_key().setting("server.max_removal_count", 2);
    let (server, _) = filled(launch, 4);
    lose_all_but_one(&server);
    assert_eq!(prune(&server, "")["complete"], false);
    let message = eventually("it is stopped", || {
        let answer = post(&server, "/internal/prune_missing");
        (answer.status != 200).then(|| answer.refused(409, "mass-removal"))
    });
    for words in [
        "3 contents",
        "of 4",
        "at most 2",
        "server.max_removal_count = 2",
        "force=true",
    ] {
        assert!(message.contains(words), "{words}: {message}");
    }
    assert_eq!(rows(&server.data()), 4);
    // It stays so, over a restart as well.
    let server = server.stop().start();
    post(&server, "/internal/prune_missing").refused(409, "mass-removal");
    prune(&server, "?force=true");
    let done = eventually("it is done", || {
        let progress = prune(&server, "");
        (progress["complete"] == true).then_some(progress)
    });
    assert_eq!(done["progress"], 3);
    assert_eq!(rows(&server.data()), 1);
}

#[test]
fn what_is_lost_within_the_bounds_is_pruned_without_force() {
    // Three quarters are three of four.
    let launch = with_key()
        .setting("server.max_removal_count", 0)
        .setting("server.max_removal_percent", 75);
    let (server, _) = filled(launch, 4);
    lose_all_but_one(&server);
    prune(&server, "");
    let done = eventually("it is done", || {
        let progress = prune(&server, "");
        (progress["complete"] == true).then_some(progress)
    });
    assert_eq!(done["progress"], 3);
}

#[test]
fn a_bound_that_is_more_than_everything_is_refused_at_start() {
    let refusal = Launch::new()
        .setting("server.max_removal_percent", 101)
        .refused();
    assert!(
        refusal.output.contains("max_removal_percent"),
        "{}",
        refusal.output
    );
}

#[test]
fn many_orphans_stay_unless_their_removal_is_forced() {
    let launch = with_key().setting("server.max_removal_count", 2);
    let (server, aliases) = filled(launch, 1);
    let orphan = |n| {
        server
            .files()
            .join(format!("ab/cd/abcd000000000000000000000000000{n}.png"))
    };
    fs::create_dir_all(server.files().join("ab/cd")).expect("made");
    for n in 0..3 {
        fs::write(orphan(n), b"x").expect("written");
    }
    let collect = "/internal/collect?dry_run=false&min_age=0s";
    let message = post(&server, collect).refused(409, "mass-removal");
    assert!(
        message.contains("3 files") && message.contains("at most 2"),
        "{message}"
    );
    assert!((0..3).all(|n| orphan(n).exists()));
    let found = post(&server, "/internal/collect?min_age=0s").ok().json();
    assert_eq!(
        (&found["orphans"]["count"], &found["removed"]),
        (&3.into(), &0.into())
    );
    fs::remove_file(orphan(0)).expect("removed");
    assert_eq!(post(&server, collect).ok().json()["removed"], 2);
    for n in 0..3 {
        fs::create_dir_all(server.files().join("ab/cd")).expect("made");
        fs::write(orphan(n), b"x").expect("written");
    }
    let forced = post(&server, &format!("{collect}&force=true")).ok().json();
    assert_eq!(forced["removed"], 3);
    server.original(&aliases[0]);
    post(&server, &format!("{collect}&force=maybe")).refused(400, "invalid-query");
}

#[test]
fn a_clock_that_jumps_years_ahead_makes_nothing_old_at_once() {
    let (server, aliases) = filled(with_key(), 2);
    server.process("webp", &aliases[0], "thumbnail=8");
    post(&server, &format!("/internal/purge?alias={}", aliases[1])).ok();
    let id = server.background(&pictures::png(&pictures::photo(60, 20)));
    eventually("it is taken in", || {
        let finished = "SELECT upload_id FROM uploads WHERE finished_at IS NOT NULL";
        (!database::texts(&server.data(), finished).is_empty()).then_some(())
    });
    let launch = server.stop();
    let data = data(&launch);
    // To the server it makes no difference which of the two has moved.
    let years = "UPDATE settings SET value = CAST(substr(value, 1, instr(value, ' ') - 1) \
                 - 126144000000 AS TEXT) || ' 0' WHERE name = 'clock'";
    for statement in [
        years,
        "UPDATE variants SET accessed_at = accessed_at - 126144000000",
        "UPDATE audit SET created_at = created_at - 126144000000",
        "UPDATE uploads SET finished_at = finished_at - 126144000000",
    ] {
        database::change(&data, statement);
    }
    let server = launch.start();
    server.wait_for_output("the clock is ahead");
    // Longer than it takes to look at everything.
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(
        database::texts(&data, "SELECT object FROM variants").len(),
        1
    );
    assert_eq!(
        database::texts(&data, "SELECT action FROM audit"),
        ["purge"]
    );
    server.claim(&id).claimed();
    let launch = server.stop();
    // Once it has run with this clock for long enough, it is believed.
    database::change(
        &data,
        "UPDATE settings SET value = replace(value, substr(value, instr(value, ' ')), ' 604800000') \
         WHERE name = 'clock'",
    );
    let server = launch.start();
    server.wait_for_output("the clock is taken for right now");
    eventually("what is too old goes", || {
        let left = "SELECT object FROM variants UNION ALL SELECT action FROM audit";
        database::texts(&server.data(), left)
            .is_empty()
            .then_some(())
    });
}
