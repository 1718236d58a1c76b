//! Originals: headers, ranges, conditions.

use crate::support::{Answer, Server, Uploaded, pictures, pixels};

/// A server with one original, small enough to be sent in one piece or not.
fn with_original(side: u32) -> (Server, Uploaded, Vec<u8>) {
    let server = Server::start();
    let uploaded = server.upload(&pictures::png(&pictures::noise(side, side, 9)));
    let bytes = server.original(&uploaded.alias);
    (server, uploaded, bytes)
}

/// One picture of 4 KB and one of 700 KB: they take different ways to the socket.
const SIDES: [u32; 2] = [36, 480];

fn path(uploaded: &Uploaded) -> String {
    format!("/image/original/{}", uploaded.alias)
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer
        .header(name)
        .unwrap_or_else(|| panic!("no {name} in {:?}", answer.headers))
}

#[test]
fn an_original_comes_back_with_everything_a_cache_needs() {
    for side in SIDES {
        let (server, uploaded, bytes) = with_original(side);
        let answer = server.get(&path(&uploaded)).ok();
        pixels::assert_equal(
            &pixels::decode(&answer.body),
            &pictures::noise(side, side, 9),
        );
        assert_eq!(header(&answer, "content-type"), "image/png");
        assert_eq!(header(&answer, "content-length"), bytes.len().to_string());
        assert_eq!(header(&answer, "accept-ranges"), "bytes");
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff");
        assert_eq!(
            header(&answer, "cache-control"),
            "public, max-age=5, immutable, stale-while-revalidate=5"
        );
        let etag = header(&answer, "etag");
        assert!(
            etag.starts_with('"') && etag.ends_with('"') && etag.len() == 54,
            "{etag}"
        );
        let modified = header(&answer, "last-modified");
        assert!(
            modified.ends_with(" GMT") && modified.len() == 29,
            "{modified}"
        );
        assert_eq!(answer.header("transfer-encoding"), None);
        // The same by query, whatever stands beside it.
        let query = format!(
            "/image/original?utm_source=x&alias={}&thumbnail=9",
            uploaded.alias
        );
        assert_eq!(server.get(&query).ok().body, bytes);
        let extra = format!("{}?anything=1&alias=other", path(&uploaded));
        assert_eq!(server.get(&extra).ok().body, bytes);
    }
}

#[test]
fn max_age_is_a_setting() {
    let server = Server::with([("server.cache_max_age", "2h")]);
    let uploaded = server.upload(&pictures::png(&pictures::photo(9, 9)));
    let answer = server.get(&path(&uploaded)).ok();
    assert!(header(&answer, "cache-control").contains("max-age=7200,"));
}

#[test]
fn head_tells_what_get_would_without_the_bytes() {
    for side in SIDES {
        let (server, uploaded, bytes) = with_original(side);
        let get = server.get(&path(&uploaded)).ok();
        let head = server.head(&path(&uploaded)).ok();
        assert!(head.body.is_empty());
        for name in [
            "content-type",
            "content-length",
            "accept-ranges",
            "etag",
            "last-modified",
            "cache-control",
        ] {
            assert_eq!(head.header(name), get.header(name), "{name}");
        }
        assert_eq!(header(&head, "content-length"), bytes.len().to_string());
        let range = [("range", "bytes=3-12")];
        let head = server
            .send("HEAD", &path(&uploaded), &range, None)
            .status(206);
        assert!(head.body.is_empty());
        assert_eq!(header(&head, "content-length"), "10");
        // On the wire there is really nothing behind the head.
        let raw = server.raw(
            format!(
                "HEAD {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                path(&uploaded)
            )
            .as_bytes(),
        );
        assert!(raw.ends_with("\r\n\r\n"), "{raw}");
    }
}

#[test]
fn a_range_is_answered_with_exactly_its_bytes() {
    for side in SIDES {
        let (server, uploaded, bytes) = with_original(side);
        let size = bytes.len();
        let last = size - 1;
        for (range, start, end) in [
            ("bytes=0-1".to_owned(), 0, 2),
            ("bytes=0-9".to_owned(), 0, 10),
            ("bytes=10-".to_owned(), 10, size),
            ("bytes=-10".to_owned(), size - 10, size),
            ("bytes=0-".to_owned(), 0, size),
            (format!("bytes={last}-{last}"), last, size),
            (format!("bytes=100-{}", size + 500), 100, size),
            (format!("bytes=-{}", size + 500), 0, size),
            ("bytes=99-99999999999999999999999".to_owned(), 99, size),
        ] {
            let answer = server
                .get_with(&path(&uploaded), &[("range", &range)])
                .status(206);
            assert_eq!(answer.body, bytes[start..end], "{range}");
            let told = format!("bytes {start}-{}/{size}", end - 1);
            assert_eq!(header(&answer, "content-range"), told, "{range}");
            assert_eq!(header(&answer, "content-length"), (end - start).to_string());
            assert_eq!(header(&answer, "content-type"), "image/png");
            assert!(answer.header("etag").is_some());
        }
    }
}

#[test]
fn a_range_beyond_the_end_and_several_ranges_are_416() {
    let (server, uploaded, bytes) = with_original(SIDES[0]);
    let size = bytes.len();
    for range in [&*format!("bytes={size}-"), "bytes=-0", "bytes=0-1,5-6"] {
        let answer = server.get_with(&path(&uploaded), &[("range", range)]);
        answer.refused(416, "range-not-satisfiable");
        assert_eq!(header(&answer, "content-range"), format!("bytes */{size}"));
    }
}

