//! Everything at once until the server is killed, again and again: uploads, backgrounded uploads
//! and their claims, variants, proxied media, deletions. How often is up to whoever runs it:
//!
//! `PICTRS_TEST_DEATHS=200 PICTRS_TEST_SEED=… cargo test -p pict-rs --test integration mixed_load`

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use super::{Death, Told, adapt, assert_rows_and_objects_agree, live_and_die, picture, slowdown};
use crate::support::client::{Client, claim_path, process_path};
use crate::support::upstream::{Reply, Upstream};
use crate::support::{File, Launch, Server, database, disk, eventually, pictures};

const CLIENTS: u64 = 4;
const KEY: (&str, &str) = ("X-Api-Token", "key");
/// Contents that several uploads share.
const SHARED: u64 = 12;
/// Proxied URLs; the first lead to contents that are uploaded as well.
const URLS: u64 = 200;

/// The same numbers for the same seed, on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }
}

struct Kept {
    /// Of the picture.
    seed: u64,
    token: String,
    told: Told,
}

/// What all clients were told so far.
#[derive(Default)]
struct Memory {
    aliases: Mutex<BTreeMap<String, Kept>>,
    /// Acknowledged and not claimed, by id, with the seed of the picture.
    waiting: Mutex<BTreeMap<String, u64>>,
    /// A claim was begun and not answered: either is right.
    maybe_claimed: Mutex<BTreeMap<String, u64>>,
    /// Proxied and served, with the seed of the picture.
    proxied: Mutex<BTreeSet<(String, u64)>>,
    variants: AtomicUsize,
    claims: AtomicUsize,
}

impl Memory {
    fn keep(&self, alias: String, seed: u64, token: String) {
        let told = Told::Stored;
        let kept = Kept { seed, token, told };
        self.aliases.lock().expect("no panic").insert(alias, kept);
    }

    fn tell(&self, alias: &str, told: Told) {
        if let Some(kept) = self.aliases.lock().expect("no panic").get_mut(alias) {
            kept.told = told;
        }
    }

    /// Any alias that nobody has tried to delete.
    fn any(&self, dice: &mut Dice) -> Option<(String, String)> {
        let aliases = self.aliases.lock().expect("no panic");
        let stored: Vec<_> = aliases
            .iter()
            .filter(|(_, kept)| kept.told == Told::Stored)
            .collect();
        let at = usize::try_from(dice.roll(stored.len().max(1) as u64)).expect("small");
        let (alias, kept) = stored.get(at)?;
        Some(((*alias).clone(), kept.token.clone()))
    }

    fn count(&self, told: Told) -> usize {
        let aliases = self.aliases.lock().expect("no panic");
        aliases.values().filter(|kept| kept.told == told).count()
    }
}

