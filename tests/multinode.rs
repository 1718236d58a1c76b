//! Several servers on one PostgreSQL and one folder of files: equal, and any of them may die.

/// Clients of servers on a bucket, who remember what was acknowledged.
mod load;
/// Networks that fail between servers and what they share.
mod networks;
/// The same on a bucket, and everything else that may fail.
mod outages;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use testkit::postgres::{Cluster, Database};

use crate::support::client::{Client, claim_path, process_path};
use crate::support::{File, Launch, Server, disk, eventually, pictures};

const KEY: (&str, &str) = ("X-Api-Token", "key");
/// What a purge promises about the other servers.
const BOUND: Duration = Duration::from_secs(1);

/// Servers that share everything, and what they share.
struct Nodes {
    servers: Vec<Server>,
    files: tempfile::TempDir,
    url: String,
    /// Removed when the servers have gone.
    database: Option<Database>,
}

impl Nodes {
    fn start(cluster: &Cluster, count: usize) -> Self {
        let database = cluster.database();
        let mut nodes = Self {
            servers: Vec::new(),
            files: tempfile::tempdir().expect("a folder"),
            url: database.url(),
            database: Some(database),
        };
        // All at once: one makes the tables, and each of them is first at something.
        nodes.servers = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..count)
                .map(|_| scope.spawn(|| nodes.launch().start()))
                .collect();
            let joined = starts
                .into_iter()
                .map(|start| start.join().expect("started"));
            joined.collect()
        });
        nodes
    }

    fn launch(&self) -> Launch {
        Launch::new()
            .setting("repo.type", "postgres")
            .setting("repo.url", &self.url)
            .setting("store.path", self.files.path().join("files").display())
            .setting("server.api_key", KEY.1)
            .setting("media.retention.variants", "7d")
    }

    fn rows(&self, query: &str) -> String {
        let database = self.database.as_ref().expect("there");
        database.run(query).trim().to_owned()
    }
}

fn purge(client: &Client, alias: &str) {
    let path = format!("/internal/purge?alias={alias}");
    client.send("POST", &path, &[KEY], None).ok();
}

#[test]
fn what_one_server_takes_in_all_serve_and_what_one_purges_none_serves_a_second_later() {
    let test = "what_one_server_takes_in_all_serve";
    let Some(cluster) = Cluster::shared_or_skip(test) else {
        return;
    };
    let nodes = Nodes::start(cluster, 3);
    let mut late = Duration::ZERO;
    for round in 0..8 {
        let bytes = pictures::png(&pictures::photo(30 + round, 20));
        let uploaded = nodes.servers[0].upload(&bytes);
        let alias = &uploaded.alias;
        // Of every other picture the bytes stay, under another name: only facts tell that this one
        // has gone.
        let other = (round % 2 == 1).then(|| nodes.servers[1].upload(&bytes).alias);
        let paths = [
            format!("/image/original/{alias}"),
            process_path("webp", alias, "thumbnail=16"),
        ];
        for server in &nodes.servers {
            // Twice, so that it is known in memory.
            for path in paths.iter().chain(&paths) {
                server.get(path).ok();
            }
        }
        let server = &nodes.servers[round as usize % 3];
        match &other {
            None => purge(server, alias),
            Some(_) => {
                let path = format!("/image/delete/{}/{alias}", uploaded.token);
                server.delete(&path).status(204);
            }
        }
        let purged = Instant::now();
        // Until the bound an answer may be either, but no fault.
        while purged.elapsed() < BOUND {
            for server in &nodes.servers {
                for path in &paths {
                    let answer = server.get(path);
                    assert!([200, 404].contains(&answer.status), "{}", answer.status);
                    if answer.status == 200 {
                        late = late.max(purged.elapsed());
                    }
                }
            }
        }
        for server in &nodes.servers {
            for path in &paths {
                server.get(path).refused(404, "alias-not-found");
            }
            if let Some(other) = &other {
                server.original(other);
            }
        }
    }
    println!("the last answer after a purge came {late:?} after it");
}

