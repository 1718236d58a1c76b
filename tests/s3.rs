//! A server whose files are in a bucket: what clients see, and what outages and deaths leave.
//! `tests/store.rs` tests the store itself.

use rustix::process::Signal;
use serde_json::Value;

use crate::support::client::Client;
use crate::support::proxy::{Disturbance, Proxy};
use crate::support::s3::{self, Bucket, S3};
use crate::support::upstream::Upstream;
use crate::support::validator::Validator;
use crate::support::{Answer, File, Launch, Server, database, disk, eventually, pictures};

const API_KEY: &str = "key";

/// Makes one test of each function for each S3 server, so that the name of a failed one tells both.
macro_rules! on_each_server {
    ($($test:ident),* $(,)?) => {
        on_each_server!(@ moto Moto $($test),*);
        on_each_server!(@ s3s_fs S3sFs $($test),*);
        on_each_server!(@ garage Garage $($test),*);
    };
    (@ $module:ident $kind:ident $($test:ident),*) => {
        mod $module {
            $(
                #[test]
                fn $test() {
                    let kind = crate::support::s3::Kind::$kind;
                    if let Some(bucket) = super::bucket(kind, stringify!($test)) {
                        super::$test(&bucket);
                    }
                }
            )*
        }
    };
}

on_each_server!(
    media_live_in_the_bucket_and_leave_nothing_there,
    a_restart_finds_everything_and_another_bucket_is_refused,
    a_lost_variant_is_made_again_and_a_lost_original_is_told,
    while_the_bucket_is_away_answers_are_503_and_afterwards_all_goes_on,
    a_backgrounded_upload_waits_for_the_bucket,
    small_objects_are_kept_on_the_disk_within_a_bound,
    a_new_variant_is_answered_before_the_bucket_has_it,
    a_bucket_that_only_reads_is_told_and_serves,
    a_start_without_the_bucket_goes_on_when_it_is_there,
    what_a_dead_server_sent_goes_when_its_time_has_passed,
    an_upload_that_breaks_off_leaves_no_parts,
    an_answer_that_is_cut_is_continued,
    clients_are_sent_to_the_public_endpoint,
    an_upload_does_not_depend_on_what_was_fetched,
);

/// An empty bucket, if there is an S3 server of this kind.
fn bucket(kind: s3::Kind, test: &str) -> Option<Bucket> {
    Some(S3::shared(kind, test)?.bucket())
}

fn launch() -> Launch {
    Launch::new().setting("server.api_key", API_KEY)
}

fn health(server: &Server) -> Value {
    let answer = server.get_with("/internal/health", &[("X-Api-Token", API_KEY)]);
    answer.json()
}

#[track_caller]
fn is_away(answer: &Answer) {
    answer.refused(503, "store-unavailable");
    assert!(answer.header("retry-after").is_some());
}

fn picture(seed: u64) -> Vec<u8> {
    pictures::png(&pictures::noise(64, 48, seed))
}

/// Larger than what is sent at once.
fn large_picture() -> Vec<u8> {
    pictures::png(&pictures::noise(1920, 1600, 7))
}

fn path(alias: &str) -> String {
    format!("/image/original/{alias}")
}

/// Waits until the server says that it can store files.
fn wait_until_ready(server: &Server) {
    eventually("the server can store files", || {
        (server.get("/readyz").status == 200).then_some(())
    });
}

