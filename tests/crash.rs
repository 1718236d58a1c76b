//! Death in the middle of work, and what the next start finds.

/// Everything at once.
mod mixed;
/// Media of another server.
mod proxy;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::client::{Client, claim_path, content_type, multipart, process_path};
use crate::support::{File, Launch, Server, database, disk, eventually, pictures, pixels, work};

/// Deaths in one test.
const ROUNDS: u64 = 25;
/// Clients that work until the server dies.
const CLIENTS: u64 = 3;

/// What a client was told before the server died.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    /// A 201 came, so it must be there.
    Stored,
    /// A deletion was asked for and not answered: either is right.
    Unknown,
    /// A 204 came, so it must be gone.
    Deleted,
}

struct Picture {
    alias: String,
    seed: u64,
    told: Told,
}

#[test]
fn after_any_death_what_was_acknowledged_is_there_and_nothing_else_is() {
    let pictures = Mutex::new(Vec::new());
    let seeds = AtomicU64::new(1);
    let mut slowdown = slowdown();
    let mut launch = Launch::new();
    for round in 0..ROUNDS {
        let death = if round % 3 == 2 {
            Death::Hurry
        } else {
            Death::Kill
        };
        let life = slowdown * Duration::from_millis(3 + round * 37 % 260);
        launch = live_and_die(launch.start(), death, life, CLIENTS, |server, _| {
            work_until_death(server, &seeds, &pictures);
        });
        let server = launch.start();
        assert_eq!(disk::unfinished(&server.files()), Vec::<String>::new());
        check(&server, &pictures.lock().expect("no panic"));
        launch = server.stop();
        let data = launch.folder().join("data");
        assert_rows_and_objects_agree(&data);
        let known = pictures.lock().expect("no panic");
        let deleted = known.iter().filter(|known| known.told == Told::Deleted);
        adapt(&mut slowdown, deleted.count() as u64 * 4 >= round);
    }
    let pictures = pictures.into_inner().expect("no panic");
    let log = database::texts(&launch.folder().join("data"), "SELECT aliases FROM audit");
    let deleted = pictures
        .iter()
        .filter(|picture| picture.told == Told::Deleted);
    for picture in deleted {
        let entries = log
            .iter()
            .filter(|aliases| aliases.contains(&picture.alias));
        assert_eq!(entries.count(), 1, "every deletion is recorded once");
    }
    let count = |told| {
        pictures
            .iter()
            .filter(|picture| picture.told == told)
            .count()
    };
    // Else nothing was tried out.
    assert!(count(Told::Stored) > 20 && count(Told::Deleted) > 5);
}

/// How a server ends.
#[derive(Clone, Copy)]
enum Death {
    Kill,
    /// By a second signal, which does not wait for running requests.
    Hurry,
}

/// Lets clients work until the server dies, each with a number of its own; how to start it again.
fn live_and_die(
    server: Server,
    death: Death,
    life: Duration,
    clients: u64,
    work: impl Fn(&Server, u64) + Sync,
) -> Launch {
    std::thread::scope(|scope| {
        for client in 0..clients {
            let (server, work) = (&server, &work);
            scope.spawn(move || work(server, client));
        }
        // Not a sleep for something to happen: the moment of death is what is tried out.
        std::thread::sleep(life);
        match death {
            Death::Kill => server.signal(Signal::KILL),
            Death::Hurry => {
                server.signal(Signal::TERM);
                server.wait_for_output("stopping");
                server.signal(Signal::TERM);
            }
        }
    });
    server.ended().1
}

