//! Three servers, each in a network namespace of its own, under mixed load, while the network between
//! one of them and what they share fails in ways that a proxy cannot imitate. The others have to
//! serve meanwhile without one refusal.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use testkit::postgres::Cluster;
use testkit::server::Program;

use super::KEY;
use super::load::{End, Site, World, each_variant_is_made_once, examine};
use crate::support::client::{Client, claim_path};
use crate::support::network::{Network, NetworkFault};
use crate::support::s3::S3;
use crate::support::server::address_after;
use crate::support::{Launch, eventually, pictures};

/// How long the network is broken: others take a server for dead after ten seconds.
const BROKEN_FOR: Duration = Duration::from_secs(15);
/// How long it may be felt after its end.
const OVER_AFTER: Duration = Duration::from_secs(60);
/// How long there is load without a disturbance.
const QUIET_FOR: Duration = Duration::from_secs(2);
/// How long it may take until a connection that is dead is taken for dead by both of its ends.
const FOUND_DEAD_AFTER: Duration = Duration::from_secs(90);
/// Connections that a server may have: those of its pool, one to listen, and one that is being tried.
const SESSIONS: usize = 10;
/// Uploads that a server has accepted when it is cut off.
const WAITING: u64 = 16;
/// Clients that know of healthy servers only.
const LUCKY: u64 = 4;
const CLIENTS: u64 = 7;
/// The server whose network is broken.
const BROKEN: usize = 0;

/// What the server counts of notices that it hears.
fn notices(server: SocketAddr) -> f64 {
    let body = Client::new(server).get("/metrics").ok().body;
    let text = String::from_utf8(body).expect("text");
    let lines = text.lines();
    let mut found = lines.filter_map(|line| line.strip_prefix("pict_rs_postgres_notification "));
    found
        .next()
        .map_or(0.0, |value| value.parse().expect("a number"))
}

/// Waits for what has a bound, but a generous one.
fn in_time(what: &str, bound: Duration, mut is_so: impl FnMut() -> bool) -> Duration {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < bound, "it never happened: {what}");
        thread::sleep(Duration::from_millis(100));
    }
    since.elapsed()
}

/// Uploads that the server accepts just before its network breaks, and that others have to do.
fn waiting(world: &World, site: &Site) -> Vec<String> {
    let pictures: Vec<_> = (0..WAITING)
        .map(|_| {
            let seed = world.next_seed.fetch_add(1, Ordering::Relaxed);
            pictures::png(&pictures::noise(400, 300, seed))
        })
        .collect();
    let server = site.server(BROKEN);
    thread::scope(|scope| {
        let sent: Vec<_> = (pictures.iter())
            .map(|bytes| scope.spawn(|| server.background(bytes)))
            .collect();
        let sent = sent.into_iter().map(|one| one.join().expect("accepted"));
        sent.collect()
    })
}

/// Others have taken over what the server held, and tell each outcome once. What came of it is purged.
fn is_taken_over(site: &Site, waiting: &[String]) -> Duration {
    let since = Instant::now();
    let other = site.server(BROKEN + 1);
    for id in waiting {
        let claimed = loop {
            let answer = other.get(&claim_path(id));
            match answer.status {
                200 => break answer.claimed(),
                204 => assert!(since.elapsed() < OVER_AFTER, "no outcome of {id}"),
                status => panic!("{status}: {}", answer.text()),
            }
        };
        other.get(&claim_path(id)).refused(400, "already-claimed");
        let purge = format!("/internal/purge?alias={}", claimed.alias);
        other.send("POST", &purge, &[KEY], None).ok();
    }
    eventually("the server is taken for dead", || {
        let count = |query: &str| site.database.run(query).trim().to_owned();
        let lives = count("SELECT count(*) FROM nodes");
        let held = count("SELECT count(*) FROM leases WHERE node NOT IN (SELECT node FROM nodes)");
        (lives == "2" && held == "0").then_some(())
    });
    since.elapsed()
}

