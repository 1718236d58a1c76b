//! Looking through everything there is.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::client::{content_type, multipart};
use crate::support::upstream::Upstream;
use crate::support::{Answer, File, Server, pictures};

const KEY: (&str, &str) = ("X-Api-Token", "the-key");

fn with_key() -> Server {
    Server::with([("server.api_key", KEY.1)])
}

fn ask(server: &Server, query: &str) -> Answer {
    server.get_with(&format!("/internal/hashes?{query}"), &[KEY])
}

fn page(server: &Server, query: &str) -> Value {
    let json = ask(server, query).ok().json();
    assert_eq!(json["msg"], "ok");
    json["page"].clone()
}

/// Uploads contents, oldest first, none in the millisecond of another. Returns their aliases,
/// newest first.
fn upload(server: &Server, count: u32) -> Vec<String> {
    let mut aliases: Vec<_> = (0..count)
        .map(|n| {
            std::thread::sleep(Duration::from_millis(2));
            let bytes = pictures::png(&pictures::photo(20 + n, 20));
            server.upload(&bytes).alias
        })
        .collect();
    aliases.reverse();
    aliases
}

fn aliases(page: &Value) -> Vec<&str> {
    let hashes = page["hashes"].as_array().expect("a list");
    hashes
        .iter()
        .map(|hash| hash["aliases"][0].as_str().expect("an alias"))
        .collect()
}

