//! The pages for administrators: as programs see them, and as a person with a browser does.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::client::{Client, content_type, multipart};
use crate::support::upstream::Upstream;
use crate::support::webdriver::Browser;
use crate::support::{Answer, File, Launch, Server, database, eventually, pictures, programs};

const KEY: &str = "the key & no other";

fn start() -> Server {
    Server::with([("server.api_key", KEY), ("server.max_file_count", "5")])
}

fn post(server: &Server, path: &str, cookie: &str, fields: &[(&str, &str)]) -> Answer {
    let body = fields.iter().fold(
        form_urlencoded::Serializer::new(String::new()),
        |mut body, (name, value)| {
            body.append_pair(name, value);
            body
        },
    );
    let body = { body }.finish();
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("cookie", cookie),
    ];
    server.send("POST", path, &headers, Some(body.as_bytes()))
}

/// The whole page; [`Answer::text`] is shorter.
fn html(answer: &Answer) -> String {
    assert_eq!(
        answer.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    String::from_utf8(answer.body.clone()).expect("UTF-8")
}

/// A person who has signed in.
struct Admin<'a> {
    server: &'a Server,
    cookie: String,
}

impl<'a> Admin<'a> {
    fn sign_in(server: &'a Server) -> Self {
        let answer = post(server, "/admin/sign-in", "", &[("key", KEY)]);
        assert_eq!(answer.status, 303, "{}", answer.text());
        assert_eq!(answer.header("location"), Some("/admin"));
        let cookie = answer.header("set-cookie").expect("a cookie");
        for part in ["HttpOnly", "SameSite=Strict", "Path=/admin"] {
            assert!(cookie.contains(part), "{cookie}");
        }
        let (cookie, _) = cookie.split_once(';').expect("attributes");
        let cookie = cookie.to_owned();
        Self { server, cookie }
    }

    fn get(&self, path: &str) -> Answer {
        self.server.get_with(path, &[("cookie", &self.cookie)])
    }

    fn page(&self, path: &str) -> String {
        html(&self.get(path).ok())
    }

    /// The address of the form on this page that is sent there.
    fn action(&self, page: &str, to: &str) -> String {
        let page = self.page(page);
        let (_, rest) = page
            .split_once(&format!("action=\"{to}?token="))
            .expect("a form");
        let (token, _) = rest.split_once('"').expect("an end");
        format!("{to}?token={token}")
    }

    /// Sends a form of this page as the browser would.
    fn send(&self, page: &str, to: &str, fields: &[(&str, &str)]) -> Answer {
        post(self.server, &self.action(page, to), &self.cookie, fields)
    }
}

#[test]
fn without_a_key_or_by_the_settings_there_is_no_page() {
    let without = Server::start();
    let off = Server::with([("server.api_key", KEY), ("server.admin", "false")]);
    for server in [&without, &off] {
        for path in ["/admin", "/admin/sign-in", "/admin/media"] {
            server.get(path).refused(404, "not-found");
        }
        post(server, "/admin/sign-in", "", &[("key", KEY)]).refused(404, "not-found");
    }
}

#[test]
fn the_overview_tells_how_fast_the_store_grows_and_when_it_is_full() {
    let server = Server::with([("server.api_key", KEY), ("media.disk", "64 MiB")]);
    let page = Admin::sign_in(&server).page("/admin");
    assert!(page.contains("It takes three days"), "{page}");
    assert!(page.contains("media.disk") && !page.contains("svg class=\"growth\""));
    server.upload(&pictures::png(&pictures::noise(300, 300, 1)));
    let data = server.data();
    eventually("the sums of a day", || {
        let rows = database::texts(&data, "SELECT class FROM growth");
        (!rows.is_empty()).then_some(())
    });
    for ago in 1..6 {
        let row = format!(
            "INSERT INTO growth (day, class, count, bytes, allocated) SELECT day - {ago}, class, \
             1, 1, 1000 FROM growth WHERE day = (SELECT MAX(day) FROM growth) AND class = 'originals'"
        );
        database::change(&data, &row);
    }
    let page = Admin::sign_in(&server).page("/admin");
    assert!(page.contains("svg class=\"growth\""), "{page}");
    assert!(page.contains("The budget is full in about"), "{page}");
    // One for each day, and one of the disk, which a bucket does not have.
    let of_disk = usize::from(!server.is_in_bucket());
    assert_eq!(page.matches("<rect class=\"uploads\"").count(), 6 + of_disk);
}

#[test]
fn nothing_is_shown_or_changed_without_a_session() {
    let server = start();
    let picture = server.upload(&pictures::png(&pictures::photo(40, 30)));
    let paths = [
        "",
        "/media",
        "/upload",
        "/moderation",
        "/log",
        "/log.csv",
        "/jobs",
        "/storage",
        "/settings",
        "/similar",
        "/quarantine",
        "/quarantine/picture",
        "/owners",
    ];
    for path in paths.map(|path| format!("/admin{path}")) {
        let answer = server.get(&path);
        assert_eq!(answer.status, 303, "{path}");
        assert_eq!(answer.header("location"), Some("/admin/sign-in"));
    }
    let fields = [("alias", picture.alias.as_str())];
    let changes = [
        "delete",
        "purge",
        "block",
        "unblock",
        "collect",
        "upload",
        "sign-out",
        "drop-variants",
        "prune",
        "list",
        "unlist",
        "scan",
        "quarantine",
        "release",
        "similar",
        "purge-owner",
    ];
    let admin = Admin::sign_in(&server);
    let genuine = admin.action("/admin", "/admin/sign-out");
    let (_, token) = genuine.split_once('?').expect("a token");
    for change in changes {
        let path = format!("/admin/{change}");
        // No session, or a forged one.
        assert_eq!(post(&server, &path, "", &fields).status, 401, "{path}");
        let forged = format!("pict-rs-admin=9999999999.{}.00", "a".repeat(32));
        let with_token = format!("{path}?{token}");
        assert_eq!(post(&server, &with_token, &forged, &fields).status, 401);
        // What another site makes the browser send has the cookie at most, or a token of its own.
        for query in ["", "?token=", "?token=abc"] {
            let answer = post(&server, &format!("{path}{query}"), &admin.cookie, &fields);
            assert_eq!(answer.status, 403, "{path}{query}");
        }
        let other = Admin::sign_in(&server);
        let answer = post(&server, &with_token, &other.cookie, &fields);
        assert_eq!(
            answer.status, 403,
            "{path} with the token of another session"
        );
    }
    server.original(&picture.alias);
    // A cookie that is changed in any place.
    let value = admin.cookie.clone();
    let at = value.len() - 1;
    let changed = if value.ends_with('0') { "1" } else { "0" };
    let changed = format!("{}{changed}", &value[..at]);
    assert_eq!(
        server.get_with("/admin", &[("cookie", &changed)]).status,
        303
    );
}

