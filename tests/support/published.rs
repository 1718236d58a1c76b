//! Published versions of the existing pict-rs, run as their users run them: with any of their
//! databases, and with files in a folder or a bucket. `cargo xtask predecessors` builds them once.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use testkit::client::{Client, content_type, multipart};
use testkit::postgres::{Cluster, Database};
use testkit::s3::{self, Bucket, Kind, S3};
use testkit::server::address_after;
use testkit::{Answer, File, Uploaded, programs};

/// The API key of every one.
pub const KEY: &str = "old-key";

/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// The folder of files, below that of the server.
pub const FILES: &str = "files";

/// The database of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repo {
    /// A folder, in which 0.5 keeps its database by default.
    Sled,
    /// A folder.
    Fjall,
    /// A server.
    Postgres,
}

/// Where a server keeps its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// In a folder.
    Folder,
    /// In a bucket of s3s-fs.
    Bucket,
}

/// A published version.
#[derive(Clone, Debug)]
pub struct Version {
    /// For example `0.5.25`.
    pub name: String,
    program: PathBuf,
}

impl Version {
    /// The versions that are in the cache. A line says why there is none. That is no failure, even if
    /// everything is required: the binaries are not part of the gate.
    pub fn all(test: &str) -> Vec<Self> {
        let skip = |reason: &str| {
            let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {reason}");
            Vec::new()
        };
        let Some(folder) = std::env::var_os("PICTRS_TEST_PREDECESSORS_DIR") else {
            return skip(
                "PICTRS_TEST_PREDECESSORS_DIR is not set; cargo xtask predecessors prints it",
            );
        };
        for needed in ["exiftool", "ffmpeg", "convert"] {
            if programs::find(needed).is_none() {
                return skip(&format!("{needed} is not on PATH"));
            }
        }
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).expect("a folder") {
            let folder = entry.expect("an entry").path();
            let name = folder.file_name().and_then(|name| name.to_str());
            let program = folder.join("bin/pict-rs");
            if let Some(name) = name.and_then(|name| name.strip_prefix("pict-rs-"))
                && program.is_file()
            {
                let name = name.to_owned();
                found.push(Self { name, program });
            }
        }
        if found.is_empty() {
            return skip("there is no published pict-rs; cargo xtask predecessors builds it");
        }
        found.sort_by(|one, other| one.name.cmp(&other.name));
        found
    }

    /// Starts it with nothing in its database. `None`, with a line that says why, where PostgreSQL or
    /// the S3 server is not installed.
    pub fn start(&self, test: &str, repo: Repo, store: Store) -> Option<Published> {
        let database = match repo {
            Repo::Postgres => Some(Cluster::shared_or_skip(test)?.database()),
            Repo::Sled | Repo::Fjall => None,
        };
        let bucket = match store {
            Store::Bucket => Some(S3::shared(Kind::S3sFs, test)?.bucket()),
            Store::Folder => None,
        };
        let data = Data {
            version: self.clone(),
            repo,
            folder: tempfile::tempdir().expect("a folder"),
            database,
            bucket,
        };
        add_magick(data.folder());
        Some(data.start())
    }
}

/// What a published server has stored.
#[derive(Debug)]
pub struct Data {
    version: Version,
    repo: Repo,
    folder: TempDir,
    /// Its database, if that is on PostgreSQL.
    pub database: Option<Database>,
    /// Where its files are, if not in a folder.
    pub bucket: Option<Bucket>,
}

impl Data {
    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The folder or URL of its database.
    pub fn origin(&self) -> String {
        match (&self.database, self.repo) {
            (Some(database), _) => database.url(),
            (None, Repo::Fjall) => self.folder().join("fjall-repo").display().to_string(),
            (None, _) => self.folder().join("sled-repo").display().to_string(),
        }
    }

    /// What keeps its database.
    pub fn repo(&self) -> Repo {
        self.repo
    }

    /// The same, for another version to start with.
    pub fn of(mut self, version: &Version) -> Self {
        self.version = version.clone();
        self
    }