fn work_until_death(server: &Server, seeds: &AtomicU64, pictures: &Mutex<Vec<Picture>>) {
    let client = Client::new(server.address);
    loop {
        let seed = seeds.fetch_add(1, Ordering::Relaxed);
        let bytes = pictures::png(&picture(seed));
        let Ok(answer) = client.try_upload_form("", &[File::new(&bytes)]) else {
            return;
        };
        if answer.status != 201 {
            // A server that stops may say so.
            return;
        }
        let uploaded = answer.uploaded().remove(0);
        let at = {
            let mut pictures = pictures.lock().expect("no panic");
            pictures.push(Picture {
                alias: uploaded.alias.clone(),
                seed,
                told: Told::Stored,
            });
            pictures.len() - 1
        };
        let variant = process_path("png", &uploaded.alias, "thumbnail=8");
        if client.try_send("GET", &variant, &[], None).is_err() {
            return;
        }
        if seed.is_multiple_of(3) {
            let tell = |told| pictures.lock().expect("no panic")[at].told = told;
            tell(Told::Unknown);
            let path = format!("/image/delete/{}/{}", uploaded.token, uploaded.alias);
            match client.try_send("DELETE", &path, &[], None) {
                Ok(answer) if answer.status == 204 => {}
                _ => return,
            }
            tell(Told::Deleted);
        }
    }
}

/// How many times as long an upload takes now as on an idle machine. The moments at which servers die
/// and clients go are that many times later: on a busy machine nothing would be done before them.
fn slowdown() -> u32 {
    const USUAL: Duration = Duration::from_millis(25);
    let server = Server::start();
    // The first one starts what decodes.
    server.upload(&pictures::png(&picture(0)));
    let since = Instant::now();
    for seed in 1..=4 {
        server.upload(&pictures::png(&picture(seed)));
    }
    let slower = since.elapsed().as_millis() / (4 * USUAL).as_millis();
    u32::try_from(slower.clamp(1, 8)).unwrap_or(1)
}

/// Doubles the slowdown when too little was done until now: the machine has become busier.
fn adapt(slowdown: &mut u32, enough: bool) {
    if !enough {
        *slowdown = (*slowdown * 2).min(32);
    }
}

fn picture(seed: u64) -> image::DynamicImage {
    pictures::noise(24, 24, seed)
}

fn check(server: &Server, pictures: &[Picture]) {
    for known in pictures {
        let answer = server.get(&format!("/image/original/{}", known.alias));
        match known.told {
            Told::Deleted => assert_eq!(answer.status, 404),
            Told::Unknown if answer.status == 404 => {}
            Told::Stored | Told::Unknown => {
                let got = pixels::decode(&answer.ok().body);
                pixels::assert_equal(&got, &picture(known.seed));
            }
        }
    }
}

/// Every row has its bytes, all bytes have a row, and the sums are those of the rows.
#[track_caller]
pub fn assert_rows_and_objects_agree(data: &Path) {
    let objects = disk::objects(&data.join("files"));
    assert_eq!(rows(data), objects.keys().cloned().collect());
    assert!(objects.values().all(|size| *size > 0));
    let orphans = "SELECT 'a source' FROM sources WHERE hash NOT IN (SELECT hash FROM hashes)";
    assert_eq!(database::texts(data, orphans), Vec::<String>::new());
    let mut sums = database::texts(
        data,
        "SELECT class || ' ' || SUM(count) || ' ' || SUM(bytes) FROM \
         (SELECT class, count, bytes FROM usage \
         UNION ALL SELECT class, count, bytes FROM usage_deltas) AS sums GROUP BY class",
    );
    let mut counted = database::texts(
        data,
        "SELECT 'aliases ' || COUNT(*) || ' 0' FROM aliases \
         UNION ALL SELECT 'originals ' || COUNT(*) || ' ' || COALESCE(SUM(size), 0) FROM hashes \
         UNION ALL SELECT 'variants ' || COUNT(*) || ' ' || COALESCE(SUM(size), 0) FROM variants \
         UNION ALL SELECT 'proxied ' || (SELECT COUNT(*) FROM proxies) || ' ' || COALESCE(SUM(size), 0) \
         FROM hashes h WHERE h.hash IN (SELECT hash FROM aliases a JOIN proxies p ON p.alias = a.alias) \
         AND NOT EXISTS (SELECT 1 FROM aliases a WHERE a.hash = h.hash \
         AND NOT EXISTS (SELECT 1 FROM proxies p WHERE p.alias = a.alias))",
    );
    sums.sort();
    counted.sort();
    assert_eq!(sums, counted);
}

/// The objects that rows name, of a server that has stopped.
fn rows(data: &Path) -> BTreeSet<String> {
    let named = database::texts(
        data,
        "SELECT object FROM hashes UNION ALL SELECT object FROM variants",
    );
    let rows: BTreeSet<_> = named.iter().cloned().collect();
    assert_eq!(rows.len(), named.len(), "two rows share an object");
    rows
}

