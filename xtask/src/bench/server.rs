//! The whole server: memory at rest and under load, durable uploads, and warm variants compared
//! with nginx. Servers get their own folder and port, and are stopped at the end.

use std::{
    fs::{self, File},
    io::Write as _,
    ops::Deref,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use testkit::Client;
use testkit::nginx::Nginx;

use super::{
    inputs::Inputs,
    report::{Report, Verdict},
    target_folder,
};
use crate::command;
use crate::measure::{self, median, megabytes};

/// The size of the warm file.
const WARM: u64 = 43_000;
/// Concurrent requests for variants.
const AT_ONCE: usize = 16;

/// Measures and judges all four.
///
/// # Errors
/// When the server does not start or gives a wrong answer.
pub fn measure(folder: &Path, inputs: &Inputs, rounds: u32, report: &mut Report) -> Result<()> {
    let scratch = folder.join("server");
    if scratch.exists() {
        fs::remove_dir_all(&scratch)?;
    }
    println!("measuring the server");
    idle(&scratch.join("idle"), report)?;
    uploads(&scratch.join("uploads"), inputs, report)?;
    burst(&scratch.join("burst"), inputs, report)?;
    warm(&scratch.join("warm"), inputs, rounds, report)?;
    fs::remove_dir_all(&scratch)?;
    Ok(())
}

fn idle(folder: &Path, report: &mut Report) -> Result<()> {
    let server = Server::start(folder)?;
    get(&server.client, "/healthz")?;
    // Long enough for start-up work to finish.
    thread::sleep(Duration::from_secs(3));
    let bytes = server.memory_kib("VmRSS") * 1024;
    report.verdicts.push(Verdict {
        what: "server at rest, memory".into(),
        target: "at most 15 MB".into(),
        got: format!("{:.1} MB", megabytes(bytes)),
        met: bytes <= 15_000_000,
    });
    Ok(())
}

/// Each upload is compared with a plain durable write of the same bytes.
fn uploads(folder: &Path, inputs: &Inputs, report: &mut Report) -> Result<()> {
    let server = Server::start(folder)?;
    for (name, files) in [("upright", &inputs.phone), ("turned", &inputs.phone_turned)] {
        let (mut all, mut plain) = (Vec::new(), Vec::new());
        for file in files {
            plain.push(durable_write(file, &folder.join("plain"))?);
            all.push(server.upload(file)?.milliseconds);
        }
        // The first upload pays for a cold cache and the first pages of the database.
        let (all, plain) = (median(all.split_off(1)), median(plain.split_off(1)));
        let verdict = Verdict {
            what: format!("upload of a 12 MP phone JPEG ({name}), acknowledged durable"),
            target: "at most 60 ms more than the disk's own durable write".into(),
            got: format!("{all:.1} ms; plain write and fsync {plain:.1} ms"),
            met: all <= 60.0 + plain,
        };
        report.verdicts.push(verdict);
    }
    Ok(())
}

fn burst(folder: &Path, inputs: &Inputs, report: &mut Report) -> Result<()> {
    let server = Server::start(folder)?;
    let mut paths = Vec::new();
    for file in &inputs.jpeg_24 {
        let alias = server.upload(file)?.alias;
        for (extension, side) in [("jpg", 256), ("webp", 512), ("jpg", 800), ("webp", 1024)] {
            paths.push(format!(
                "/image/process.{extension}?src={alias}&resize={side}"
            ));
        }
    }
    ensure!(paths.len() == AT_ONCE, "there must be {AT_ONCE} variants");
    server.forget_peak_memory();
    let started = Instant::now();
    let answered = thread::scope(|scope| {
        let requests: Vec<_> = (paths.iter())
            .map(|path| scope.spawn(|| get(&server.client, path)))
            .collect();
        let mut answered = 0;
        for request in requests {
            match request.join() {
                Ok(Ok(_)) => answered += 1,
                Ok(Err(error)) => println!("  {error:#}"),
                Err(_) => println!("  a request panicked"),
            }
        }
        answered
    });
    let seconds = started.elapsed().as_secs_f64();
    let peak = server.peak_memory_kib() * 1024;
    report.verdicts.push(Verdict {
        what: "16 new variants of four 24 MP photographs at once, peak memory of the server".into(),
        target: "at most 170 MB, all answered".into(),
        got: format!(
            "{:.1} MB, {answered} answered, {seconds:.2} s in all",
            megabytes(peak)
        ),
        met: peak <= 170_000_000 && answered == AT_ONCE,
    });
    Ok(())
}

fn warm(folder: &Path, inputs: &Inputs, rounds: u32, report: &mut Report) -> Result<()> {
    let server = Server::start(folder)?;
    let file = inputs.phone.first().context("there is no phone JPEG")?;
    let alias = server.upload(file)?.alias;
    let mut best = (u64::MAX, String::new(), Vec::new());
    for side in (320..=1280).step_by(32) {
        let path = format!("/image/process.jpg?src={alias}&resize={side}");
        let body = get(&server.client, &path)?;
        let away = (body.len() as u64).abs_diff(WARM);
        if away < best.0 {
            best = (away, format!("{}{path}", server.address), body);
        }
    }
    let (_, url, body) = best;
    let nginx = nginx(&body)?;
    let beside = format!("http://{}/file.jpg", nginx.address);
    println!("  warm variant of {} bytes", body.len());
    for connections in [1, 16] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            ours.push(wrk(&url, connections)?);
            theirs.push(wrk(&beside, connections)?);
        }
        let (ours, theirs) = (median(ours), median(theirs));
        let ratio = ours / theirs;
        report.verdicts.push(Verdict {
            what: format!(
                "warm variant of {:.0} KB, {connections} keep-alive connection(s)",
                body.len() as f64 / 1e3
            ),
            target: "at least 0.8 × nginx".into(),
            got: format!("{ours:.0}/s, nginx {theirs:.0}/s: {ratio:.3} ×"),
            met: ratio >= 0.8,
        });
    }
    Ok(())
}

