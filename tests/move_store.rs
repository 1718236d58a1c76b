//! Files that move to another store: by `migrate-store`, without a server, and while a server serves.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::postgres::Cluster;

use crate::support::client::{Client, process_path};
use crate::support::proxy::{Disturbance, Proxy};
use crate::support::s3::{self, Bucket, Kind, S3};
use crate::support::{File, Launch, Server, Uploaded, database, disk, eventually, pictures};

const KEY: (&str, &str) = ("X-Api-Token", "the-key");

/// Settings of a bucket.
const OF_BUCKETS: [&str; 7] = [
    "ENDPOINT",
    "BUCKET_NAME",
    "REGION",
    "ACCESS_KEY",
    "SECRET_KEY",
    "USE_PATH_STYLE",
    "CACHE_SIZE",
];

/// A server with its files in its folder, whatever other tests are run on.
fn in_folder() -> Launch {
    let launch = Launch::new().setting("server.api_key", KEY.1);
    in_the_folder(launch, "data/files")
}

fn in_the_folder(launch: Launch, path: &str) -> Launch {
    let launch = OF_BUCKETS.into_iter().fold(launch, |launch, key| {
        launch.without_environment(&format!("PICTRS__STORE__{key}"))
    });
    launch
        .setting("store.type", "filesystem")
        .setting("store.path", path)
}

/// The same server with its files in a bucket.
fn in_bucket(launch: &Launch, bucket: &Bucket) -> Launch {
    let launch = bucket.holds(launch.clone());
    launch.without_environment("PICTRS__STORE__PATH")
}

fn from_folder(launch: Launch, path: &str) -> Launch {
    launch
        .setting("old_store.type", "filesystem")
        .setting("old_store.path", path)
}

fn from_bucket(launch: Launch, bucket: &Bucket) -> Launch {
    launch
        .setting("old_store.type", "object_storage")
        .setting("old_store.endpoint", bucket.endpoint())
        .setting("old_store.bucket_name", bucket.name())
        .setting("old_store.region", bucket.region())
        .setting("old_store.access_key", s3::KEY)
        .setting("old_store.secret_key", s3::SECRET)
        .setting("old_store.use_path_style", true)
}

/// The same server, which moves nothing.
fn without_old(launch: Launch) -> Launch {
    let keys = ["TYPE", "PATH"].into_iter().chain(OF_BUCKETS);
    keys.fold(launch, |launch, key| {
        launch.without_environment(&format!("PICTRS__OLD_STORE__{key}"))
    })
}

/// The words that name a bucket on the command line.
fn words(bucket: &Bucket) -> Vec<String> {
    let (endpoint, name) = (bucket.endpoint(), bucket.name());
    let line = format!(
        "object-storage -e {endpoint} -b {name} -r {} -a {} -s {} -u",
        bucket.region(),
        s3::KEY,
        s3::SECRET
    );
    line.split(' ').map(str::to_owned).collect()
}

fn bucket(kind: Kind, test: &str) -> Option<Bucket> {
    Some(S3::shared(kind, test)?.bucket())
}

/// The exit code of a command, and all it said.
fn run(launch: &Launch, words: &[&str]) -> (Option<i32>, String) {
    let launch = launch.clone().arguments(words.iter().copied());
    let Output {
        status,
        stdout,
        stderr,
    } = launch.command().output().expect("runs");
    let said = [stdout, stderr].concat();
    (status.code(), String::from_utf8_lossy(&said).into_owned())
}

fn migrate(launch: &Launch, sides: &[&[String]], flags: &[&str]) -> (Option<i32>, String) {
    let sides = sides.iter().flat_map(|words| words.iter());
    let words: Vec<_> = ["migrate-store"]
        .into_iter()
        .chain(flags.iter().copied())
        .chain(sides.map(String::as_str))
        .collect();
    run(launch, &words)
}