#[test]
fn clients_that_go_away_at_any_moment_leave_no_row_without_bytes() {
    let slowdown = slowdown();
    let server = Server::start();
    std::thread::scope(|scope| {
        for client in 0..4 {
            let server = &server;
            scope.spawn(move || {
                for round in 0..60 {
                    let seed = client * 1000 + round;
                    let form = multipart(&[File::new(&pictures::png(&picture(seed)))]);
                    let mut stream = server.connect();
                    write!(
                        stream,
                        "POST /image HTTP/1.1\r\nHost: x\r\nContent-Type: {}\r\n\
                         Content-Length: {}\r\n\r\n",
                        content_type(),
                        form.len()
                    )
                    .expect("sent");
                    stream.write_all(&form).expect("sent");
                    // The moment of going is what is tried out.
                    let patience = Duration::from_micros(seed * 7919 % 150_000);
                    // Some stay longer: work that is given up ends its process, and the next
                    // upload waits for another one.
                    let longer = if round % 4 == 3 { 8 } else { 1 };
                    std::thread::sleep(longer * slowdown * patience);
                }
            });
        }
    });
    let launch = server.stop();
    let data = launch.folder().join("data");
    let objects: BTreeSet<_> = disk::objects(&data.join("files")).into_keys().collect();
    let rows = rows(&data);
    let lost: Vec<_> = rows.difference(&objects).collect();
    assert!(lost.is_empty(), "{lost:?}");
    assert!((5..240).contains(&rows.len()), "{}", rows.len());
    let _launch = launch.start().stop();
    assert_rows_and_objects_agree(&data);
    assert_eq!(disk::unfinished(&data.join("files")), Vec::<String>::new());
}

#[test]
fn leftovers_of_a_death_are_removed_at_start_and_strangers_are_not() {
    let server = Server::start();
    let uploaded = server.upload(&pictures::png(&picture(1)));
    let launch = server.stop();
    let files = launch.folder().join("data/files");
    let name = "ab12cdef00000000000000000000000f.png";
    // Renamed into its place, with no row yet; and one half written.
    std::fs::create_dir_all(files.join("ab/12")).expect("made");
    for path in [
        format!("ab/12/{name}"),
        format!(".incoming/{name}"),
        ".incoming/0123456789abcdef0123456789abcdef.png.partial".to_owned(),
        "notes.txt".to_owned(),
    ] {
        std::fs::write(files.join(path), b"left").expect("written");
    }
    let server = launch.start();
    assert_eq!(disk::unfinished(&files), Vec::<String>::new());
    assert!(!files.join("ab").exists());
    assert!(files.join("notes.txt").exists());
    server.original(&uploaded.alias);
}

#[test]
fn a_deletion_that_death_interrupted_is_finished_at_start() {
    let server = Server::start();
    let uploaded = server.upload(&pictures::png(&picture(2)));
    let name = disk::objects(&server.files())
        .into_keys()
        .next()
        .expect("one");
    let bytes = server.original(&uploaded.alias);
    let path = format!("/image/delete/{}/{}", uploaded.token, uploaded.alias);
    server.delete(&path).status(204);
    let launch = server.kill();
    // As if death had come between the row and the file: the row is in the garbage table.
    let data = launch.folder().join("data");
    let object = data.join("files").join(&name);
    std::fs::create_dir_all(object.parent().expect("a folder")).expect("made");
    std::fs::write(&object, bytes).expect("written");
    database::change(
        &data,
        &format!("INSERT INTO garbage (object) VALUES ('{name}')"),
    );
    disk::assert_nothing_stored(&launch.start());
}

/// Waits until the work of a job has begun, in the view of the next start.
fn begun(server: &Server) {
    eventually("the work has begun", || {
        let begun = "SELECT key FROM jobs WHERE begun = 1";
        (database::texts(&server.data(), begun).len() == 1).then_some(())
    });
}

/// One processor, so one job at a time; and one request that may keep it.
fn single() -> Launch {
    Launch::new()
        .setting("media.concurrency", 1)
        .setting("media.queue_length", 0)
        .setting("media.process_timeout", 120)
}