#[test]
fn deaths_under_mixed_load_lose_nothing_that_was_acknowledged_and_leave_nothing_else() {
    let deaths = number("PICTRS_TEST_DEATHS").unwrap_or(8);
    let seed = number("PICTRS_TEST_SEED").unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        now.expect("after 1970").subsec_nanos().into()
    });
    say(&format!("{deaths} deaths, PICTRS_TEST_SEED={seed}"));
    let memory = Memory::default();
    let upstream = Upstream::start(|asked| {
        let seed = asked.path.trim_start_matches('/').parse();
        Reply::ok(&pictures::png(&picture(seed.expect("a seed"))))
    });
    let mut dice = Dice(seed);
    let mut slowdown = slowdown();
    // So short that variants are dropped at work as well.
    let mut launch = Launch::new()
        .setting("server.api_key", "key")
        .setting("client.allow_local_connections", true)
        .setting("media.retention.variants", "1s");
    for round in 0..deaths {
        let life = slowdown * Duration::from_millis(3 + dice.roll(900));
        launch = live_and_die(
            launch.start(),
            Death::Kill,
            life,
            CLIENTS,
            |server, client| {
                let dice = Dice(seed ^ (round * CLIENTS + client).wrapping_mul(0x1234_5677));
                work(server, &upstream, dice, &memory);
            },
        );
        let enough = memory.count(Told::Stored) as u64 >= 2 * round;
        adapt(&mut slowdown, enough);
        let server = launch.start();
        check(
            &server,
            &memory,
            &mut dice,
            if round + 1 == deaths { usize::MAX } else { 25 },
        );
        launch = server.kill();
    }
    let server = launch.start();
    settle(&server, &memory);
    for (query, seed) in memory.proxied.lock().expect("no panic").iter() {
        let answer = server.get(&format!("/image/original{query}")).ok();
        assert!(answer.body == pictures::png(&picture(*seed)), "{query}");
    }
    let search = server.send(
        "POST",
        "/internal/collect?dry_run=false&min_age=0s",
        &[KEY],
        None,
    );
    let found = search.ok().json();
    let launch = server.stop();
    assert_rows_and_objects_agree(&launch.folder().join("data"));
    let acknowledged = memory.aliases.lock().expect("no panic").len();
    say(&format!(
        "acknowledged {} (whole {}, deleted {}, either {}), backgrounded and claimed {}, \
         proxied URLs {}, variants {}, orphans found by the search {}",
        acknowledged,
        memory.count(Told::Stored),
        memory.count(Told::Deleted),
        memory.count(Told::Unknown),
        memory.claims.load(Ordering::Relaxed),
        memory.proxied.lock().expect("no panic").len(),
        memory.variants.load(Ordering::Relaxed),
        found["orphans"]["count"],
    ));
    // A killed process loses nothing that the system has taken, so nothing is orphaned.
    assert_eq!(found["orphans"]["count"], 0, "{found}");
    assert_eq!(found["strangers"], 0, "{found}");
    // Else nothing was tried out.
    assert!(memory.count(Told::Stored) as u64 > deaths && memory.count(Told::Deleted) > 0);
    assert!(!memory.proxied.lock().expect("no panic").is_empty());
}

/// One client, until the server dies.
fn work(server: &Server, upstream: &Upstream, mut dice: Dice, memory: &Memory) {
    let client = Client::new(server.address);
    while step(&client, upstream, &mut dice, memory).is_some() {}
}

/// One step; `None` when the server has died or is about to.
fn step(client: &Client, upstream: &Upstream, dice: &mut Dice, memory: &Memory) -> Option<()> {
    let seed = match dice.roll(3) {
        0 => dice.roll(SHARED),
        _ => SHARED + dice.roll(1 << 40),
    };
    match dice.roll(100) {
        0..35 => {
            let bytes = pictures::png(&picture(seed));
            let answer = client.try_upload_form("", &[File::new(&bytes)]).ok()?;
            if answer.status != 201 {
                return None;
            }
            let uploaded = answer.uploaded().remove(0);
            memory.keep(uploaded.alias, seed, uploaded.token);
        }
        35..50 => {
            let bytes = pictures::png(&picture(seed));
            let answer = client.try_background_form("", &[File::new(&bytes)]).ok()?;
            match answer.status {
                202 => {}
                503 => return Some(()),
                _ => return None,
            }
            let id = answer.upload_ids().remove(0);
            memory.waiting.lock().expect("no panic").insert(id, seed);
        }
        50..60 => {
            // Taken, so that no other client claims the same.
            let taken = memory.waiting.lock().expect("no panic").pop_first();
            let Some((id, seed)) = taken else {
                return Some(());
            };
            let mut maybe = memory.maybe_claimed.lock().expect("no panic");
            maybe.insert(id.clone(), seed);
            drop(maybe);
            claim(client, &id, seed, memory)?;
        }
        60..70 => {
            let seed = dice.roll(URLS);
            let query = format!("?proxy={}", upstream.url(&format!("/{seed}")));
            let path = format!("/image/original{query}");
            let answer = client.try_send("GET", &path, &[], None).ok()?;
            match answer.status {
                200 => {
                    assert!(answer.body == pictures::png(&picture(seed)), "{path}");
                    let mut proxied = memory.proxied.lock().expect("no panic");
                    proxied.insert((query, seed));
                }
                503 => {}
                // Told because the server ends, or wrong: the next start will tell.
                _ => return None,
            }
        }
        70..82 => {
            let Some((alias, _)) = memory.any(dice) else {
                return Some(());
            };
            let path = process_path("png", &alias, &format!("thumbnail={}", 4 + dice.roll(16)));
            let answer = client.try_send("GET", &path, &[], None).ok()?;
            // Another client may delete it at the same time.
            memory
                .variants
                .fetch_add(usize::from(answer.status == 200), Ordering::Relaxed);
        }
        82..90 => {
            let Some((alias, _)) = memory.any(dice) else {
                return Some(());
            };
            let path = format!("/image/original/{alias}");
            client.try_send("GET", &path, &[], None).ok()?;
        }
        _ => {
            let Some((alias, token)) = memory.any(dice) else {
                return Some(());
            };
            memory.tell(&alias, Told::Unknown);
            let path = format!("/image/delete/{token}/{alias}");
            let answer = client.try_send("DELETE", &path, &[], None).ok()?;
            if answer.status != 204 {
                return None;
            }
            memory.tell(&alias, Told::Deleted);
        }
    }
    Some(())
}