#[track_caller]
fn moved(launch: &Launch, sides: &[&[String]]) -> String {
    let (code, said) = migrate(launch, sides, &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("0 are in neither store"), "{said}");
    said
}

fn folder(path: &str) -> Vec<String> {
    ["filesystem", "-p", path].map(str::to_owned).into()
}

/// Files and rows agree, no byte is wrong, and nothing lies there without a row.
#[track_caller]
fn is_sound(launch: &Launch) -> Value {
    let (code, said) = run(launch, &["fsck", "--digests", "--json"]);
    assert_eq!(code, Some(0), "{said}");
    let found: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(found["files"]["young"], 0, "{said}");
    assert_eq!(found["files"]["orphans"], 0, "{said}");
    found
}

fn picture(seed: u64) -> Vec<u8> {
    pictures::png(&pictures::noise(40 + seed as u32 % 7, 30, seed))
}

/// Larger than what is sent to a bucket at once.
fn large_picture() -> Vec<u8> {
    pictures::png(&pictures::noise(1920, 1600, 7))
}

/// An upload, its bytes, and a variant of it.
struct Seen {
    uploaded: Uploaded,
    bytes: Vec<u8>,
    variant: Vec<u8>,
}

impl Seen {
    fn upload(client: &Client, bytes: Vec<u8>) -> Self {
        let uploaded = client.upload(&bytes);
        let variant = client.process("webp", &uploaded.alias, "thumbnail=16");
        Self {
            uploaded,
            bytes,
            variant,
        }
    }

    #[track_caller]
    fn is_served(&self, client: &Client) {
        let alias = &self.uploaded.alias;
        assert!(client.original(alias) == self.bytes, "{alias}");
        let range = client.get_with(
            &format!("/image/original/{alias}"),
            &[("Range", "bytes=3-8")],
        );
        assert_eq!(range.status(206).body, &self.bytes[3..9]);
        assert!(
            client.process("webp", alias, "thumbnail=16") == self.variant,
            "{alias}"
        );
    }

    fn delete(&self, client: &Client) {
        let path = format!(
            "/image/delete/{}/{}",
            self.uploaded.token, self.uploaded.alias
        );
        client.delete(&path).status(204);
    }
}

/// Variants were not made again, because their rows and files came along.
fn variants(data: &Path) -> Vec<String> {
    database::texts(data, "SELECT object FROM variants ORDER BY object")
}