#[test]
fn an_upload_that_kills_the_server_twice_fails_and_the_others_are_done() {
    let server = single().start();
    // Long enough to die in the middle of it.
    let long = pictures::png(&pictures::plain(3000, 3000));
    let query = format!("?{}", work::blurs(60));
    let answer = server.background_form(&query, &[File::new(&long)]);
    let deadly = answer.upload_ids().remove(0);
    begun(&server);
    let innocent = server.background(&pictures::png(&picture(2)));
    let server = server.kill().start();
    // What was not begun goes first.
    let taken = server.claim(&innocent).claimed();
    pixels::assert_equal(&pixels::decode(&server.original(&taken.alias)), &picture(2));
    server.wait_for_output("begun alone");
    let server = server.kill().start();
    let message = server.claim(&deadly).refused(422, "media-failed");
    assert_eq!(message, "The server could not process this media");
    assert!(server.output().contains("the server died 2 times"));
    eventually("its file goes", || {
        disk::unfinished(&server.files()).is_empty().then_some(())
    });
    assert_eq!(database::jobs(&server.data()), Vec::<String>::new());
    server.upload(&pictures::png(&picture(3)));
}

#[test]
fn an_upload_that_was_being_done_when_the_server_died_is_done_alone() {
    let server = single().start();
    let held = work::hold_processor(&server);
    let id = server.background(&pictures::png(&picture(3)));
    begun(&server);
    let launch = server.kill();
    drop(held);
    let server = launch.start();
    server.claim(&id).claimed();
    assert!(server.output().contains("begun alone"));
}

#[test]
fn a_variant_that_kills_the_server_twice_is_not_tried_again_for_a_day() {
    let server = single().start();
    let alias = server.upload(&pictures::png(&picture(4))).alias;
    let held = work::hold_processor(&server);
    let path = format!("/image/process_backgrounded.webp?src={alias}&thumbnail=9");
    server.get(&path).status(202);
    begun(&server);
    let launch = server.kill();
    drop(held);
    let data = launch.folder().join("data");
    database::change(&data, "UPDATE jobs SET deaths = 1");
    let server = launch.start();
    server.wait_for_output("put off for a day");
    // Asking again changes nothing.
    server.get(&path).status(202);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let soon = now.expect("after 1970").as_millis() + 86_000_000;
    let state = &format!(
        "SELECT 'deaths ' || deaths || ' ' || COALESCE(lease, 'free') || \
         CASE WHEN due_at > {soon} THEN ' later' ELSE ' soon' END FROM jobs"
    );
    let put_off = ["deaths 1 free later"];
    eventually("it is put off", || {
        (database::texts(&server.data(), state) == put_off).then_some(())
    });
    // Not by a restart either.
    let server = server.stop().start();
    server.upload(&pictures::png(&picture(5)));
    assert_eq!(database::texts(&server.data(), state), put_off);
}

/// What a client knows of a backgrounded upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// A 202 came: its outcome can be claimed.
    Acknowledged,
    /// A claim was begun and not answered: it may be gone.
    MaybeClaimed,
    /// The outcome came: it is gone.
    Claimed,
}

struct Background {
    id: String,
    seed: u64,
    known: Known,
    alias: Option<String>,
}

#[test]
fn after_any_death_every_acknowledged_upload_is_claimed_once_and_whole() {
    let uploads = Mutex::new(Vec::new());
    let seeds = AtomicU64::new(1);
    let mut slowdown = slowdown();
    let mut launch = Launch::new();
    let (mut pending, mut checked) = (0, 0);
    for round in 0..ROUNDS {
        let death = if round % 4 == 3 {
            Death::Hurry
        } else {
            Death::Kill
        };
        let life = slowdown * Duration::from_millis(3 + round * 53 % 310);
        launch = live_and_die(launch.start(), death, life, CLIENTS, |server, _| {
            background_until_death(server, &seeds, &uploads);
        });
        pending += database::jobs(&launch.folder().join("data")).len();
        let known = checked + uploads.lock().expect("no panic").len() as u64;
        adapt(
            &mut slowdown,
            known >= 2 * round && pending as u64 * 4 >= round,
        );
        if round % 5 != 4 {
            // Die again before all is done.
            continue;
        }
        let server = launch.start();
        let mut uploads = uploads.lock().expect("no panic");
        for upload in uploads.drain(..) {
            checked += 1;
            claim_once_and_whole(&server, &upload);
        }
        // What nobody was told of is finished as well, and its files go.
        eventually("all work is done", || {
            (database::jobs(&server.data()).is_empty()
                && disk::unfinished(&server.files()).is_empty())
            .then_some(())
        });
        launch = server.stop();
        assert_rows_and_objects_agree(&launch.folder().join("data"));
    }
    // Else nothing was tried out.
    assert!(pending > 5 && checked > 30, "{pending} {checked}");
}

