//! Behind a real nginx: what it keeps, for how long, and the configuration that the
//! documentation shows.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use crate::support::client::{content_type, multipart};
use crate::support::nginx::Nginx;
use crate::support::{File, Server, eventually, pictures};

const KEY: (&str, &str) = ("X-Api-Token", "the-key");
/// A cache that goes on answering with what it has while it asks again.
const CACHE: &str = "proxy_cache_path cache keys_zone=media:1m;";
const MIB: usize = 1024 * 1024;

fn caching(server: &Server, more: &str) -> String {
    format!(
        "location / {{\nproxy_pass http://{};\nproxy_http_version 1.1;\nproxy_cache media;\n\
         proxy_cache_use_stale updating error timeout;\nproxy_cache_background_update on;\n\
         add_header X-Cache $upstream_cache_status always;\n{more}\n}}",
        server.address
    )
}

#[test]
fn a_purged_picture_is_gone_behind_a_cache_soon_after_its_lifetime() {
    let server = Server::with([("server.api_key", KEY.1), ("server.cache_max_age", "1s")]);
    let test = "a purge behind a cache";
    let Some(nginx) = Nginx::start_or_skip(test, CACHE, &caching(&server, "")) else {
        return;
    };
    let alias = server
        .upload(&pictures::png(&pictures::photo(60, 40)))
        .alias;
    let paths = [
        format!("/image/original/{alias}"),
        format!("/image/process.webp?src={alias}&thumbnail=20"),
    ];
    for path in &paths {
        nginx.get(path).ok();
        eventually("it is answered by the cache", || {
            let answer = nginx.get(path).ok();
            (answer.header("x-cache") != Some("MISS")).then_some(())
        });
    }
    let purge = format!("/internal/purge?alias={alias}");
    server.send("POST", &purge, &[KEY], None).ok();
    for path in &paths {
        eventually("the cache has dropped it", || {
            (nginx.get(path).status == 404).then_some(())
        });
        // And it does not come back.
        nginx.get(path).refused(404, "alias-not-found");
    }
}

/// As Lemmy's own configuration asks for media: one MiB at a time.
const SLICES: &str = "slice 1m;\nproxy_cache_key $uri$is_args$args$slice_range;\n\
                      proxy_set_header Range $slice_range;";

#[test]
fn a_placeholder_stays_404_behind_a_proxy_that_asks_in_slices() {
    let server = Server::with([("server.api_key", KEY.1)]);
    let test = "a placeholder in slices";
    let Some(nginx) = Nginx::start_or_skip(test, CACHE, &caching(&server, SLICES)) else {
        return;
    };
    for side in [20, 800] {
        let bytes = pictures::png(&pictures::noise(side, side, 3));
        let alias = server.upload(&bytes).alias;
        let original = server.original(&alias);
        // What is there comes whole, in as many slices as it needs.
        for _ in 0..2 {
            assert!(nginx.get(&format!("/image/original/{alias}")).ok().body == original);
        }
        let body = format!("{{\"alias\":\"{alias}\"}}");
        let headers = [KEY, ("content-type", "application/json")];
        let path = "/internal/set_not_found";
        server
            .send("POST", path, &headers, Some(body.as_bytes()))
            .status(201);
        for path in [
            format!("/image/original/absent-{side}.png"),
            format!("/image/process.webp?src=absent-{side}.png&thumbnail=9"),
        ] {
            for _ in 0..2 {
                let answer = nginx.get(&path).status(404);
                assert!(answer.body == original, "{path}");
                let lifetime = answer.header("cache-control").expect("a lifetime");
                assert_eq!(lifetime, "public, max-age=5");
            }
        }
    }
}

/// The blocks of nginx configuration in `text`.
fn snippets(text: &str) -> Vec<String> {
    let blocks = text.split("```nginx\n").skip(1);
    blocks
        .map(|block| {
            let block = block.split_once("```").expect("a block ends").0;
            block
                .lines()
                .map(|line| format!("{}\n", line.trim()))
                .collect()
        })
        .collect()
}

/// The documented configuration in front of `server`, all snippets together.
fn documented(server: &Server) -> (String, String) {
    let found = snippets(include_str!("../docs/deployment.md"));
    assert_eq!(found.len(), 2, "a snippet is not tested");
    let (cache, rest) = found[1].split_once('\n').expect("lines");
    assert!(
        cache.starts_with("proxy_cache_path /var/cache/nginx/"),
        "{cache}"
    );
    let cache = cache.replace("/var/cache/nginx/", "");
    // The second snippet is for the location of the first.
    let (before, after) = found[0].rsplit_once('}').expect("a location");
    let text = format!("{before}{rest}}}{after}");
    (
        cache,
        text.replace("127.0.0.1:8080", &server.address.to_string()),
    )
}

/// A picture of exactly so many bytes.
fn padded(size: usize) -> Vec<u8> {
    let plain = pictures::png(&pictures::photo(30, 20));
    // Length, name and checksum of the chunk take 12 bytes; IEND is 12 bytes long.
    let padding = vec![7; size - plain.len() - 12];
    let (start, end) = plain.split_at(plain.len() - 12);
    let chunk = pictures::png_chunk(b"paDd", &padding);
    [start, &chunk, end].concat()
}

#[test]
fn the_documented_nginx_takes_a_file_of_exactly_the_limit_and_no_larger_one() {
    let server = Server::with([("server.api_key", "key")]);
    let (http, text) = documented(&server);
    let test = "the documented nginx at the limit";
    let Some(nginx) = Nginx::start_or_skip(test, &http, &text) else {
        return;
    };
    let largest = padded(40 * MIB);
    assert_eq!(largest.len(), 40 * MIB);
    for (closed, open) in [
        ("/internal/usage", 401),
        ("/admin", 303),
        ("/admin/sign-in", 200),
    ] {
        assert_eq!(server.get(closed).status, open, "{closed}");
        assert_eq!(nginx.get(closed).status, 404, "{closed}");
    }
    let uploaded = nginx.upload(&largest);
    nginx
        .get(&format!("/image/original/{}", uploaded.alias))
        .ok();
    let larger = padded(40 * MIB + 1);
    nginx.upload_refused("", &larger, 413, "validate-file-size");
    // The admin's routes do not lead out.
    let answer = nginx.get("/internal/hashes").status(404);
    assert!(!answer.text().contains("code"), "{}", answer.text());
}

#[test]
fn the_documented_nginx_gives_a_slow_upload_all_the_time_it_needs() {
    let server = Server::with([("server.upload_timeout", "1")]);
    let (http, text) = documented(&server);
    let test = "the documented nginx and a slow upload";
    let Some(nginx) = Nginx::start_or_skip(test, &http, &text) else {
        return;
    };
    let picture = padded(2 * MIB);
    let body = multipart(&[File::new(&picture)]);
    let mut stream = nginx.connect();
    let head = format!(
        "POST /image HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {}\r\n\
         Content-Length: {}\r\n\r\n",
        content_type(),
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("sent");
    let piece = body.len().div_ceil(4);
    for piece in body.chunks(piece) {
        stream.write_all(piece).expect("sent");
        std::thread::sleep(Duration::from_millis(700));
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
}