    /// Starts the server, and waits until it is healthy.
    pub fn start(self) -> Published {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut paths = vec![self.folder().join("bin")];
        paths.extend(std::env::split_paths(&path));
        let mut command = Command::new(&self.version.program);
        command
            .args(["run", "-a", "127.0.0.1:0", "--api-key", KEY])
            .arg("--client-allow-local-connections");
        match &self.bucket {
            None => command.args(["filesystem", "-p", FILES]),
            Some(bucket) => {
                let endpoint = bucket.endpoint();
                command
                    .args(["object-storage", "--use-path-style", "-e", &endpoint])
                    .args(["-b", bucket.name(), "-r", bucket.region()])
                    .args(["-a", s3::KEY, "-s", s3::SECRET])
            }
        };
        let origin = self.origin();
        match self.repo {
            Repo::Sled => command.args(["sled", "-p", &origin]),
            Repo::Fjall => command.args(["fjall", "-f", &origin]),
            Repo::Postgres => command.args(["postgres", "-u", &origin]),
        };
        let mut child = command
            .env_clear()
            .env("PATH", std::env::join_paths(paths).expect("paths"))
            // Each start empties what others have in the same folder for temporary files.
            .env("TMPDIR", self.folder())
            .current_dir(self.folder())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the program can be run");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut said = Vec::new();
        let address: SocketAddr = loop {
            let line = lines.next().and_then(Result::ok);
            let line = line.unwrap_or_else(|| panic!("it does not start: {said:?}"));
            if let Some(address) = address_after("listening on: ", &line) {
                break address;
            }
            said.push(line);
        };
        // It must not block on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let published = Published {
            client: Client::new(address),
            child: Some(child),
            data: Some(self),
        };
        let since = Instant::now();
        let is_healthy = || published.try_send("GET", "/healthz", &[], None);
        while !is_healthy().is_ok_and(|answer| answer.status == 200) {
            assert!(since.elapsed() < PATIENCE, "it is not healthy: {said:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
        published
    }
}

/// A published server. Requests are methods of the client.
pub struct Published {
    client: Client,
    child: Option<Child>,
    data: Option<Data>,
}

impl std::ops::Deref for Published {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Published {
    /// What it has stored.
    pub fn data(&self) -> &Data {
        self.data.as_ref().expect("until it is stopped")
    }

    /// Stops it as a system does.
    pub fn stop(mut self) -> Data {
        if let Some(mut child) = self.child.take() {
            let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
            kill_process(id.expect("an id"), Signal::TERM).expect("it runs");
            child.wait().expect("it ends");
        }
        self.data.take().expect("until it is stopped")
    }

    /// Uploads a file.
    pub fn upload(&self, bytes: &[u8]) -> Uploaded {
        Self::upload_to(self, bytes)
    }

    /// The same by a client of its own.
    pub fn upload_to(client: &Client, bytes: &[u8]) -> Uploaded {
        let form = multipart(&[File::new(bytes)]);
        let kind = content_type();
        let headers = [("content-type", &*kind)];
        let send = || client.send("POST", "/image", &headers, Some(&form));
        // On a busy machine its ImageMagick fails at times.
        let failed =
            |answer: &Answer| answer.status == 400 && answer.text().contains("command-failure");
        let answer = (0..3).map(|_| send()).find(|answer| !failed(answer));
        sent(&answer.unwrap_or_else(send))
    }

    /// Uploads a file under a name.
    pub fn import(&self, name: &str, bytes: &[u8]) -> Uploaded {
        let form = multipart(&[File {
            filename: Some(name),
            ..File::new(bytes)
        }]);
        let kind = content_type();
        let headers = [("X-Api-Token", KEY), ("content-type", &*kind)];
        sent(&self.send("POST", "/internal/import", &headers, Some(&form)))
    }
}

/// What 0.5 calls a file is an alias in 0.6.
fn sent(answer: &Answer) -> Uploaded {
    assert_eq!(answer.status, 201, "{}", answer.text());
    let json = answer.json();
    let files = json["files"].as_array().or(json["uploads"].as_array());
    let file = &files.expect("a list")[0];
    let text = |name: &str| file[name].as_str().map(str::to_owned);
    Uploaded {
        alias: text("file").or(text("alias")).expect("an alias"),
        token: text("delete_token").expect("a token"),
        details: file["details"].clone(),
    }
}

/// Adds `magick`, the program of ImageMagick 7: if this machine has only ImageMagick 6, whose programs
/// take the same arguments, a script that calls them.
fn add_magick(folder: &Path) {
    let bin = folder.join("bin");
    fs::create_dir(&bin).expect("made");
    if programs::find("magick").is_none() {
        let script = "#!/bin/sh\ncase \"$1\" in\n  convert|identify) name=$1; shift; exec \"$name\" \"$@\";;\n  \
                      *) exec convert \"$@\";;\nesac\n";
        let file = bin.join("magick");
        fs::write(&file, script).expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("set");
    }
}