fn background_picture(seed: u64) -> Vec<u8> {
    let picture = match seed % 4 {
        0 => pictures::noise(400, 300, seed),
        _ => picture(seed),
    };
    let mut bytes = pictures::png(&picture);
    if seed % 7 == 6 {
        bytes.truncate(bytes.len() / 2);
    }
    bytes
}

fn background_until_death(server: &Server, seeds: &AtomicU64, uploads: &Mutex<Vec<Background>>) {
    let client = Client::new(server.address);
    loop {
        let seed = seeds.fetch_add(1, Ordering::Relaxed);
        let bytes = background_picture(seed);
        let Ok(answer) = client.try_background_form("", &[File::new(&bytes)]) else {
            return;
        };
        if answer.status != 202 {
            return;
        }
        let id = answer.upload_ids().remove(0);
        let at = {
            let mut uploads = uploads.lock().expect("no panic");
            uploads.push(Background {
                id: id.clone(),
                seed,
                known: Known::Acknowledged,
                alias: None,
            });
            uploads.len() - 1
        };
        if seed.is_multiple_of(3) {
            let tell = |known| uploads.lock().expect("no panic")[at].known = known;
            tell(Known::MaybeClaimed);
            match client.try_send("GET", &claim_path(&id), &[], None) {
                // A server that stops sends those away who wait.
                Ok(answer) if answer.status == 204 => tell(Known::Acknowledged),
                Ok(answer) => {
                    if answer.status == 200 {
                        let alias = answer.claimed().alias;
                        uploads.lock().expect("no panic")[at].alias = Some(alias);
                    }
                    tell(Known::Claimed);
                }
                Err(_) => return,
            }
        }
    }
}

fn claim_once_and_whole(server: &Server, upload: &Background) {
    let answer = server.claim(&upload.id);
    let alias = match upload.known {
        Known::Claimed => {
            answer.refused(400, "already-claimed");
            upload.alias.clone()
        }
        Known::MaybeClaimed if answer.status == 400 => None,
        _ if upload.seed % 7 == 6 => {
            answer.refused(422, "media-damaged");
            None
        }
        _ => Some(answer.claimed().alias),
    };
    if let Some(alias) = alias {
        let got = pixels::decode(&server.original(&alias));
        pixels::assert_equal(&got, &pixels::decode(&background_picture(upload.seed)));
    }
    server
        .claim_once(&upload.id)
        .refused(400, "already-claimed");
}

#[test]
fn files_that_no_row_names_are_removed_at_start_and_rows_without_a_file_have_an_outcome() {
    let server = Server::with([
        ("media.concurrency", "1"),
        ("media.queue_length", "0"),
        ("media.process_timeout", "600"),
    ]);
    let held = work::hold_processor(&server);
    let bytes = pictures::png(&picture(1));
    let ids = [server.background(&bytes), server.background(&bytes)];
    let launch = server.kill();
    drop(held);
    let incoming = launch.folder().join("data/files/.incoming");
    std::fs::remove_file(incoming.join(format!("{}.waiting", ids[0]))).expect("it was there");
    let stranger = incoming.join("8481e6d3-2fee-4963-b2d9-6866316c77fb.waiting");
    std::fs::write(&stranger, &bytes).expect("written");
    let server = launch.start();
    assert!(!stranger.exists());
    server.claim(&ids[0]).refused(422, "lost-file");
    server.claim(&ids[1]).claimed();
}
