//! Caches in front that are told of removals. nginx and Varnish are Debian's, configured as
//! docs/caches.md shows; of Cloudflare and Fastly there are only the requests that they document.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::client::process_path;
use crate::support::nginx::{Nginx, Place};
use crate::support::validator::{Question, Validator as Recorder};
use crate::support::varnish::Varnish;
use crate::support::{Client, Launch, Server, eventually, pictures, programs};

const KEY: (&str, &str) = ("X-Api-Token", "the-key");
const DOCS: &str = include_str!("../docs/caches.md");
/// Where Debian installs the module.
const MODULE: &str = "/usr/lib/nginx/modules/ngx_http_cache_purge_module.so";
/// Without a purge a cache keeps media for longer than any test takes.
const LONG: &str = "1h";

fn caching() -> Launch {
    Launch::new()
        .setting("server.api_key", KEY.1)
        .setting("server.cache_max_age", LONG)
}

fn documented(language: &str) -> String {
    let mark = format!("```{language}\n");
    let (_, block) = DOCS.split_once(&mark).expect("a block");
    let (block, rest) = block.split_once("```").expect("it ends");
    assert!(!rest.contains(&mark), "a block is not tested");
    block.to_owned()
}

fn picture(side: u32) -> Vec<u8> {
    pictures::png(&pictures::photo(side, 20))
}

fn post(server: &Server, route: &str) {
    server
        .send("POST", &format!("/internal/{route}"), &[KEY], None)
        .ok();
}

/// The newest entry of the audit log.
fn receipt(server: &Server) -> Value {
    let log = server.send("GET", "/internal/audit", &[KEY], None).ok();
    log.json()["audit"][0]["receipt"].clone()
}

/// Waits until a cache has dropped all of these, and returns how long that took.
fn until_gone(cache: &Client, paths: &[String], since: Instant) -> Duration {
    for path in paths {
        eventually("the cache drops it", || {
            (cache.get(path).status == 404).then_some(())
        });
    }
    since.elapsed()
}

/// The documented nginx in front of a server, and that server.
fn nginx(test: &str, more: impl FnOnce(Launch) -> Launch) -> Option<(Nginx, Server)> {
    programs::find_or_skip("/usr/sbin/nginx", test)?;
    programs::find_or_skip(MODULE, test)?;
    let place = Place::reserve().expect("a port");
    let url = format!("http://{}", place.address());
    let launch = caching()
        .setting("purge.sites", &url)
        .setting("purge.nginx", &url);
    let server = more(launch).start();
    let block = documented("nginx");
    let (cache, rest) = block.split_once('\n').expect("lines");
    let (listen, location) = rest.split_once('\n').expect("lines");
    assert!(listen.starts_with("listen 127.0.0.1:8081;"), "{listen}");
    let cache = cache.replace("/var/cache/nginx/", "");
    let location = location.replace("127.0.0.1:8080", &server.address.to_string());
    let location = format!("add_header X-Cache $upstream_cache_status always;\n{location}");
    let module = format!("load_module {MODULE};\n");
    let nginx = Nginx::start_at(place, "1", &module, &cache, &location);
    Some((nginx.unwrap_or_else(|error| panic!("{error}")), server))
}

fn is_cached(cache: &Client, path: &str) {
    cache.get(path).ok();
    let answer = cache.get(path).ok();
    assert_eq!(answer.header("x-cache"), Some("HIT"), "{path}");
}

#[test]
fn a_real_nginx_drops_what_is_purged_within_a_second() {
    let test = "a purge of nginx";
    let more = |launch: Launch| launch.setting("purge.paths", "/image/original/{alias}?cache=1");
    let Some((nginx, server)) = nginx(test, more) else {
        return;
    };
    let mut longest = Duration::ZERO;
    for round in 0..5 {
        let alias = server.upload(&picture(30 + round)).alias;
        let kept = server.upload(&picture(60 + round)).alias;
        let paths = [
            format!("/image/original/{alias}"),
            format!("/image/original?alias={alias}"),
            format!("/image/original/{alias}?cache=1"),
            process_path("webp", &alias, "thumbnail=16"),
            process_path("jpg", &alias, "resize=8&blur=1.5"),
        ];
        for path in &paths {
            is_cached(&nginx, path);
        }
        let kept = format!("/image/original/{kept}");
        is_cached(&nginx, &kept);
        server.settle();
        post(&server, &format!("purge?alias={alias}&reason=round"));
        longest = longest.max(until_gone(&nginx, &paths, Instant::now()));
        // Others stay.
        assert_eq!(nginx.get(&kept).ok().header("x-cache"), Some("HIT"));
    }
    eprintln!("nginx has dropped a purged picture within {longest:?}");
    assert!(longest < Duration::from_secs(1), "{longest:?}");
    let receipt = eventually("the receipt is complete", || {
        let receipt = receipt(&server);
        (receipt["caches"]["state"] == "confirmed").then_some(receipt)
    });
    assert_eq!(receipt["variants"], 2);
    let answer = &receipt["caches"]["answers"][0];
    assert!(
        answer["cache"]
            .as_str()
            .expect("a name")
            .starts_with("nginx 127.")
    );
    assert_eq!(answer["error"], Value::Null);
}