#[test]
fn box_files_move_from_a_folder_to_buckets_and_back_and_clients_see_no_difference() {
    let test = "box_files_move_from_a_folder_to_buckets_and_back";
    let (Some(first), Some(second)) = (bucket(Kind::S3sFs, test), bucket(Kind::Moto, test)) else {
        return;
    };
    let server = in_folder().start();
    let mut seen: Vec<_> = (0..40)
        .map(|seed| Seen::upload(&server, picture(seed)))
        .collect();
    seen.push(Seen::upload(&server, large_picture()));
    let gone = Seen::upload(&server, picture(1000));
    gone.delete(&server);
    // They are stored behind their answers, and the server will be killed.
    eventually("every variant is stored", || {
        (variants(&server.data()).len() == seen.len()).then_some(())
    });
    // Acknowledged, and hardly all of it done before the end.
    let waiting: Vec<_> = (0..12)
        .map(|seed| server.background(&pictures::png(&pictures::noise(300, 300, 500 + seed))))
        .collect();
    let launch = server.kill();
    let made = variants(&launch.folder().join("data"));
    let files = launch.folder().join("data/files");
    let before = disk::snapshot(&files);
    let rows = database::texts(
        &launch.folder().join("data"),
        "SELECT object FROM hashes UNION ALL SELECT object FROM variants",
    );

    let (code, said) = migrate(
        &launch,
        &[&folder("data/files"), &words(&first)],
        &["--dry-run"],
    );
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("variants: 41, "), "{said}");
    assert!(said.contains("nothing was changed"), "{said}");
    assert_eq!(disk::snapshot(&files), before);
    assert_eq!(first.keys(), Vec::<String>::new());

    let said = moved(&launch, &[&folder("data/files"), &words(&first)]);
    assert!(!said.contains(s3::SECRET), "{said}");
    // The old files are what they were.
    let after = disk::snapshot(&files);
    for object in &rows {
        assert!(after[object] == before[object], "{object}");
    }
    // No server uses them any more.
    let refusal = launch.clone().refused();
    assert!(
        refusal.output.contains("does not belong to the database"),
        "{refusal}"
    );
    std::fs::rename(&files, launch.folder().join("old")).expect("moved away");
    let server = in_bucket(&launch, &first).start();
    for id in &waiting {
        let claimed = server.claim(id).claimed();
        server.original(&claimed.alias);
        let path = format!("/image/delete/{}/{}", claimed.token, claimed.alias);
        server.delete(&path).status(204);
    }
    for seen in &seen {
        seen.is_served(&server);
    }
    seen.remove(3).delete(&server);
    let launch = server.stop();
    let mut left = variants(&launch.folder().join("data"));
    left.retain(|object| !made.contains(object));
    assert_eq!(left, Vec::<String>::new());
    is_sound(&launch);

    // To a bucket of another server. Keys that a folder gave are found there too.
    moved(&launch, &[&words(&first), &words(&second)]);
    for key in first.keys() {
        first.remove(&key);
    }
    let server = in_bucket(&launch, &second).start();
    seen.push(Seen::upload(&server, picture(2000)));
    for seen in &seen {
        seen.is_served(&server);
    }
    let launch = server.stop();
    is_sound(&launch);

    // And into a folder.
    moved(&launch, &[&words(&second), &folder("new/files")]);
    for key in second.keys() {
        second.remove(&key);
    }
    let server = in_the_folder(launch, "new/files").start();
    for seen in &seen {
        seen.is_served(&server);
    }
    seen[0].delete(&server);
    let launch = server.stop();
    is_sound(&launch);
}

/// How many objects a move has copied so far.
fn copied(data: &Path) -> u64 {
    let query = "SELECT value FROM settings WHERE name = 'store-move'";
    let Some(text) = database::texts(data, query).pop() else {
        return 0;
    };
    let state: Value = serde_json::from_str(&text).expect("JSON");
    state["copied"].as_u64().expect("a number")
}