/// `None` when the server has died. The id is among those that may be claimed.
fn claim(client: &Client, id: &str, seed: u64, memory: &Memory) -> Option<()> {
    let answer = client.try_send("GET", &claim_path(id), &[], None).ok()?;
    let settled = || memory.maybe_claimed.lock().expect("no panic").remove(id);
    match answer.status {
        200 => {
            let uploaded = answer.claimed();
            memory.keep(uploaded.alias, seed, uploaded.token);
            memory.claims.fetch_add(1, Ordering::Relaxed);
            settled();
        }
        204 => {
            settled();
            memory
                .waiting
                .lock()
                .expect("no panic")
                .insert(id.to_owned(), seed);
        }
        _ => panic!("a claim was answered {}: {}", answer.status, answer.text()),
    }
    Some(())
}

/// Looks at up to `limit` aliases, at random places.
fn check(server: &Server, memory: &Memory, dice: &mut Dice, limit: usize) {
    for (query, _) in memory.proxied.lock().expect("no panic").iter().take(limit) {
        // Details never fetch, so it is the copy from before.
        server.get(&format!("/image/details/original{query}")).ok();
    }
    let aliases = memory.aliases.lock().expect("no panic");
    let step = aliases.len().div_ceil(limit).max(1);
    let first = usize::try_from(dice.roll(step as u64)).expect("small");
    for (alias, kept) in aliases.iter().skip(first).step_by(step) {
        let answer = server.get(&format!("/image/original/{alias}"));
        match kept.told {
            Told::Deleted => assert_eq!(answer.status, 404, "{alias} was deleted"),
            Told::Unknown if answer.status == 404 => {}
            Told::Stored | Told::Unknown => {
                // What is clean already is stored as it came.
                let bytes = pictures::png(&picture(kept.seed));
                assert!(
                    answer.ok().body == bytes,
                    "{alias} is not what was uploaded"
                );
            }
        }
    }
}

/// Claims whatever waits, and waits for all work to end.
fn settle(server: &Server, memory: &Memory) {
    let waiting = std::mem::take(&mut *memory.waiting.lock().expect("no panic"));
    for (id, seed) in waiting {
        let uploaded = server.claim(&id).claimed();
        let bytes = server.original(&uploaded.alias);
        assert!(
            bytes == pictures::png(&picture(seed)),
            "{id} is not what was uploaded"
        );
        memory.claims.fetch_add(1, Ordering::Relaxed);
        memory.keep(uploaded.alias, seed, uploaded.token);
    }
    let maybe = std::mem::take(&mut *memory.maybe_claimed.lock().expect("no panic"));
    for id in maybe.keys() {
        let answer = server.claim(id);
        assert!(matches!(answer.status, 200 | 400), "{}", answer.text());
    }
    eventually("all work is done", || {
        (database::jobs(&server.data()).is_empty() && disk::unfinished(&server.files()).is_empty())
            .then_some(())
    });
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is no number")),
    )
}

/// Past the capture of the test harness: figures are the purpose, seeds must not be lost.
fn say(text: &str) {
    writeln!(std::io::stderr(), "mixed load: {text}").expect("written");
}
