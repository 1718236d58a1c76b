//! Weeks or a year of a forum's traffic, on a real disk as small as its budget. The clock of the server is
//! moved on, and everything else is as it is in use.
//!
//! Beside the server runs a model of the least recently used: the same requests, the same bytes and the same
//! room. It forgets at once and without spare room, as no real cache can.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use super::{KEY, MIB, number, usage};
use crate::support::mount::{Disk, Kind};
use crate::support::upstream::{Reply, Upstream};
use crate::support::{Answer, File, Launch, Server, pictures, programs};

/// `DAYS,MIB`: how long the traffic lasts, and how large the disk is. The default is for the gate.
const SIZE: &str = "PICTRS_TEST_REPLAY";
const DEFAULT: (u64, u64) = (12, 48);
/// Requests of clients in an hour.
const PER_HOUR: u64 = 2;
/// Hours that may pass in a second, so that what the server does by itself keeps up.
const HOURS_PER_SECOND: f64 = 16.0;
/// Of a hundred requests, so many are new posts.
const POSTS: u64 = 12;
/// Of a hundred posts, so many are uploads; the others are links.
const UPLOADS: u64 = 10;
/// Bytes that all posts want to have stored, per byte of the disk.
const DEMAND: u64 = 4;

#[test]
fn a_long_time_of_traffic_on_a_small_disk_loses_no_upload_and_never_fills_it() {
    let test = "a long time of traffic";
    let Some(library) = programs::faketime() else {
        return programs::skip("programs", test, "libfaketime is not installed");
    };
    let (days, mib) = size();
    let launch = Launch::new()
        .setting("server.api_key", "key")
        .setting("media.disk", format!("{mib} MiB"))
        .setting("media.retention.variants", "20y")
        .setting("media.retention.proxy", "20y")
        .setting("client.allow_local_connections", true)
        // What decodes elsewhere may not read the file with the time.
        .setting("media.isolation", "thread");
    let folder = launch.folder().to_owned();
    let Some(_disk) = Disk::mount(Kind::Ext4, mib, &folder.join("data"), test) else {
        return;
    };
    let clock = Clock::set(&folder);
    let server = launch
        .environment("LD_PRELOAD", library.display())
        .environment("FAKETIME_TIMESTAMP_FILE", clock.file.display())
        .environment("FAKETIME_NO_CACHE", 1)
        .environment("FAKETIME_DONT_FAKE_MONOTONIC", 1)
        .start();
    let mut replay = Replay::new(&server, days, mib);
    let events = days * 24 * PER_HOUR;
    let period = Duration::from_secs_f64(1.0 / (PER_HOUR as f64 * HOURS_PER_SECOND));
    for event in 0..events {
        let began = Instant::now();
        clock.move_to(event as f64 / PER_HOUR as f64);
        replay.event();
        if event.is_multiple_of(12 * PER_HOUR) {
            // The server doubts a clock that leaps by a day, so it has to look at it more often.
            server.get_with("/internal/growth", &KEY).ok();
        }
        std::thread::sleep(period.saturating_sub(began.elapsed()));
    }
    replay.end();
}

fn size() -> (u64, u64) {
    let Ok(text) = std::env::var(SIZE) else {
        return DEFAULT;
    };
    let numbers = text.split_once(',');
    let numbers = numbers.and_then(|(days, mib)| Some((days.parse().ok()?, mib.parse().ok()?)));
    numbers.unwrap_or_else(|| panic!("{SIZE}={text} is not DAYS,MIB"))
}

/// The clock of the server.
struct Clock {
    file: PathBuf,
}

impl Clock {
    fn set(folder: &Path) -> Self {
        let clock = Self {
            file: folder.join("clock"),
        };
        clock.move_to(0.0);
        clock
    }

    /// Ahead of the true time. Replaced as a whole, because it is read at any moment.
    fn move_to(&self, hours: f64) {
        let new = self.file.with_extension("new");
        fs::write(&new, format!("+{:.0}", hours * 3600.0)).expect("written");
        fs::rename(new, &self.file).expect("renamed");
    }
}

/// A post of the forum.
#[derive(Clone)]
struct Post {
    /// The side of its picture in pixels.
    side: u64,
    /// How it is named in queries: `src=…`, `proxy=…`.
    query: String,
    /// Its picture as it was first served, for an upload.
    upload: Option<(String, Vec<u8>)>,
}

/// What was asked for, and found.
#[derive(Default)]
struct Found {
    asked: u64,
    hits: u64,
    hits_of_model: u64,
    /// Milliseconds that having the others again takes, as the server estimates it.
    cost: f64,
    cost_of_model: f64,
}

impl Found {
    fn count(&mut self, (is_hit, is_models): (bool, bool), cost: f64) {
        self.asked += 1;
        self.hits += u64::from(is_hit);
        self.hits_of_model += u64::from(is_models);
        self.cost += if is_hit { 0.0 } else { cost };
        self.cost_of_model += if is_models { 0.0 } else { cost };
    }