#[test]
fn a_move_that_is_killed_is_continued_by_a_command_or_a_server_or_taken_back() {
    let test = "a_move_that_is_killed_is_continued";
    let Some(bucket) = bucket(Kind::S3sFs, test) else {
        return;
    };
    let server = in_folder().start();
    let seen: Vec<_> = (0..300)
        .map(|seed| {
            let bytes = picture(seed);
            let uploaded = server.upload(&bytes);
            (uploaded, bytes)
        })
        .collect();
    let launch = server.stop();
    let data = launch.folder().join("data");
    let command = [
        "migrate-store",
        "--concurrency",
        "1",
        "filesystem",
        "-p",
        "data/files",
    ];
    let to = words(&bucket);
    let command: Vec<_> = command
        .into_iter()
        .chain(to.iter().map(String::as_str))
        .collect();
    let mut child = launch
        .clone()
        .arguments(command)
        .command()
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("runs");
    eventually("some are copied", || {
        let ended = child.try_wait().expect("asked");
        assert!(ended.is_none(), "it ended too early: {ended:?}");
        (copied(&data) >= 64).then_some(())
    });
    child.kill().expect("killed");
    child.wait().expect("ended");
    let at = copied(&data);
    assert!((64..300).contains(&at), "{at}");

    // No server uses one of them alone.
    for launch in [launch.clone(), in_bucket(&launch, &bucket)] {
        let refusal = launch.refused();
        assert_eq!(refusal.status.code(), Some(78), "{refusal}");
        assert!(refusal.output.contains("are being moved"), "{refusal}");
    }
    let (code, said) = run(&in_bucket(&launch, &bucket), &["fsck"]);
    assert_eq!(code, Some(78), "{said}");

    // A server with both goes on, and serves everything from the beginning.
    let both = from_folder(in_bucket(&launch, &bucket), "data/files").setting("old_store.rate", 20);
    let (code, said) = run(&both, &["fsck", "--digests"]);
    assert_eq!(code, Some(0), "{said}");
    let server = both.start();
    assert!(server.output().contains("going on with the move"));
    for (uploaded, bytes) in &seen {
        assert!(server.original(&uploaded.alias) == *bytes);
    }
    let added = server.upload(&picture(5000));
    let launch = server.kill();
    assert!(copied(&data) < 300);

    // Back: what is only in the bucket is copied to the folder.
    let launch = in_the_folder(without_old(launch), "data/files");
    moved(&launch, &[&words(&bucket), &folder("data/files")]);
    let server = launch.start();
    for (uploaded, bytes) in &seen {
        assert!(server.original(&uploaded.alias) == *bytes);
    }
    assert_eq!(server.original(&added.alias), picture(5000));
    let launch = server.stop();
    is_sound(&launch);
    // And there again, from the beginning.
    let said = moved(&launch, &[&folder("data/files"), &words(&bucket)]);
    assert!(said.contains("301 originals and variants"), "{said}");
    let server = in_bucket(&launch, &bucket).start();
    assert_eq!(server.original(&added.alias), picture(5000));
}

/// The file of an upload.
fn file_of(launch: &Launch, uploaded: &Uploaded) -> PathBuf {
    let data = launch.folder().join("data");
    let query = format!(
        "SELECT h.object FROM hashes h JOIN aliases a ON a.hash = h.hash WHERE a.alias = '{}'",
        uploaded.alias
    );
    let object = database::texts(&data, &query).pop().expect("a row");
    data.join("files").join(object)
}

#[test]
fn files_that_are_lost_or_damaged_are_told_and_hold_up_nothing_else() {
    let test = "files_that_are_lost_or_damaged_are_told";
    let Some(bucket) = bucket(Kind::S3sFs, test) else {
        return;
    };
    let server = in_folder().start();
    let uploads: Vec<_> = (0..5).map(|seed| server.upload(&picture(seed))).collect();
    let launch = server.stop();
    let lost = file_of(&launch, &uploads[0]);
    std::fs::rename(&lost, launch.folder().join("aside")).expect("moved");
    let damaged = file_of(&launch, &uploads[1]);
    let mut bytes = std::fs::read(&damaged).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&damaged, &bytes).expect("written");

    let (files, there) = (folder("data/files"), words(&bucket));
    let sides: [&[String]; 2] = [&files, &there];
    let (code, said) = migrate(&launch, &sides, &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("1 are in neither store, 1 have other bytes"),
        "{said}"
    );
    let refusal = in_bucket(&launch, &bucket).refused();
    assert_eq!(refusal.status.code(), Some(78), "{refusal}");
    // It is looked for again, and found.
    std::fs::rename(launch.folder().join("aside"), &lost).expect("moved");
    let (code, said) = migrate(&launch, &sides, &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("0 are in neither store"), "{said}");
    let server = in_bucket(&launch, &bucket).start();
    assert_eq!(server.original(&uploads[0].alias), picture(0));
    assert_eq!(server.original(&uploads[1].alias), bytes);
    let launch = server.stop();

    // On the way back another one is lost, and given up.
    let key = lost.strip_prefix(launch.folder().join("data/files"));
    bucket.remove(key.expect("below").to_str().expect("text"));
    let new = folder("new");
    let sides: [&[String]; 2] = [&there, &new];
    let (code, said) = migrate(&launch, &sides, &["--skip-missing-files", "--skip-digests"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("1 are in neither store"), "{said}");
    let server = in_the_folder(launch, "new").start();
    let path = format!("/image/original/{}", uploads[0].alias);
    server.get(&path).refused(500, "lost-file");
    assert_eq!(server.original(&uploads[2].alias), picture(2));
}

