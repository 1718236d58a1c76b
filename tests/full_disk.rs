//! A disk that is full to the last byte, and one that has room again. The disks are real: a small
//! tmpfs and a small ext4, mounted over the data folder, which only root can do.

use crate::crash::assert_rows_and_objects_agree;
use crate::support::client::{content_type, multipart, process_path};
use crate::support::mount::{Disk, Kind};
use crate::support::upstream::{Reply, Upstream};
use crate::support::{
    Answer, File, Launch, Server, Uploaded, database, disk, eventually, pictures, pixels,
};

const KEY: (&str, &str) = ("X-Api-Token", "the-key");

/// A server whose data lie on a small disk of their own.
struct Stage {
    // In the order in which they go.
    server: Server,
    disk: Disk,
    launch: Launch,
}

impl Stage {
    fn set(kind: Kind, test: &str, settings: &[(&str, &str)]) -> Option<Self> {
        let launch = settings.iter().fold(
            Launch::new().setting("server.api_key", KEY.1),
            |launch, (key, value)| launch.setting(key, value),
        );
        let disk = Disk::mount(kind, 24, &launch.folder().join("data"), test)?;
        Some(Self {
            server: launch.clone().start(),
            disk,
            launch,
        })
    }

    fn restart(self, is_gentle: bool) -> Self {
        let Self {
            server,
            disk,
            launch,
        } = self;
        match is_gentle {
            true => server.stop(),
            false => server.kill(),
        };
        Self {
            server: launch.clone().start(),
            disk,
            launch,
        }
    }

    fn admin(&self, method: &str, path: &str) -> Answer {
        self.server.send(method, path, &[KEY], None)
    }

    fn delete(&self, picture: &Uploaded) -> Answer {
        let path = format!("/image/delete/{}/{}", picture.token, picture.alias);
        self.server.delete(&path)
    }

    fn purge(&self, picture: &Uploaded) -> Answer {
        self.admin("POST", &format!("/internal/purge?alias={}", picture.alias))
    }

    fn block(&self, seed: u64) -> Answer {
        self.admin("POST", &format!("/internal/blocklist?hash={seed:064x}"))
    }

    fn upload(&self, seed: u64) -> Answer {
        self.server.upload_form("", &[File::new(&png(seed))])
    }

    /// What looks like this picture.
    fn search(&self, seed: u64) -> Answer {
        let kind = content_type();
        let headers = [KEY, ("Content-Type", kind.as_str())];
        let form = multipart(&[File::new(&png(seed))]);
        self.server
            .send("POST", "/internal/similar", &headers, Some(&form))
    }

    /// The same settings and data, looked at while they are not in use.
    fn end(self) {
        let data = self.launch.folder().join("data");
        let Self { server, disk, .. } = self;
        let files = server.files();
        let _launch = server.stop();
        assert_rows_and_objects_agree(&data);
        assert_eq!(disk::unfinished(&files), Vec::<String>::new());
        drop(disk);
    }
}

fn png(seed: u64) -> Vec<u8> {
    pictures::png(&pictures::noise(60, 50, seed))
}

fn thumbnail(alias: &str, size: u32) -> String {
    process_path("png", alias, &format!("thumbnail={size}"))
}

/// Expects that there is no room, and a time to come back.
#[track_caller]
fn no_room(answer: &Answer) {
    answer.refused(503, "insufficient-storage");
    let seconds = answer.header("retry-after").expect("a time");
    assert!(seconds.parse::<u32>().is_ok_and(|n| (1..=600).contains(&n)));
}

#[test]
fn a_full_tmpfs_serves_and_removes_and_takes_files_again_when_it_has_room() {
    full(Kind::Tmpfs, "a full tmpfs");
}

#[test]
fn a_full_ext4_serves_and_removes_and_takes_files_again_when_it_has_room() {
    full(Kind::Ext4, "a full ext4");
}

