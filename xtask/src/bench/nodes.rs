//! Several servers on PostgreSQL and a bucket, beside one with its own database and folder: warm
//! variants, and uploads by few and many clients.
//!
//! Clients, servers, PostgreSQL and the S3 server share the processors of one machine, so the rows
//! say what a part costs, not what several machines would do.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use testkit::postgres::Cluster;
use testkit::s3::{Kind, S3};
use testkit::{Client, File, Launch, Program, Server, pictures};

use crate::measure::{self, median};

/// For how long each figure is measured.
const SPAN: Duration = Duration::from_secs(4);
/// How often each row takes its turn.
const TURNS: usize = 3;
/// Clients that upload at a time.
const UPLOADING: [u64; 3] = [1, 8, 64];
/// Clients that ask for warm variants at a time.
const READING: u64 = 16;
/// Clients of several servers.
const SHARED: u64 = 8;

/// Where a row keeps its facts and its bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// SQLite and a folder.
    Own,
    /// PostgreSQL and a folder.
    Postgres,
    /// PostgreSQL and a bucket.
    Bucket,
}

impl Place {
    const ALL: [Self; 3] = [Self::Own, Self::Postgres, Self::Bucket];

    fn name(self) -> &'static str {
        match self {
            Self::Own => "SQLite, folder",
            Self::Postgres => "PostgreSQL, folder",
            Self::Bucket => "PostgreSQL, bucket",
        }
    }
}

/// Measures all rows, and returns them as a section of the document.
///
/// # Errors
/// When PostgreSQL or the S3 server is missing, or a server gives a wrong answer.
pub fn measure(program: &Path, s3: &Path) -> Result<String> {
    println!("measuring PostgreSQL, buckets and several servers");
    let mut cluster = Cluster::own_or_skip("bench").context("PostgreSQL is not installed")?;
    cluster.flush()?;
    let bed = Bed {
        program,
        cluster: &cluster,
        s3: S3::shared_in(Kind::S3sFs, s3),
    };
    let mut text = String::from(
        "## PostgreSQL, buckets and several servers\n\n\
         PostgreSQL flushes what it commits. The bucket is of s3s-fs, which keeps objects as files and does not \
         flush them. Clients and all servers share the processors of this machine.\n\n\
         | one server | warm variants/s, 16 clients | uploads/s, 1 client | 8 clients | 64 clients |\n\
         | --- | --- | --- | --- | --- |\n",
    );
    let mut rows = Place::ALL.map(|place| (place, Vec::new(), UPLOADING.map(|_| Vec::new())));
    for _ in 0..TURNS {
        for (place, warm, uploads) in &mut rows {
            let site = bed.site(*place, 1)?;
            warm.push(site.warm()?);
            for (clients, rates) in UPLOADING.into_iter().zip(uploads) {
                rates.push(site.uploads(clients)?);
            }
        }
    }
    for (place, warm, uploads) in rows {
        let uploads = uploads.map(|rates| format!("{:.0}", median(rates)));
        let (name, warm) = (place.name(), median(warm));
        writeln!(text, "| {name} | {warm:.0} | {} |", uploads.join(" | "))?;
    }
    text.push_str(
        "\n| servers on PostgreSQL and a bucket | warm variants/s, 16 clients | uploads/s, 8 clients |\n\
         | --- | --- | --- |\n",
    );
    for count in 1..=3 {
        let (mut warm, mut uploads) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            let site = bed.site(Place::Bucket, count)?;
            warm.push(site.warm()?);
            uploads.push(site.uploads(SHARED)?);
        }
        let (warm, uploads) = (median(warm), median(uploads));
        writeln!(text, "| {count} | {warm:.0} | {uploads:.0} |")?;
    }
    Ok(text)
}

/// What all rows stand on.
struct Bed<'a> {
    program: &'a Path,
    cluster: &'a Cluster,
    s3: &'static S3,
}

/// Running servers of one row.
struct Site {
    servers: Vec<Server>,
    /// Removed when the servers have gone.
    _database: Option<testkit::postgres::Database>,
}

impl Bed<'_> {
    fn site(&self, place: Place, count: usize) -> Result<Site> {
        let database = (place != Place::Own).then(|| self.cluster.database());
        let bucket = (place == Place::Bucket).then(|| self.s3.bucket());
        let launches = (0..count).map(|_| {
            let launch = Launch::of(Program::new(self.program, Vec::new()));
            let launch = match &database {
                None => launch.setting("repo.type", "sqlite"),
                Some(database) => launch
                    .setting("repo.type", "postgres")
                    .setting("repo.url", database.url()),
            };
            match &bucket {
                None => launch,
                Some(bucket) => bucket.holds(launch),
            }
        });
        let servers: Result<_, _> = launches.map(Launch::try_start).collect();
        Ok(Site {
            servers: servers?,
            _database: database,
        })
    }
}

impl Site {
    /// Warm variants a second.
    fn warm(&self) -> Result<f64> {
        let client = measure::client(&self.servers[0]);
        let picture = pictures::png(&pictures::photo(800, 600));
        let uploaded = client.try_upload_form("", &[File::new(&picture)])?;
        let path = format!(
            "/image/process.webp?src={}&resize=400",
            measure::alias(&uploaded)?
        );
        for server in &self.servers {
            get(&measure::client(server), &path)?;
        }
        self.rate(READING, |client| get(client, &path))
    }

    /// Uploads a second, each of another small picture.
    fn uploads(&self, clients: u64) -> Result<f64> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        self.rate(clients, |client| {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let picture = pictures::png(&pictures::noise(16, 16, number));
            let answer = client.try_upload_form("", &[File::new(&picture)])?;
            measure::alias(&answer).map(drop)
        })
    }

    /// How often clients, spread over the servers, do some work in a second.
    fn rate(&self, clients: u64, work: impl Fn(&Client) -> Result<()> + Sync) -> Result<f64> {
        let began = Instant::now();
        let done = thread::scope(|scope| {
            let clients: Vec<_> = (self.servers.iter().cycle())
                .zip(0..clients)
                .map(|(server, _)| {
                    let (client, work) = (measure::client(server), &work);
                    scope.spawn(move || -> Result<u64> {
                        let mut rounds = 0;
                        while began.elapsed() < SPAN {
                            work(&client)?;
                            rounds += 1;
                        }
                        Ok(rounds)
                    })
                })
                .collect();
            let done = clients.into_iter().map(|client| match client.join() {
                Ok(done) => done,
                Err(_) => bail!("a client panicked"),
            });
            done.sum::<Result<u64>>()
        })?;
        Ok(done as f64 / began.elapsed().as_secs_f64())
    }
}

fn get(client: &Client, path: &str) -> Result<()> {
    let answer = client.try_send("GET", path, &[], None)?;
    ensure!(answer.status == 200, "GET {path}: {}", answer.text());
    Ok(())
}