#[test]
fn a_move_to_where_it_cannot_go_is_refused_and_changes_nothing() {
    let test = "a_move_to_where_it_cannot_go_is_refused";
    let Some(bucket) = bucket(Kind::S3sFs, test) else {
        return;
    };
    let server = in_folder().start();
    let uploaded = server.upload(&picture(1));
    let launch = server.stop();
    // Of another database.
    let stranger = in_bucket(&Launch::new(), &bucket).start();
    stranger.upload(&picture(2));
    stranger.stop();
    let keys = bucket.keys();
    let beside = launch.folder().join("link");
    std::os::unix::fs::symlink(launch.folder().join("data/files"), beside).expect("linked");
    let absent = bucket.server().absent_bucket();
    let check = |sides: &[&[String]], code: i32, part: &str| {
        let (found, said) = migrate(&launch, sides, &[]);
        assert_eq!(found, Some(code), "{said}");
        assert!(said.contains(part), "{part}: {said}");
    };
    let files = folder("data/files");
    check(&[&files, &words(&bucket)], 78, "belong to another database");
    check(&[&files, &files], 78, "the same place");
    check(&[&files, &folder("link")], 78, "the same place");
    check(&[&folder("absent"), &files], 78, "absent");
    check(&[&folder("absent"), &folder("new")], 78, "absent");
    check(&[&files, &words(&absent)], 1, "there is no such bucket");
    check(&[], 1, "needs two stores");
    let (code, said) = migrate(&launch, &[&files, &words(&bucket)], &["--dry-run"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("refused: "), "{said}");
    assert_eq!(bucket.keys(), keys);
    // A server that runs keeps its files.
    let server = launch.start();
    let folder_of = server.data();
    let folder_of = folder_of.parent().expect("a folder");
    let other = Launch::in_folder(testkit::server::Program::under_test(), folder_of);
    let elsewhere = folder("elsewhere");
    if database::is_embedded() {
        let (code, said) = migrate(
            &in_the_folder(other, "data/files"),
            &[&files, &elsewhere],
            &[],
        );
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("another pict-rs is running"), "{said}");
    }
    assert_eq!(server.original(&uploaded.alias), picture(1));
}

fn health(client: &Client) -> Value {
    client.get_with("/internal/health", &[KEY]).json()["store_move"].clone()
}

/// What clients did while files were moved.
#[derive(Default)]
struct Load {
    requests: AtomicU64,
    /// What the server should not have answered.
    failures: Mutex<Vec<String>>,
    /// Uploaded meanwhile.
    seen: Mutex<Vec<Seen>>,
}

impl Load {
    /// One client, until it is told to stop. A connection that breaks off because the server was killed
    /// is no answer.
    fn run(
        &self,
        address: &Mutex<Option<std::net::SocketAddr>>,
        number: u64,
        before: &[Seen],
        stop: &AtomicBool,
    ) {
        let mut round = 0;
        while !stop.load(Ordering::Relaxed) {
            let Some(address) = *address.lock().expect("no panic") else {
                std::thread::sleep(Duration::from_millis(20));
                continue;
            };
            let client = Client::new(address);
            round += 1;
            let old = &before[(number as usize * 31 + round * 17) % before.len()];
            let alias = &old.uploaded.alias;
            self.expect(&client, &format!("/image/original/{alias}"), &old.bytes);
            self.expect(
                &client,
                &process_path("webp", alias, "thumbnail=16"),
                &old.variant,
            );
            self.expect_any(
                &client,
                &process_path("jpg", alias, &format!("resize={}", 8 + round % 20)),
            );
            let bytes = picture(100_000 * (number + 1) + round as u64);
            self.requests.fetch_add(1, Ordering::Relaxed);
            match client.try_upload_form("", &[File::new(&bytes)]) {
                Ok(answer) if answer.status == 201 => {
                    let uploaded = answer.uploaded().pop().expect("one");
                    let path = process_path("webp", &uploaded.alias, "thumbnail=16");
                    if let Some(variant) = self.expect_any(&client, &path) {
                        let seen = Seen {
                            uploaded,
                            bytes,
                            variant,
                        };
                        self.seen.lock().expect("no panic").push(seen);
                    }
                }
                Ok(answer) => self.fail(format!("upload: {} {}", answer.status, answer.text())),
                Err(_) => {}
            }
        }
    }