fn keys(page: &Value) -> Vec<&str> {
    let page = page.as_object().expect("a page");
    let mut keys: Vec<_> = page.keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[test]
fn hashes_paging() {
    let server = with_key();
    let uploaded = upload(&server, 6);
    let first = page(&server, "limit=2");
    assert_eq!(keys(&first), ["current", "hashes", "limit", "next"]);
    assert_eq!(first["limit"], 2);
    assert_eq!(aliases(&first), uploaded[..2]);
    let slug = |page: &Value, name: &str| page[name].as_str().expect("a slug").to_owned();
    let second = page(&server, &format!("limit=2&slug={}", slug(&first, "next")));
    assert_eq!(
        keys(&second),
        ["current", "hashes", "limit", "next", "prev"]
    );
    assert_eq!(aliases(&second), uploaded[2..4]);
    assert_eq!(second["current"], first["next"]);
    assert_eq!(second["prev"], first["current"]);
    let third = page(&server, &format!("limit=2&slug={}", slug(&second, "next")));
    assert_eq!(keys(&third), ["current", "hashes", "limit", "prev"]);
    assert_eq!(aliases(&third), uploaded[4..]);
    assert_eq!(third["prev"], second["current"]);
    // And back again, from the page's own slug as well.
    for (query, expected) in [
        (slug(&third, "prev"), &second),
        (slug(&second, "current"), &second),
        (slug(&second, "prev"), &first),
    ] {
        let found = page(&server, &format!("limit=2&slug={query}"));
        assert_eq!(&found["hashes"], &expected["hashes"]);
        assert_eq!(&found["next"], &expected["next"]);
    }
    // Fewer newer ones than a page has.
    let wide = page(&server, &format!("limit=4&slug={}", slug(&first, "next")));
    assert_eq!(aliases(&wide), uploaded[2..]);
    assert_eq!(wide["prev"], first["current"]);
}

#[test]
fn an_item_has_its_hex_all_its_aliases_and_its_details() {
    let server = with_key();
    let bytes = pictures::png(&pictures::photo(20, 10));
    let first = server.upload(&bytes);
    let second = server.upload(&bytes);
    let page = page(&server, "");
    assert_eq!(page["limit"], 20);
    assert_eq!(aliases(&page).len(), 1);
    let item = &page["hashes"][0];
    let mut both = [first.alias.clone(), second.alias];
    both.sort();
    assert_eq!(item["aliases"], json!(both));
    assert_eq!(item["details"], first.details);
    assert_eq!(item["hex"].as_str().map(str::len), Some(78));
    assert_eq!(page["current"].as_str().map(str::len), Some(52));
}

#[test]
fn the_timestamp_filter_leaves_younger_ones_out() {
    let server = with_key();
    let uploaded = upload(&server, 4);
    let all = page(&server, "");
    let time = |n: usize| {
        let time = all["hashes"][n]["details"]["created_at"].as_str();
        time.expect("a time").to_owned()
    };
    let older = page(&server, &format!("limit=2&timestamp={}", time(1)));
    assert_eq!(aliases(&older), uploaded[1..3]);
    assert_eq!(older["prev"], all["current"]);
    let past_the_end = page(&server, "timestamp=2001-02-03T04:05:06%2B02:00&limit=3");
    assert_eq!(keys(&past_the_end), ["hashes", "limit", "prev"]);
    assert_eq!(past_the_end["hashes"], json!([]));
    let back = past_the_end["prev"].as_str().expect("a slug");
    assert_eq!(
        aliases(&page(&server, &format!("slug={back}"))),
        uploaded[1..]
    );
    // The older of the two counts.
    let next = older["next"].as_str().expect("a slug");
    let both = page(&server, &format!("slug={next}&timestamp={}", time(0)));
    assert_eq!(aliases(&both), uploaded[3..]);
    let both = page(&server, &format!("slug={back}&timestamp={}", time(3)));
    assert_eq!(aliases(&both), uploaded[3..]);
}

#[test]
fn a_limit_of_nothing_gives_nothing_and_a_large_one_is_bounded() {
    let server = with_key();
    let empty = page(&server, "");
    assert_eq!(keys(&empty), ["hashes", "limit"]);
    upload(&server, 2);
    let first = page(&server, "");
    let nothing = page(&server, "limit=0");
    assert_eq!(keys(&nothing), ["hashes", "limit", "next"]);
    assert_eq!(nothing["next"], first["current"]);
    assert_eq!(nothing["hashes"], json!([]));
    for limit in ["1001", "99999999999"] {
        assert_eq!(page(&server, &format!("limit={limit}"))["limit"], 1000);
    }
    // A slug that says nothing is as none; so is one of something that is gone.
    for slug in ["%FF", "absent", &"A".repeat(52)] {
        let found = page(&server, &format!("slug={slug}"));
        assert_eq!(found["hashes"], first["hashes"]);
    }
    for query in [
        "limit=-1",
        "limit=many",
        "timestamp=today",
        "timestamp=2026",
    ] {
        ask(&server, query).refused(400, "invalid-query");
    }
}

#[test]
fn a_filter_leaves_out_what_it_does_not_take() {
    let server = Server::with([
        ("server.api_key", KEY.1),
        ("client.allow_local_connections", "true"),
    ]);
    let still = server
        .upload(&pictures::png(&pictures::photo(20, 20)))
        .alias;
    let large = server
        .upload(&pictures::png(&pictures::noise(90, 90, 1)))
        .alias;
    let photo = server
        .upload(&pictures::jpeg(&pictures::photo(64, 48)))
        .alias;
    let frames = [1, 2].map(|seed| pictures::noise(9, 9, seed).to_rgba8());
    let moving = server.upload(&pictures::gif(&frames)).alias;
    let webp = server
        .upload(&pictures::webp(&pictures::photo(33, 33)))
        .alias;
    let upstream = Upstream::serving(&pictures::png(&pictures::photo(31, 31)));
    server
        .get(&format!("/image/original?proxy={}", upstream.url("/a.png")))
        .ok();
    let found = |query: &str| {
        let page = page(&server, query);
        let mut found: Vec<_> = aliases(&page)
            .iter()
            .map(|alias| (*alias).to_owned())
            .collect();
        found.sort();
        found
    };
    let sorted = |aliases: &[&String]| {
        let mut sorted: Vec<_> = aliases.iter().map(|alias| (*alias).clone()).collect();
        sorted.sort();
        sorted
    };
    assert_eq!(found("kind=animation"), [moving.as_str()]);
    assert_eq!(found("format=jpeg"), [photo.as_str()]);
    assert_eq!(found("format=jpg"), [photo.as_str()]);
    assert_eq!(found("kind=image&format=webp"), [webp.as_str()]);
    assert_eq!(found("min_bytes=20000"), [large.as_str()]);
    assert_eq!(
        found("max_bytes=20000&format=png&origin=uploaded"),
        [still.as_str()]
    );
    assert_eq!(
        found("origin=uploaded"),
        sorted(&[&still, &large, &photo, &moving, &webp])
    );
    let proxied = found("origin=proxied");
    assert_eq!(proxied.len(), 1);
    assert!(!sorted(&[&still, &large, &photo, &moving, &webp]).contains(&proxied[0]));
    assert_eq!(found("kind=video"), Vec::<String>::new());
    // From page to page, each once.
    let (mut all, mut slug) = (Vec::new(), String::new());
    loop {
        let page = page(&server, &format!("origin=uploaded&limit=1{slug}"));
        all.extend(aliases(&page).iter().map(|alias| (*alias).to_owned()));
        let Some(next) = page["next"].as_str() else {
            break;
        };
        slug = format!("&slug={next}");
    }
    assert_eq!(all, [webp, moving, photo, large, still]);
    for wrong in [
        "kind=gif",
        "format=tga",
        "origin=here",
        "min_bytes=x",
        "max_bytes=-1",
        "last_used=rarely",
    ] {
        ask(&server, wrong).refused(400, "invalid-query");
    }
    let answer = ask(&server, "origin=here");
    assert_eq!(
        answer.json()["msg"],
        "origin=here is not valid; expected uploaded or proxied"
    );
}

#[test]
fn what_no_client_was_served_is_unused() {
    let server = with_key();
    let [variant, original, headed, never] = [0, 1, 2, 3].map(|n| {
        let bytes = pictures::png(&pictures::photo(40 + n, 40));
        server.upload(&bytes).alias
    });
    let unused = |query: &str| {
        let page = page(&server, query);
        let mut found: Vec<_> = aliases(&page).into_iter().map(str::to_owned).collect();
        found.sort();
        found
    };
    let mut all = [&variant, &original, &headed, &never].map(Clone::clone);
    all.sort();
    assert_eq!(unused("last_used=never"), all);
    // Details do not count, nor does what could not be served.
    server.get(&format!("/image/details/original/{never}")).ok();
    server.get(&format!("/image/process.webp?src={never}&thumbnail=x"));
    server.process("webp", &variant, "thumbnail=16");
    server.get(&format!("/image/original/{original}")).ok();
    server.head(&format!("/image/process.webp?src={headed}&thumbnail=16"));
    server.head(&format!("/image/original/{headed}"));
    let mut rest = [&headed, &never].map(Clone::clone);
    rest.sort();
    assert_eq!(unused("last_used=never"), rest);
    assert_eq!(unused("last_used=0s"), rest);
    assert_eq!(unused("last_used=1d"), Vec::<String>::new());
    // A content by any of its names.
    let again = server
        .upload(&pictures::png(&pictures::photo(43, 40)))
        .alias;
    assert!(unused("last_used=never").contains(&never.clone().min(again.clone())));
    server.get(&format!("/image/original/{again}")).ok();
    assert_eq!(unused("last_used=never"), [headed.as_str()]);

    let content = |alias: &str| {
        let path = format!("/internal/content?alias={alias}");
        server.get_with(&path, &[KEY]).ok().json()["content"].clone()
    };
    let used = content(&variant);
    assert!(
        used["used_at"].is_string() && used["uses_since"].is_null(),
        "{used}"
    );
    assert!(content(&headed)["used_at"].is_null());
}

#[test]
fn everything_about_a_content_is_in_one_answer() {
    let server = with_key();
    let picture = pictures::png(&pictures::photo(400, 300));
    let kind = content_type();
    let headers = [KEY, ("content-type", &kind)];
    let form = multipart(&[File::new(&picture)]);
    let owned = server.send("POST", "/image?owner=ann", &headers, Some(&form));
    let owned = owned.status(201).uploaded().remove(0).alias;
    let other = server.upload(&picture).alias;
    server.process("webp", &other, "resize=64");
    // It is answered before it is stored.
    server.settle();
    let details = server
        .get(&format!("/image/details/original/{other}"))
        .ok()
        .json();
    let path = format!("/internal/content?alias={other}");
    let found = server.get_with(&path, &[KEY]).ok().json()["content"].clone();
    let mut names = [(owned, json!("ann")), (other.clone(), Value::Null)];
    names.sort_by(|one, two| one.0.cmp(&two.0));
    let names = names.map(|(alias, owner)| json!({ "alias": alias, "owner": owner }));
    assert_eq!(found["aliases"], json!(names));
    assert_eq!(found["details"]["blurhash"], details["blurhash"]);
    let pdq = found["pdq"]["hash"].as_str().expect("a hash");
    assert_eq!(pdq.len(), 64);
    assert!(found["size"].as_u64().is_some_and(|size| size > 1000));
    let variant = &found["variants"][0];
    assert_eq!(variant["variant"], "resize/64/webp");
    assert_eq!(
        (variant["width"].as_u64(), variant["height"].as_u64()),
        (Some(64), Some(48))
    );
    assert_eq!(found["quarantined"], Value::Null);
    // It is there for what only administrators see.
    let quarantine = format!("/internal/quarantine?alias={other}&reason=look");
    server.send("POST", &quarantine, &[KEY], None).status(201);
    let found = server.get_with(&path, &[KEY]).ok().json()["content"].clone();
    assert_eq!(found["quarantined"]["reason"], "look");
    server
        .get_with("/internal/content?alias=absent.png", &[KEY])
        .refused(404, "alias-not-found");
    server.get(&path).refused(401, "invalid-api-token");
}
