//! A database that fails while servers run on it: what they say meanwhile, and that they go on by
//! themselves. `tests/repo/server.rs` tests what ends a start, `tests/s3.rs` buckets that fail, and
//! `tests/multinode/outages.rs` several servers under load.

use std::time::{Duration, Instant};

use rcgen::generate_simple_self_signed;
use serde_json::Value;
use testkit::postgres::{self, Cluster};

use crate::support::mount::{Disk, Kind};
use crate::support::proxy::{Disturbance, Proxy};
use crate::support::{Answer, File, Launch, Server, disk, eventually, pictures, programs};

const KEY: (&str, &str) = ("X-Api-Token", "key");
/// What the transaction of an upload prepares.
const ADDED: &str = "INSERT INTO aliases";
/// How long after the end of an outage it may last for clients.
const OVER_AFTER: Duration = Duration::from_secs(10);
/// For how long it is watched whether a server spins.
const WATCHED: Duration = Duration::from_secs(2);

fn on(url: &str) -> Launch {
    Launch::new()
        .setting("repo.type", "postgres")
        .setting("repo.url", url)
        .setting("server.api_key", KEY.1)
}

fn picture(seed: u64) -> Vec<u8> {
    pictures::png(&pictures::noise(40, 30, seed))
}

fn path(alias: &str) -> String {
    format!("/image/original/{alias}")
}

fn health(server: &Server) -> Value {
    server.get_with("/internal/health", &[KEY]).json()
}

/// The answer to an upload that has to be sent again.
#[track_caller]
fn is_put_off(server: &Server, seed: u64, code: &str) {
    let answer = server.upload_form("", &[File::new(&picture(seed))]);
    answer.refused(503, code);
    assert!(answer.header("retry-after").is_some());
}

/// Ends the connections of a user, who has to log in again, and waits until they have ended.
fn log_out(cluster: &Cluster, user: &str) {
    let statement = format!(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = '{user}'"
    );
    cluster.run("postgres", &statement).expect("terminated");
}

/// Expects that the database is broken for this reason, and that the server waits for its end without
/// spinning and without filling its log.
#[track_caller]
fn is_told(server: &Server, code: &str, reason: &str) {
    is_put_off(server, 1_000, code);
    let health = health(server);
    assert_eq!(health["broken"], serde_json::json!(["repo"]), "{health}");
    assert_eq!(health["repo"]["code"], code, "{health}");
    let cause = health["repo"]["cause"].as_str().expect("a cause");
    assert!(cause.contains(reason), "{cause}");
    // A success is remembered for a second.
    eventually("it is not ready", || {
        (server.get("/readyz").status == 503).then_some(())
    });
    let (used, lines) = (server.processor_time(), server.output().lines().count());
    std::thread::sleep(WATCHED);
    let used = server.processor_time() - used;
    // Without optimisation, proving to know a password is hard work.
    assert!(used < WATCHED / 2, "it spins: {used:?} of {WATCHED:?}");
    let lines = server.output().lines().count() - lines;
    assert!(lines < 40, "{lines} lines in {WATCHED:?}");
}

/// Waits until the server stores and serves again.
#[track_caller]
fn is_over(server: &Server, what: &str) {
    let ended = Instant::now();
    let answer = eventually(what, || {
        let answer = server.upload_form("", &[File::new(&picture(2_000))]);
        assert!([201, 503].contains(&answer.status), "{}", answer.text());
        (answer.status == 201).then_some(answer)
    });
    let took = ended.elapsed();
    assert!(took < OVER_AFTER, "{what}: felt for {took:?} after its end");
    server.original(&answer.uploaded()[0].alias);
    let health = health(server);
    assert_eq!(health["msg"], "ok", "{health}");
    server.get("/readyz").ok();
}