fn media_live_in_the_bucket_and_leave_nothing_there(bucket: &Bucket) {
    let server = bucket.holds(launch()).start();
    let sent = picture(1);
    let uploaded = server.upload(&sent);
    let original = server.original(&uploaded.alias);
    assert_eq!(original, sent);
    let part = server.get_with(&path(&uploaded.alias), &[("Range", "bytes=5-9")]);
    assert_eq!(part.status(206).body, &sent[5..10]);
    let variant = server.process("webp", &uploaded.alias, "thumbnail=32");
    assert_eq!(
        server.process("webp", &uploaded.alias, "thumbnail=32"),
        variant
    );
    let head = server.head(&path(&uploaded.alias)).ok();
    assert_eq!(
        head.header("content-length"),
        Some(&*sent.len().to_string())
    );

    // The same bytes once more are no object more.
    let again = server.upload(&sent);
    let id = server.background(&picture(2));
    let background = server.claim(&id).claimed();
    // The file as it was sent goes, and the variant comes, behind their answers.
    eventually("two originals and a variant", || {
        let objects = bucket.objects();
        let count = |prefix: &str| objects.iter().filter(|key| key.starts_with(prefix)).count();
        let counts = (count("original/"), count("variant/"), objects.len());
        (counts == (2, 1, 3)).then_some(())
    });

    let large = server.upload(&large_picture());
    assert_eq!(server.original(&large.alias).len(), large_picture().len());
    for gone in [&uploaded, &again, &background, &large] {
        let delete = format!("/image/delete/{}/{}", gone.token, gone.alias);
        assert_eq!(server.delete(&delete).status, 204);
    }
    assert_eq!(bucket.objects(), Vec::<String>::new());
    assert_eq!(server.get(&path(&again.alias)).status, 404);
    let usage = server.get_with("/internal/usage", &[("X-Api-Token", API_KEY)]);
    assert_eq!(usage.json()["garbage"]["count"], 0, "{}", usage.text());
    server.stop();
}

fn a_restart_finds_everything_and_another_bucket_is_refused(bucket: &Bucket) {
    let server = bucket.holds(launch()).start();
    let uploaded = server.upload(&picture(1));
    let launch = server.stop();
    let server = launch.clone().start();
    assert_eq!(server.original(&uploaded.alias), picture(1));
    server.stop();
    let refusal = bucket.server().bucket().holds(launch).refused();
    assert_eq!(refusal.status.code(), Some(1), "{refusal}");
    assert!(
        refusal.output.contains("does not belong to the database"),
        "{refusal}"
    );
}

fn a_lost_variant_is_made_again_and_a_lost_original_is_told(bucket: &Bucket) {
    let launch = bucket.holds(launch()).setting("store.cache_size", 0);
    let server = launch.start();
    let uploaded = server.upload(&picture(1));
    let variant = server.process("webp", &uploaded.alias, "thumbnail=32");
    for key in bucket.objects() {
        if key.starts_with("variant/") {
            bucket.remove(&key);
        }
    }
    assert_eq!(
        server.process("webp", &uploaded.alias, "thumbnail=32"),
        variant
    );
    bucket.remove(&bucket.objects()[0]);
    server.get(&path(&uploaded.alias)).refused(500, "lost-file");
    // The same bytes bring it back, for the new alias.
    let again = server.upload(&picture(1));
    assert_eq!(server.original(&again.alias), picture(1));
}

fn while_the_bucket_is_away_answers_are_503_and_afterwards_all_goes_on(bucket: &Bucket) {
    let proxy = Proxy::before(bucket.server().address());
    let server = bucket
        .holds_behind(launch(), proxy.address())
        .setting("store.client_timeout", 2)
        .setting("store.cache_size", 0)
        .start();
    let uploaded = server.upload(&picture(1));
    let details = format!("/image/details/original/{}", uploaded.alias);
    for outage in [Disturbance::Closed, Disturbance::Busy, Disturbance::Silent] {
        proxy.set(outage);
        is_away(&server.get(&path(&uploaded.alias)));
        let head = server.head(&path(&uploaded.alias));
        assert_eq!(
            (head.status, head.header("retry-after").is_some()),
            (503, true)
        );
        is_away(&server.upload_form("", &[File::new(&picture(2))]));
        server.get(&details).ok();
        assert_eq!(health(&server)["broken"][0], "store", "{outage:?}");
        assert_eq!(server.get("/healthz").status, 503, "{outage:?}");
        proxy.set(Disturbance::None);
        assert_eq!(server.original(&uploaded.alias), picture(1));
        wait_until_ready(&server);
    }
    let second = server.upload(&picture(2));
    // A removal during an outage is done later.
    proxy.set(Disturbance::Closed);
    let delete = format!("/image/delete/{}/{}", second.token, second.alias);
    assert_eq!(server.delete(&delete).status, 204);
    assert_eq!(server.get(&path(&second.alias)).status, 404);
    proxy.set(Disturbance::None);
    let launch = server.stop();
    let server = launch.start();
    assert_eq!(bucket.objects().len(), 1);
    assert_eq!(server.original(&uploaded.alias), picture(1));
}