#[test]
fn what_one_server_lists_or_puts_into_quarantine_holds_for_all() {
    let test = "what_one_server_lists_or_puts_into_quarantine_holds_for_all";
    let Some(cluster) = Cluster::shared_or_skip(test) else {
        return;
    };
    let nodes = Nodes::start(cluster, 2);
    let [one, other] = &nodes.servers[..] else {
        panic!("two servers");
    };
    let call = |server: &Server, method: &str, route: &str| {
        server.send(method, &format!("/internal/{route}"), &[KEY], None)
    };
    let photo = include_bytes!("../crates/pict-rs-media/src/codec/testdata/bridge.jpeg");
    let photo = image::load_from_memory(photo)
        .expect("a JPEG")
        .thumbnail(500, 500);
    let first = one.upload(&pictures::png(&photo));
    let path = format!("/image/original/{}", first.alias);
    other.get(&path).ok();
    let route = format!("quarantine?alias={}", first.alias);
    call(one, "POST", &route).status(201);
    one.get(&path).refused(404, "alias-not-found");
    std::thread::sleep(BOUND);
    other.get(&path).refused(404, "alias-not-found");
    call(other, "DELETE", &route).status(204);
    one.get(&path).ok();

    let again = pictures::jpeg(&photo);
    other.upload(&again);
    let route = format!("purge?alias={}&block=true&near=true", first.alias);
    call(one, "POST", &route).ok();
    // Other bytes, so that only the list tells.
    let smaller = pictures::webp(&photo.thumbnail(300, 300));
    other.upload_refused("", &smaller, 400, "blocked");
    let found = call(other, "GET", "pdq").ok().json();
    assert_eq!(found["lists"][0]["hashes"], 1);
}

#[test]
fn a_new_variant_that_all_are_asked_for_is_made_once() {
    let Some(cluster) =
        Cluster::shared_or_skip("a_new_variant_that_all_are_asked_for_is_made_once")
    else {
        return;
    };
    let nodes = Nodes::start(cluster, 3);
    let bytes = pictures::png(&pictures::photo(600, 400));
    let alias = nodes.servers[0].upload(&bytes).alias;
    let path = process_path("webp", &alias, "resize=300");
    let bodies: Vec<_> = std::thread::scope(|scope| {
        let asked: Vec<_> = (nodes.servers.iter().chain(&nodes.servers))
            .map(|server| scope.spawn(|| server.get(&path).ok().body))
            .collect();
        let answers = asked
            .into_iter()
            .map(|answer| answer.join().expect("answered"));
        answers.collect()
    });
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(nodes.rows("SELECT count(*) FROM variants"), "1");
    // What another one made at the same time would be garbage or a file without a row.
    let files = disk::objects(&nodes.files.path().join("files"));
    assert_eq!(files.len(), 2, "{files:?}");
}

#[test]
fn an_outcome_is_told_at_once_by_whichever_server_is_asked() {
    let Some(cluster) = Cluster::shared_or_skip("an_outcome_is_told_at_once") else {
        return;
    };
    let nodes = Nodes::start(cluster, 2);
    for round in 0..4 {
        let bytes = pictures::png(&pictures::photo(60 + round, 40));
        let id = nodes.servers[0].background(&bytes);
        let answer = nodes.servers[1].get(&claim_path(&id)).ok().json();
        assert_eq!(answer["files"].as_array().map(Vec::len), Some(1));
        nodes.servers[0]
            .get(&claim_path(&id))
            .refused(400, "already-claimed");
    }
}

#[test]
fn work_of_a_server_that_dies_or_is_stopped_goes_on_elsewhere() {
    let Some(cluster) = Cluster::shared_or_skip("work_of_a_server_that_dies") else {
        return;
    };
    for signal in [Signal::KILL, Signal::STOP] {
        let mut nodes = Nodes::start(cluster, 3);
        let victim = nodes.servers.remove(0);
        let ids: Vec<_> = (0..24)
            .map(|round| {
                let bytes = pictures::png(&pictures::noise(400, 300, round));
                victim.background(&bytes)
            })
            .collect();
        victim.signal(signal);
        // All are told by the others, each once.
        for id in &ids {
            eventually("the outcome", || {
                let answer = nodes.servers[0].get(&claim_path(id));
                match answer.status {
                    200 => Some(()),
                    204 => None,
                    other => panic!("{other}"),
                }
            });
        }
        assert_eq!(nodes.rows("SELECT count(*) FROM hashes"), "24");
        assert_eq!(nodes.rows("SELECT count(*) FROM jobs"), "0");
        if signal == Signal::STOP {
            // Beyond all its leases: it must change nothing any more, and then serve as the others.
            victim.signal(Signal::CONT);
            let alias = nodes.rows("SELECT alias FROM aliases LIMIT 1");
            victim.get(&format!("/image/original/{alias}")).ok();
            let id = victim.background(&pictures::png(&pictures::photo(31, 20)));
            victim.get(&claim_path(&id)).ok();
            assert_eq!(nodes.rows("SELECT count(*) FROM hashes"), "25");
        }
    }
}

