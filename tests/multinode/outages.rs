//! Three servers on one PostgreSQL and one bucket under mixed load, while one thing after the other
//! fails: nothing that was acknowledged is lost, nothing that was purged is served, and what is not
//! answered with success is put off.

use std::collections::{BTreeSet, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use testkit::postgres::{Cluster, Database};

use super::{BOUND, KEY};
use crate::support::client::{Client, claim_path, process_path};
use crate::support::proxy::{Disturbance, Proxy};
use crate::support::s3::{self, Bucket, S3};
use crate::support::{Answer, File, Launch, Server, eventually, pictures};

/// How long after the end of an outage it may last for clients.
const OVER_AFTER: Duration = Duration::from_secs(10);
/// How long an answer may take: longer than a server is stopped.
const PATIENCE: Duration = Duration::from_secs(45);
/// How long a server is stopped: others take it for dead after ten seconds.
const STOPPED_FOR: Duration = Duration::from_secs(13);
const CUT_OFF_FOR: Duration = Duration::from_secs(5);
const AWAY_FOR: Duration = Duration::from_secs(3);
/// How long there is load without a disturbance.
const QUIET_FOR: Duration = Duration::from_secs(2);
const CLIENTS: u64 = 6;
const SIZES: u64 = 4;

/// A server as its clients see it, and what stands between it and the rest.
struct Node {
    address: RwLock<SocketAddr>,
    database: Proxy,
    bucket: Proxy,
    /// Whether it is dead or stopped, so that connections to it may break.
    is_down: AtomicBool,
    has_stood_still: AtomicBool,
}

impl Node {
    fn client(&self) -> Client {
        let address = *self.address.read().unwrap_or_else(PoisonError::into_inner);
        let patience = match self.is_down.load(Ordering::SeqCst) {
            // So that the others have something to do meanwhile.
            true => Duration::from_secs(1),
            false => PATIENCE,
        };
        Client::with_timeout(address, patience)
    }
}

/// An upload that was acknowledged.
#[derive(Clone)]
struct Stored {
    alias: String,
    seed: u64,
}

#[derive(Default)]
struct Known {
    stored: Vec<Stored>,
    /// From before a purge is asked for.
    purging: HashSet<String>,
    /// With the time of the answer.
    purged: Vec<(String, Instant)>,
}

#[derive(Default)]
struct Counts {
    answers: AtomicU64,
    put_off: AtomicU64,
    /// Uploads whose connection broke, so that it is not known whether they took effect.
    unknown: AtomicU64,
    /// The same with purges.
    half_purged: AtomicU64,
    looks_at_purged: AtomicU64,
}

struct World {
    nodes: Vec<Node>,
    known: Mutex<Known>,
    counts: Counts,
    next_seed: AtomicU64,
    is_over: AtomicBool,
}

impl World {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request to a server. `None` when its connection broke, which only a server may do
    /// that is down, and when the request has to be sent again.
    fn ask(&self, node: &Node, work: impl Fn(&Client) -> std::io::Result<Answer>) -> Asked {
        let was_down = node.is_down.load(Ordering::SeqCst);
        let answer = match work(&node.client()) {
            Ok(answer) => answer,
            Err(error) => {
                let is_down = node.is_down.load(Ordering::SeqCst);
                assert!(was_down || is_down, "a connection broke: {error}");
                thread::sleep(Duration::from_millis(50));
                return Asked::Broken;
            }
        };
        self.counts.answers.fetch_add(1, Ordering::Relaxed);
        if answer.status == 503 {
            assert!(answer.header("retry-after").is_some(), "{}", answer.text());
            self.counts.put_off.fetch_add(1, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(50));
            return Asked::PutOff;
        }
        if answer.status == 408 {
            // A server that stood still counts that time as the client's, who may send it again.
            let has_stood_still = node.has_stood_still.load(Ordering::SeqCst);
            assert!(has_stood_still, "408: {}", answer.text());
            return Asked::PutOff;
        }
        assert!(answer.status < 500, "{}: {}", answer.status, answer.text());
        Asked::Answered(answer)
    }

    fn upload(&self, node: &Node) {
        let seed = self.next_seed.fetch_add(1, Ordering::Relaxed);
        let bytes = picture(seed);
        match self.ask(node, |client| {
            client.try_upload_form("", &[File::new(&bytes)])
        }) {
            Asked::Answered(answer) => {
                let alias = answer.uploaded().remove(0).alias;
                self.known().stored.push(Stored { alias, seed });
            }
            Asked::Broken => drop(self.counts.unknown.fetch_add(1, Ordering::Relaxed)),
            Asked::PutOff => {}
        }
    }

    /// An upload that was accepted is done, whatever happens to the server that accepted it.
    fn background(&self, node: &Node, dice: &mut Dice) {
        let seed = self.next_seed.fetch_add(1, Ordering::Relaxed);
        let bytes = picture(seed);
        let sent = self.ask(node, |client| {
            client.try_background_form("", &[File::new(&bytes)])
        });
        let id = match sent {
            Asked::Answered(answer) => answer.upload_ids().remove(0),
            // Its outcome is dropped when it is not claimed.
            Asked::Broken | Asked::PutOff => {
                self.counts.unknown.fetch_add(1, Ordering::Relaxed);
                return;
            }
        };
        let deadline = Instant::now() + 2 * PATIENCE;
        let mut has_broken = false;
        loop {
            assert!(
                Instant::now() < deadline,
                "an accepted upload has no outcome"
            );
            let node = self.any_node(dice);
            let asked = self.ask(node, |client| {
                client.try_send("GET", &claim_path(&id), &[], None)
            });
            match asked {
                Asked::Answered(answer) if answer.status == 204 => {}
                Asked::Answered(answer) if has_broken && answer.status == 400 => {
                    // It was told to a connection that broke.
                    self.counts.unknown.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                Asked::Answered(answer) => {
                    let alias = answer.claimed().alias;
                    self.known().stored.push(Stored { alias, seed });
                    return;
                }
                Asked::Broken => has_broken = true,
                // Whether the outcome has been taken is not known either.
                Asked::PutOff => has_broken = true,
            }
        }
    }

    fn read(&self, node: &Node, dice: &mut Dice, is_variant: bool) {
        let Some(stored) = self.any_stored(dice) else {
            return;
        };
        let path = match is_variant {
            true => variant(&stored.alias, dice.below(SIZES)),
            false => format!("/image/original/{}", stored.alias),
        };
        let asked = self.ask(node, |client| client.try_send("GET", &path, &[], None));
        let Asked::Answered(answer) = asked else {
            return;
        };
        match answer.status {
            200 if is_variant => assert!(answer.body.starts_with(b"RIFF")),
            200 => assert!(answer.body == picture(stored.seed), "other bytes"),
            404 => assert!(
                self.known().purging.contains(&stored.alias),
                "{path} is lost"
            ),
            other => panic!("{path}: {other} {}", answer.text()),
        }
    }

    fn purge(&self, node: &Node, dice: &mut Dice) {
        let stored = {
            let mut known = self.known();
            if known.stored.len() < 20 {
                return;
            }
            let at = dice.below(known.stored.len() as u64) as usize;
            let stored = known.stored.swap_remove(at);
            known.purging.insert(stored.alias.clone());
            stored
        };
        let path = format!("/internal/purge?alias={}", stored.alias);
        let asked = self.ask(node, |client| client.try_send("POST", &path, &[KEY], None));
        match asked {
            Asked::Answered(answer) => {
                answer.ok();
                let purged = (stored.alias, Instant::now());
                self.known().purged.push(purged);
            }
            Asked::Broken | Asked::PutOff => {
                self.counts.half_purged.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn look_at_purged(&self, node: &Node, dice: &mut Dice) {
        let alias = {
            let known = self.known();
            // One of the last, which are still known in memory, and not younger than promised.
            let old = known.purged.iter().rev();
            let old: Vec<_> = old
                .filter(|(_, at)| at.elapsed() > BOUND)
                .take(8)
                .map(|(alias, _)| alias)
                .collect();
            if old.is_empty() {
                return;
            }
            old[dice.below(old.len() as u64) as usize].clone()
        };
        let path = match dice.below(2) {
            0 => variant(&alias, dice.below(SIZES)),
            _ => format!("/image/original/{alias}"),
        };
        let asked = self.ask(node, |client| client.try_send("GET", &path, &[], None));
        if let Asked::Answered(answer) = asked {
            assert_eq!(answer.status, 404, "{path} was purged");
            self.counts.looks_at_purged.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn any_node(&self, dice: &mut Dice) -> &Node {
        &self.nodes[dice.below(self.nodes.len() as u64) as usize]
    }

    fn any_stored(&self, dice: &mut Dice) -> Option<Stored> {
        let known = self.known();
        let count = known.stored.len() as u64;
        (count > 0).then(|| known.stored[dice.below(count) as usize].clone())
    }

    fn be_a_client(&self, number: u64) {
        let mut dice = Dice(number + 1);
        while !self.is_over.load(Ordering::Relaxed) {
            let node = self.any_node(&mut dice);
            match dice.below(12) {
                0..=2 => self.upload(node),
                3 => self.background(node, &mut dice),
                4..=6 => self.read(node, &mut dice, true),
                7..=8 => self.read(node, &mut dice, false),
                9 => self.purge(node, &mut dice),
                _ => self.look_at_purged(node, &mut dice),
            }
        }
    }

    /// Waits until a server stores and serves, and returns how long that took.
    fn recovery_of(&self, at: usize, what: &str) -> Duration {
        let node = &self.nodes[at];
        let since = Instant::now();
        loop {
            let seed = self.next_seed.fetch_add(1, Ordering::Relaxed);
            let bytes = picture(seed);
            let sent = node.client().try_upload_form("", &[File::new(&bytes)]);
            if let Ok(answer) = sent {
                if answer.status == 201 {
                    let alias = answer.uploaded().remove(0).alias;
                    let path = format!("/image/original/{alias}");
                    self.known().stored.push(Stored { alias, seed });
                    let served = node.client().try_send("GET", &path, &[], None);
                    if served.is_ok_and(|answer| answer.status == 200) {
                        break;
                    }
                } else {
                    let has_stood_still = node.has_stood_still.load(Ordering::SeqCst);
                    let is_put_off =
                        answer.status == 503 || answer.status == 408 && has_stood_still;
                    assert!(is_put_off, "{}: {}", answer.status, answer.text());
                }
            } else {
                self.counts.unknown.fetch_add(1, Ordering::Relaxed);
            }
            assert!(since.elapsed() < OVER_AFTER, "{what}: it is not over");
            thread::sleep(Duration::from_millis(50));
        }
        since.elapsed()
    }
}

/// Ends the clients, also when the test fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

enum Asked {
    Answered(Answer),
    /// 503: it certainly was not acknowledged.
    PutOff,
    /// The connection broke.
    Broken,
}

/// Numbers by chance, the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = (self.0)
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

fn picture(seed: u64) -> Vec<u8> {
    pictures::png(&pictures::noise(40, 30, seed))
}

fn variant(alias: &str, number: u64) -> String {
    process_path("webp", alias, &format!("resize={}", 16 + number))
}

/// The servers, and what they share.
struct Site {
    servers: Vec<Option<Server>>,
    database: Database,
    bucket: Bucket,
}

impl Site {
    fn start(cluster: &Cluster, bucket: Bucket, world: &mut World) -> Self {
        let database = cluster.database();
        for _ in 0..3 {
            world.nodes.push(Node {
                address: SocketAddr::from(([127, 0, 0, 1], 0)).into(),
                database: Proxy::before(cluster.socket()),
                bucket: Proxy::before(bucket.server().address()),
                is_down: AtomicBool::new(false),
                has_stood_still: AtomicBool::new(false),
            });
        }
        let launches: Vec<_> = (world.nodes.iter())
            .map(|node| {
                (bucket.holds_behind(Launch::new(), node.bucket.address()))
                    .setting("store.client_timeout", 2)
                    .setting("repo.type", "postgres")
                    .setting("repo.url", database.url_at(node.database.address()))
                    .setting("server.api_key", KEY.1)
            })
            .collect();
        // All at once, on an empty database and an empty bucket.
        let servers: Vec<_> = thread::scope(|scope| {
            let starts: Vec<_> = (launches.into_iter())
                .map(|launch| scope.spawn(|| launch.start()))
                .collect();
            let joined = starts.into_iter().map(|start| start.join());
            joined
                .map(|server| Some(server.expect("started")))
                .collect()
        });
        let site = Self {
            servers,
            database,
            bucket,
        };
        for at in 0..3 {
            site.tell(world, at);
        }
        site
    }

    fn server(&self, at: usize) -> &Server {
        self.servers[at].as_ref().expect("it runs")
    }

    /// Tells clients where a server is.
    fn tell(&self, world: &World, at: usize) {
        let mut address = world.nodes[at].address.write();
        let address = address
            .as_deref_mut()
            .unwrap_or_else(|_| panic!("poisoned"));
        *address = self.server(at).address;
    }

    fn rows(&self, query: &str) -> BTreeSet<String> {
        let rows = self.database.run(query);
        rows.lines().map(str::to_owned).collect()
    }
}

/// One disturbance after the other; returns how long each was felt after its end.
fn disturb(world: &World, site: &mut Site, cluster: &mut Cluster) -> Vec<(&'static str, Duration)> {
    let mut felt = Vec::new();
    let quiet = || thread::sleep(QUIET_FOR);

    quiet();
    let what = "one is killed and started again";
    world.nodes[2].is_down.store(true, Ordering::SeqCst);
    let launch = site.servers[2].take().expect("it runs").kill();
    quiet();
    site.servers[2] = Some(launch.start());
    site.tell(world, 2);
    felt.push((what, world.recovery_of(2, what)));
    world.nodes[2].is_down.store(false, Ordering::SeqCst);

    quiet();
    let what = "one is stopped for longer than its leases";
    world.nodes[1].is_down.store(true, Ordering::SeqCst);
    world.nodes[1].has_stood_still.store(true, Ordering::SeqCst);
    site.server(1).signal(Signal::STOP);
    thread::sleep(STOPPED_FOR);
    site.server(1).signal(Signal::CONT);
    felt.push((what, world.recovery_of(1, what)));
    world.nodes[1].is_down.store(false, Ordering::SeqCst);

    for (what, outage) in [
        ("one is cut off from the database", Disturbance::Closed),
        ("the database does not answer one", Disturbance::Silent),
    ] {
        quiet();
        world.nodes[0].database.set(outage);
        thread::sleep(CUT_OFF_FOR);
        world.nodes[0].database.set(Disturbance::None);
        felt.push((what, world.recovery_of(0, what)));
    }
    for (what, outage) in [
        ("one is cut off from the bucket", Disturbance::Closed),
        ("the bucket does not answer one", Disturbance::Silent),
    ] {
        quiet();
        world.nodes[0].bucket.set(outage);
        thread::sleep(CUT_OFF_FOR);
        world.nodes[0].bucket.set(Disturbance::None);
        felt.push((what, world.recovery_of(0, what)));
    }

    quiet();
    let what = "PostgreSQL is restarted";
    cluster.stop();
    thread::sleep(AWAY_FOR);
    cluster.resume().expect("started");
    for at in 0..3 {
        felt.push((what, world.recovery_of(at, what)));
    }
    quiet();
    felt
}

/// What must be true of database and bucket when nothing happens any more.
fn examine(world: &World, site: &Site) {
    let known = world.known();
    for at in 0..3 {
        let server = site.server(at);
        for stored in &known.stored {
            let bytes = server.original(&stored.alias);
            assert!(bytes == picture(stored.seed), "other bytes");
        }
        for (alias, _) in &known.purged {
            let path = format!("/image/original/{alias}");
            server.get(&path).refused(404, "alias-not-found");
        }
    }
    let unknown = world.counts.unknown.load(Ordering::Relaxed) as usize;
    let acknowledged: BTreeSet<_> = known.stored.iter().map(|it| it.alias.clone()).collect();
    eventually("unacknowledged aliases are undone", || {
        let mut aliases = site.rows("SELECT alias FROM aliases");
        assert!(aliases.is_superset(&acknowledged));
        aliases.retain(|alias| !acknowledged.contains(alias) && !known.purging.contains(alias));
        (aliases.len() <= unknown).then_some(())
    });
    // Each object has a row that names it, or an intent that removes it.
    eventually("no object is forgotten", || {
        let named = site.rows(
            "SELECT object FROM hashes UNION SELECT object FROM variants \
             UNION SELECT object FROM garbage",
        );
        let objects = site.bucket.objects();
        let is_named = |key: &String| named.contains(key);
        objects.iter().all(is_named).then_some(())
    });
    eventually("all jobs are done", || {
        let jobs = site.database.run("SELECT count(*) FROM jobs");
        (jobs.trim() == "0").then_some(())
    });
}

/// Many variants that all are asked for at the same moment, each made by one of them.
fn each_variant_is_made_once(site: &Site) {
    let aliases: Vec<_> = (0..8)
        .map(|seed| site.server(0).upload(&picture(1_000_000 + seed)).alias)
        .collect();
    thread::scope(|scope| {
        for server in site.servers.iter().flatten().cycle().take(6) {
            scope.spawn(|| {
                for alias in &aliases {
                    for number in 0..SIZES {
                        server.get(&variant(alias, number)).ok();
                    }
                }
            });
        }
    });
    let variants = aliases.len() * SIZES as usize;
    assert_eq!(site.rows("SELECT object FROM variants").len(), variants);
    // What a second one made would be an object or an intent.
    let made = site.bucket.objects().into_iter();
    let made = made.filter(|key| key.starts_with("variant/")).count();
    assert_eq!(made, variants);
    assert!(site.rows("SELECT object FROM garbage").is_empty());
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
    let mut world = World {
        nodes: Vec::new(),
        known: Mutex::default(),
        counts: Counts::default(),
        next_seed: AtomicU64::new(1),
        is_over: AtomicBool::new(false),
    };
    let mut site = Site::start(&cluster, bucket, &mut world);
    each_variant_is_made_once(&site);
    let began = Instant::now();
    let felt = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let world = &world;
                scope.spawn(move || world.be_a_client(number))
            })
            .collect();
        let felt = {
            let _end = End(&world.is_over);
            disturb(&world, &mut site, &mut cluster)
        };
        for client in clients {
            client.join().expect("no client saw a fault");
        }
        felt
    });
    for (what, felt) in &felt {
        println!("{what}: felt for {felt:?} after its end");
    }
    let (count, known) = (&world.counts, world.known());
    println!(
        "{} answers in {:?}, {} of them 503; {} uploads stay, {} were purged and looked at {} times; \
         outcome unknown of {} uploads and {} purges",
        count.answers.load(Ordering::Relaxed),
        began.elapsed(),
        count.put_off.load(Ordering::Relaxed),
        known.stored.len(),
        known.purged.len(),
        count.looks_at_purged.load(Ordering::Relaxed),
        count.unknown.load(Ordering::Relaxed),
        count.half_purged.load(Ordering::Relaxed),
    );
    drop(known);
    assert!(count.looks_at_purged.load(Ordering::Relaxed) > 10);
    examine(&world, &site);
}