    fn fail(&self, what: String) {
        self.failures.lock().expect("no panic").push(what);
    }

    fn expect_any(&self, client: &Client, path: &str) -> Option<Vec<u8>> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        match client.try_send("GET", path, &[], None) {
            Ok(answer) if answer.status == 200 => Some(answer.body),
            Ok(answer) => {
                self.fail(format!("{path}: {} {}", answer.status, answer.text()));
                None
            }
            Err(_) => None,
        }
    }

    fn expect(&self, client: &Client, path: &str, bytes: &[u8]) {
        if self
            .expect_any(client, path)
            .is_some_and(|found| found != bytes)
        {
            self.fail(format!("{path}: other bytes"));
        }
    }
}

/// Moves the files of a server under load, kills it twice meanwhile, and looks at what is left. Returns
/// how much was asked meanwhile.
fn move_under_load(
    launch: Launch,
    start: &dyn Fn(Launch) -> Launch,
    clear: &dyn Fn(&Launch),
) -> String {
    let server = launch.start();
    let mut before: Vec<_> = (0..120)
        .map(|seed| Seen::upload(&server, picture(seed)))
        .collect();
    before.push(Seen::upload(&server, large_picture()));
    let doomed: Vec<_> = (5000..5040)
        .map(|seed| Seen::upload(&server, picture(seed)))
        .collect();
    let launch = start(server.stop())
        .setting("old_store.rate", 150)
        .setting("old_store.concurrency", 3);
    let (load, stop) = (Load::default(), AtomicBool::new(false));
    let began = Instant::now();
    let server = launch.start();
    let address = Mutex::new(None);
    let set = |server: Option<&Server>| {
        *address.lock().expect("no panic") = server.map(|server| server.address());
    };
    let launch = std::thread::scope(|scope| {
        for number in 0..2 {
            let (load, address, before, stop) = (&load, &address, &before, &stop);
            scope.spawn(move || load.run(address, number, before, stop));
        }
        // Whatever fails ends the clients.
        let _end = EndOnDrop(&stop);
        set(Some(&server));
        let mut server = server;
        for (death, enough) in [50, 120].into_iter().enumerate() {
            eventually("some are copied", || {
                let state = health(&server);
                (state["copied"].as_u64()? >= enough).then_some(())
            });
            // Deleted while files are copied.
            for seen in &doomed[death * 10..death * 10 + 10] {
                seen.delete(&server);
            }
            set(None);
            let launch = server.kill();
            server = launch.start();
            set(Some(&server));
        }
        for seen in &doomed[20..] {
            seen.delete(&server);
        }
        let state = patiently("everything is there", || {
            let state = health(&server);
            (state["complete"] == true).then_some(state)
        });
        assert_eq!(state["lost"], 0, "{state}");
        assert_eq!(state["damaged"], 0, "{state}");
        server.wait_for_output("all files are in the new store");
        // The old one may go at once.
        clear(&launch_of(&server));
        std::thread::sleep(Duration::from_millis(500));
        stop.store(true, Ordering::Relaxed);
        for seen in &before {
            seen.is_served(&server);
        }
        server.stop()
    });
    let failures = load.failures.lock().expect("no panic");
    assert!(failures.is_empty(), "{failures:#?}");
    let seen = load.seen.lock().expect("no panic");
    let figures = format!(
        "{} requests and {} uploads in {:?} with 2 deaths, 0 failed",
        load.requests.load(Ordering::Relaxed),
        seen.len(),
        began.elapsed()
    );
    assert!(seen.len() > 10, "{}", seen.len());
    // Without the old store in the settings.
    let server = without_old(launch).start();
    for seen in before.iter().chain(&*seen) {
        seen.is_served(&server);
    }
    for seen in &doomed {
        let path = format!("/image/original/{}", seen.uploaded.alias);
        server.get(&path).refused(404, "alias-not-found");
    }
    let launch = server.stop();
    is_sound(&launch);
    figures
}

