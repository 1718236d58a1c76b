//! A server that changes nothing.

use crate::support::client::{content_type, multipart, process_path};
use crate::support::{File, Server, database, disk, pictures};

#[test]
fn a_read_only_server_serves_what_there_is_and_refuses_every_change() {
    let server = Server::with([("server.api_key", "key")]);
    let uploaded = server.upload(&pictures::png(&pictures::photo(90, 60)));
    let alias = &uploaded.alias;
    let original = server.original(alias);
    let made = server.process("webp", alias, "thumbnail=30");

    let waiting = server.background(&pictures::png(&pictures::photo(40, 20)));
    let server = server.stop().setting("server.read_only", true).start();
    let before = disk::snapshot(&server.files());
    assert_eq!(server.original(alias), original);
    assert_eq!(server.process("webp", alias, "thumbnail=30"), made);
    server
        .head(&process_path("webp", alias, "thumbnail=30"))
        .ok();
    server.get(&format!("/image/details/original/{alias}")).ok();
    server.get("/healthz").ok();
    let key = [("X-Api-Token", "key")];
    let aliases = format!("/internal/aliases?alias={alias}");
    server.get_with(&aliases, &key).ok();

    let another = pictures::png(&pictures::photo(50, 50));
    server
        .upload_form("", &[File::new(&another)])
        .refused(400, "read-only");
    server
        .background_form("", &[File::new(&another)])
        .refused(400, "read-only");
    server.claim_once(&waiting).refused(400, "read-only");
    let later = |size| format!("/image/process_backgrounded.webp?src={alias}&thumbnail={size}");
    server.get(&later(31)).refused(400, "read-only");
    server.get(&later(30)).status(202);
    server
        .get(&process_path("webp", alias, "thumbnail=31"))
        .refused(400, "read-only");
    server
        .delete(&format!("/image/delete/{}/{alias}", uploaded.token))
        .refused(400, "read-only");
    for route in ["purge", "delete"] {
        let path = format!("/internal/{route}?alias={alias}");
        server
            .send("POST", &path, &key, None)
            .refused(400, "read-only");
    }
    for (method, path) in [
        ("DELETE", "variants"),
        ("POST", "prune_missing"),
        ("POST", "blocklist?hash=00"),
        ("DELETE", "blocklist?hash=00"),
    ] {
        let hash = "00".repeat(32);
        let path = format!("/internal/{}", path.replace("00", &hash));
        server
            .send(method, &path, &key, None)
            .refused(400, "read-only");
    }
    let json = [key[0], ("content-type", "application/json")];
    let body = Some(&b"{\"alias\":null}"[..]);
    server
        .send("POST", "/internal/set_not_found", &json, body)
        .refused(400, "read-only");
    for path in ["hashes", "audit", "blocklist", "limits", "health"] {
        server.get_with(&format!("/internal/{path}"), &key).ok();
    }
    // A picture that is searched for is not kept.
    let kind = content_type();
    let form = [key[0], ("content-type", &*kind)];
    let picture = multipart(&[File::new(&pictures::png(&pictures::photo(90, 60)))]);
    let found = server.send("POST", "/internal/similar", &form, Some(&picture));
    assert_eq!(found.ok().json()["similar"][0]["aliases"][0], **alias);
    // A backup changes nothing here.
    let exported = if database::is_embedded() { 201 } else { 404 };
    server
        .send("POST", "/internal/export", &key, None)
        .status(exported);
    assert_eq!(disk::snapshot(&server.files()), before);
    // What waited goes on once changes are allowed.
    let server = server.stop().setting("server.read_only", false).start();
    server.claim(&waiting).claimed();
}

#[test]
fn a_read_only_server_does_not_forget_a_lost_variant() {
    let server = Server::start();
    let alias = server
        .upload(&pictures::png(&pictures::photo(90, 60)))
        .alias;
    server.process("webp", &alias, "thumbnail=30");
    let launch = server.stop();
    let data = launch.folder().join("data");
    let variants = || database::texts(&data, "SELECT object FROM variants");
    let before = variants();
    let server = launch.setting("server.read_only", true).start();
    std::fs::remove_file(server.files().join(&before[0])).expect("removed");
    let path = process_path("webp", &alias, "thumbnail=30");
    server.head(&path).status(404);
    server.get(&path).refused(500, "lost-file");
    assert_eq!(variants(), before);
    let server = server.stop().setting("server.read_only", false).start();
    server.get(&path).ok();
    assert_ne!(variants(), before);
}