#[test]
fn a_range_that_is_none_or_has_another_unit_is_ignored() {
    let (server, uploaded, bytes) = with_original(SIDES[0]);
    for range in [
        "garbage",
        "bytes=9-1",
        "bytes=a-b",
        "bytes=-",
        "bytes",
        "=0-1",
        "lines=0-1",
        "seconds=1-2,4-5",
    ] {
        let answer = server.get_with(&path(&uploaded), &[("range", range)]);
        assert_eq!(answer.ok().body, bytes, "{range}");
    }
    // The unit is a word without case.
    for range in ["Bytes=0-1", "BYTES=0-1"] {
        let answer = server.get_with(&path(&uploaded), &[("range", range)]);
        assert_eq!(answer.status(206).body, bytes[..2], "{range}");
    }
}

#[test]
fn who_has_it_already_gets_304_without_a_body() {
    for side in SIDES {
        let (server, uploaded, _) = with_original(side);
        let answer = server.get(&path(&uploaded)).ok();
        let etag = header(&answer, "etag").to_owned();
        let modified = header(&answer, "last-modified").to_owned();
        for condition in [
            ("if-none-match", &*etag),
            ("if-none-match", &format!("W/{etag}")),
            ("if-none-match", &format!("\"other\", {etag}")),
            ("if-none-match", "*"),
            ("if-modified-since", &modified),
            ("if-modified-since", "Fri, 01 Jan 2100 00:00:00 GMT"),
        ] {
            let answer = server.get_with(&path(&uploaded), &[condition]).status(304);
            assert!(answer.body.is_empty());
            assert_eq!(header(&answer, "etag"), etag);
            assert!(answer.header("cache-control").is_some());
            server
                .send("HEAD", &path(&uploaded), &[condition], None)
                .status(304);
        }
        for condition in [
            ("if-none-match", "\"other\""),
            ("if-none-match", "garbage"),
            ("if-modified-since", "Sat, 01 Jan 2000 00:00:00 GMT"),
            ("if-modified-since", "yesterday"),
            ("if-match", &etag),
            ("if-match", "*"),
            ("if-unmodified-since", &modified),
        ] {
            server.get_with(&path(&uploaded), &[condition]).ok();
        }
        // The entity tag decides where both are given.
        let both = [
            ("if-none-match", "\"other\""),
            ("if-modified-since", &*modified),
        ];
        server.get_with(&path(&uploaded), &both).ok();
        for condition in [
            ("if-match", "\"other\""),
            ("if-unmodified-since", "Sat, 01 Jan 2000 00:00:00 GMT"),
        ] {
            let answer = server.get_with(&path(&uploaded), &[condition]).status(412);
            assert!(answer.body.is_empty());
        }
    }
}

#[test]
fn a_range_counts_only_for_the_representation_it_was_meant_for() {
    let (server, uploaded, bytes) = with_original(SIDES[1]);
    let answer = server.get(&path(&uploaded)).ok();
    let etag = header(&answer, "etag").to_owned();
    let modified = header(&answer, "last-modified").to_owned();
    for (validator, status) in [
        (&*etag, 206),
        (&modified, 206),
        ("\"other\"", 200),
        (&format!("W/{etag}"), 200),
        ("Sat, 01 Jan 2000 00:00:00 GMT", 200),
    ] {
        let headers = [("range", "bytes=5-9"), ("if-range", validator)];
        let answer = server.get_with(&path(&uploaded), &headers).status(status);
        let expected = if status == 206 { &bytes[5..10] } else { &bytes };
        assert_eq!(answer.body, expected, "{validator}");
    }
}

#[test]
fn an_alias_may_be_percent_encoded_and_its_extension_is_part_of_it() {
    let (server, uploaded, bytes) = with_original(SIDES[0]);
    let encoded: String = uploaded
        .alias
        .bytes()
        .map(|byte| format!("%{byte:02x}"))
        .collect();
    for path in [
        format!("/image/original/{encoded}"),
        format!("/image/original?alias={encoded}"),
    ] {
        assert_eq!(server.get(&path).ok().body, bytes);
    }
    server
        .get(&format!("/image/details/original/{encoded}"))
        .ok();
    let (name, _) = uploaded.alias.split_once('.').expect("an extension");
    for wrong in [
        name,
        &format!("{name}.jpeg"),
        &format!("{name}.PNG"),
        &format!("{}/", uploaded.alias),
        &format!("x/{}", uploaded.alias),
    ] {
        server
            .get(&format!("/image/original/{wrong}"))
            .refused(404, "alias-not-found");
    }
}

#[test]
fn details_are_those_of_the_upload() {
    let (server, uploaded, _) = with_original(SIDES[0]);
    for path in [
        format!("/image/details/original/{}", uploaded.alias),
        format!("/image/details/original?alias={}&x=y", uploaded.alias),
    ] {
        let mut json = server.get(&path).ok().json();
        let object = json.as_object_mut().expect("an object");
        assert_eq!(object.remove("msg"), Some("ok".into()));
        assert_eq!(json, uploaded.details);
        assert!(server.head(&path).ok().body.is_empty());
    }
}

#[test]
fn the_etag_is_the_content_and_not_the_name() {
    let server = Server::start();
    let one = pictures::png(&pictures::noise(20, 20, 10));
    let other = pictures::png(&pictures::noise(20, 20, 11));
    let etag = |bytes: &[u8]| {
        let uploaded = server.upload(bytes);
        let answer = server.get(&path(&uploaded)).ok();
        header(&answer, "etag").to_owned()
    };
    assert_eq!(etag(&one), etag(&one));
    assert_ne!(etag(&one), etag(&other));
}

#[test]
fn a_connection_is_kept_for_the_next_request() {
    let (server, uploaded, bytes) = with_original(SIDES[0]);
    let close = format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\n\r\nGET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        path = path(&uploaded)
    );
    let answers = server.raw(close.as_bytes());
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2);
    assert!(answers.len() > 2 * 300 + bytes.len());
}
