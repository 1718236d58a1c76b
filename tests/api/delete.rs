//! Removing, by owner and by content.

use std::io::Write as _;
use std::time::Duration;

use crate::support::client::process_path;
use crate::support::{Server, Uploaded, database, disk, eventually, pictures};

fn delete_path(token: &str, uploaded: &Uploaded) -> String {
    format!("/image/delete/{token}/{}", uploaded.alias)
}

#[test]
fn what_is_deleted_is_gone_at_once_with_its_variants_and_its_bytes() {
    let server = Server::start();
    let uploaded = server.upload(&pictures::png(&pictures::photo(90, 60)));
    let alias = &uploaded.alias;
    for extension in ["png", "jpg", "webp", "gif"] {
        server.process(extension, alias, "thumbnail=30");
    }
    assert_eq!(disk::objects(&server.files()).len(), 5);
    let answer = server
        .delete(&delete_path(&uploaded.token, &uploaded))
        .status(204);
    assert!(answer.body.is_empty());
    disk::assert_nothing_stored(&server);
    for path in [
        format!("/image/original/{alias}"),
        format!("/image/details/original/{alias}"),
        format!("/image/blurhash?alias={alias}"),
        process_path("webp", alias, "thumbnail=30"),
        process_path("webp", alias, "thumbnail=31"),
        process_path("webp", alias, "thumbnail=30").replace("/process", "/details/process"),
    ] {
        server.get(&path).refused(404, "alias-not-found");
        assert_eq!(server.head(&path).status, 404, "{path}");
    }
}

#[test]
fn deleting_twice_and_deleting_the_unknown_is_fine() {
    let server = Server::start();
    let uploaded = server.upload(&pictures::png(&pictures::photo(9, 9)));
    let path = delete_path(&uploaded.token, &uploaded);
    server.delete(&path).status(204);
    server.delete(&path).status(204);
    server.delete("/image/delete/any/absent.png").status(204);
}

#[test]
fn a_wrong_token_deletes_nothing() {
    let server = Server::start();
    let bytes = pictures::png(&pictures::photo(9, 9));
    let (uploaded, other) = (server.upload(&bytes), server.upload(&bytes));
    for token in ["wrong", &other.token, &uploaded.token[1..], "%20"] {
        let answer = server.delete(&delete_path(token, &uploaded));
        answer.refused(403, "invalid-delete-token");
    }
    server.original(&uploaded.alias);
}

#[test]
fn a_link_can_delete_too() {
    let server = Server::start();
    let uploaded = server.upload(&pictures::png(&pictures::photo(9, 9)));
    server
        .get(&delete_path(&uploaded.token, &uploaded))
        .status(204);
    disk::assert_nothing_stored(&server);
}

#[test]
fn the_bytes_stay_until_their_last_alias_is_deleted() {
    let server = Server::start();
    let bytes = pictures::png(&pictures::photo(90, 60));
    let (first, second) = (server.upload(&bytes), server.upload(&bytes));
    let made = server.process("webp", &first.alias, "thumbnail=30");
    server
        .delete(&delete_path(&first.token, &first))
        .status(204);
    server
        .get(&format!("/image/original/{}", first.alias))
        .refused(404, "alias-not-found");
    server.original(&second.alias);
    assert_eq!(server.process("webp", &second.alias, "thumbnail=30"), made);
    assert_eq!(disk::objects(&server.files()).len(), 2);
    server
        .delete(&delete_path(&second.token, &second))
        .status(204);
    disk::assert_nothing_stored(&server);
}

#[test]
fn a_deletion_that_has_begun_ends_although_its_client_has_gone() {
    let server = Server::start();
    for seed in 0..40 {
        let uploaded = server.upload(&pictures::png(&pictures::noise(20, 20, 1000 + seed)));
        let path = format!("/image/original/{}", uploaded.alias);
        // So that the server knows it without asking its database.
        server.get(&path).ok();
        let mut stream = server.connect();
        write!(
            stream,
            "DELETE {} HTTP/1.1\r\nHost: x\r\n\r\n",
            delete_path(&uploaded.token, &uploaded)
        )
        .expect("sent");
        // The moment of going is what is tried out.
        std::thread::sleep(Duration::from_micros(seed * 200));
        drop(stream);
        // Begun or not: asked once more it is gone, and nobody remembers it.
        server
            .delete(&delete_path(&uploaded.token, &uploaded))
            .status(204);
        server.get(&path).refused(404, "alias-not-found");
    }
    eventually("all bytes are gone", || {
        disk::objects(&server.files()).is_empty().then_some(())
    });
}

#[test]
fn what_is_deleted_while_it_is_asked_for_is_not_found_and_not_lost() {
    let server = Server::start();
    for seed in 0..2 {
        let picture = pictures::png(&pictures::noise(20, 20, seed));
        let alias = server.upload(&picture).alias;
        let original = format!("/image/original/{alias}");
        // So that the server knows it without asking its database.
        server.get(&original).ok();
        for rows in ["DELETE FROM aliases", "DELETE FROM hashes"] {
            database::change(&server.data(), rows);
        }
        for object in disk::objects(&server.files()).keys() {
            std::fs::remove_file(server.files().join(object)).expect("removed");
        }
        let variant = process_path("webp", &alias, "thumbnail=9");
        let path = if seed == 0 { original } else { variant };
        server.get(&path).refused(404, "alias-not-found");
    }
}

#[test]
fn a_deleted_content_can_come_again() {
    let server = Server::start();
    let bytes = pictures::png(&pictures::photo(90, 60));
    let first = server.upload(&bytes);
    let original = server.original(&first.alias);
    server
        .delete(&delete_path(&first.token, &first))
        .status(204);
    let second = server.upload(&bytes);
    assert_eq!(server.original(&second.alias), original);
    server
        .get(&format!("/image/original/{}", first.alias))
        .refused(404, "alias-not-found");
}

#[test]
fn uploads_and_deletes_of_the_same_bytes_at_once_lose_nothing() {
    let server = Server::start();
    let bytes = pictures::png(&pictures::noise(60, 60, 15));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..15 {
                    let uploaded = server.upload(&bytes);
                    server.process("webp", &uploaded.alias, "thumbnail=9");
                    server.original(&uploaded.alias);
                    server
                        .delete(&delete_path(&uploaded.token, &uploaded))
                        .status(204);
                }
            });
        }
    });
    disk::assert_nothing_stored(&server);
}