#[test]
fn wrong_keys_are_refused_and_soon_not_even_compared() {
    let server = start();
    let sign_in = |key: &str| post(&server, "/admin/sign-in", "", &[("key", key)]);
    for _ in 0..10 {
        let answer = sign_in("wrong");
        assert_eq!(answer.status, 401);
        assert!(answer.header("set-cookie").is_none());
        assert!(html(&answer).contains("That is no API key of this server."));
    }
    let answer = sign_in(KEY);
    assert_eq!(answer.status, 429);
    let seconds: u64 = answer
        .header("retry-after")
        .expect("a time")
        .parse()
        .expect("seconds");
    assert!((1..=60).contains(&seconds));
    // The API is not affected.
    server
        .get_with("/internal/usage", &[("X-Api-Token", KEY)])
        .ok();
    let output = server.output();
    assert!(output.contains("a wrong key for the admin page"));
    assert!(!output.contains(KEY));
}

#[test]
fn a_session_ends_with_its_keys_and_when_somebody_signs_out() {
    let server = start();
    let admin = Admin::sign_in(&server);
    let answer = admin.send("/admin", "/admin/sign-out", &[]);
    assert_eq!(answer.status, 303);
    let cookie = answer.header("set-cookie").expect("it is removed");
    assert!(
        cookie.starts_with("pict-rs-admin=;") && cookie.contains("Max-Age=0"),
        "{cookie}"
    );
    // A restart changes nothing, another key does.
    let cookie = admin.cookie.clone();
    let server = server.stop().start();
    server.get_with("/admin", &[("cookie", &cookie)]).ok();
    let server = server.stop().setting("server.api_key", "another").start();
    assert_eq!(
        server.get_with("/admin", &[("cookie", &cookie)]).status,
        303
    );
}

#[test]
fn behind_tls_the_cookie_stays_there() {
    let server = start();
    let sign_in = |headers: &[(&str, &str)]| {
        let mut headers = headers.to_vec();
        headers.push(("content-type", "application/x-www-form-urlencoded"));
        let body = form_urlencoded::byte_serialize(KEY.as_bytes()).collect::<String>();
        let body = format!("key={body}");
        let answer = server.send("POST", "/admin/sign-in", &headers, Some(body.as_bytes()));
        let answer = answer.status(303);
        answer
            .header("set-cookie")
            .expect("a cookie")
            .contains("; Secure")
    };
    assert!(!sign_in(&[]));
    assert!(sign_in(&[("X-Forwarded-Proto", "https")]));
}

#[test]
fn other_methods_than_those_of_a_page_are_refused() {
    let server = start();
    let admin = Admin::sign_in(&server);
    let path = admin.action("/admin", "/admin/sign-out");
    let path = path.replace("sign-out", "media");
    let answer = post(&server, &path, &admin.cookie, &[]);
    let found = (answer.status, answer.header("allow"));
    assert_eq!(found, (405, Some("GET, HEAD")));
    assert!(html(&answer).contains("POST is not possible here"));
}

#[test]
fn the_overview_tells_what_is_stored_and_what_is_wrong() {
    let server = start();
    let uploaded = server.upload(&pictures::png(&pictures::photo(300, 200)));
    server.process("webp", &uploaded.alias, "thumbnail=64");
    server.settle();
    let admin = Admin::sign_in(&server);
    admin.get("/admin/").ok();
    let page = admin.page("/admin");
    assert!(page.contains("It works."), "{page}");
    assert!(page.contains("1 alias, 1 content."), "{page}");
    let disk = match server.is_in_bucket() {
        true => "The files are in a bucket.",
        false => "<svg class=\"disk\"",
    };
    assert!(page.contains(disk), "{page}");
    let policy = admin
        .get("/admin")
        .header("content-security-policy")
        .map(str::to_owned);
    let policy = policy.expect("a policy");
    for part in [
        "default-src 'none'",
        "frame-ancestors 'none'",
        "form-action 'self'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    if server.is_in_bucket() {
        return;
    }
    let (files, aside) = (server.files(), server.data().join("aside"));
    std::fs::rename(&files, &aside).expect("moved");
    eventually("the page says that files cannot be stored", || {
        let page = admin.page("/admin");
        page.contains("role=\"alert\">Files: ").then_some(())
    });
    std::fs::rename(&aside, &files).expect("moved back");
}