/// Uploads until one is refused, and returns that answer.
fn fill(server: &Server) -> Answer {
    for seed in 3_000..6_000 {
        let answer = server.upload_form("", &[File::new(&picture(seed))]);
        if answer.status != 201 {
            return answer;
        }
    }
    panic!("the disk is never full");
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
        is_put_off(&server, seed, "repo-unavailable");
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

#[test]
fn a_network_that_is_cut_without_a_word_is_noticed_while_an_answer_is_waited_for() {
    let test = "a_network_that_is_cut_without_a_word";
    let Some(cluster) = Cluster::shared_or_skip(test) else {
        return;
    };
    let database = cluster.database();
    let proxy = Proxy::before(cluster.socket());
    let server = on(&database.url_at(proxy.address())).start();
    let alias = server.upload(&picture(1)).alias;
    let look = |number: u32| server.get(&format!("/image/details/original/unknown-{number}.png"));
    look(0).refused(404, "alias-not-found");
    // Connections were used within the last second, so nothing is checked before.
    proxy.cut(true);
    let since = Instant::now();
    std::thread::scope(|scope| {
        let waiting: Vec<_> = (1..=3).map(|n| scope.spawn(move || look(n))).collect();
        for one in waiting {
            let answer = one.join().expect("an answer");
            answer.refused(503, "repo-unavailable");
        }
    });
    println!("reads were put off after {:.1?}", since.elapsed());
    server.wait_for_output("answers no statement and no new connection");
    is_put_off(&server, 2, "repo-unavailable");
    proxy.cut(false);
    let since = Instant::now();
    eventually("the database is used again", || {
        let answer = server.upload_form("", &[File::new(&picture(2))]);
        (answer.status == 201).then_some(())
    });
    println!("uploads went on {:.1?} after it", since.elapsed());
    look(4).refused(404, "alias-not-found");
    assert_eq!(server.original(&alias), picture(1));
}

#[test]
fn a_statement_that_takes_long_on_a_server_that_answers_is_waited_for() {
    let test = "a_statement_that_takes_long";
    let Some(cluster) = Cluster::shared_or_skip(test) else {
        return;
    };
    let database = cluster.database();
    let server = on(&database.url()).start();
    let alias = server.upload(&picture(1)).alias;
    // Longer than it takes to notice a network that is cut, and shorter than a lock is waited for.
    let hold = "BEGIN; LOCK TABLE aliases IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(8); COMMIT";
    std::thread::scope(|scope| {
        scope.spawn(|| database.run(hold));
        eventually("the table is locked", || {
            let locks = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted \
                         AND relation = 'aliases'::regclass";
            (database.run(locks).trim() == "1").then_some(())
        });
        let path = "/image/details/original/unknown.png";
        server.get(path).refused(404, "alias-not-found");
    });
    assert_eq!(server.original(&alias), picture(1));
}

#[test]
fn a_password_that_is_changed_is_told_and_not_printed() {
    let Some(cluster) = Cluster::own_or_skip("a_password_that_is_changed") else {
        return;
    };
    let database = cluster.database_with("OWNER guarded");
    let server = on(&format!("{}&password=hush", database.url_of("guarded"))).start();
    let alias = server.upload(&picture(1)).alias;
    cluster
        .run("postgres", "ALTER ROLE guarded PASSWORD 'louder'")
        .expect("changed");
    // A session that began to prove the old password before is let in, and is not listed until then.
    std::thread::sleep(Duration::from_secs(2));
    log_out(&cluster, "guarded");
    is_told(
        &server,
        "repo-unavailable",
        "password authentication failed for user \"guarded\"",
    );
    server.get(&path(&alias)).refused(503, "repo-unavailable");
    let told = format!("{} {}", server.output(), health(&server));
    assert!(!told.contains("hush"), "{told}");
    cluster
        .run("postgres", "ALTER ROLE guarded PASSWORD 'hush'")
        .expect("changed");
    is_over(&server, "the password is right again");
    server.get(&path(&alias)).ok();
}

#[test]
fn when_the_database_gives_few_connections_requests_wait_and_without_any_they_are_put_off() {
    let Some(cluster) = Cluster::own_or_skip("when_the_database_gives_few_connections") else {
        return;
    };
    cluster
        .run("postgres", "CREATE ROLE one LOGIN")
        .expect("made");
    let database = cluster.database_with("OWNER one");
    let server = on(&database.url_of("one")).start();
    let limit = |connections: u32| {
        let statement = format!("ALTER ROLE one CONNECTION LIMIT {connections}");
        cluster.run("postgres", &statement).expect("limited");
        log_out(&cluster, "one");
    };
    // Of eight and one that hears what other servers do. At most four are for reading, and as many for
    // writing.
    limit(6);
    std::thread::scope(|scope| {
        for client in 0..8 {
            let server = &server;
            scope.spawn(move || {
                for round in 0..4 {
                    server.upload(&picture(client << 8 | round));
                }
            });
        }
    });
    limit(0);
    is_told(&server, "repo-unavailable", "too many connections for role");
    limit(100);
    is_over(&server, "there are connections again");
}

#[test]
fn a_tablespace_that_is_full_is_told_and_goes_on_when_there_is_room() {
    let test = "a_tablespace_that_is_full";
    let Some(cluster) = Cluster::own_or_skip(test) else {
        return;
    };
    let folder = cluster.folder().join("small");
    let Some(disk) = Disk::mount(Kind::Tmpfs, 24, &folder, test) else {
        return;
    };
    postgres::give(&folder).expect("given");
    let made = format!("CREATE TABLESPACE small LOCATION '{}'", folder.display());
    cluster.run("postgres", &made).expect("made");
    let database = cluster.database_with("TABLESPACE small");
    let server = on(&database.url()).start();
    let uploaded = server.upload(&picture(1));
    disk.fill();
    // Until pages that were allocated before are full.
    let answer = fill(&server);
    answer.refused(503, "insufficient-storage");
    assert!(answer.header("retry-after").is_some());
    is_told(&server, "insufficient-storage", "No space left on device");
    // What is there is served.
    assert_eq!(server.original(&uploaded.alias), picture(1));
    server.get("/healthz").ok();
    disk.free();
    is_over(&server, "the tablespace has room");
    drop((server, database, cluster));
}

#[test]
fn a_database_without_room_for_its_log_is_away_until_it_is_started_again() {
    let test = "a_database_without_room_for_its_log";
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().join("small");
    let Some(disk) = Disk::mount(Kind::Tmpfs, 24, &folder, test) else {
        return;
    };
    let Some(mut cluster) = Cluster::with_log_in_or_skip(&folder, test) else {
        return;
    };
    let database = cluster.database();
    let server = on(&database.url()).start();
    let uploaded = server.upload(&picture(1));
    disk.fill();
    // Until the files of the log that were made in advance are used up.
    let refusal = (3_000..3_100).find_map(|seed| {
        let answer = server.upload_form("", &[File::new(&picture(seed))]);
        let _ = cluster.run("postgres", "SELECT pg_switch_wal()");
        (answer.status != 201).then_some(answer)
    });
    refusal.expect("the disk is full").status(503);
    eventually("PostgreSQL gives up", || (!cluster.runs()).then_some(()));
    is_told(&server, "repo-unavailable", "cannot be reached");
    disk.free();
    cluster.stop();
    cluster.resume().expect("started");
    is_over(&server, "the database has room");
    assert_eq!(server.original(&uploaded.alias), picture(1));
    drop((server, database, cluster));
}

#[test]
fn connections_to_the_database_are_encrypted_and_its_certificate_is_checked() {
    let test = "connections_to_the_database_are_encrypted";
    let Some(mut cluster) = Cluster::own_or_skip(test) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let files = |name: &str| {
        let pair = generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
        let certificate = folder.path().join(format!("{name}.crt"));
        let key = folder.path().join(format!("{name}.key"));
        std::fs::write(&certificate, pair.cert.pem()).expect("written");
        std::fs::write(&key, pair.signing_key.serialize_pem()).expect("written");
        (certificate, key)
    };
    let ((certificate, key), (other, _)) = (files("own"), files("other"));
    let address = cluster.encrypt(&certificate, &key).expect("started");
    let database = cluster.database();
    let url = database.url_at(address);
    let refused = |launch: Launch, reason: &str| {
        let refusal = launch.refused();
        assert_eq!(refusal.status.code(), Some(78), "{}", refusal.output);
        assert!(refusal.output.contains(reason), "{}", refusal.output);
    };
    refused(on(&url), "no encryption");
    let encrypted = || on(&url).setting("repo.use_tls", true);
    refused(encrypted(), "no TLS with the database");
    refused(
        encrypted().setting("repo.certificate_file", other.display()),
        "no TLS with the database",
    );
    let by_name = url.replace("127.0.0.1", "localhost");
    refused(
        on(&by_name)
            .setting("repo.use_tls", true)
            .setting("repo.certificate_file", certificate.display()),
        "no TLS with the database",
    );
    let server = encrypted()
        .setting("repo.certificate_file", certificate.display())
        .start();
    let alias = server.upload(&picture(1)).alias;
    // Of the one that hears notices too.
    let unencrypted = database.run(
        "SELECT count(*) FILTER (WHERE NOT ssl) || ' of ' || count(*) FROM pg_stat_ssl \
         JOIN pg_stat_activity USING (pid) WHERE application_name = 'pict-rs'",
    );
    assert!(unencrypted.starts_with("0 of "), "{unencrypted}");
    assert_ne!(unencrypted.trim(), "0 of 0");

    // The database has another certificate, and gets its own again.
    let (other, other_key) = files("third");
    cluster
        .encrypt_at(address, &other, &other_key)
        .expect("started");
    is_told(&server, "repo-unavailable", "certificate");
    cluster
        .encrypt_at(address, &certificate, &key)
        .expect("started");
    is_over(&server, "the certificate is right again");
    server.get(&path(&alias)).ok();
}

#[test]
fn a_standby_serves_read_only_servers_and_goes_on_for_all_when_it_is_promoted() {
    let Some(mut primary) = Cluster::own_or_skip("a_standby_serves") else {
        return;
    };
    let database = primary.database();
    let proxy = Proxy::before(primary.socket());
    let server = on(&database.url_at(proxy.address())).start();
    let uploaded = server.upload(&picture(1));
    let standby = primary.standby();
    let url = (database.url()).replace(
        &*primary.folder().to_string_lossy(),
        &standby.folder().to_string_lossy(),
    );
    let files = server.files();
    let refusal = on(&url).setting("store.path", files.display()).refused();
    assert_eq!(refusal.status.code(), Some(78), "{}", refusal.output);
    for words in ["as a standby", "server.read_only"] {
        assert!(refusal.output.contains(words), "{}", refusal.output);
    }
    let reader = on(&url)
        .setting("store.path", files.display())
        .setting("server.read_only", true)
        .start();
    assert_eq!(reader.original(&uploaded.alias), picture(1));
    let answer = reader.upload_form("", &[File::new(&picture(2))]);
    answer.refused(400, "read-only");
    assert_eq!(health(&reader)["msg"], "ok");
    reader.get("/readyz").ok();
    // What the primary's server removes the reader forgets, as soon as the standby knows.
    let second = server.upload(&picture(3));
    eventually("the standby has the upload", || {
        (reader.get(&path(&second.alias)).status == 200).then_some(())
    });
    let delete = format!("/image/delete/{}/{}", second.token, second.alias);
    server.delete(&delete).status(204);
    eventually("the standby has the removal", || {
        (reader.get(&path(&second.alias)).status == 404).then_some(())
    });

    // The primary is lost, and its address leads to the standby.
    primary.stop();
    proxy.lead_to(standby.socket());
    eventually("what is stored is served", || {
        (server.get(&path(&uploaded.alias)).status == 200).then_some(())
    });
    is_told(&server, "repo-unavailable", "read-only transaction");
    server.get("/healthz").ok();
    standby
        .run("postgres", "SELECT pg_promote()")
        .expect("promoted");
    is_over(&server, "the standby is the primary");
    assert_eq!(reader.original(&uploaded.alias), picture(1));
}

#[test]
fn servers_whose_clocks_are_hours_apart_share_a_database() {
    let test = "servers_whose_clocks_are_hours_apart";
    let Some(cluster) = Cluster::shared_or_skip(test) else {
        return;
    };
    let Some(library) = programs::faketime() else {
        return programs::skip("programs", test, "libfaketime is not installed");
    };
    let database = cluster.database();
    let files = tempfile::tempdir().expect("a folder");
    let servers = ["+0", "+5h", "-5h"].map(|clock| {
        on(&database.url())
            .setting("store.path", files.path().join("files").display())
            .environment("LD_PRELOAD", library.display())
            .environment("FAKETIME", clock)
            .environment("FAKETIME_DONT_FAKE_MONOTONIC", 1)
            .start()
    });
    // Each one takes in, in both ways, and each other one claims, serves and makes variants.
    for (at, server) in servers.iter().enumerate() {
        let next = &servers[(at + 1) % 3];
        let uploaded = server.upload(&picture(at as u64));
        let id = server.background(&picture(10 + at as u64));
        let claimed = next.claim(&id).claimed();
        for alias in [&uploaded.alias, &claimed.alias] {
            next.original(alias);
            next.process("webp", alias, "resize=20");
            server.process("webp", alias, "resize=20");
        }
        let purge = format!("/internal/purge?alias={}", uploaded.alias);
        next.send("POST", &purge, &[KEY], None).ok();
        std::thread::sleep(Duration::from_secs(1));
        for server in &servers {
            server
                .get(&path(&uploaded.alias))
                .refused(404, "alias-not-found");
            server.original(&claimed.alias);
        }
    }
    // Longer than the sign of life of one that is taken for dead.
    std::thread::sleep(Duration::from_secs(11));
    for server in &servers {
        let health = health(server);
        let nodes = health["nodes"].as_array().expect("a list");
        assert_eq!(nodes.len(), 3, "{health}");
        for node in nodes {
            let silent = node["silent_ms"].as_u64().expect("a number");
            assert!(silent < 10_000, "{health}");
        }
    }
    let row = |query: &str| database.run(query).trim().to_owned();
    assert_eq!(row("SELECT count(*) FROM variants"), "3");
    assert_eq!(row("SELECT count(*) FROM jobs"), "0");
    assert_eq!(row("SELECT count(DISTINCT node) FROM leases"), "1");
    for server in &servers {
        let output = server.output();
        assert!(!output.contains("other servers are gone"), "{output}");
    }
}
