//! S3 servers that others wrote, run as processes: [`S3`] with its buckets.

mod garage;

use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tempfile::TempDir;

use crate::programs::skip;
use crate::server::{Launch, address_after};
use crate::{Answer, Client};

/// The id of the key that all servers are used with, in the form that Garage wants.
pub const KEY: &str = "GK0123456789abcdef01234567";
/// Its secret.
pub const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Written in Python; keeps everything in memory and accepts any key.
    Moto,
    /// Written in Rust; keeps objects as files and checks signatures.
    S3sFs,
    /// Written in Rust, and used in production; keeps objects as blocks in a store of one node here.
    Garage,
}

/// A running server, which ends with this process.
#[derive(Debug)]
pub struct S3 {
    kind: Kind,
    address: SocketAddr,
    /// The folder with the programs of all kinds.
    programs: PathBuf,
    root: TempDir,
    /// The server runs until this process closes its side of the pipe.
    _child: Child,
}

/// An empty bucket at the start.
#[derive(Clone, Debug)]
pub struct Bucket {
    server: &'static S3,
    name: String,
}

impl S3 {
    /// The server of this kind that all tests share, each with buckets of its own; a line says
    /// which test was skipped if it is not installed.
    ///
    /// # Panics
    /// When it is installed and does not start.
    pub fn shared(kind: Kind, test: &str) -> Option<&'static Self> {
        let folder = programs_or_skip(test)?;
        Some(Self::shared_in(kind, &folder))
    }

    /// The same, with the programs in this folder.
    ///
    /// # Panics
    /// When it does not start.
    pub fn shared_in(kind: Kind, folder: &Path) -> &'static Self {
        static SERVERS: [OnceLock<S3>; 3] = [const { OnceLock::new() }; 3];
        SERVERS[kind as usize].get_or_init(|| Self::start(kind, folder))
    }

    /// A server of s3s-fs for one test, which listens on this address and is kept until this process
    /// ends; skipped as [`S3::shared`].
    ///
    /// # Panics
    /// When it does not start.
    pub fn own_at(address: IpAddr, test: &str) -> Option<&'static Self> {
        let folder = programs_or_skip(test)?;
        Some(Box::leak(Box::new(Self::start_at(
            Kind::S3sFs,
            &folder,
            address,
        ))))
    }

    fn start(kind: Kind, folder: &Path) -> Self {
        Self::start_at(kind, folder, Ipv4Addr::LOCALHOST.into())
    }

    fn start_at(kind: Kind, folder: &Path, address: IpAddr) -> Self {
        let host = address.to_string();
        let root = tempfile::tempdir().expect("a temporary folder can be made");
        let (child, address) = match kind {
            Kind::Moto => {
                let mut command = Command::new(folder.join("moto/bin/moto_server"));
                command.args(["-H", &host, "-p", "0"]);
                started(&command)
            }
            Kind::S3sFs => {
                let mut command = Command::new(folder.join("s3s-fs/bin/s3s-fs"));
                command
                    .args(["--host", &host, "--port", "0"])
                    .args(["--access-key", KEY, "--secret-key", SECRET])
                    .arg(root.path());
                started(&command)
            }
            Kind::Garage => garage::start(folder, root.path()),
        };
        Self {
            kind,
            address,
            programs: folder.to_owned(),
            root,
            _child: child,
        }
    }

    /// Its socket.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A new bucket.
    pub fn bucket(&'static self) -> Bucket {
        let bucket = self.absent_bucket();
        bucket.make();
        bucket
    }

    /// A name that no bucket has.
    pub fn absent_bucket(&'static self) -> Bucket {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Bucket {
            server: self,
            name: format!("bucket-{number}"),
        }
    }
}

/// The folder with the programs, or a line that says which test was skipped.
fn programs_or_skip(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("PICTRS_TEST_S3_DIR").map(PathBuf::from);
    if folder.is_none() {
        let reason = "PICTRS_TEST_S3_DIR is not set; cargo xtask test sets it";
        skip("s3", test, reason);
    }
    folder
}

/// Runs a program until standard input ends, which it does however the caller ends. The shell's own
/// messages are dropped: they would come after the test has ended.
const END_WITH_THE_PIPE: &str =
    r#""$@" </dev/null 2>&1 & id=$!; exec 2>/dev/null; read -r _; kill $id; wait $id"#;

/// Starts a program that ends with this process.
fn spawn(program: &Command) -> (Child, BufReader<ChildStdout>) {
    let path = Path::new(program.get_program());
    assert!(path.is_file(), "no {}", path.display());
    let mut command = Command::new("sh");
    command
        .args(["-c", END_WITH_THE_PIPE, "sh"])
        .arg(path)
        .args(program.get_args())
        .envs(
            program
                .get_envs()
                .filter_map(|(key, value)| Some((key, value?))),
        )
        .env("RUST_LOG", "info")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().expect("a shell runs");
    let output = BufReader::new(child.stdout.take().expect("piped"));
    (child, output)
}

/// Starts a server that chooses its port and prints it.
fn started(program: &Command) -> (Child, SocketAddr) {
    let (child, output) = spawn(program);
    let (sender, found) = mpsc::channel();
    thread::spawn(move || {
        // To the end, so that the server never blocks.
        for line in output.lines().map_while(Result::ok) {
            if let Some(address) = address_after("http://", &line) {
                let _ = sender.send(address);
            }
        }
    });
    let address = found
        .recv_timeout(Duration::from_secs(120))
        .unwrap_or_else(|_| panic!("{program:?} does not start"));
    (child, address)
}