#[test]
fn looking_through_the_pages_does_not_count_as_use() {
    let server = start();
    let seen = server.upload(&pictures::png(&pictures::photo(400, 300)));
    let used = server.upload(&pictures::png(&pictures::photo(300, 400)));
    server.process("webp", &used.alias, "thumbnail=64");
    let admin = Admin::sign_in(&server);
    let grid = admin.page("/admin/media");
    let page_of = |alias: &str| admin.page(&format!("/admin/media/{alias}"));
    for page in [&grid, &page_of(&seen.alias)] {
        let shown: Vec<_> = page.split("src=\"").skip(1).collect();
        assert!(!shown.is_empty());
        for rest in shown {
            let (address, _) = rest.split_once('"').expect("an end");
            let address = address.replace("&amp;", "&");
            assert!(address.starts_with("/admin/"), "{address}");
            let picture = admin.get(&address).ok();
            assert!(
                picture
                    .header("content-type")
                    .is_some_and(|kind| kind.starts_with("image/"))
            );
            // A cache in front keeps nothing for those who have no session.
            let cached = picture.header("cache-control");
            assert_eq!(cached, Some("private, no-cache"), "{address}");
            assert_eq!(server.get(&address).status, 303, "without a session");
        }
    }
    let address = format!("/admin/original/{}", seen.alias);
    let etag = admin.get(&address).ok();
    let etag = etag.header("etag").expect("an ETag");
    let headers = [("cookie", &*admin.cookie), ("if-none-match", etag)];
    let again = server.get_with(&address, &headers);
    assert_eq!(again.status, 304);
    assert_eq!(again.header("cache-control"), Some("private, no-cache"));
    // Nothing is fetched for a page.
    let proxied = "/admin/process.webp?proxy=http%3A%2F%2Fexample.org%2Fa.png&thumbnail=64";
    admin.get(proxied).status(400);
    let unused = admin.page("/admin/media?last_used=never");
    assert!(unused.contains(&seen.alias) && !unused.contains(&used.alias));
    let last_used = |page: &str| {
        let (_, rest) = page.split_once("Last used</th><td>").expect("a row");
        rest.split_once('<').expect("an end").0.to_owned()
    };
    assert_eq!(last_used(&page_of(&seen.alias)), "Never");
    assert!(last_used(&page_of(&used.alias)).starts_with("On 20"));
}

#[test]
fn pages_answer_head_as_they_do_get() {
    let server = start();
    let admin = Admin::sign_in(&server);
    for path in [
        "/admin",
        "/admin/media",
        "/admin/log",
        "/admin/log.csv",
        "/admin/similar",
    ] {
        let cookie = [("cookie", admin.cookie.as_str())];
        let head = server.send("HEAD", path, &cookie, None);
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        assert_eq!(
            head.header("content-type"),
            admin.get(path).header("content-type")
        );
    }
    assert_eq!(server.head("/admin/sign-in").status, 200);
}

#[test]
fn the_grid_has_everything_once_and_finds_what_is_pasted() {
    let server = start();
    let pictures: Vec<_> = (0..61)
        .map(|seed| server.upload(&pictures::png(&pictures::noise(20, 20, seed))))
        .collect();
    let upstream = Upstream::serving(&pictures::png(&pictures::noise(20, 20, 100)));
    let url = upstream.url("/a.png?x=1&y=2");
    let encoded: String = form_urlencoded::byte_serialize(url.as_bytes()).collect();
    let admin = Admin::sign_in(&server);
    let first = admin.page("/admin/media");
    let tiles = |page: &str| page.matches("<li><a href=\"/admin/media/").count();
    assert_eq!(tiles(&first), 60);
    let (_, rest) = first
        .split_once("rel=\"next\" href=\"")
        .expect("another page");
    let (next, _) = rest.split_once('"').expect("an end");
    let second = admin.page(next);
    assert_eq!(tiles(&second), 1);
    assert!(second.contains("rel=\"prev\""));
    for picture in &pictures {
        let link = format!("href=\"/admin/media/{}\"", picture.alias);
        let pages = [&first, &second].map(|page| page.matches(&link).count());
        assert_eq!(pages.iter().sum::<usize>(), 1, "{link}");
    }
    // By its alias, by its address and by that of a variant.
    let alias = &pictures[7].alias;
    let place = format!("/admin/media/{alias}");
    for text in [
        alias.clone(),
        format!("  {alias} "),
        format!("https://example.org/image/original/{alias}"),
        format!("https://example.org/pictrs/image/process.webp?src={alias}&thumbnail=96"),
    ] {
        let text: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
        let answer = admin.get(&format!("/admin/media?find={text}"));
        assert_eq!(
            (answer.status, answer.header("location")),
            (303, Some(&*place))
        );
    }
    // By what its page tells.
    let page = admin.page(&place);
    let (_, rest) = page.split_once("Digest</th><td><code>").expect("a digest");
    let hash = &rest[..64];
    let answer = admin.get(&format!("/admin/media?find={hash}"));
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some(&*place))
    );
    let no_hash = "0".repeat(64);
    assert_eq!(
        admin.get(&format!("/admin/media?find={no_hash}")).status,
        404
    );
    let absent = admin.get(&format!("/admin/media?find={encoded}"));
    assert_eq!(absent.status, 404);
    assert!(html(&absent).contains("<nav"), "the way back");
    let path = format!("/image/original?proxy={encoded}");
    if server.get(&path).status == 200 {
        let answer = admin.get(&format!("/admin/media?find={encoded}"));
        let page = admin.page(answer.header("location").expect("found"));
        assert!(page.contains("Fetched from"), "{page}");
    }
    assert_eq!(admin.get("/admin/media?find=nothing.png").status, 404);
    assert_eq!(admin.get("/admin/media/nothing.png").status, 404);
}