fn a_backgrounded_upload_waits_for_the_bucket(bucket: &Bucket) {
    let proxy = Proxy::before(bucket.server().address());
    let server = bucket.holds_behind(launch(), proxy.address()).start();
    // Of the two writes of this upload only the first succeeds.
    let id = server.background(&picture(1));
    proxy.set(Disturbance::Closed);
    server.wait_for_output("to be done when the store takes it");
    proxy.set(Disturbance::None);
    let uploaded = eventually("the upload is done", || {
        let answer = server.claim_once(&id);
        (answer.status == 200).then(|| answer.claimed())
    });
    assert_eq!(server.original(&uploaded.alias), picture(1));
    eventually("the file as it was sent goes", || {
        (bucket.objects().len() == 1).then_some(())
    });
}

/// What was used lately is served without a request, even while the bucket is away.
fn small_objects_are_kept_on_the_disk_within_a_bound(bucket: &Bucket) {
    let proxy = Proxy::before(bucket.server().address());
    let launch = bucket
        .holds_behind(launch(), proxy.address())
        .setting("store.cache_size", 1);
    let server = launch.start();
    let uploaded = server.upload(&picture(1));
    let variant = server.process("webp", &uploaded.alias, "thumbnail=32");
    server.settle();
    let seen = proxy.requests();
    proxy.set(Disturbance::Closed);
    assert_eq!(server.original(&uploaded.alias), picture(1));
    let part = server.get_with(&path(&uploaded.alias), &[("Range", "bytes=5-9")]);
    assert_eq!(part.status(206).body, &picture(1)[5..10]);
    assert_eq!(
        server.process("webp", &uploaded.alias, "thumbnail=32"),
        variant
    );
    assert_eq!(proxy.requests(), seen);
    proxy.set(Disturbance::None);

    // 256 x 256 pixels of noise are nearly as large as an object that is kept may be.
    for seed in 2..9 {
        server.upload(&pictures::png(&pictures::noise(256, 256, seed)));
    }
    let kept: u64 = disk::snapshot(&server.data().join("scratch"))
        .values()
        .map(|bytes| bytes.len() as u64)
        .sum();
    assert!((1..=1 << 20).contains(&kept), "{kept}");
    let seen = proxy.requests();
    assert_eq!(server.original(&uploaded.alias), picture(1));
    assert!(proxy.requests() > seen, "it was not used for longest");

    // What is removed is not kept either, and a new process begins with nothing.
    let delete = format!("/image/delete/{}/{}", uploaded.token, uploaded.alias);
    assert_eq!(server.delete(&delete).status, 204);
    let is_kept = |server: &Server| {
        let found = disk::snapshot(&server.data().join("scratch"));
        found.values().any(|bytes| *bytes == picture(1))
    };
    assert!(!is_kept(&server));
    let server = server.stop().start();
    assert!(disk::snapshot(&server.data().join("scratch")).is_empty());
}

fn a_new_variant_is_answered_before_the_bucket_has_it(bucket: &Bucket) {
    let proxy = Proxy::before(bucket.server().address());
    let server = bucket
        .holds_behind(launch(), proxy.address())
        .setting("store.client_timeout", 2)
        .start();
    let alias = server.upload(&picture(1)).alias;
    assert_eq!(bucket.objects().len(), 1);
    let (variant, details) = ["process", "details/process"]
        .map(|route| format!("/image/{route}.webp?src={alias}&thumbnail=32"))
        .into();
    // The original is kept on the disk.
    proxy.set(Disturbance::Silent);
    let first = server.get(&variant).ok();
    assert_eq!(bucket.objects().len(), 1, "it could not be sent yet");
    // It is there for everybody, in whole and in part.
    assert_eq!(server.get(&variant).ok().body, first.body);
    assert_eq!(server.head(&variant).status, 200);
    let part = server.get_with(&variant, &[("Range", "bytes=1-4")]);
    assert_eq!(part.status(206).body, &first.body[1..5]);
    server.get(&details).ok();
    proxy.set(Disturbance::None);
    eventually("the bucket has it", || {
        (bucket.objects().len() == 2).then_some(())
    });
    let server = server.stop().start();
    assert_eq!(server.head(&variant).status, 200, "its row was written");
    let again = server.get(&variant).ok();
    assert_eq!(again.body, first.body);
    assert_eq!(again.header("etag"), first.header("etag"));
    assert_eq!(again.header("last-modified"), first.header("last-modified"));
}