fn full(kind: Kind, test: &str) {
    let Some(mut stage) = Stage::set(kind, test, &[]) else {
        return;
    };
    let kept: Vec<_> = (0..8).map(|seed| stage.server.upload(&png(seed))).collect();
    stage.server.process("png", &kept[0].alias, "thumbnail=20");
    stage.server.get("/readyz").ok();
    stage.disk.fill();
    for round in 0..3_usize {
        let Stage { server, .. } = &stage;
        // It serves,
        let original = server.original(&kept[0].alias);
        pixels::assert_equal(&pixels::decode(&original), &pictures::noise(60, 50, 0));
        server.get("/healthz").ok();
        // also what had to be computed now,
        let size = 30 + u32::try_from(round).expect("small");
        let made = server.get(&thumbnail(&kept[0].alias, size)).ok();
        assert_eq!(pixels::decode(&made.body).width(), size);
        // and removes,
        let picture = &kept[2 * round + 1];
        stage.delete(picture).status(204);
        let path = format!("/image/original/{}", picture.alias);
        server.get(&path).refused(404, "alias-not-found");
        stage.purge(&kept[2 * round + 2]).ok();
        stage.block(round as u64).status(201);
        // and says that it stores nothing new,
        no_room(&stage.upload(100));
        no_room(&server.background_form("", &[File::new(&png(101))]));
        // while a search needs no room,
        let found = stage.search(0).ok().json();
        assert_eq!(found["similar"][0]["aliases"][0], *kept[0].alias, "{found}");
        eventually("it is not ready", || {
            // What it found a moment ago may count for a second.
            (server.get("/readyz").status != 200).then_some(())
        });
        no_room(&server.get("/readyz"));
        let health = stage.admin("GET", "/internal/health").status(503).json();
        let codes = ["repo", "store"].map(|part| health[part]["code"].as_str());
        assert!(codes.contains(&Some("insufficient-storage")), "{health}");
        // whichever way it was started.
        stage = stage.restart(round == 0);
        if stage.server.get("/readyz").status == 200 {
            // The stop gave back so much that the reserve was taken again.
            stage.disk.fill();
        }
    }
    assert!(stage.server.output().contains("only removals write"));
    stage.disk.free();
    let again = stage.upload(100).uploaded().remove(0);
    let id = stage.server.background(&png(101));
    stage.server.claim(&id).claimed();
    stage.server.get("/readyz").ok();
    stage.admin("GET", "/internal/health").ok();
    let head = thumbnail(&again.alias, 25);
    stage.server.get(&head).ok();
    stage.server.head(&head).ok();
    stage.delete(&again).status(204);
    stage.end();
}

#[test]
fn a_moment_without_room_spoils_no_later_write_on_tmpfs() {
    moments(Kind::Tmpfs, "moments without room on tmpfs");
}

#[test]
fn a_moment_without_room_spoils_no_later_write_on_ext4() {
    moments(Kind::Ext4, "moments without room on ext4");
}