    fn told(&self) -> String {
        let part = |hits: u64| 100.0 * hits as f64 / self.asked.max(1) as f64;
        let (ours, theirs) = (part(self.hits), part(self.hits_of_model));
        let (cost, of_model) = (self.cost / 1e3, self.cost_of_model / 1e3);
        format!(
            "of {}: {ours:.1} % hits, {cost:.1} s for the others (least recently used: {theirs:.1} %, {of_model:.1} s)",
            self.asked
        )
    }
}

struct Replay<'a> {
    server: &'a Server,
    upstream: Upstream,
    fetches: Arc<AtomicU64>,
    posts: Vec<Post>,
    dice: Dice,
    model: Model,
    /// The mean side of a picture.
    side: u64,
    variants: Found,
    proxied: Found,
    refused: BTreeMap<&'static str, u64>,
    most_used: u64,
}

impl<'a> Replay<'a> {
    fn new(server: &'a Server, days: u64, mib: u64) -> Self {
        let posts = days * 24 * PER_HOUR * POSTS / 100;
        // With its variants a post takes about two and a half times its picture.
        let bytes = mib * MIB * DEMAND * 2 / (posts.max(1) * 5);
        let side = ((bytes / 3) as f64).sqrt() as u64;
        let fetches = Arc::new(AtomicU64::new(0));
        let counted = fetches.clone();
        let upstream = Upstream::start(move |asked| {
            if asked.header("if-none-match").is_some() {
                return Reply::status("304 Not Modified", "ETag: \"1\"\r\n", b"");
            }
            counted.fetch_add(1, Ordering::SeqCst);
            let mut numbers = asked
                .path
                .split(['/', '.'])
                .filter_map(|part| part.parse::<u64>().ok());
            let (seed, side) = (numbers.next().unwrap_or(1), numbers.next().unwrap_or(9));
            let side = side as u32;
            Reply::with("ETag: \"1\"\r\n", &picture(side, seed))
        });
        Self {
            server,
            upstream,
            fetches,
            posts: Vec::new(),
            dice: Dice(1),
            model: Model::default(),
            side,
            variants: Found::default(),
            proxied: Found::default(),
            refused: BTreeMap::new(),
            most_used: 0,
        }
    }

    fn event(&mut self) {
        if self.posts.is_empty() || self.dice.roll(100) < POSTS {
            self.post();
        } else {
            self.view();
        }
        if self.dice.roll(10) == 0 {
            let disk = usage(self.server)["disk"].clone();
            self.most_used = self.most_used.max(number(&disk, "used"));
            let (capacity, uploads) = (number(&disk, "capacity"), number(&disk, "uploads"));
            self.model.shrink_to(capacity.saturating_sub(uploads));
        }
    }

    fn post(&mut self) {
        let side = self.side / 2 + self.dice.roll(self.side);
        let seed = self.posts.len() as u64 + 1;
        if self.dice.roll(100) >= UPLOADS {
            let url = self.upstream.url(&format!("/{seed}/{side}.png"));
            let query = format!("proxy={url}");
            self.posts.push(Post {
                side,
                query,
                upload: None,
            });
            return;
        }
        let answer = self
            .server
            .upload_form("", &[File::new(&picture(side as u32, seed))]);
        if self.is_refused("upload", &answer) {
            return;
        }
        let alias = answer.uploaded().remove(0).alias;
        let bytes = self.server.original(&alias);
        self.posts.push(Post {
            side,
            query: format!("src={alias}"),
            upload: Some((alias, bytes)),
        });
    }

    fn view(&mut self) {
        let count = self.posts.len() as f64;
        let rank = count.powf(self.dice.part()) as usize - 1;
        // Half look at what is new, the others at what was always liked.
        let at = match self.dice.roll(2) {
            0 => self.posts.len() - 1 - rank.min(self.posts.len() - 1),
            _ => (rank * 7919) % self.posts.len(),
        };
        let post = Post {
            upload: None,
            ..self.posts[at].clone()
        };
        let is_proxied = self.posts[at].upload.is_none();
        let side = self.side / 2;
        match self.dice.roll(20) {
            0..12 => self.view_variant(&post, is_proxied, ("webp", "thumbnail", 256, 40e-6)),
            12..15 => self.view_variant(&post, is_proxied, ("jpeg", "resize", side, 40e-6)),
            15 => self.view_variant(&post, is_proxied, ("avif", "thumbnail", 128, 300e-6)),
            _ if is_proxied => self.view_original(&post),
            // Uploads are always there.
            _ => {}
        }
    }

    /// The last number is what a pixel costs, in milliseconds.
    fn view_variant(
        &mut self,
        post: &Post,
        is_proxied: bool,
        (extension, operation, to, each): (&str, &str, u64, f64),
    ) {
        let query = &post.query;
        let path = format!("/image/process.{extension}?{query}&{operation}={to}");
        let is_hit = self.server.head(&path).status == 200;
        let fetches = self.fetches.load(Ordering::SeqCst);
        let answer = self.server.get(&path);
        if self.is_refused("variant", &answer) {
            return;
        }
        let size = answer.ok().body.len() as u64;
        let made_from = is_proxied.then_some(query.as_str());
        let is_models = self.model.touch(&path, made_from, size);
        let cost = 5.0 + (post.side * post.side) as f64 * 15e-6 + (to * to) as f64 * each;
        self.variants.count((is_hit, is_models), cost);
        if is_proxied {
            self.note_fetch(post, fetches);
        }
    }

