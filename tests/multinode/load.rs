//! Mixed load on several servers that share a database and a bucket, by clients that know what was
//! acknowledged to them, and what has to be true at its end. What fails meanwhile is up to the test.

use std::collections::{BTreeSet, HashSet};
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use testkit::postgres::Database;

use super::{BOUND, KEY};
use crate::support::client::{Client, claim_path, process_path};
use crate::support::s3::Bucket;
use crate::support::{Answer, File, Launch, Server, eventually, pictures};

/// How long an answer may take: longer than a server is stopped.
const PATIENCE: Duration = Duration::from_secs(45);
const SIZES: u64 = 4;

/// A server as its clients see it.
pub(super) struct Node {
    pub(super) address: RwLock<SocketAddr>,
    /// Whether it is dead or stopped, so that connections to it may break.
    pub(super) is_down: AtomicBool,
    pub(super) has_stood_still: AtomicBool,
    /// Whether it may put requests off.
    pub(super) may_put_off: AtomicBool,
    /// What it did since [`Node::begin`].
    phase: Phase,
}

/// What a server did for some time.
#[derive(Default)]
struct Phase {
    answers: AtomicU64,
    put_off: AtomicU64,
    longest_ms: AtomicU64,
}

impl Default for Node {
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)).into(),
            is_down: AtomicBool::new(false),
            has_stood_still: AtomicBool::new(false),
            may_put_off: AtomicBool::new(true),
            phase: Phase::default(),
        }
    }
}

impl Node {
    /// Counts from zero.
    pub(super) fn begin(&self) {
        for count in [
            &self.phase.answers,
            &self.phase.put_off,
            &self.phase.longest_ms,
        ] {
            count.store(0, Ordering::Relaxed);
        }
    }

    /// What it did since then, for people.
    pub(super) fn summary(&self) -> String {
        let [answers, put_off, longest] = [
            &self.phase.answers,
            &self.phase.put_off,
            &self.phase.longest_ms,
        ]
        .map(|count| count.load(Ordering::Relaxed));
        format!("{answers} answers, {put_off} of them 503, the slowest after {longest} ms")
    }

    fn count(&self, answer: &Answer, since: Instant) {
        let took = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.phase.answers.fetch_add(1, Ordering::Relaxed);
        self.phase.longest_ms.fetch_max(took, Ordering::Relaxed);
        if answer.status == 503 {
            self.phase.put_off.fetch_add(1, Ordering::Relaxed);
        }
    }

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
pub(super) struct Stored {
    pub(super) alias: String,
    pub(super) seed: u64,
}

/// What clients know.
#[derive(Default)]
pub(super) struct Known {
    pub(super) stored: Vec<Stored>,
    /// From before a purge is asked for.
    purging: HashSet<String>,
    /// With the time of the answer.
    purged: Vec<(String, Instant)>,
}

/// What clients count.
#[derive(Default)]
pub(super) struct Counts {
    answers: AtomicU64,
    put_off: AtomicU64,
    /// Uploads whose connection broke, so that it is not known whether they took effect.
    unknown: AtomicU64,
    /// The same with purges.
    half_purged: AtomicU64,
    pub(super) looks_at_purged: AtomicU64,
}

/// What all clients share.
pub(super) struct World {
    pub(super) nodes: Vec<Node>,
    known: Mutex<Known>,
    pub(super) counts: Counts,
    pub(super) next_seed: AtomicU64,
    pub(super) is_over: AtomicBool,
}

impl World {
    pub(super) fn of(nodes: usize) -> Self {
        Self {
            nodes: (0..nodes).map(|_| Node::default()).collect(),
            known: Mutex::default(),
            counts: Counts::default(),
            next_seed: AtomicU64::new(1),
            is_over: AtomicBool::new(false),
        }
    }