struct EndOnDrop<'a>(&'a AtomicBool);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn launch_of(server: &Server) -> Launch {
    let data = server.data();
    let folder = data.parent().expect("a folder");
    Launch::in_folder(testkit::server::Program::under_test(), folder)
}

/// As `eventually`, for minutes.
fn patiently<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(300);
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_server_moves_its_files_from_a_folder_to_a_bucket_while_it_serves() {
    let test = "a_server_moves_its_files_from_a_folder_to_a_bucket";
    let Some(bucket) = bucket(Kind::S3sFs, test) else {
        return;
    };
    let figures = move_under_load(
        in_folder(),
        &|launch| from_folder(in_bucket(&launch, &bucket), "data/files"),
        &|launch| std::fs::remove_dir_all(launch.folder().join("data/files")).expect("removed"),
    );
    println!("{figures}");
}

#[test]
fn a_server_moves_its_files_from_a_bucket_to_a_folder_while_it_serves() {
    let test = "a_server_moves_its_files_from_a_bucket_to_a_folder";
    let Some(bucket) = bucket(Kind::S3sFs, test) else {
        return;
    };
    let figures = move_under_load(
        in_bucket(&in_folder(), &bucket),
        &|launch| from_bucket(in_the_folder(launch, "new/files"), &bucket),
        &|_| {
            for key in bucket.keys() {
                bucket.remove(&key);
            }
        },
    );
    println!("{figures}");
}

#[test]
fn a_server_moves_its_files_from_a_bucket_to_another_while_it_serves() {
    let test = "a_server_moves_its_files_from_a_bucket_to_another";
    let (Some(first), Some(second)) = (bucket(Kind::S3sFs, test), bucket(Kind::S3sFs, test)) else {
        return;
    };
    let figures = move_under_load(
        in_bucket(&in_folder(), &first),
        &|launch| from_bucket(in_bucket(&launch, &second), &first),
        &|_| {
            for key in first.keys() {
                first.remove(&key);
            }
        },
    );
    println!("{figures}");
}

#[test]
fn while_the_new_bucket_is_away_old_files_are_served_and_the_move_goes_on_afterwards() {
    let test = "while_the_new_bucket_is_away";
    let Some(bucket) = bucket(Kind::S3sFs, test) else {
        return;
    };
    let server = in_folder().start();
    let seen: Vec<_> = (0..150)
        .map(|seed| Seen::upload(&server, picture(seed)))
        .collect();
    let proxy = Proxy::before(bucket.server().address());
    let launch = bucket
        .holds_behind(server.stop(), proxy.address())
        .setting("store.client_timeout", 2);
    let launch = from_folder(launch, "data/files").setting("old_store.rate", 40);
    let server = launch.start();
    let added = server.upload(&picture(9000));
    eventually("some are copied", || {
        (health(&server)["copied"].as_u64()? >= 64).then_some(())
    });
    proxy.set(Disturbance::Closed);
    for seen in &seen {
        assert_eq!(server.original(&seen.uploaded.alias), seen.bytes);
    }
    let refused = server.upload_form("", &[File::new(&picture(9001))]);
    refused.refused(503, "store-unavailable");
    eventually("the trouble is told", || {
        let state = health(&server);
        (state["code"] == "store-unavailable").then_some(())
    });
    proxy.set(Disturbance::None);
    patiently("everything is there", || {
        (health(&server)["complete"] == true).then_some(())
    });
    assert_eq!(server.original(&added.alias), picture(9000));
    let launch = without_old(server.stop());
    std::fs::remove_dir_all(launch.folder().join("data/files")).expect("removed");
    let server = launch.start();
    for seen in &seen {
        seen.is_served(&server);
    }
}