#[test]
fn what_is_removed_by_a_form_is_gone_and_in_the_log() {
    let server = start();
    let bytes = pictures::png(&pictures::noise(20, 20, 1));
    let (first, second) = (server.upload(&bytes), server.upload(&bytes));
    let admin = Admin::sign_in(&server);
    let page = format!("/admin/media/{}", first.alias);
    let text = admin.page(&page);
    assert!(text.contains(&second.alias), "all its aliases");
    let fields = [
        ("alias", first.alias.as_str()),
        ("reason", "a \"slip\" <b>"),
    ];
    assert_eq!(admin.send(&page, "/admin/delete", &fields).status, 303);
    let original = |alias: &str| server.get(&format!("/image/original/{alias}")).status;
    assert_eq!(
        (original(&first.alias), original(&second.alias)),
        (404, 200)
    );

    let page = format!("/admin/media/{}", second.alias);
    let long = "x".repeat(1001);
    let fields = [("alias", second.alias.as_str()), ("reason", &long)];
    let refused = admin.send(&page, "/admin/purge", &fields);
    assert_eq!(refused.status, 400);
    assert!(html(&refused).contains("1000 bytes, found 1001"));
    let fields = [
        ("alias", second.alias.as_str()),
        ("reason", "bad"),
        ("block", "true"),
    ];
    assert_eq!(admin.send(&page, "/admin/purge", &fields).status, 303);
    assert_eq!(original(&second.alias), 404);
    server
        .upload_form("", &[File::new(&bytes)])
        .refused(400, "blocked");

    let text = admin.page("/admin/log");
    assert!(text.contains("a &quot;slip&quot; &lt;b&gt;"), "{text}");
    for word in ["delete", "purge", "block"] {
        assert!(text.contains(&format!("<td>{word}</td>")), "{word}: {text}");
    }
    let hash = admin.page("/admin/moderation");
    let hash = hash
        .split("<code>")
        .nth(1)
        .and_then(|rest| rest.get(..64))
        .expect("a digest");
    let answer = admin.send("/admin/moderation", "/admin/unblock", &[("hash", hash)]);
    assert_eq!(answer.status, 303);
    server.upload(&bytes);
    let fields = [("hash", hash)];
    assert_eq!(
        admin
            .send("/admin/moderation", "/admin/block", &fields)
            .status,
        303
    );
    server
        .upload_form("", &[File::new(&bytes)])
        .refused(400, "blocked");
    let answer = admin.send("/admin/moderation", "/admin/block", &[("hash", "abc")]);
    assert_eq!(answer.status, 400);
}

#[test]
fn all_variants_are_removed_and_the_page_tells_how_far_it_is() {
    let server = start();
    let uploaded = server.upload(&pictures::png(&pictures::photo(300, 200)));
    server.process("webp", &uploaded.alias, "thumbnail=64");
    server.settle();
    let admin = Admin::sign_in(&server);
    assert!(!admin.page("/admin/storage").contains("All variants of "));
    let path = format!(
        "/image/details/process.webp?src={}&thumbnail=64",
        uploaded.alias
    );
    server.get(&path).ok();
    let answer = admin.send("/admin/storage", "/admin/drop-variants", &[]);
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some("/admin/storage"))
    );
    eventually("the page says that all is done", || {
        let page = admin.page("/admin/storage");
        page.contains("All variants of ").then_some(())
    });
    server.get(&path).status(404);
    server.original(&uploaded.alias);
    assert!(admin.page("/admin/log").contains("<td>variants</td>"));
    let jobs = admin.page("/admin/jobs");
    assert!(jobs.contains("Removal of all variants"), "{jobs}");
}

#[test]
fn what_has_lost_its_file_is_purged_and_a_run_that_was_stopped_says_so() {
    let launch = Launch::new()
        .setting("server.named_keys.ada", KEY)
        .setting("server.max_removal_count", "1")
        .setting("server.max_removal_percent", "0");
    let server = launch.start();
    let uploads: Vec<_> = (0..3)
        .map(|n| {
            server
                .upload(&pictures::png(&pictures::photo(30 + n, 20)))
                .alias
        })
        .collect();
    let admin = Admin::sign_in(&server);
    assert!(!admin.page("/admin/storage").contains("The run of "));
    for alias in &uploads[..2] {
        let path = format!("/internal/identifier?alias={alias}");
        let answer = server.get_with(&path, &[("X-Api-Token", KEY)]).ok();
        let identifier = answer.json()["identifier"].clone();
        let identifier = identifier.as_str().expect("a path");
        std::fs::remove_file(server.files().join(identifier)).expect("removed");
    }
    let prune = |fields: &[(&str, &str)]| {
        let answer = admin.send("/admin/storage", "/admin/prune", fields);
        assert_eq!(answer.status, 303, "{}", answer.text());
    };
    let shows = |text: &str| {
        eventually(text, || {
            let page = admin.page("/admin/storage");
            page.contains(text).then_some(page)
        })
    };
    prune(&[]);
    let page = shows("was stopped, because at least 2 of 3 contents have lost their files");
    assert!(page.contains("it purges 1 at most"), "{page}");
    server.original(&uploads[2]);
    prune(&[
        ("force", "true"),
        ("block", "true"),
        ("reason", "they are gone"),
    ]);
    shows("purged 2 of 3 contents.");
    server
        .get(&format!("/image/original/{}", uploads[0]))
        .status(404);
    server.original(&uploads[2]);
    let log = admin.page("/admin/log?action=prune&key=ada");
    assert_eq!(log.matches("<td>prune</td>").count(), 2);
    assert!(log.contains("they are gone"), "{log}");
    // A run that has ended can be repeated, without force.
    prune(&[]);
    shows("purged 0 of 1 content.");
}