    fn view_original(&mut self, post: &Post) {
        let fetches = self.fetches.load(Ordering::SeqCst);
        let path = format!("/image/original?{}", post.query);
        let answer = self.server.get(&path);
        if !self.is_refused("proxied", &answer) {
            answer.ok();
            self.note_fetch(post, fetches);
        }
    }

    fn note_fetch(&mut self, post: &Post, before: u64) {
        let is_hit = self.fetches.load(Ordering::SeqCst) == before;
        // Noise takes three bytes a pixel.
        let size = 3 * post.side * post.side;
        let is_models = self.model.touch(&post.query, None, size);
        self.proxied
            .count((is_hit, is_models), 500.0 + size as f64 * 1e-4);
    }

    /// Only the budget may refuse, never the disk.
    fn is_refused(&mut self, what: &'static str, answer: &Answer) -> bool {
        if answer.status != 503 {
            return false;
        }
        let text = answer.text();
        assert!(text.contains("media.disk"), "{what}: {text}");
        *self.refused.entry(what).or_default() += 1;
        true
    }

    fn end(&self) {
        let server = self.server;
        let mut uploads = 0;
        for (alias, bytes) in self.posts.iter().filter_map(|post| post.upload.as_ref()) {
            assert_eq!(&server.original(alias), bytes, "{alias}");
            uploads += 1;
        }
        let output = server.output();
        for sign in [
            "No space left",
            "only removals write",
            "is served from memory",
            "panicked",
        ] {
            assert!(!output.contains(sign), "{sign}: {output}");
        }
        let disk = usage(server)["disk"].clone();
        let growth = server.get_with("/internal/growth", &KEY).ok().json();
        let days = growth["days"].as_array().map_or(0, Vec::len);
        eprintln!(
            "{} posts, {uploads} uploads, all there; refused: {:?}",
            self.posts.len(),
            self.refused
        );
        eprintln!("variants {}", self.variants.told());
        eprintln!("proxied media {}", self.proxied.told());
        eprintln!("at most {} MiB used; now {disk}", self.most_used / MIB);
        eprintln!(
            "{days} days: {} {}",
            growth["bytes_per_day"], growth["full"]
        );
        assert!(
            self.variants.asked > 100 && self.proxied.asked > 10,
            "not enough traffic"
        );
        // What has no room drops others by itself, if the sweep does not come before.
        let evicted = server.get_with("/internal/audit?action=evict", &KEY);
        let evicted = evicted.ok().json()["audit"].clone();
        assert_ne!(evicted, json!([]), "the budget was never reached");
        assert!(days > 5, "{growth}");
    }
}

fn picture(side: u32, seed: u64) -> Vec<u8> {
    pictures::png(&pictures::noise(side, side, seed))
}

/// What a cache holds that drops the least recently used.
#[derive(Default)]
struct Model {
    /// The room and the last use of each, with the original that it was made from.
    held: HashMap<String, (u64, u64, Option<String>)>,
    used: u64,
    room: Option<u64>,
    time: u64,
}

impl Model {
    fn touch(&mut self, name: &str, original: Option<&str>, size: u64) -> bool {
        self.time += 1;
        let size = size.div_ceil(4096) * 4096 + 512;
        if let Some((_, time, _)) = self.held.get_mut(name) {
            *time = self.time;
            return true;
        }
        let entry = (size, self.time, original.map(str::to_owned));
        self.held.insert(name.to_owned(), entry);
        self.used += size;
        self.drop_oldest();
        false
    }

    fn shrink_to(&mut self, room: u64) {
        self.room = Some(room);
        self.drop_oldest();
    }

    fn drop_oldest(&mut self) {
        while self.room.is_some_and(|room| self.used > room) {
            let oldest = self.held.iter().min_by_key(|(_, (_, time, _))| *time);
            let Some(oldest) = oldest.map(|(name, _)| name.clone()) else {
                return;
            };
            // Variants go with their original.
            let gone = |name: &str, made_from: Option<&str>| {
                name == oldest || made_from == Some(oldest.as_str())
            };
            let used = &mut self.used;
            self.held.retain(|name, (size, _, original)| {
                let is_gone = gone(name, original.as_deref());
                *used -= if is_gone { *size } else { 0 };
                !is_gone
            });
        }
    }
}

/// Numbers by chance, the same in each run.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `sides`.
    fn roll(&mut self, sides: u64) -> u64 {
        self.next() % sides.max(1)
    }

    /// From 0 to 1.
    fn part(&mut self) -> f64 {
        self.roll(1 << 30) as f64 / (1_u64 << 30) as f64
    }
}