    /// What clients saw, for people.
    pub(super) fn summary(&self) -> String {
        let (count, known) = (&self.counts, self.known());
        format!(
            "{} answers, {} of them 503; {} uploads stay, {} were purged and looked at {} times; \
             outcome unknown of {} uploads and {} purges",
            count.answers.load(Ordering::Relaxed),
            count.put_off.load(Ordering::Relaxed),
            known.stored.len(),
            known.purged.len(),
            count.looks_at_purged.load(Ordering::Relaxed),
            count.unknown.load(Ordering::Relaxed),
            count.half_purged.load(Ordering::Relaxed),
        )
    }

    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request to a server. `None` when its connection broke, which only a server may do
    /// that is down, and when the request has to be sent again.
    fn ask(&self, node: &Node, work: impl Fn(&Client) -> std::io::Result<Answer>) -> Asked {
        let was_down = node.is_down.load(Ordering::SeqCst);
        let since = Instant::now();
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
        node.count(&answer, since);
        if answer.status == 503 {
            let may_put_off = node.may_put_off.load(Ordering::SeqCst);
            assert!(may_put_off, "nothing fails here: {}", answer.text());
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
    fn background(&self, node: &Node, among: &Range<usize>, dice: &mut Dice) {
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
            let node = self.any_node(among, dice);
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

    fn any_node(&self, among: &Range<usize>, dice: &mut Dice) -> &Node {
        let nodes = &self.nodes[among.clone()];
        &nodes[dice.below(nodes.len() as u64) as usize]
    }

    fn any_stored(&self, dice: &mut Dice) -> Option<Stored> {
        let known = self.known();
        let count = known.stored.len() as u64;
        (count > 0).then(|| known.stored[dice.below(count) as usize].clone())
    }

    /// Sends requests to some of the servers until the end.
    pub(super) fn be_a_client(&self, number: u64, among: Range<usize>) {
        let mut dice = Dice(number + 1);
        while !self.is_over.load(Ordering::Relaxed) {
            let node = self.any_node(&among, &mut dice);
            match dice.below(12) {
                0..=2 => self.upload(node),
                3 => self.background(node, &among, &mut dice),
                4..=6 => self.read(node, &mut dice, true),
                7..=8 => self.read(node, &mut dice, false),
                9 => self.purge(node, &mut dice),
                _ => self.look_at_purged(node, &mut dice),
            }
        }
    }

    /// Waits until a server stores and serves, and returns how long that took.
    pub(super) fn recovery_of(&self, at: usize, what: &str, patience: Duration) -> Duration {
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
            assert!(since.elapsed() < patience, "{what}: it is not over");
            thread::sleep(Duration::from_millis(50));
        }
        since.elapsed()
    }
}

/// Ends the clients, also when the test fails.
pub(super) struct End<'a>(pub(super) &'a AtomicBool);

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

pub(super) fn picture(seed: u64) -> Vec<u8> {
    pictures::png(&pictures::noise(40, 30, seed))
}

fn variant(alias: &str, number: u64) -> String {
    process_path("webp", alias, &format!("resize={}", 16 + number))
}

/// The servers, and what they share.
pub(super) struct Site {
    pub(super) servers: Vec<Option<Server>>,
    pub(super) database: Database,
    pub(super) bucket: Bucket,
}

impl Site {
    /// Starts a server with each of these settings, all at once, on an empty database and an empty
    /// bucket.
    pub(super) fn start(
        launches: Vec<Launch>,
        database: Database,
        bucket: Bucket,
        world: &World,
    ) -> Self {
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
        for at in 0..site.servers.len() {
            site.tell(world, at);
        }
        site
    }

    pub(super) fn server(&self, at: usize) -> &Server {
        self.servers[at].as_ref().expect("it runs")
    }

    /// Tells clients where a server is.
    pub(super) fn tell(&self, world: &World, at: usize) {
        let mut address = world.nodes[at].address.write();
        let address = address
            .as_deref_mut()
            .unwrap_or_else(|_| panic!("poisoned"));
        *address = self.server(at).address;
    }

    pub(super) fn rows(&self, query: &str) -> BTreeSet<String> {
        let rows = self.database.run(query);
        rows.lines().map(str::to_owned).collect()
    }
}

/// What must be true of database and bucket when nothing happens any more.
pub(super) fn examine(world: &World, site: &Site) {
    let known = world.known();
    for server in site.servers.iter().flatten() {
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
    eventually("all objects have a row", || {
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
pub(super) fn each_variant_is_made_once(world: &World, site: &Site) {
    let aliases: Vec<_> = (1_000_000..1_000_008)
        .map(|seed| {
            let alias = site.server(0).upload(&picture(seed)).alias;
            let stored = Stored { alias, seed };
            world.known().stored.push(stored.clone());
            stored.alias
        })
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