fn a_bucket_that_only_reads_is_told_and_serves(bucket: &Bucket) {
    let proxy = Proxy::before(bucket.server().address());
    let launch = bucket.holds_behind(launch(), proxy.address());
    let server = launch.start();
    let uploaded = server.upload(&picture(1));
    let launch = server.stop();
    proxy.set(Disturbance::ReadOnly);
    let server = launch.start();
    assert_eq!(server.original(&uploaded.alias), picture(1));
    is_away(&server.upload_form("", &[File::new(&picture(2))]));
    let health = health(&server);
    let cause = health["store"]["cause"].as_str().expect("a cause");
    assert!(cause.contains("refuses the access key"), "{cause}");
    assert_eq!(server.get("/healthz").status, 200);
    assert_eq!(server.get("/readyz").status, 503);
    // A variant is made and kept in memory.
    server.process("webp", &uploaded.alias, "thumbnail=32");
    proxy.set(Disturbance::None);
    wait_until_ready(&server);
    server.upload(&picture(2));
}

fn a_start_without_the_bucket_goes_on_when_it_is_there(bucket: &Bucket) {
    let bucket = bucket.server().absent_bucket();
    let server = bucket.holds(launch()).start();
    assert!(server.output().contains("there is no such bucket"));
    is_away(&server.upload_form("", &[File::new(&picture(1))]));
    let health = health(&server);
    let cause = health["store"]["cause"].as_str().expect("a cause");
    assert!(cause.contains("there is no such bucket"), "{cause}");
    bucket.make();
    server.wait_for_output("the store is there and belongs to the database");
    wait_until_ready(&server);
    let uploaded = server.upload(&picture(1));
    assert_eq!(server.original(&uploaded.alias), picture(1));
}

#[test]
fn a_wrong_secret_is_told_and_not_printed() {
    let test = "a_wrong_secret_is_told_and_not_printed";
    let Some(bucket) = bucket(s3::Kind::S3sFs, test) else {
        return;
    };
    let server = bucket
        .holds(launch())
        .setting("store.secret_key", "hush-hush")
        .start();
    is_away(&server.upload_form("", &[File::new(&picture(1))]));
    let health = health(&server).to_string();
    assert!(health.contains("refuses the access key"), "{health}");
    assert_eq!(server.get("/readyz").status, 503);
    let output = server.output();
    for secret in ["hush-hush", s3::KEY] {
        assert!(!output.contains(secret) && !health.contains(secret));
    }
}

/// The death of a server in the middle of an upload, after its bytes were sent.
fn what_a_dead_server_sent_goes_when_its_time_has_passed(bucket: &Bucket) {
    // A file that is being validated is stored, and no row names it yet.
    let validator = Validator::start(200);
    validator.answer(None);
    let server = bucket
        .holds(launch())
        .setting("media.external_validation", validator.url())
        .setting("media.external_validation_timeout", 600)
        .start();
    std::thread::scope(|scope| {
        let upload = scope.spawn(|| server.try_upload_form("", &[File::new(&picture(1))]));
        eventually("the object is there", || {
            (bucket.objects().len() == 1).then_some(())
        });
        server.signal(Signal::KILL);
        assert!(upload.join().expect("no panic").is_err());
    });
    let kept = server.data();
    let (_, launch) = server.ended();
    // Other nodes may still be about to name it.
    let launch = launch.without_environment("PICTRS__MEDIA__EXTERNAL_VALIDATION");
    let server = launch.start();
    assert_eq!(bucket.objects().len(), 1);
    let launch = server.stop();
    database::change(&kept, "UPDATE garbage SET not_before = 1");
    let server = launch.start();
    assert_eq!(bucket.objects(), Vec::<String>::new());
    let rows = database::texts(&kept, "SELECT object FROM garbage");
    assert_eq!(rows, Vec::<String>::new());
    server.upload(&picture(1));
}

