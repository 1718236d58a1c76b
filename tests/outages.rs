//! A database that fails while servers run on it: what they say meanwhile, and that they go on by
//! themselves. `tests/repo/server.rs` tests what ends a start, `tests/s3.rs` buckets that fail.

use testkit::postgres::Cluster;

use crate::support::proxy::{Disturbance, Proxy};
use crate::support::{File, Launch, Server, disk, eventually, pictures};

const KEY: (&str, &str) = ("X-Api-Token", "key");

/// What the transaction of an upload prepares.
const ADDED: &str = "INSERT INTO aliases";

fn on(url: &str) -> Launch {
    Launch::new()
        .setting("repo.type", "postgres")
        .setting("repo.url", url)
        .setting("server.api_key", KEY.1)
}

fn picture(seed: u64) -> Vec<u8> {
    pictures::png(&pictures::noise(40, 30, seed))
}

/// The answer to an upload that has to be sent again.
#[track_caller]
fn is_put_off(server: &Server, seed: u64) {
    let answer = server.upload_form("", &[File::new(&picture(seed))]);
    answer.refused(503, "repo-unavailable");
    assert!(answer.header("retry-after").is_some());
}

#[test]
fn an_upload_whose_commit_was_not_answered_is_found_again_or_undone() {
    let test = "an_upload_whose_commit_was_not_answered_is_found_again_or_undone";
    let Some(cluster) = Cluster::shared_or_skip(test) else {
        return;
    };
    let database = cluster.database();
    let proxy = Proxy::before(cluster.socket());
    let server = on(&database.url_at(proxy.address())).start();
    let count = |table: &str| {
        let rows = database.run(&format!("SELECT count(*) FROM {table}"));
        rows.trim().to_owned()
    };
    // The database can be asked at once, so the client does not notice anything.
    proxy.set(Disturbance::CutCommits(ADDED));
    let uploaded = server.upload(&picture(1));
    assert_eq!(server.original(&uploaded.alias), picture(1));
    // The same for bytes that are there already.
    let again = server.upload(&picture(1));
    assert_eq!(server.original(&again.alias), picture(1));
    assert_eq!((&*count("hashes"), &*count("aliases")), ("1", "2"));

    // It cannot be asked, so the client has to send the picture again.
    for seed in [1, 2] {
        proxy.set(Disturbance::CutAfterCommit(ADDED));
        is_put_off(&server, seed);
        assert_eq!(count("aliases"), "3", "it was committed");
        proxy.set(Disturbance::None);
        eventually("the upload is undone", || {
            (count("aliases") == "2").then_some(())
        });
    }
    let delete = format!("/image/delete/{}/{}", again.token, again.alias);
    server.delete(&delete).status(204);
    assert_eq!(server.original(&uploaded.alias), picture(1));
    eventually("nothing else is left", || {
        let files = disk::objects(&server.files()).len();
        (count("hashes") == "1" && count("garbage") == "0" && files == 1).then_some(())
    });
}
