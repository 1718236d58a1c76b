//! The whole server: memory at rest and under load, uploads that are safe on disk, and warm
//! variants beside nginx. Servers get a folder and a port of their own and are stopped at the end.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Read, Write as _},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

use super::{
    inputs::Inputs,
    median, megabytes,
    report::{Report, Verdict},
    target_folder,
};
use crate::client::API_KEY;
use crate::command;

/// The size of the file that is served warm.
const WARM: u64 = 43_000;
/// How many variants are asked for at once.
const AT_ONCE: usize = 16;

/// Measures all four and judges them.
///
/// # Errors
/// When the server does not start or answers wrongly.
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
    get(&format!("{}/healthz", server.address))?;
    // Long enough for start-up work to be over.
    thread::sleep(Duration::from_secs(3));
    let bytes = server.memory("VmRSS")?;
    report.verdicts.push(Verdict {
        what: "server at rest, memory".into(),
        target: "at most 15 MB".into(),
        got: format!("{:.1} MB", megabytes(bytes)),
        met: bytes <= 15_000_000,
    });
    Ok(())
}

/// Each upload is beside a plain durable write of the same bytes, the disk's own share.
fn uploads(folder: &Path, inputs: &Inputs, report: &mut Report) -> Result<()> {
    let server = Server::start(folder)?;
    for (name, files) in [("upright", &inputs.phone), ("turned", &inputs.phone_turned)] {
        let (mut all, mut plain) = (Vec::new(), Vec::new());
        for file in files {
            plain.push(durable_write(file, &folder.join("plain"))?);
            all.push(server.upload(file)?.milliseconds);
        }
        // The first pays for a cold cache and the first pages of the database.
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
    let mut urls = Vec::new();
    for file in &inputs.jpeg_24 {
        let alias = server.upload(file)?.alias;
        for (extension, side) in [("jpg", 256), ("webp", 512), ("jpg", 800), ("webp", 1024)] {
            let query = format!("src={alias}&resize={side}");
            urls.push(format!(
                "{}/image/process.{extension}?{query}",
                server.address
            ));
        }
    }
    ensure!(urls.len() == AT_ONCE, "there must be {AT_ONCE} variants");
    // Resets the peak that uploads have left (proc(5), clear_refs).
    fs::write(format!("/proc/{}/clear_refs", server.child.id()), "5")?;
    let started = Instant::now();
    let requests: Vec<_> = urls
        .into_iter()
        .map(|url| thread::spawn(move || get(&url)))
        .collect();
    let mut answered = 0;
    for request in requests {
        match request.join() {
            Ok(Ok(_)) => answered += 1,
            Ok(Err(error)) => println!("  {error:#}"),
            Err(_) => println!("  a request panicked"),
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    let peak = server.memory("VmHWM")?;
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
        let url = format!(
            "{}/image/process.jpg?src={alias}&resize={side}",
            server.address
        );
        let body = get(&url)?;
        let away = (body.len() as u64).abs_diff(WARM);
        if away < best.0 {
            best = (away, url, body);
        }
    }
    let (_, url, body) = best;
    let nginx = Nginx::start(&folder.join("nginx"), &body)?;
    println!("  warm variant of {} bytes", body.len());
    for connections in [1, 16] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            ours.push(wrk(&url, connections)?);
            theirs.push(wrk(&nginx.url, connections)?);
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

/// A pict-rs with a folder of its own. Dropping it stops it.
pub(crate) struct Server {
    child: Child,
    /// `http://IP:PORT`
    pub(crate) address: String,
}

pub(super) struct Upload {
    pub(super) alias: String,
    milliseconds: f64,
}

impl Server {
    fn start(folder: &Path) -> Result<Self> {
        Self::start_program(&target_folder()?.join("release/pict-rs"), folder)
    }

    /// Any build of it.
    ///
    /// # Errors
    /// When it does not come up.
    pub(crate) fn start_program(program: &Path, folder: &Path) -> Result<Self> {
        Self::start_program_with(program, folder, &[])
    }

    /// The release build, with settings as variables of the environment.
    ///
    /// # Errors
    /// When it does not come up.
    pub(super) fn start_with(folder: &Path, settings: &[(&str, &str)]) -> Result<Self> {
        Self::start_program_with(&target_folder()?.join("release/pict-rs"), folder, settings)
    }

    fn start_program_with(
        program: &Path,
        folder: &Path,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let mut command = Command::new(program);
        command
            .args(["run", "--address", "127.0.0.1:0"])
            .current_dir(folder)
            .env("STATE_DIRECTORY", folder)
            .env("PICTRS__SERVER__API_KEY", API_KEY)
            .envs(settings.iter().copied())
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot start pict-rs")?;
        let (sender, lines) = mpsc::channel();
        if let Some(out) = child.stdout.take() {
            drain(out, sender.clone());
        }
        if let Some(err) = child.stderr.take() {
            drain(err, sender);
        }
        // From here on a failure stops the child by dropping it.
        let mut server = Self {
            child,
            address: String::new(),
        };
        let mut log = String::new();
        while let Ok(line) = lines.recv_timeout(Duration::from_secs(20)) {
            if let Some((_, rest)) = line.split_once("listening on http://") {
                let address = rest.split_whitespace().next().unwrap_or(rest);
                server.address = format!("http://{address}");
                return Ok(server);
            }
            log = log + &line + "\n";
        }
        anyhow::bail!("pict-rs printed no address:\n{log}")
    }

    pub(super) fn upload(&self, file: &Path) -> Result<Upload> {
        let mut curl = command::new("curl");
        curl.args(["-sS", "-w", "\n%{http_code} %{time_total}", "-F"]);
        curl.arg(format!("images[]=@{}", file.display()));
        let text = command::output(curl.arg(format!("{}/image", self.address)))?;
        let (body, result) = text.rsplit_once('\n').context("curl printed no time")?;
        let (code, seconds) = result.split_once(' ').context("curl printed no time")?;
        ensure!(code == "201", "the upload was answered {code}: {body}");
        let body: serde_json::Value = serde_json::from_str(body)?;
        let alias = body["files"][0]["file"].as_str();
        Ok(Upload {
            alias: alias.context("the answer names no file")?.to_owned(),
            milliseconds: seconds.parse::<f64>()? * 1e3,
        })
    }

    /// A line of `/proc/PID/status` in bytes.
    pub(crate) fn memory(&self, line: &str) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let found = status.lines().find_map(|text| text.strip_prefix(line));
        let kilobytes = found.and_then(|text| text.strip_prefix(':')?.trim().strip_suffix(" kB"));
        let kilobytes = kilobytes.with_context(|| format!("no {line} in the status"))?;
        Ok(kilobytes.parse::<u64>()? * 1024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        stop(&mut self.child);
    }
}

struct Nginx {
    child: Child,
    url: String,
}

impl Nginx {
    /// Serves `body` from a file, set up to be fast: no log, sendfile, a cache of open files.
    fn start(folder: &Path, body: &[u8]) -> Result<Self> {
        fs::create_dir_all(folder.join("www"))?;
        fs::write(folder.join("www/file.jpg"), body)?;
        // nginx cannot choose a port and say so: ask the kernel for a free one.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let configuration = format!(
            "worker_processes auto; daemon off; pid nginx.pid; error_log stderr;
             events {{ worker_connections 256; }}
             http {{
               access_log off; sendfile on; tcp_nopush on; tcp_nodelay on;
               keepalive_requests 1000000000; open_file_cache max=100;
               client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3;
               uwsgi_temp_path t4; scgi_temp_path t5; types {{ image/jpeg jpg; }}
               server {{ listen 127.0.0.1:{port}; root www; }}
             }}\n"
        );
        fs::write(folder.join("nginx.conf"), configuration)?;
        // As root its workers become another user, who cannot look into root's cache folder.
        let mut command = Command::new("/usr/sbin/nginx");
        command.arg("-p").arg(folder).args(["-c", "nginx.conf"]);
        if is_root() {
            command.args(["-g", "user root;"]);
        }
        command.stdin(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().context("cannot start nginx")?;
        let nginx = Self {
            child,
            url: format!("http://127.0.0.1:{port}/file.jpg"),
        };
        for _ in 0..100 {
            if get(&nginx.url).is_ok_and(|served| served == body) {
                return Ok(nginx);
            }
            thread::sleep(Duration::from_millis(50));
        }
        anyhow::bail!("nginx does not serve the file")
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        stop(&mut self.child);
    }
}

/// The polite signal, so that nginx takes its workers along; there is no safe kill(2) in std.
fn stop(child: &mut Child) {
    let _ = Command::new("kill").arg(child.id().to_string()).status();
    let _ = child.wait();
}

fn is_root() -> bool {
    command::output(command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

/// Reads on after the address was found, so that the server never waits for a full pipe.
fn drain(output: impl Read + Send + 'static, lines: mpsc::Sender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let _ = lines.send(line);
        }
    });
}

fn get(url: &str) -> Result<Vec<u8>> {
    let mut curl = command::new("curl");
    let output = curl
        .args(["-sS", "--fail-with-body", "--max-time", "120", url])
        .output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "GET {url}: {}", text.trim());
    Ok(output.stdout)
}

/// Requests per second during four seconds.
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