#[test]
fn the_log_is_filtered_and_had_as_csv_and_tells_whose_key_it_was() {
    let server = Server::with([("server.named_keys.ada", KEY), ("server.api_key", "other")]);
    let picture = server.upload(&pictures::png(&pictures::photo(40, 30)));
    let admin = Admin::sign_in(&server);
    assert!(
        admin
            .page("/admin/log")
            .contains("Nothing was removed yet.")
    );
    let page = format!("/admin/media/{}", picture.alias);
    let fields = [("alias", picture.alias.as_str()), ("reason", "<old>")];
    assert_eq!(admin.send(&page, "/admin/delete", &fields).status, 303);
    let log = admin.page("/admin/log");
    assert!(
        log.contains("admin (ada)") && log.contains("&lt;old&gt;"),
        "{log}"
    );
    assert!(log.contains("<option value=\"ada\">"), "{log}");
    let log = admin.page("/admin/log?action=purge&since=2026-01-01");
    assert!(log.contains("No entries match."), "{log}");
    assert!(log.contains("<option value=\"purge\" selected>"), "{log}");
    assert!(log.contains("value=\"2026-01-01\""), "{log}");
    let log = admin.page("/admin/log?key=ada&before=");
    assert!(log.contains("/admin/log.csv?key=ada\""), "{log}");
    let csv = admin.get("/admin/log.csv?key=ada").ok();
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    assert!(csv.text().contains(&picture.alias), "{}", csv.text());
    assert_eq!(server.get("/admin/log.csv").status, 303);
    assert_eq!(admin.get("/admin/log?action=burn").status, 400);
    for number in 0..60 {
        let digest = format!("{number:064x}");
        admin.send("/admin/moderation", "/admin/block", &[("hash", &digest)]);
    }
    let log = admin.page("/admin/log?action=block");
    assert_eq!(log.matches("<td>block</td>").count(), 50);
    let (_, rest) = log.split_once("rel=\"next\" href=\"").expect("older ones");
    let next = rest
        .split('"')
        .next()
        .expect("an end")
        .replace("&amp;", "&");
    let log = admin.page(&next);
    assert_eq!(log.matches("<td>block</td>").count(), 10);
}

/// How often the server has asked the database about a medium to be served.
fn asked(metrics: &Client) -> u64 {
    let text = metrics.get("/metrics").ok();
    let text = String::from_utf8(text.body).expect("UTF-8");
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix("pict_rs_known_misses "));
    value.expect("the metric").parse().expect("a number")
}

#[test]
fn the_grid_reads_what_its_pictures_need_in_one_go() {
    let launch = Launch::new()
        .setting("server.api_key", KEY)
        .setting("metrics.prometheus_address", "127.0.0.1:0");
    let server = launch.start();
    let film = pictures::gif(&pictures::film(20, 20, 3));
    let mut aliases = vec![server.upload(&film).alias];
    for n in 0..70 {
        let bytes = pictures::png(&pictures::photo(20 + n, 20));
        aliases.push(server.upload(&bytes).alias);
    }
    // One in quarantine must not be shown because of it.
    let admin = Admin::sign_in(&server);
    let hidden = aliases.pop().expect("the newest");
    let page = format!("/admin/media/{hidden}");
    let fields = [("alias", hidden.as_str())];
    assert_eq!(admin.send(&page, "/admin/quarantine", &fields).status, 303);
    let addresses = |text: &str| {
        let parts = text.split("<img src=\"").skip(1);
        let addresses = parts.filter_map(|part| part.split('"').next());
        addresses
            .map(|address| address.replace("&amp;", "&"))
            .collect::<Vec<_>>()
    };
    let newest = admin.page("/admin/media");
    let (_, rest) = newest
        .split_once("rel=\"next\" href=\"")
        .expect("older ones");
    let next = rest.split('"').next().expect("an end").to_owned();
    let oldest = admin.page(&next);
    assert!(oldest.contains("rel=\"prev\""), "{oldest}");
    let shown = [addresses(&newest), addresses(&oldest)].concat();
    assert_eq!(shown.len(), 71);
    for address in &shown {
        let expected = if address.contains(&hidden) { 404 } else { 200 };
        assert_eq!(admin.get(address).status, expected, "{address}");
    }
    server.settle();
    // With nothing in memory, the pages alone know all.
    let server = server.stop().start();
    let admin = Admin::sign_in(&server);
    let metrics = eventually("the listener says where it is", || {
        let output = server.output();
        let mut lines = output.lines();
        lines.find_map(|line| line.split_once("metrics on http://")?.1.trim().parse().ok())
    });
    let metrics = Client::new(metrics);
    admin.page("/admin/media");
    admin.page(&next);
    let before = asked(&metrics);
    for address in &shown {
        let is_hidden = address.contains(&hidden);
        admin.get(address).status(if is_hidden { 404 } else { 200 });
    }
    // The hidden one is no fact to remember.
    assert!(
        asked(&metrics) - before <= 2,
        "{}",
        asked(&metrics) - before
    );
}

#[test]
fn limits_are_tried_without_dropping_anything() {
    let server = Server::with([("server.api_key", KEY), ("media.disk", "64 MiB")]);
    let alias = server
        .upload(&pictures::png(&pictures::noise(600, 600, 1)))
        .alias;
    server.process("png", &alias, "resize=500");
    server.settle();
    let admin = Admin::sign_in(&server);
    let page = admin.page("/admin/storage");
    assert!(page.contains("<td>64 MiB</td>"), "{page}");
    let page = admin.page("/admin/storage?disk=1+GiB&unused=0s");
    assert!(page.contains("Nothing would be dropped."), "{page}");
    assert!(page.contains("1 variant with"), "{page}");
    let page = admin.page("/admin/storage?disk=1.5+MiB");
    assert!(page.contains(" would be dropped."), "{page}");
    assert!(page.contains("<td>variant</td>"), "{page}");
    let (_, rest) = page.split_once("/admin/media?find=").expect("a link");
    let digest = rest.get(..64).expect("a digest");
    let answer = admin.get(&format!("/admin/media?find={digest}"));
    assert_eq!(
        answer.header("location"),
        Some(&*format!("/admin/media/{alias}"))
    );
    let page = admin.page("/admin/storage?disk=1+MiB");
    assert!(page.contains("No upload would be taken in."), "{page}");
    assert_eq!(admin.get("/admin/storage?disk=much").status, 400);
    server
        .get(&format!(
            "/image/details/process.png?src={alias}&resize=500"
        ))
        .ok();
}

