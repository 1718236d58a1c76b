//! Three servers on one PostgreSQL and one bucket under mixed load, while one thing after the other
//! fails: nothing that was acknowledged is lost, nothing that was purged is served, and what is not
//! answered with success is put off.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use testkit::postgres::Cluster;

use super::KEY;
use super::load::{End, Site, World, each_variant_is_made_once, examine};
use crate::support::Launch;
use crate::support::proxy::{Disturbance, Proxy};
use crate::support::s3::{self, S3};

/// How long after the end of an outage it may last for clients.
const OVER_AFTER: Duration = Duration::from_secs(10);
/// How long a server is stopped: others take it for dead after ten seconds.
const STOPPED_FOR: Duration = Duration::from_secs(13);
const CUT_OFF_FOR: Duration = Duration::from_secs(5);
const AWAY_FOR: Duration = Duration::from_secs(3);
/// How long there is load without a disturbance.
const QUIET_FOR: Duration = Duration::from_secs(2);
const CLIENTS: u64 = 6;

/// What stands between a server and the rest.
struct Before {
    database: Proxy,
    bucket: Proxy,
}

/// One disturbance after the other; returns how long each was felt after its end.
fn disturb(
    world: &World,
    site: &mut Site,
    cluster: &mut Cluster,
    before: &Before,
) -> Vec<(&'static str, Duration)> {
    let mut felt = Vec::new();
    let quiet = || thread::sleep(QUIET_FOR);

    quiet();
    let what = "one is killed and started again";
    world.nodes[2].is_down.store(true, Ordering::SeqCst);
    let launch = site.servers[2].take().expect("it runs").kill();
    quiet();
    site.servers[2] = Some(launch.start());
    site.tell(world, 2);
    felt.push((what, world.recovery_of(2, what, OVER_AFTER)));
    world.nodes[2].is_down.store(false, Ordering::SeqCst);

    quiet();
    let what = "one is stopped for longer than its leases";
    world.nodes[1].is_down.store(true, Ordering::SeqCst);
    world.nodes[1].has_stood_still.store(true, Ordering::SeqCst);
    site.server(1).signal(Signal::STOP);
    thread::sleep(STOPPED_FOR);
    site.server(1).signal(Signal::CONT);
    felt.push((what, world.recovery_of(1, what, OVER_AFTER)));
    world.nodes[1].is_down.store(false, Ordering::SeqCst);

    for (what, outage) in [
        ("one is cut off from the database", Disturbance::Closed),
        ("the database does not answer one", Disturbance::Silent),
    ] {
        quiet();
        before.database.set(outage);
        thread::sleep(CUT_OFF_FOR);
        before.database.set(Disturbance::None);
        felt.push((what, world.recovery_of(0, what, OVER_AFTER)));
    }
    for (what, outage) in [
        ("one is cut off from the bucket", Disturbance::Closed),
        ("the bucket does not answer one", Disturbance::Silent),
    ] {
        quiet();
        before.bucket.set(outage);
        thread::sleep(CUT_OFF_FOR);
        before.bucket.set(Disturbance::None);
        felt.push((what, world.recovery_of(0, what, OVER_AFTER)));
    }

    quiet();
    let what = "PostgreSQL is restarted";
    cluster.stop();
    thread::sleep(AWAY_FOR);
    cluster.resume().expect("started");
    for at in 0..3 {
        felt.push((what, world.recovery_of(at, what, OVER_AFTER)));
    }
    quiet();
    felt
}

#[test]
fn whatever_fails_among_servers_on_a_bucket_nothing_acknowledged_is_lost() {
    let test = "whatever_fails_among_servers_on_a_bucket";
    let Some(bucket) = S3::shared(s3::Kind::S3sFs, test).map(S3::bucket) else {
        return;
    };
    let Some(mut cluster) = Cluster::own_or_skip(test) else {
        return;
    };
    let world = World::of(3);
    let database = cluster.database();
    let proxies = [(); 3].map(|()| Before {
        database: Proxy::before(cluster.socket()),
        bucket: Proxy::before(bucket.server().address()),
    });
    let launch = |before: &Before| {
        (bucket.holds_behind(Launch::new(), before.bucket.address()))
            .setting("store.client_timeout", 2)
            .setting("repo.type", "postgres")
            .setting("repo.url", database.url_at(before.database.address()))
            .setting("server.api_key", KEY.1)
    };
    let launches = proxies.iter().map(launch).collect();
    let mut site = Site::start(launches, database, bucket, &world);
    each_variant_is_made_once(&world, &site);
    let began = Instant::now();
    let felt = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let world = &world;
                scope.spawn(move || world.be_a_client(number, 0..3))
            })
            .collect();
        let felt = {
            let _end = End(&world.is_over);
            disturb(&world, &mut site, &mut cluster, &proxies[0])
        };
        for client in clients {
            client.join().expect("no client saw a fault");
        }
        felt
    });
    for (what, felt) in &felt {
        println!("{what}: felt for {felt:?} after its end");
    }
    println!("in {:?}: {}", began.elapsed(), world.summary());
    assert!(world.counts.looks_at_purged.load(Ordering::Relaxed) > 10);
    examine(&world, &site);
}