#[test]
fn a_database_that_is_restarted_under_load_is_busy_for_a_moment_and_loses_nothing() {
    let test = "a_database_that_is_restarted_under_load";
    let Some(mut cluster) = Cluster::own_or_skip(test) else {
        return;
    };
    let nodes = Nodes::start(&cluster, 2);
    let is_over = AtomicBool::new(false);
    let (stored, busy) = (AtomicU64::new(0), AtomicU64::new(0));
    let uploads: Vec<String> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4_u64)
            .map(|number| {
                let server = &nodes.servers[number as usize % 2];
                let (is_over, stored, busy) = (&is_over, &stored, &busy);
                scope.spawn(move || {
                    let mut aliases = Vec::new();
                    let mut round = 0;
                    while !is_over.load(Ordering::Relaxed) {
                        round += 1;
                        let bytes = pictures::png(&pictures::noise(40, 30, number << 32 | round));
                        let answer = server.upload_form("", &[File::new(&bytes)]);
                        match answer.status {
                            201 => {
                                let answer = answer.json();
                                let alias = answer["files"][0]["file"].as_str();
                                aliases.push(alias.expect("an alias").to_owned());
                                stored.fetch_add(1, Ordering::Relaxed);
                            }
                            503 => {
                                assert!(answer.header("retry-after").is_some());
                                busy.fetch_add(1, Ordering::Relaxed);
                            }
                            other => panic!("{other}: {}", String::from_utf8_lossy(&answer.body)),
                        }
                    }
                    aliases
                })
            })
            .collect();
        let until = |count: u64| {
            let before = stored.load(Ordering::Relaxed);
            eventually("uploads go on", || {
                (stored.load(Ordering::Relaxed) >= before + count).then_some(())
            });
        };
        until(20);
        cluster.stop();
        std::thread::sleep(Duration::from_secs(2));
        cluster.resume().expect("started");
        until(20);
        // Longer than requests wait.
        cluster.stop();
        eventually("refusals", || {
            (busy.load(Ordering::Relaxed) >= 4).then_some(())
        });
        cluster.resume().expect("started");
        let back = Instant::now();
        until(20);
        println!(
            "uploads went on {:?} after the database was back",
            back.elapsed()
        );
        is_over.store(true, Ordering::Relaxed);
        let clients = clients
            .into_iter()
            .map(|client| client.join().expect("no fault"));
        clients.flatten().collect()
    });
    for alias in &uploads {
        for server in &nodes.servers {
            server.get(&format!("/image/original/{alias}")).ok();
        }
    }
    println!(
        "{} uploads, {} answers to come back later",
        uploads.len(),
        busy.load(Ordering::Relaxed)
    );
    // A commit whose answer was lost is found in time, or undone when the database is back.
    eventually("each alias is one that was acknowledged", || {
        let aliases = nodes.rows("SELECT count(*) FROM aliases");
        (aliases == uploads.len().to_string()).then_some(())
    });
    drop(nodes);
}

#[test]
fn a_server_that_is_cut_off_serves_nothing_from_memory_after_a_second() {
    let test = "a_server_that_is_cut_off_serves_nothing_from_memory";
    let Some(mut cluster) = Cluster::own_or_skip(test) else {
        return;
    };
    let nodes = Nodes::start(&cluster, 1);
    let server = &nodes.servers[0];
    let alias = server
        .upload(&pictures::png(&pictures::photo(30, 20)))
        .alias;
    let path = format!("/image/original/{alias}");
    server.get(&path).ok();
    server.get(&path).ok();
    cluster.stop();
    std::thread::sleep(BOUND);
    let answer = server.get(&path);
    answer.refused(503, "repo-unavailable");
    assert!(answer.header("retry-after").is_some());
    let health = server
        .get_with("/internal/health", &[KEY])
        .status(503)
        .json();
    assert_eq!(health["repo"]["code"], "repo-unavailable");
    server.get("/healthz").status(503);
    cluster.resume().expect("started");
    eventually("it serves again", || {
        (server.get(&path).status == 200).then_some(())
    });
    server.get_with("/internal/health", &[KEY]).ok();
}

#[test]
fn two_servers_with_databases_of_their_own_do_not_share_a_folder() {
    let Some(cluster) = Cluster::shared_or_skip("two_servers_with_databases_of_their_own") else {
        return;
    };
    let nodes = Nodes::start(cluster, 1);
    let files = nodes.files.path().join("files");
    let refusal = Launch::new()
        .setting("repo.type", "sqlite")
        .setting("store.path", files.display())
        .refused();
    assert!(
        refusal
            .output
            .contains("another pict-rs is running on the files"),
        "{}",
        refusal.output
    );
}