#[test]
fn the_page_has_an_address_of_its_own_where_the_settings_say_so() {
    let server = Server::with([
        ("server.api_key", KEY),
        ("server.admin_address", "127.0.0.1:0"),
    ]);
    let picture = server.upload(&pictures::png(&pictures::photo(40, 30)));
    server.get("/admin").refused(404, "not-found");
    server.get("/admin/sign-in").refused(404, "not-found");
    let front = html(&server.get_with("/", &[("accept", "text/html")]).ok());
    assert!(front.contains("server.admin_address") && !front.contains("href=\"/admin\""));
    let address = eventually("the listener says where it is", || {
        let output = server.output();
        let mut lines = output.lines();
        lines.find_map(|line| {
            let (_, rest) = line.split_once("admin page on http://")?;
            rest.split_once("/admin")?.0.parse().ok()
        })
    });
    assert_ne!(Some(address), Some(server.address));
    let client = Client::new(address);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let body = form_urlencoded::Serializer::new(String::new())
        .append_pair("key", KEY)
        .finish();
    let answer = client.send("POST", "/admin/sign-in", &form, Some(body.as_bytes()));
    assert_eq!(answer.status, 303);
    let cookie = answer.header("set-cookie").expect("a cookie");
    let cookie = cookie.split(';').next().expect("a value");
    let page = format!("/admin/media/{}", picture.alias);
    let page = html(&client.send("GET", &page, &[("cookie", cookie)], None).ok());
    // A snippet for other pages does not name the address that they cannot reach.
    assert!(page.contains("src=&quot;/image/process.webp?"), "{page}");
    let shown = format!("/image/original/{}", picture.alias);
    client.send("GET", &shown, &[], None).ok();
    // The session is no key for the other address.
    assert_eq!(server.get_with("/admin", &[("cookie", cookie)]).status, 404);

    let taken = address.to_string();
    let launch = Launch::new()
        .setting("server.api_key", KEY)
        .setting("server.admin_address", &taken);
    let output = launch.refused().output;
    assert!(
        output.contains("server.admin_address") && output.contains(&taken),
        "{output}"
    );
    let without_key = Server::with([("server.admin_address", taken.as_str())]);
    without_key.get("/healthz").ok();
    assert!(
        without_key
            .output()
            .contains("server.admin_address has no effect")
    );
}

#[test]
fn the_settings_are_shown_without_their_secrets() {
    let server = start();
    let admin = Admin::sign_in(&server);
    let page = admin.page("/admin/settings");
    let row = |key: &str| {
        let (_, rest) = page
            .split_once(&format!("<code>{key}</code>"))
            .unwrap_or_else(|| panic!("{key}: {page}"));
        rest.split("</tr>").next().unwrap_or_default().to_owned()
    };
    for (key, value) in [("max_file_count", "5"), ("api_key", "&quot;***&quot;")] {
        let row = row(&format!("server.{key}"));
        assert!(row.contains(&format!("<code>{value}</code>")), "{row}");
        assert!(row.contains("the environment"), "{row}");
    }
    let default = row("server.public_upload");
    assert!(default.contains("<code>false</code>"), "{default}");
    assert!(!default.contains("the environment"), "{default}");
    assert!(
        !page.contains("the-key") && !page.contains("no other"),
        "{page}"
    );
}

#[test]
fn orphans_are_listed_first_and_removed_then() {
    let launch = Launch::new().setting("server.api_key", KEY);
    let server = launch.start();
    let kept = server.upload(&pictures::png(&pictures::photo(40, 30)));
    let orphan = server
        .files()
        .join("ab/cd/abcd0000000000000000000000000000.png");
    std::fs::create_dir_all(orphan.parent().expect("a folder")).expect("made");
    std::fs::write(&orphan, b"orphan").expect("written");
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(30 * 24 * 60 * 60);
    let file = std::fs::File::options()
        .write(true)
        .open(&orphan)
        .expect("opened");
    file.set_modified(old).expect("an old file");
    let admin = Admin::sign_in(&server);
    let text = html(&admin.send("/admin/storage", "/admin/collect", &[]).ok());
    assert!(
        text.contains("1 is an orphan, with 6\u{a0}bytes."),
        "{text}"
    );
    assert!(orphan.exists());
    let fields = [("remove", "true")];
    let text = html(&admin.send("/admin/storage", "/admin/collect", &fields).ok());
    assert!(text.contains("Removed: 1."), "{text}");
    assert!(!orphan.exists());
    server.original(&kept.alias);
}

#[test]
fn several_files_are_uploaded_by_the_form() {
    let server = start();
    let admin = Admin::sign_in(&server);
    let files: Vec<_> = (0..3)
        .map(|seed| pictures::png(&pictures::noise(20, 20, seed)))
        .collect();
    let files: Vec<_> = files.iter().map(|bytes| File::new(bytes)).collect();
    let kind = content_type();
    let headers = [("content-type", &*kind), ("cookie", &admin.cookie)];
    let path = admin.action("/admin/upload", "/admin/upload");
    let answer = server
        .send("POST", &path, &headers, Some(&multipart(&files)))
        .ok();
    assert_eq!(
        html(&answer).matches("<section class=\"upload\">").count(),
        3
    );
    let no_picture = multipart(&[File::new(b"no picture")]);
    let answer = server.send("POST", &path, &headers, Some(&no_picture));
    assert_eq!(answer.status, 400);
    assert!(html(&answer).contains("It did not work"));
}