#[test]
fn a_deleted_alias_leaves_nginx_and_the_other_one_stays() {
    let test = "a deleted alias behind nginx";
    let Some((nginx, server)) = nginx(test, |launch| launch) else {
        return;
    };
    let (one, two) = (server.upload(&picture(30)), server.upload(&picture(30)));
    let of = |alias: &str| {
        [
            format!("/image/original/{alias}"),
            process_path("webp", alias, "thumbnail=16"),
        ]
    };
    for path in of(&one.alias).iter().chain(&of(&two.alias)) {
        is_cached(&nginx, path);
    }
    server.settle();
    let path = format!("/image/delete/{}/{}", one.token, one.alias);
    server.delete(&path).status(204);
    until_gone(&nginx, &of(&one.alias), Instant::now());
    for path in of(&two.alias) {
        assert_eq!(nginx.get(&path).ok().header("x-cache"), Some("HIT"));
    }
    assert_eq!(receipt(&server)["bytes"], 0, "the content is still there");
}

#[test]
fn a_cache_that_is_away_is_told_when_it_is_back() {
    let test = "an nginx that is away";
    if programs::find_or_skip(MODULE, test).is_none() {
        return;
    }
    let place = Place::reserve().expect("a port");
    let url = format!("http://{}", place.address());
    let address = place.address();
    // Nothing listens.
    drop(place);
    let server = caching()
        .setting("purge.sites", &url)
        .setting("purge.nginx", &url)
        .start();
    let alias = server.upload(&picture(30)).alias;
    post(&server, &format!("purge?alias={alias}"));
    let told = eventually("the failure is told", || {
        let answer = server.send("GET", "/internal/health", &[KEY], None).ok();
        let caches = answer.json()["caches"].clone();
        (!caches["error"].is_null()).then_some(caches)
    });
    assert_eq!(told["waiting"], 1);
    let waiting = receipt(&server);
    assert_eq!(waiting["caches"]["state"], "waiting", "{waiting}");
    assert!(
        waiting["caches"]["answers"][0]["error"].is_string(),
        "{waiting}"
    );
    let listener = std::net::TcpListener::bind(address).expect("the port is still free");
    let cache = Recorder::start_on(listener, 404);
    eventually("it is confirmed", || {
        (receipt(&server)["caches"]["state"] == "confirmed").then_some(())
    });
    let lines: Vec<_> = cache.questions().into_iter().map(|one| one.line).collect();
    let purge = format!("PURGE /image/original/{alias} HTTP/1.1");
    // At once, and again for answers that were on their way.
    assert_eq!(lines.iter().filter(|line| **line == purge).count(), 2);
    let answer = &receipt(&server)["caches"]["answers"][0];
    assert_eq!(answer["asked"], answer["absent"]);
}

#[test]
fn a_real_varnish_drops_every_url_of_what_is_purged() {
    let Some(varnish) = Varnish::start_or_skip("a purge of Varnish") else {
        return;
    };
    let url = format!("http://{}", varnish.address());
    let server = caching().setting("purge.varnish", url).start();
    let port = format!("\"{}\"", server.address.port());
    varnish.configure(&documented("vcl").replace("\"8080\"", &port));
    let alias = server.upload(&picture(30)).alias;
    let kept = server.upload(&picture(60)).alias;
    let paths = |alias: &str| {
        [
            format!("/image/original/{alias}"),
            // What no row tells of.
            format!("/image/original/{alias}?v=2"),
            format!("/image/process.webp?thumbnail=16&x=y&src={alias}"),
            format!("/image/process.auto?src={alias}&thumbnail=8"),
        ]
    };
    let is_hit = |path: &str| {
        let answer = varnish.get(path).ok();
        // Two numbers: of this request, and of the one that has fetched it.
        let ids = answer.header("x-varnish").expect("a number");
        ids.split(' ').count() == 2
    };
    for path in paths(&alias).iter().chain(&paths(&kept)) {
        varnish.get(path).ok();
        assert!(is_hit(path), "{path}");
        assert_eq!(varnish.get(path).header("x-pict-rs-url"), None);
    }
    post(&server, &format!("purge?alias={alias}"));
    let took = until_gone(&varnish, &paths(&alias), Instant::now());
    eprintln!("Varnish has dropped a purged picture within {took:?}");
    for path in paths(&kept) {
        assert!(is_hit(&path), "{path}");
    }
    eventually("it is confirmed", || {
        (receipt(&server)["caches"]["state"] == "confirmed").then_some(())
    });
    // Other clients may not ban, and a ban needs an expression.
    varnish.send("BAN", "/", &[], None).status(403);
}