#[test]
fn clients_are_sent_to_the_bucket_only_for_what_is_there() {
    let test = "clients_are_sent_to_the_bucket_only_for_what_is_there";
    let Some(bucket) = bucket(Kind::S3sFs, test) else {
        return;
    };
    let server = in_folder().start();
    let old = server.upload(&picture(1));
    let launch = in_bucket(&server.stop(), &bucket)
        .setting("store.public_endpoint", "https://cdn.example/")
        .setting("old_store.rate", 1);
    let server = from_folder(launch, "data/files").start();
    let new = server.upload(&picture(2));
    let path = |uploaded: &Uploaded| format!("/image/original/{}", uploaded.alias);
    server.get(&path(&new)).status(303);
    patiently("everything is there", || {
        let answer = server.get(&path(&old));
        match answer.status {
            200 => assert_eq!(answer.body, picture(1)),
            status => assert_eq!(status, 303),
        }
        (health(&server)["complete"] == true).then_some(())
    });
    server.get(&path(&old)).status(303);
}

/// One server moves, the others notice that it is done.
#[test]
fn servers_on_one_database_move_together_and_none_begins_beside_another() {
    let test = "servers_on_one_database_move_together";
    let (Some(cluster), Some(bucket)) = (Cluster::shared_or_skip(test), bucket(Kind::S3sFs, test))
    else {
        return;
    };
    let database = cluster.database();
    let files = tempfile::tempdir().expect("a folder");
    let path = files.path().join("files").display().to_string();
    let launch = || {
        in_the_folder(Launch::new(), &path)
            .setting("server.api_key", KEY.1)
            .setting("repo.type", "postgres")
            .setting("repo.url", database.url())
    };
    let server = launch().start();
    let seen: Vec<_> = (0..100)
        .map(|seed| Seen::upload(&server, picture(seed)))
        .collect();
    let both = || from_folder(in_bucket(&launch(), &bucket), &path).setting("old_store.rate", 40);
    let refusal = both().refused();
    assert_eq!(refusal.status.code(), Some(78), "{refusal}");
    assert!(refusal.output.contains("other servers"), "{refusal}");
    seen[0].is_served(&server);
    server.stop();
    // All at once: one of them begins.
    let servers: Vec<_> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..3).map(|_| scope.spawn(|| both().start())).collect();
        let joined = starts
            .into_iter()
            .map(|start| start.join().expect("started"));
        joined.collect()
    });
    let mut added = Vec::new();
    for (number, server) in servers.iter().enumerate() {
        let bytes = picture(3000 + number as u64);
        added.push((server.upload(&bytes), bytes));
    }
    patiently("everything is there", || {
        for server in &servers {
            for (uploaded, bytes) in &added {
                assert_eq!(server.original(&uploaded.alias), *bytes);
            }
        }
        (health(&servers[0])["complete"] == true).then_some(())
    });
    let begun = servers
        .iter()
        .filter(|server| server.output().contains("going on with the move"));
    assert_eq!(begun.count(), 2, "one began");
    std::fs::remove_dir_all(&path).expect("removed");
    // A server that has not noticed yet finds everything all the same.
    for server in &servers {
        for seen in &seen {
            seen.is_served(server);
        }
    }
}
