//! Copies of the database, and life with a copy.

use std::path::{Path, PathBuf};

use crate::support::{Launch, Server, pictures};

const KEY: (&str, &str) = ("X-Api-Token", "the-key");

fn export(server: &Server) -> PathBuf {
    let answer = server.send("POST", "/internal/export", &[KEY], None);
    let json = answer.status(201).json();
    assert_eq!(json["msg"], "ok");
    let path = PathBuf::from(json["path"].as_str().expect("a path"));
    let size = path.metadata().expect("there").len();
    assert_eq!(json["size"], size);
    path
}

fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder).expect("readable").count()
}

#[test]
fn an_export_is_a_database_that_a_server_starts_with() {
    let server = Server::with([("server.api_key", KEY.1)]);
    let before = server.upload(&pictures::png(&pictures::photo(30, 20)));
    let path = export(&server);
    assert_eq!(
        path.parent(),
        Some(&*canonical(&server.data().join("exports")))
    );
    let after = server.upload(&pictures::png(&pictures::photo(31, 20)));
    let original = server.original(&before.alias);
    // The documented way back: the copy in the place of the database, and its journal away.
    let launch = server.kill();
    let database = launch.folder().join("data/database");
    std::fs::remove_dir_all(&database).expect("removed");
    std::fs::create_dir(&database).expect("made");
    std::fs::copy(&path, database.join("pict-rs.sqlite3")).expect("copied");
    let server = launch.start();
    assert_eq!(server.original(&before.alias), original);
    server
        .get(&format!("/image/original/{}", after.alias))
        .refused(404, "alias-not-found");
    server.upload(&pictures::png(&pictures::photo(32, 20)));
    server
        .delete(&format!("/image/delete/{}/{}", before.token, before.alias))
        .status(204);
}

#[test]
fn an_export_is_whole_while_others_write() {
    let launch = Launch::new().setting("server.api_key", KEY.1);
    let folder = launch.folder().join("backups");
    let server = launch.setting("repo.export_path", folder.display()).start();
    let exports: Vec<_> = std::thread::scope(|scope| {
        scope.spawn(|| {
            for seed in 0..30 {
                server.upload(&pictures::png(&pictures::noise(20, 20, seed)));
            }
        });
        (0..3).map(|_| export(&server)).collect()
    });
    // One file each, nothing half.
    assert_eq!(files(&folder), 3);
    for path in &exports {
        // Checks the whole file, and fails for a broken one.
        let found = crate::support::database::texts_of(path, "PRAGMA integrity_check");
        assert_eq!(found, ["ok"]);
    }
}

#[test]
fn what_a_death_left_of_an_export_goes_with_the_next_one() {
    let server = Server::with([("server.api_key", KEY.1)]);
    let folder = server.data().join("exports");
    std::fs::create_dir_all(&folder).expect("made");
    let partial = folder.join("pict-rs-2020-01-01T00-00-00Z.sqlite3.partial");
    std::fs::write(&partial, "half").expect("written");
    let foreign = folder.join("notes.partial");
    std::fs::write(&foreign, "mine").expect("written");
    export(&server);
    assert!(!partial.exists() && foreign.exists());
    assert_eq!(files(&folder), 2);
    // A folder that cannot be used is our fault, and leaves nothing.
    std::fs::remove_dir_all(&folder).expect("removed");
    std::fs::write(&folder, "in the way").expect("written");
    server
        .send("POST", "/internal/export", &[KEY], None)
        .refused(500, "file-io-error");
}

fn canonical(path: &Path) -> PathBuf {
    path.canonicalize().expect("there")
}