/// One fault after the other, with what was felt of each.
fn disturb(world: &World, site: &Site, network: &Network, metrics: SocketAddr) -> Vec<String> {
    let mut felt = Vec::new();
    for fault in [
        NetworkFault::LinkDown,
        NetworkFault::Silent,
        NetworkFault::NothingComes,
        NetworkFault::NothingLeaves,
        NetworkFault::Forgotten,
        NetworkFault::Lossy(15),
        NetworkFault::Slow,
    ] {
        thread::sleep(QUIET_FOR);
        let is_cut = !matches!(
            fault,
            NetworkFault::Forgotten | NetworkFault::Lossy(_) | NetworkFault::Slow
        );
        let waiting = match is_cut {
            true => waiting(world, site),
            false => Vec::new(),
        };
        world.nodes.iter().for_each(|node| node.begin());
        if let Err(reason) = network.fail(BROKEN, fault) {
            felt.push(format!("{fault:?}: this kernel cannot: {reason}"));
            continue;
        }
        let since = Instant::now();
        thread::sleep(BROKEN_FOR);
        if is_cut {
            let took = is_taken_over(site, &waiting);
            felt.push(format!(
                "{fault:?}: taken over {took:.1?} after {BROKEN_FOR:?}"
            ));
        }
        if fault == NetworkFault::Forgotten {
            let before = notices(metrics);
            let took = in_time("it hears of others again", FOUND_DEAD_AFTER, || {
                notices(metrics) > before
            });
            felt.push(format!(
                "{fault:?}: others are heard {took:.1?} after {BROKEN_FOR:?}"
            ));
            let query = format!(
                "SELECT pid FROM pg_stat_activity WHERE client_addr = '{}'",
                network.back(BROKEN)
            );
            let took = in_time("PostgreSQL ends old sessions", FOUND_DEAD_AFTER, || {
                site.rows(&query).len() <= SESSIONS
            });
            felt.push(format!(
                "{fault:?}: no old session is left {took:.1?} later"
            ));
        }
        network.mend(BROKEN, fault);
        let broken = since.elapsed();
        let over = world.recovery_of(BROKEN, &format!("{fault:?}"), OVER_AFTER);
        let nodes = world.nodes.iter().map(|node| node.summary());
        let nodes: Vec<_> = nodes.collect();
        felt.push(format!(
            "{fault:?} for {broken:.1?}: felt for {over:.1?} after its end; it: {}; others: {}",
            nodes[BROKEN],
            nodes[BROKEN + 1..].join("; ")
        ));
    }
    thread::sleep(QUIET_FOR);
    felt
}

fn run(network: &Network, cluster: &Cluster, s3: &'static S3, database: SocketAddr) -> Vec<String> {
    let world = World::of(3);
    let (bucket, own) = (s3.bucket(), cluster.database());
    let launches = (0..3)
        .map(|at| {
            let program = network.node(at).program(Program::under_test());
            let front = SocketAddr::from((network.front(at), 0));
            (bucket.holds(Launch::of(program)))
                .setting("store.client_timeout", 5)
                .setting("repo.type", "postgres")
                .setting("repo.url", own.url_at(database))
                .setting("server.api_key", KEY.1)
                .setting("server.address", front)
                .setting("metrics.prometheus_address", front)
        })
        .collect();
    let site = Site::start(launches, own, bucket, &world);
    let metrics = eventually("the listener says where it is", || {
        let output = site.server(BROKEN).output();
        (output.lines()).find_map(|line| address_after("metrics on http://", line))
    });
    each_variant_is_made_once(&world, &site);
    for node in &world.nodes[BROKEN + 1..] {
        node.may_put_off.store(false, Ordering::SeqCst);
    }
    let began = Instant::now();
    let mut felt = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let world = &world;
                let among = match number < LUCKY {
                    true => BROKEN + 1..3,
                    false => 0..3,
                };
                scope.spawn(move || world.be_a_client(number, among))
            })
            .collect();
        let felt = {
            let _end = End(&world.is_over);
            disturb(&world, &site, network, metrics)
        };
        for client in clients {
            client.join().expect("no client saw a fault");
        }
        felt
    });
    examine(&world, &site);
    felt.push(format!("in {:.1?}: {}", began.elapsed(), world.summary()));
    felt
}

#[test]
fn whatever_happens_to_the_network_of_one_server_the_others_serve_and_nothing_is_lost() {
    let test = "whatever_happens_to_the_network_of_one_server";
    let Some(network) = Network::of_or_skip(3, test) else {
        return;
    };
    let address = SocketAddr::from((network.shared(), 5432));
    let started = network.services.inside(|| {
        let s3 = S3::own_at(network.shared(), test)?;
        let mut cluster = Cluster::own_or_skip(test)?;
        cluster.open_at(address).expect("started");
        Some((s3, cluster))
    });
    let Some((s3, cluster)) = started else {
        return;
    };
    let felt = (network.clients).inside(|| run(&network, &cluster, s3, address));
    for line in felt {
        println!("{line}");
    }
}