fn an_upload_that_breaks_off_leaves_no_parts(bucket: &Bucket) {
    let proxy = Proxy::before(bucket.server().address());
    let server = bucket.holds_behind(launch(), proxy.address()).start();
    proxy.set(Disturbance::NoPuts);
    is_away(&server.upload_form("", &[File::new(&large_picture())]));
    proxy.set(Disturbance::None);
    assert_eq!(bucket.objects(), Vec::<String>::new());
    eventually("the upload in parts is aborted", || {
        (bucket.unfinished_uploads() == 0).then_some(())
    });
    wait_until_ready(&server);
    let uploaded = server.upload(&large_picture());
    assert_eq!(server.original(&uploaded.alias), large_picture());
}

fn an_answer_that_is_cut_is_continued(bucket: &Bucket) {
    let proxy = Proxy::before(bucket.server().address());
    let server = bucket.holds_behind(launch(), proxy.address()).start();
    let uploaded = server.upload(&large_picture());
    // Twice in the middle of this file.
    proxy.set(Disturbance::CutAnswers(large_picture().len() / 5 * 2));
    assert_eq!(server.original(&uploaded.alias), large_picture());
}

fn clients_are_sent_to_the_public_endpoint(bucket: &Bucket) {
    let server = bucket
        .holds(launch())
        .setting("store.public_endpoint", "https://cdn.example/pictures/")
        .start();
    let uploaded = server.upload(&picture(1));
    let process = format!("/image/process.webp?src={}&thumbnail=32", uploaded.alias);
    // It is not there yet.
    server.get(&process).ok();
    server.settle();
    for path in [path(&uploaded.alias), process] {
        for answer in [server.get(&path), server.head(&path)] {
            let answer = answer.status(303);
            let place = answer.header("location").expect("a place");
            let key = place.strip_prefix("https://cdn.example/pictures/");
            let key = key.expect("below the endpoint");
            assert!(bucket.objects().iter().any(|found| found == key), "{key}");
            assert!(answer.body.is_empty());
        }
    }
    let details = format!("/image/details/original/{}", uploaded.alias);
    server.get(&details).ok();
}

#[test]
fn clients_are_sent_to_signed_urls() {
    let test = "clients_are_sent_to_signed_urls";
    let Some(bucket) = bucket(s3::Kind::S3sFs, test) else {
        return;
    };
    let server = bucket
        .holds(launch())
        .setting("store.signed_redirects", "5m")
        .start();
    let uploaded = server.upload(&picture(1));
    let answer = server.get(&path(&uploaded.alias)).status(303);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let place = answer.header("location").expect("a place");
    let storage = Client::new(bucket.server().address());
    let at = place
        .strip_prefix(&bucket.endpoint())
        .expect("on the server");
    let answer = storage.get(at).ok();
    assert_eq!(answer.body, picture(1));
    assert_eq!(answer.header("content-type"), Some("image/png"));
    // Without the signature nothing is given away.
    let (unsigned, _) = at.split_once('?').expect("a query");
    assert_eq!(storage.get(unsigned).status, 403);
    let head = server.head(&path(&uploaded.alias)).status(303);
    let place = head.header("location").expect("a place");
    let at = place
        .strip_prefix(&bucket.endpoint())
        .expect("on the server");
    storage.head(at).ok();
}

/// A rule of the bucket may remove what was fetched, so an upload of the same bytes is kept apart.
fn an_upload_does_not_depend_on_what_was_fetched(bucket: &Bucket) {
    let sent = picture(1);
    let upstream = Upstream::serving(&sent);
    let server = bucket
        .holds(launch())
        .setting("client.allow_local_connections", true)
        .start();
    let proxied = format!("/image/original?proxy={}", upstream.url("/a.png"));
    assert_eq!(server.get(&proxied).ok().body, sent);
    let fetched = bucket.objects();
    assert!(
        fetched.len() == 1 && fetched[0].starts_with("proxied/"),
        "{fetched:?}"
    );
    let uploaded = server.upload(&sent);
    let kept = bucket.objects();
    assert!(
        kept.len() == 1 && kept[0].starts_with("original/"),
        "{kept:?}"
    );
    assert_eq!(server.original(&uploaded.alias), sent);
    assert_eq!(server.get(&proxied).ok().body, sent);
}