/// What axe finds on the page that is open; nothing runs over the side of the window.
async fn check(browser: &Browser, axe: &str, page: &str) {
    let script = format!(
        "{axe}; const done = arguments[arguments.length - 1];\
         axe.run().then(found => done(found.violations.map(one => one.id + ': ' + one.nodes.map(n => n.html).join(' '))))"
    );
    let found = browser.run(&script, Vec::new()).await.expect("axe runs");
    assert_eq!(found, json!([]), "{page}");
    let script = "arguments[0](document.documentElement.scrollWidth - innerWidth)";
    let over = browser.run(script, Vec::new()).await.expect("a number");
    assert!(
        over.as_i64().is_some_and(|over| over <= 0),
        "{page} is {over} pixels too wide"
    );
    // Of the browser itself: what the policy of the page forbids, and files that cannot be loaded.
    let log = browser.log().await;
    assert_eq!(log, Vec::<Value>::new(), "{page}");
}

/// Sends three files by the form that is open, although a request may have one only, and waits until
/// all are shown.
async fn upload_three(browser: &Browser) {
    let folder = tempfile::tempdir().expect("a folder");
    let files = (0..3).map(|seed| {
        let path = folder.path().join(format!("{seed}.png"));
        let picture = pictures::photo(400 + 40 * seed, 300);
        std::fs::write(&path, pictures::png(&picture)).expect("written");
        path.display().to_string()
    });
    let files: Vec<_> = files.collect();
    browser.fill("#files", &files.join("\n")).await;
    browser.press("main button").await;
    browser.wait_for_pictures(3).await;
    assert_eq!(browser.count("section.upload").await, 3);
    let script = "arguments[0]([...document.querySelectorAll('progress')].map(one => one.value))";
    let bars = browser.run(script, Vec::new()).await.expect("numbers");
    assert_eq!(bars, json!([1, 1, 1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn anybody_can_upload_by_the_form_of_the_front_page() {
    const TEST: &str = "the form of the front page in a browser";
    let Some(browser) = Browser::start(TEST, (390, 844), false).await else {
        return;
    };
    let server = Server::with([("server.public_upload", "true")]);
    browser.open(&format!("http://{}/", server.address)).await;
    upload_three(&browser).await;
    browser.click("For a page").await;
    let element = browser.text("details code").await;
    assert!(element.starts_with("<img src="), "{element}");
    // What is told is right: each address of the element is there.
    let found = element
        .split(['"', ' ', '\n'])
        .filter(|word| word.starts_with("http://"));
    let found: Vec<_> = found.map(|word| word.replace("&amp;", "&")).collect();
    assert_eq!(found.len(), 2, "{element}");
    for address in found {
        let path = address.strip_prefix(&format!("http://{}", server.address));
        server.get(path.expect("of this server")).ok();
    }
    assert_eq!(browser.log().await, Vec::<Value>::new());
    browser.end().await;
}

/// Lists a hash, finds what looks like it in quarantine, and decides.
async fn lookalikes(browser: &Browser, server: &Server, check: &impl AsyncFn(&str)) {
    const BRIDGE: &[u8] = include_bytes!("../crates/pict-rs-media/src/codec/testdata/bridge.jpeg");
    let folder = tempfile::tempdir().expect("a folder");
    let list = folder.path().join("friends.txt");
    let hash = "f8f8f0cee0f4a84f06370a22038f63f0b36e2ed596621e1d33e6b39c4e9c9b22";
    std::fs::write(&list, hash).expect("written");
    browser.fill("#list", &list.display().to_string()).await;
    browser.click("Add a list").await;
    browser.sees("td", "friends.txt").await;
    let upload = server.upload(BRIDGE);
    let path = format!("/image/original/{}", upload.alias);
    server.get(&path).refused(404, "alias-not-found");
    browser.click("Quarantine").await;
    browser.wait_for_pictures(1).await;
    browser.sees("article", "on the list friends.txt").await;
    check("quarantine").await;
    browser.click("Release").await;
    browser.sees("main", "Nothing is in quarantine.").await;
    server.get(&path).ok();

    let picture = folder.path().join("mirrored.png");
    let mirrored = image::load_from_memory(BRIDGE).expect("a JPEG").fliph();
    std::fs::write(&picture, pictures::png(&mirrored.thumbnail(400, 400))).expect("written");
    browser.click("Similar").await;
    browser.fill("#file", &picture.display().to_string()).await;
    browser.click("Search").await;
    browser.wait_for_pictures(1).await;
    check("similar").await;
    browser.press(".grid a").await;
    browser.sees("h1", &upload.alias).await;
    browser.click("Put it into quarantine").await;
    browser.fill("#quarantine-reason", "reported twice").await;
    browser
        .press("form[action^='/admin/quarantine'] button")
        .await;
    browser.sees("article", "reported twice").await;
    browser.wait_for_pictures(1).await;
    browser.press("article a").await;
    browser.sees("[role=status]", "In quarantine.").await;
    check("quarantined").await;
    browser.click("Purge and refuse").await;
    browser.sees("h1", "Media").await;
    browser.click("Moderation").await;
    browser.click("Scan").await;
    browser.sees("[role=status]", "looked at").await;
    check("lists").await;
    browser.click("Remove the list").await;
    browser.sees("main", "There is no list.").await;
}

/// Looks at what an owner has, and removes it.
async fn owners(browser: &Browser, server: &Server, check: &impl AsyncFn(&str)) {
    let kind = content_type();
    let headers = [("X-Api-Token", KEY), ("content-type", &*kind)];
    for seed in 50..53 {
        let file = pictures::png(&pictures::noise(64, 64, seed));
        let form = multipart(&[File::new(&file)]);
        server
            .send("POST", "/image?owner=Ada%20%26%20co", &headers, Some(&form))
            .status(201);
    }
    browser.click("Owners").await;
    browser.sees("td", "Ada & co").await;
    check("owners").await;
    browser.click("Ada & co").await;
    browser.wait_for_pictures(3).await;
    browser.click("Purge everything of this owner").await;
    check("owner").await;
    browser.press(".grid a").await;
    browser.sees("li", "of Ada & co").await;
    browser.click("Ada & co").await;
    browser.click("Purge everything of this owner").await;
    browser.fill("#purge-reason", "asked for it").await;
    browser.click("Purge").await;
    browser.sees("main", "No upload has an owner.").await;
}

/// A person who does everything that there is.
async fn visit(name: &str, size: (u32, u32), is_dark: bool) {
    const TEST: &str = "the admin page in a browser";
    let Some(clients) = std::env::var_os("PICTRS_TEST_CLIENTS_DIR") else {
        programs::skip(
            "programs",
            TEST,
            "PICTRS_TEST_CLIENTS_DIR is not set; cargo xtask test sets it",
        );
        return;
    };
    let Some(browser) = Browser::start(TEST, size, is_dark).await else {
        return;
    };
    let axe = Path::new(&clients).join("axe/node_modules/axe-core/axe.min.js");
    let axe = std::fs::read_to_string(axe).expect("axe");
    let server = Server::with([
        ("server.api_key", KEY),
        ("media.pdq.on_match", "quarantine"),
    ]);
    let home = format!("http://{}/admin", server.address);
    let check = async |page: &str| {
        check(&browser, &axe, page).await;
        browser.keep(&format!("admin-{name}-{page}")).await;
    };

    browser.open(&home).await;
    check("sign-in").await;
    browser.fill("#key", "wrong").await;
    browser.click("Sign in").await;
    browser
        .sees("[role=alert]", "That is no API key of this server.")
        .await;
    // It tells of the status, 401.
    browser.log().await;
    browser.fill("#key", KEY).await;
    browser.click("Sign in").await;
    browser.sees("h1", "Overview").await;

    browser.click("Upload").await;
    browser.sees("h1", "Upload").await;
    check("upload").await;
    upload_three(&browser).await;
    check("uploaded").await;
    // As it is told of what was refused, too, which the browser complains about.
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notes.txt");
    std::fs::write(&path, "no picture").expect("written");
    browser.fill("#files", &path.display().to_string()).await;
    browser.press("main button").await;
    browser.sees("[role=alert]", "is not a picture").await;
    browser.log().await;

    browser.click("Overview").await;
    browser.sees("h1", "Overview").await;
    check("overview").await;
    browser.click("Media").await;
    browser.wait_for_pictures(3).await;
    check("media").await;
    browser.click("Filter").await;
    check("filter").await;
    browser.fill("#min_bytes", "100000000").await;
    browser.click("Show").await;
    browser.sees("main", "Nothing more is like that.").await;
    browser.click("Media").await;
    browser.press(".grid a").await;
    browser.wait_for_pictures(1).await;
    browser.click("Purge the content").await;
    check("picture").await;
    let alias = browser.text("h1").await;
    browser.fill("#purge-reason", "seen enough").await;
    browser.click("and refuse it from now on").await;
    browser.click("Purge").await;
    browser.sees("h1", "Media").await;
    assert_eq!(browser.count(".grid li").await, 2);
    server.get(&format!("/image/original/{alias}")).status(404);

    browser.click("Moderation").await;
    browser.sees("h1", "Moderation").await;
    check("moderation").await;
    let before = browser.count("td form").await;
    assert!(before > 0);
    browser.click("Allow").await;
    browser.sees("h1", "Moderation").await;
    assert_eq!(browser.count("td form").await, before - 1);
    browser.click("Log").await;
    browser.sees("main", "seen enough").await;
    browser.sees("td", "unblock").await;
    browser.click("Filter").await;
    check("log").await;
    browser.fill("#since", "01/01/2027").await;
    browser.click("Show").await;
    browser.sees("main", "No entries match.").await;
    browser.click("Moderation").await;
    lookalikes(&browser, &server, &check).await;
    owners(&browser, &server, &check).await;
    browser.click("Storage").await;
    browser.click("Look for orphans").await;
    browser.sees("[role=status]", "none is an orphan.").await;
    browser.click("Remove all variants").await;
    browser.click("Purge what has lost its file").await;
    browser.fill("#disk", "40 GiB").await;
    browser.fill("#unused", "30d").await;
    browser.click("Preview").await;
    browser.sees("main", "Nothing would be dropped.").await;
    browser.click("Purge what has lost its file").await;
    browser.click("Purge what is lost").await;
    eventually("the run has ended", || {
        let answer = server.get_with("/internal/jobs", &[("X-Api-Token", KEY)]);
        let json = answer.ok().json();
        let mut runs = json["runs"].as_array().expect("a list").iter();
        let is_over = |run: &Value| run["task"] == "prune" && run["complete"] == json!(true);
        runs.any(is_over).then_some(())
    });
    browser.click("Storage").await;
    browser
        .sees("[role=status]", "purged 0 of 2 contents.")
        .await;
    check("storage").await;
    browser.click("Jobs").await;
    browser.sees("h3", "Purge of what has lost its file").await;
    check("jobs").await;
    browser.click("Settings").await;
    browser.sees("h1", "Settings").await;
    check("settings").await;
    browser.click("Sign out").await;
    browser.sees("h1", "Sign in").await;
    browser.open(&home).await;
    browser.sees("h1", "Sign in").await;
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_can_be_done_on_a_desktop() {
    visit("desktop", (1280, 900), false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_can_be_done_on_a_phone_in_the_dark() {
    visit("phone", (390, 844), true).await;
}