impl Bucket {
    /// Makes it.
    pub fn make(&self) {
        match self.server.kind {
            Kind::Moto => {
                let path = format!("/{}", self.name);
                self.ask("PUT", &path).ok();
            }
            Kind::S3sFs => {
                std::fs::create_dir(self.folder()).expect("a folder can be made");
            }
            Kind::Garage => {
                garage::make_bucket(&self.server.programs, self.server.root.path(), &self.name)
            }
        }
    }

    /// A new bucket of s3s-fs for every server, if `PICTRS_TEST_STORE` says so.
    ///
    /// # Panics
    /// When it names something else, or there is no such server.
    pub(crate) fn of_environment() -> Option<Self> {
        let wanted = std::env::var("PICTRS_TEST_STORE").ok()?;
        assert_eq!(wanted, "s3", "PICTRS_TEST_STORE can be s3");
        let server = S3::shared(Kind::S3sFs, "PICTRS_TEST_STORE");
        Some(server.expect("there is an S3 server").bucket())
    }

    /// Where s3s-fs keeps its objects, by their keys.
    pub fn folder(&self) -> PathBuf {
        self.server.root.path().join(&self.name)
    }

    /// Asks moto, which takes any key, but wants one.
    fn ask(&self, method: &str, path: &str) -> Answer {
        let client = Client::new(self.server.address);
        client.send(method, path, &[("authorization", "AWS key:any")], None)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The URL of its server.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// The server that it is on.
    pub fn server(&self) -> &'static S3 {
        self.server
    }

    /// The keys of its objects, sorted.
    pub fn keys(&self) -> Vec<String> {
        let mut keys = match self.server.kind {
            Kind::Moto => {
                let path = format!("/{}?list-type=2", self.name);
                let answer = self.ask("GET", &path).ok();
                let text = String::from_utf8(answer.body).expect("XML");
                assert!(!text.contains("<IsTruncated>true"), "too many objects");
                let keys = text.split("<Key>").skip(1);
                keys.filter_map(|rest| Some(rest.split_once("</Key>")?.0.to_owned()))
                    .collect()
            }
            Kind::S3sFs => {
                let root = self.folder();
                let mut keys = Vec::new();
                walk(&root, &root, &mut keys);
                keys
            }
            Kind::Garage => garage::ask(self, "keys", ""),
        };
        keys.sort();
        keys
    }

    /// The keys of what tests and users made, without what ties the bucket to its database.
    pub fn objects(&self) -> Vec<String> {
        let mut keys = self.keys();
        keys.retain(|key| !key.starts_with(".pict-rs-"));
        keys
    }

    /// How many uploads in parts were begun and neither completed nor aborted.
    pub fn unfinished_uploads(&self) -> usize {
        match self.server.kind {
            Kind::Moto => {
                let answer = self.ask("GET", &format!("/{}?uploads", self.name)).ok();
                String::from_utf8_lossy(&answer.body)
                    .matches("<UploadId>")
                    .count()
            }
            // It notes the attributes of each beside the buckets.
            Kind::S3sFs => {
                let bucket = format!(".bucket-{}.", URL_SAFE_NO_PAD.encode(&self.name));
                let files = std::fs::read_dir(self.server.root.path()).expect("readable");
                let names = files.map(|file| file.expect("an entry").file_name());
                names
                    .map(|name| name.to_string_lossy().into_owned())
                    .filter(|name| name.starts_with(&bucket) && name.contains(".upload-"))
                    .count()
            }
            Kind::Garage => garage::ask(self, "uploads", "").len(),
        }
    }

    /// Removes an object behind the back of everybody.
    ///
    /// # Panics
    /// When it does not exist.
    pub fn remove(&self, key: &str) {
        assert!(self.keys().iter().any(|found| found == key), "no {key}");
        match self.server.kind {
            Kind::Moto => {
                let path = format!("/{}/{key}", self.name);
                self.ask("DELETE", &path).status(204);
            }
            Kind::S3sFs => {
                let path = self.folder().join(key);
                std::fs::remove_file(path).expect("it is there");
            }
            Kind::Garage => drop(garage::ask(self, "remove", key)),
        }
    }

    /// The region of its server.
    pub fn region(&self) -> &'static str {
        match self.server.kind {
            Kind::Moto | Kind::S3sFs => "us-east-1",
            Kind::Garage => garage::REGION,
        }
    }

    /// A server that keeps its files here.
    pub fn holds(&self, launch: Launch) -> Launch {
        self.holds_behind(launch, self.server.address)
    }

    /// The same, with something between the two.
    pub fn holds_behind(&self, launch: Launch, address: SocketAddr) -> Launch {
        launch
            .setting("store.type", "object_storage")
            .setting("store.endpoint", format!("http://{address}"))
            .setting("store.bucket_name", &self.name)
            .setting("store.region", self.region())
            .setting("store.access_key", KEY)
            .setting("store.secret_key", SECRET)
            .setting("store.use_path_style", true)
    }
}

fn walk(root: &Path, folder: &Path, keys: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            walk(root, &path, keys);
            continue;
        }
        let key = path.strip_prefix(root).expect("below").to_string_lossy();
        // What the server notes about objects, and uploads in parts.
        let name = key.rsplit('/').next().unwrap_or_default();
        if !name.starts_with('.') || key.starts_with(".pict-rs-") {
            keys.push(key.into_owned());
        }
    }
}