fn sent(recorder: &Recorder) -> Vec<Question> {
    eventually("it is told twice", || {
        let questions = recorder.questions();
        (questions.len() >= 2).then_some(questions)
    })
}

fn json_of(question: &Question) -> Value {
    serde_json::from_slice(&question.body).expect("JSON")
}

/// Against a server of the tests: Cloudflare's own cannot be had here.
#[test]
fn cloudflare_is_asked_as_its_documentation_says() {
    let recorder = Recorder::start(200);
    let api = recorder.url().replace("/scan", "/client/v4");
    let launch = |tags: bool| {
        caching()
            .setting("purge.sites", "https://a.example/,https://b.example/pics")
            .setting("purge.cloudflare_zone", "023e105f4ecef8ad")
            .setting("purge.cloudflare_token", "token-of-tests")
            .setting("purge.cloudflare_api", &api)
            .setting("purge.cloudflare_tags", tags)
    };
    let server = launch(false).start();
    let alias = server.upload(&picture(30)).alias;
    let answer = server.get(&format!("/image/original/{alias}")).ok();
    assert_eq!(answer.header("cache-tag"), None);
    post(&server, &format!("purge?alias={alias}"));
    let question = sent(&recorder).remove(0);
    assert_eq!(
        question.line,
        "POST /client/v4/zones/023e105f4ecef8ad/purge_cache HTTP/1.1"
    );
    let authorization = question.header("authorization");
    assert_eq!(authorization, Some("Bearer token-of-tests"));
    assert_eq!(question.header("content-type"), Some("application/json"));
    let files = json_of(&question)["files"].clone();
    assert_eq!(
        files,
        json!([
            format!("https://a.example/image/original/{alias}"),
            format!("https://a.example/image/original?alias={alias}"),
            format!("https://b.example/pics/image/original/{alias}"),
            format!("https://b.example/pics/image/original?alias={alias}"),
        ])
    );
    // By tags, which media then have.
    let before = recorder.questions().len();
    let server = launch(true).start();
    let alias = server.upload(&picture(30)).alias;
    let tags = [
        format!("/image/original/{alias}"),
        process_path("webp", &alias, "thumbnail=8"),
    ]
    .map(|path| {
        server
            .get(&path)
            .ok()
            .header("cache-tag")
            .map(str::to_owned)
    });
    assert!(tags[0].is_some());
    assert_eq!(tags[0], tags[1]);
    post(&server, &format!("purge?alias={alias}"));
    eventually("it is told", || {
        let questions = recorder.questions();
        let found = questions.iter().skip(before).map(json_of);
        let expected = json!({ "tags": [tags[0]] });
        found.clone().any(|body| body == expected).then_some(())
    });
}

/// Against a server of the tests: Fastly's own cannot be had here.
#[test]
fn fastly_is_asked_as_its_documentation_says() {
    let recorder = Recorder::start(200);
    let server = caching()
        .setting("purge.fastly_service", "SU1Z0isxPaozGVKXdv0eY")
        .setting("purge.fastly_token", "token-of-tests")
        .setting("purge.fastly_api", recorder.url().replace("/scan", ""))
        .start();
    let alias = server.upload(&picture(30)).alias;
    let answer = server.get(&format!("/image/original/{alias}")).ok();
    let key = answer.header("surrogate-key").expect("a key").to_owned();
    assert_eq!(answer.header("cache-tag"), None);
    post(&server, &format!("purge?alias={alias}"));
    for question in sent(&recorder) {
        assert_eq!(
            question.line,
            "POST /service/SU1Z0isxPaozGVKXdv0eY/purge HTTP/1.1"
        );
        assert_eq!(question.header("fastly-key"), Some("token-of-tests"));
        assert_eq!(json_of(&question), json!({ "surrogate_keys": [key] }));
    }
}

#[test]
fn media_have_no_tags_unless_a_cache_wants_them() {
    let server = Server::start();
    let alias = server.upload(&picture(30)).alias;
    let answer = server.get(&format!("/image/original/{alias}")).ok();
    assert_eq!(answer.header("surrogate-key"), None);
    assert_eq!(answer.header("cache-tag"), None);
}
