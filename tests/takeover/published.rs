//! Taking over from a published version of the existing pict-rs. `cargo xtask predecessors` builds it
//! once, which takes minutes; without it the test says that it was skipped.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{NEW, OLD, delete, internal, picture, seen, status, successor, wait_until_complete};
use crate::support::client::Client;
use crate::support::server::address_after;
use crate::support::upstream::Upstream;
use crate::support::{Uploaded, eventually, pictures, programs};

const TEST: &str = "published_servers_are_taken_over";

#[test]
fn published_servers_are_taken_over() {
    let skip = |reason: &str| {
        // Not a failure even if everything is required: the binaries are not part of the gate.
        let _ = writeln!(std::io::stderr(), "SKIPPED {TEST}: {reason}");
    };
    let Some(folder) = std::env::var_os("PICTRS_TEST_PREDECESSORS_DIR") else {
        return skip("PICTRS_TEST_PREDECESSORS_DIR is not set; cargo xtask test sets it");
    };
    for needed in ["exiftool", "ffmpeg", "convert"] {
        if programs::find(needed).is_none() {
            return skip(&format!("{needed} is not on PATH"));
        }
    }
    let mut found = 0;
    for entry in fs::read_dir(folder).expect("a folder") {
        let folder = entry.expect("an entry").path();
        let name = folder.file_name().and_then(|name| name.to_str());
        let version = name.and_then(|name| name.strip_prefix("pict-rs-"));
        if let Some(version) = version {
            take_over_from(version, &folder.join("bin/pict-rs"));
            found += 1;
        }
    }
    if found == 0 {
        skip("there is no published pict-rs; cargo xtask predecessors builds it");
    }
}

/// The published server.
struct Published {
    client: Client,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Drop for Published {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Published {
    fn start(binary: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut paths = vec![magick(folder.path())];
        paths.extend(std::env::split_paths(&path));
        let mut child = Command::new(binary)
            .args(["run", "-a", "127.0.0.1:0", "--api-key", OLD])
            .arg("--client-allow-local-connections")
            .args(["filesystem", "-p", "files", "sled", "-p", "sled-repo"])
            .env_clear()
            .env("PATH", std::env::join_paths(paths).expect("paths"))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the program can be run");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut said = Vec::new();
        let address: SocketAddr = loop {
            let line = lines.next().and_then(Result::ok);
            let line = line.unwrap_or_else(|| panic!("it does not start: {said:?}"));
            if let Some(address) = address_after("listening on: ", &line) {
                break address;
            }
            said.push(line);
        };
        // It must not block on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let published = Self {
            client: Client::new(address),
            child,
            _folder: folder,
        };
        eventually("it is healthy", || {
            let sent = published.client.try_send("GET", "/healthz", &[], None);
            sent.is_ok_and(|answer| answer.status == 200).then_some(())
        });
        published
    }
}

/// A folder with `magick`, the program of ImageMagick 7: if this machine has only ImageMagick 6, whose
/// programs take the same arguments, a script that calls them.
fn magick(folder: &Path) -> PathBuf {
    let bin = folder.join("bin");
    fs::create_dir(&bin).expect("made");
    if programs::find("magick").is_none() {
        let script = "#!/bin/sh\ncase \"$1\" in\n  convert|identify) name=$1; shift; exec \"$name\" \"$@\";;\n  \
                      *) exec convert \"$@\";;\nesac\n";
        let file = bin.join("magick");
        fs::write(&file, script).expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("set");
    }
    bin
}

fn take_over_from(version: &str, binary: &Path) {
    let published = Published::start(binary);
    let old = &published.client;
    let mut sources: Vec<_> = (0..40).map(picture).collect();
    sources.push(pictures::jpeg(&pictures::photo(50, 70)));
    sources.push(pictures::gif(&pictures::film(20, 20, 3)));
    sources.push(pictures::webp(&pictures::photo(33, 21)));
    sources.push(sources[0].clone());
    let uploaded: Vec<Uploaded> = sources.iter().map(|bytes| old.upload(bytes)).collect();
    let upstream = Upstream::serving(&picture(200));
    let url = upstream.url("/a.png");
    let proxied = old.get(&format!("/image/original?proxy={url}")).ok();
    // Times are kept to the millisecond.
    let known = |server: &Client, alias: &str| {
        let mut seen = seen(server, alias);
        let created = seen.details["created_at"].as_str().expect("a time");
        let second = created.get(..19).expect("a time").to_owned();
        seen.details["created_at"] = second.into();
        // Only ours tells it.
        let details = seen.details.as_object_mut().expect("an object");
        details.remove("duration");
        details.remove("msg");
        seen
    };
    let expected: Vec<_> = uploaded.iter().map(|one| known(old, &one.alias)).collect();

    let new = successor(old.address).start();
    for (one, expected) in uploaded.iter().zip(&expected).rev().take(5) {
        assert_eq!(known(&new, &one.alias), *expected, "{version}");
    }
    new.process("webp", &uploaded[1].alias, "thumbnail=8");
    let asked = upstream.asked().len();
    let path = format!("/image/details/original?proxy={url}");
    new.get(&path).ok();
    let copy = new.get(&format!("/image/original?proxy={url}")).ok();
    assert_eq!(copy.body, proxied.body);
    assert!(
        upstream.asked().len() <= asked + 1,
        "it is only revalidated"
    );
    // Tokens, deletions and purges.
    let [by_token, deleted, purged] = [&uploaded[2], &uploaded[3], &uploaded[0]];
    delete(&new, by_token, &deleted.token).refused(403, "invalid-delete-token");
    delete(&new, by_token, &by_token.token).status(204);
    let path = format!("/internal/delete?alias={}", deleted.alias);
    internal(&new, NEW, "POST", &path).ok();
    let path = format!("/internal/purge?alias={}", purged.alias);
    let answer = internal(&new, NEW, "POST", &path).ok().json();
    let aliases = answer["aliases"].as_array().expect("a list");
    assert_eq!(aliases.len(), 2, "{answer}");
    let same = &uploaded[sources.len() - 1];
    let gone = [by_token, deleted, purged, same].map(|one| one.alias.as_str());
    for alias in gone {
        assert_eq!(status(&new, alias), 404);
        let done = || (status(old, alias) == 404).then_some(());
        eventually("it is deleted there too", done);
    }
    let done = wait_until_complete(&new);
    for zero in ["altered", "lost", "failed"] {
        assert_eq!(done[zero], 0, "{done}");
    }
    drop(published);
    for (one, expected) in uploaded.iter().zip(&expected) {
        match gone.contains(&one.alias.as_str()) {
            true => assert_eq!(status(&new, &one.alias), 404),
            false => assert_eq!(known(&new, &one.alias), *expected, "{version}"),
        }
    }
}
