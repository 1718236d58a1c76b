//! `backup` and `restore`: a copy of the embedded database, and life with it.

use std::path::Path;

use testkit::server::DATABASE_URL;

use crate::support::{Launch, Server, database, pictures};

/// A server with an embedded database, whatever other tests are run on.
fn embedded() -> Launch {
    let launch = Launch::new()
        .setting("repo.type", "sqlite")
        .without_environment("PICTRS__REPO__URL");
    let _ = std::fs::remove_file(launch.folder().join(DATABASE_URL));
    launch
}

fn run(launch: &Launch, words: &[&str]) -> (Option<i32>, String) {
    let output = launch
        .clone()
        .arguments(words.iter().copied())
        .command()
        .output()
        .expect("runs");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (output.status.code(), said)
}

#[track_caller]
fn refused(launch: &Launch, words: &[&str], part: &str) {
    let (code, said) = run(launch, words);
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains(part), "{said}");
}

/// Another command on the same data, while the server runs.
fn beside(server: &Server) -> Launch {
    let data = server.data();
    let folder = data.parent().expect("a folder").to_owned();
    Launch::in_folder(testkit::server::Program::under_test(), folder)
        .setting("repo.type", "sqlite")
        .without_environment("PICTRS__REPO__URL")
}

#[test]
fn a_backup_of_a_running_server_is_restored_and_served() {
    let server = embedded().start();
    let before = server.upload(&pictures::png(&pictures::photo(30, 20)));
    let bytes = server.original(&before.alias);
    let launch = beside(&server);
    let (code, said) = std::thread::scope(|scope| {
        scope.spawn(|| {
            for seed in 0..20 {
                server.upload(&pictures::png(&pictures::noise(20, 20, seed)));
            }
        });
        run(&launch, &["backup", "copy.sqlite3"])
    });
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("copy.sqlite3") && said.contains("bytes"),
        "{said}"
    );
    refused(&launch, &["backup", "copy.sqlite3"], "exists already");
    // Without a name, it goes where exports go.
    let (code, said) = run(&launch, &["backup"]);
    assert_eq!(code, Some(0), "{said}");
    let exports = std::fs::read_dir(server.data().join("exports"));
    assert_eq!(exports.expect("made").count(), 1);

    refused(&launch, &["restore", "copy.sqlite3"], "exists");
    let launch = server.kill();
    refused(&launch, &["restore", "copy.sqlite3"], "exists");
    let folder = launch.folder().to_owned();
    std::fs::rename(folder.join("data/database"), folder.join("old")).expect("moved");
    let (code, said) = run(&launch, &["restore", "copy.sqlite3"]);
    assert_eq!(code, Some(0), "{said}");
    let server = launch.start();
    assert_eq!(server.original(&before.alias), bytes);
    let path = format!("/image/delete/{}/{}", before.token, before.alias);
    server.delete(&path).status(204);
}

#[test]
fn what_is_no_whole_copy_is_not_restored() {
    let server = embedded().start();
    server.upload(&pictures::png(&pictures::photo(30, 20)));
    let launch = server.stop();
    let (code, said) = run(&launch, &["backup", "copy.sqlite3"]);
    assert_eq!(code, Some(0), "{said}");
    let folder = launch.folder().to_owned();
    let whole = std::fs::read(folder.join("copy.sqlite3")).expect("there");
    std::fs::rename(folder.join("data/database"), folder.join("old")).expect("moved");
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(folder.join(name), bytes).expect("written");
    };
    write("half.sqlite3", &whole[..whole.len() / 2]);
    write("text.sqlite3", &b"not a database ".repeat(999));
    write("empty.sqlite3", b"");
    for name in ["absent", "half.sqlite3", "text.sqlite3", "empty.sqlite3"] {
        refused(&launch, &["restore", name], "not a whole copy");
    }
    // A file that was copied from under a running server.
    write("raw.sqlite3", &whole);
    write("raw.sqlite3-wal", b"changes");
    refused(
        &launch,
        &["restore", "raw.sqlite3"],
        "may not have everything",
    );
    write("newer.sqlite3", &whole);
    let statement = "UPDATE _sqlx_migrations SET version = 9999 WHERE version = 8";
    change(&folder.join("newer.sqlite3"), statement);
    refused(&launch, &["restore", "newer.sqlite3"], "newer version");
    assert!(!folder.join("data/database/pict-rs.sqlite3").exists());
    let (code, said) = run(&launch, &["restore", "copy.sqlite3"]);
    assert_eq!(code, Some(0), "{said}");
    launch.start();
}

fn change(file: &Path, statement: &'static str) {
    use sqlx::Connection as _;
    database::block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
        let connected = sqlx::sqlite::SqliteConnection::connect_with(&options).await;
        let mut connection = connected.expect("opened");
        let done = sqlx::query(statement).execute(&mut connection).await;
        assert_eq!(done.expect("changed").rows_affected(), 1);
        connection.close().await.expect("closed");
    });
}