/// A release build with its own folder. Dropping it stops it.
pub(super) struct Server {
    server: testkit::Server,
    client: Client,
    /// `http://IP:PORT`
    pub(super) address: String,
}

impl Deref for Server {
    type Target = testkit::Server;

    fn deref(&self) -> &testkit::Server {
        &self.server
    }
}

pub(super) struct Upload {
    pub(super) alias: String,
    milliseconds: f64,
}

impl Server {
    fn start(folder: &Path) -> Result<Self> {
        Self::start_with(folder, &[])
    }

    /// Starts it with settings as environment variables.
    ///
    /// # Errors
    /// When it does not start.
    pub(super) fn start_with(folder: &Path, settings: &[(&str, &str)]) -> Result<Self> {
        let program = target_folder()?.join("release/pict-rs");
        let server = measure::start(&program, folder, settings)?;
        Ok(Self {
            client: measure::client(&server),
            address: format!("http://{}", server.address),
            server,
        })
    }

    pub(super) fn upload(&self, file: &Path) -> Result<Upload> {
        let bytes = fs::read(file)?;
        let started = Instant::now();
        let answer = (self.client).try_upload_form("", &[testkit::File::new(&bytes)])?;
        Ok(Upload {
            milliseconds: started.elapsed().as_secs_f64() * 1e3,
            alias: measure::alias(&answer)?,
        })
    }
}

/// Serves `body` as `/file.jpg`, configured for speed: sendfile and a cache of open files.
fn nginx(body: &[u8]) -> Result<Nginx> {
    let http = "sendfile on; tcp_nopush on; tcp_nodelay on; types { image/jpeg jpg; }
        keepalive_requests 1000000000; open_file_cache max=100;";
    let nginx = Nginx::start("auto", http, "root www;").context("cannot start nginx")?;
    let folder = nginx.folder().join("www");
    fs::create_dir(&folder)?;
    fs::write(folder.join("file.jpg"), body)?;
    ensure!(
        get(&nginx, "/file.jpg")? == body,
        "nginx does not serve the file"
    );
    Ok(nginx)
}

fn get(client: &Client, path: &str) -> Result<Vec<u8>> {
    let answer = client.try_send("GET", path, &[], None)?;
    ensure!(answer.status == 200, "GET {path}: {}", answer.text());
    Ok(answer.body)
}

/// Requests per second, measured over four seconds.
fn wrk(url: &str, connections: u32) -> Result<f64> {
    let threads = connections.min(2);
    let mut wrk = command::new("wrk");
    wrk.args([
        "-d",
        "4s",
        "-t",
        &threads.to_string(),
        "-c",
        &connections.to_string(),
    ]);
    let text = command::output(wrk.arg(url))?;
    ensure!(
        !text.contains("Non-2xx"),
        "not every answer was a success: {text}"
    );
    let rate = text
        .lines()
        .find_map(|line| line.strip_prefix("Requests/sec:"));
    Ok(rate.context("wrk printed no rate")?.trim().parse()?)
}

/// Milliseconds to write the file's bytes, fsync, rename and fsync the folder.
fn durable_write(source: &Path, folder: &Path) -> Result<f64> {
    let bytes = fs::read(source)?;
    fs::create_dir_all(folder)?;
    let (part, done): (PathBuf, PathBuf) = (folder.join("part"), folder.join("done"));
    let started = Instant::now();
    let mut file = File::create(&part)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(&part, &done)?;
    File::open(folder)?.sync_all()?;
    Ok(started.elapsed().as_secs_f64() * 1e3)
}