/// Without a reserve even removals fail: each kind of write in turn finds the disk full.
fn moments(kind: Kind, test: &str) {
    type Write = (&'static str, fn(&Stage, &Uploaded) -> Answer, u16);
    let writes: [Write; 9] = [
        ("upload", |stage, _| stage.upload(7001), 201),
        ("delete", |stage, picture| stage.delete(picture), 204),
        ("purge", |stage, picture| stage.purge(picture), 200),
        (
            "variant",
            |stage, picture| stage.server.get(&thumbnail(&picture.alias, 21)),
            200,
        ),
        ("block", |stage, _| stage.block(7002), 201),
        (
            "background",
            |stage, _| {
                let answer = stage.server.background_form("", &[File::new(&png(7003))]);
                if answer.status == 202 {
                    stage.server.claim(&answer.upload_ids()[0]).claimed();
                }
                answer
            },
            202,
        ),
        (
            "background variant",
            |stage, picture| {
                let path = thumbnail(&picture.alias, 22).replace("process", "process_backgrounded");
                stage.server.get(&path)
            },
            202,
        ),
        (
            "drop variants",
            |stage, _| stage.admin("DELETE", "/internal/variants"),
            204,
        ),
        (
            "prune",
            |stage, _| stage.admin("POST", "/internal/prune_missing"),
            200,
        ),
    ];
    let Some(stage) = Stage::set(kind, test, &[("repo.reserve", "0")]) else {
        return;
    };
    for (seed, (name, write, status)) in writes.iter().enumerate() {
        let picture = stage.server.upload(&png(seed as u64));
        stage.disk.fill();
        // The log of the database may have room for one change more, and not for many.
        let mut refused = 0;
        for _ in 0..3 {
            let answer = write(&stage, &picture);
            match answer.status {
                503 => {
                    no_room(&answer);
                    refused += 1;
                }
                found => assert!(found < 500, "{name}: {}", answer.text()),
            }
            no_room(&stage.upload(7004));
        }
        eprintln!("{name}: refused {refused} of 3");
        stage.disk.free();
        let answer = write(&stage, &picture);
        // What was done while the disk was full is not done twice.
        let is_done = matches!((*name, answer.status), ("purge", 404));
        assert!(
            answer.status == *status || is_done,
            "{name} on a disk with room: {} {}",
            answer.status,
            answer.text()
        );
        stage.server.upload(&png(5000 + seed as u64));
        stage.server.get("/readyz").ok();
    }
    let data = stage.server.data();
    eventually("all work is done", || {
        database::jobs(&data).is_empty().then_some(())
    });
    stage.end();
}

#[test]
fn jobs_that_find_no_room_are_done_soon_after_there_is_room() {
    // Without a reserve not even their return to the queue can be written.
    let test = "jobs that find no room";
    let Some(stage) = Stage::set(Kind::Tmpfs, test, &[("repo.reserve", "0")]) else {
        return;
    };
    let picture = stage
        .server
        .upload(&pictures::png(&pictures::noise(900, 700, 1)));
    for size in 300..330 {
        let path = thumbnail(&picture.alias, size).replace("process", "process_backgrounded");
        stage.server.get(&path).status(202);
    }
    stage.disk.fill();
    eventually("a job finds no room", || {
        let output = stage.server.output();
        output
            .contains("to be done when the store takes it")
            .then_some(())
    });
    stage.disk.free();
    // Sooner than the lease of a job would run out.
    let data = stage.server.data();
    eventually("all work is done", || {
        database::jobs(&data).is_empty().then_some(())
    });
    stage.end();
}

#[test]
fn files_on_a_full_disk_of_their_own_are_served_and_removed() {
    let launch = Launch::new().setting("server.api_key", KEY.1);
    let files = launch.folder().join("data/files");
    let test = "a full disk of files";
    let Some(disk) = Disk::mount(Kind::Tmpfs, 8, &files, test) else {
        return;
    };
    let server = launch.clone().start();
    let (kept, removed) = (server.upload(&png(1)), server.upload(&png(2)));
    disk.fill();
    no_room(&server.upload_form("", &[File::new(&png(3))]));
    no_room(&server.get("/readyz"));
    let _launch = server.stop();
    let server = launch.clone().start();
    server.original(&kept.alias);
    server.get("/healthz").ok();
    no_room(&server.upload_form("", &[File::new(&png(3))]));
    server.get(&thumbnail(&kept.alias, 20)).ok();
    let path = format!("/image/delete/{}/{}", removed.token, removed.alias);
    server.delete(&path).status(204);
    disk.free();
    server.upload(&png(3));
    server.get("/readyz").ok();
}

#[test]
fn a_variant_whose_row_finds_no_room_is_served_from_memory() {
    let launch = Launch::new();
    let database = launch.folder().join("data/database");
    let test = "a full disk of the database";
    let Some(disk) = Disk::mount(Kind::Tmpfs, 8, &database, test) else {
        return;
    };
    let server = launch.start();
    let alias = server.upload(&png(1)).alias;
    disk.fill();
    let first = server.get(&thumbnail(&alias, 20)).ok();
    server.wait_for_output("a variant is served from memory");
    eventually("it takes no room on a disk", || {
        (server.nameless_files() == 0).then_some(())
    });
    assert_eq!(disk::objects(&server.files()).len(), 1);
    let again = server.get(&thumbnail(&alias, 20)).ok();
    assert_eq!(again.body, first.body);
    assert_eq!(again.header("etag"), first.header("etag"));
    let times = server.output().matches("is served from memory").count();
    assert_eq!(times, 1, "it was not made again");
    disk.free();
}

#[test]
fn a_picture_of_another_server_is_served_although_it_cannot_be_stored() {
    let settings = [("client.allow_local_connections", "true")];
    let test = "a full disk and the proxy";
    let Some(stage) = Stage::set(Kind::Tmpfs, test, &settings) else {
        return;
    };
    let seed = |path: &str| path.bytes().map(u64::from).sum::<u64>();
    let upstream = Upstream::start(move |asked| Reply::ok(&png(seed(&asked.path))));
    let (known, new) = (upstream.url("/known.png"), upstream.url("/new.png"));
    let original = |url: &str| format!("/image/original?proxy={url}");
    let Stage { server, disk, .. } = &stage;
    server.get(&original(&known)).ok();
    disk.fill();
    // What is stored is served as before, and what is new from memory.
    server.get(&original(&known)).ok();
    for _ in 0..2 {
        let served = server.get(&original(&new)).ok();
        let expected = pictures::noise(60, 50, seed("/new.png"));
        pixels::assert_equal(&pixels::decode(&served.body), &expected);
    }
    let path = format!("/image/process.png?proxy={new}&thumbnail=20");
    let variant = server.get(&path).ok();
    assert_eq!(pixels::decode(&variant.body).width(), 20);
    let details = server.get(&format!("/image/details/original?proxy={new}"));
    assert_eq!(details.ok().json()["width"], 60);
    let times = server.output().matches("is served from memory").count();
    assert!(times >= 1, "{}", server.output());
    let one = "a proxied picture is served from memory";
    assert_eq!(server.output().matches(one).count(), 1, "fetched once");
    no_room(&stage.upload(100));
    disk.free();
    // With room again others are stored, and this one once memory has let go of it.
    server.get(&original(&upstream.url("/later.png"))).ok();
    assert_eq!(server.output().matches(one).count(), 1);
    stage.end();
}

#[test]
fn a_disk_that_fills_up_is_told_in_the_log_before_it_is_full() {
    let Some(stage) = Stage::set(
        Kind::Tmpfs,
        "a disk that fills up",
        &[("server.free_space_warning", "12")],
    ) else {
        return;
    };
    assert!(!stage.server.output().contains("a disk is nearly full"));
    std::fs::write(stage.server.data().join("filler"), vec![1; 16 << 20]).expect("written");
    stage.server.wait_for_output("a disk is nearly full");
    std::fs::remove_file(stage.server.data().join("filler")).expect("removed");
    stage.server.wait_for_output("a disk has room again");
}
