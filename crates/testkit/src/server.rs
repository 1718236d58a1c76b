//! The server under test, started as by its users: a process with its own folder, a cleared
//! environment and a port that the system chooses.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::client::Client;
use crate::postgres::{Cluster, Database};
use crate::s3::Bucket;
use crate::{eventually, programs};

/// How long a start may take. An emulated processor on a busy machine is slow.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long variants may take to be stored.
const UNSTORED: Duration = Duration::from_secs(2);
/// What the server logs once it is ready.
const LISTENING: [&str; 2] = ["listening on http://", "listening on https://"];

/// A binary, and the runner for it if this machine cannot run it directly.
#[derive(Clone, Debug)]
pub struct Program {
    binary: PathBuf,
    runner: Vec<PathBuf>,
}

impl Program {
    /// `runner` is prepended to the command: an emulator or `chroot`, with arguments.
    pub fn new(binary: impl Into<PathBuf>, runner: Vec<PathBuf>) -> Self {
        let binary = binary.into();
        Self { binary, runner }
    }

    /// The binary that `PICTRS_TEST_BIN` and `PICTRS_TEST_RUNNER` name, else what cargo built for
    /// the tests.
    ///
    /// # Panics
    /// When the runner does not exist.
    pub fn under_test() -> Self {
        let binary = std::env::var_os("PICTRS_TEST_BIN").map_or_else(built, PathBuf::from);
        let runner = std::env::var("PICTRS_TEST_RUNNER").unwrap_or_default();
        let mut runner: Vec<_> = runner.split_whitespace().map(PathBuf::from).collect();
        if let Some(first) = runner.first_mut() {
            let found = first.to_str().and_then(programs::find);
            *first = found.unwrap_or_else(|| panic!("no runner {}", first.display()));
        }
        Self { binary, runner }
    }

    /// The same, started by another program, which is not an emulator.
    #[must_use]
    pub fn behind(mut self, words: impl IntoIterator<Item = PathBuf>) -> Self {
        self.runner.splice(0..0, words);
        self
    }

    /// A command with nothing in its environment but an empty PATH, so that helper programs of this
    /// machine have no effect.
    pub fn command(&self) -> Command {
        let mut words = self.runner.iter().chain([&self.binary]);
        let mut command = Command::new(words.next().expect("there is a binary"));
        command.args(words).env_clear().env("PATH", "");
        command
    }

    /// Whether it runs under an emulator, where memory and time cannot be measured.
    pub fn is_emulated(&self) -> bool {
        !self.runner.is_empty()
    }
}

/// The binary that cargo built: cargo sets its path; a test program that is started by hand is in a
/// folder next to it.
fn built() -> PathBuf {
    if let Some(told) = std::env::var_os("CARGO_BIN_EXE_pict-rs") {
        return told.into();
    }
    let own = std::env::current_exe().expect("a running program is a file");
    let folder = own.parent().and_then(Path::parent);
    folder.expect("in the target folder").join("pict-rs")
}

/// The command of the program under test.
pub fn program() -> Command {
    Program::under_test().command()
}

/// Whether the program under test runs under an emulator.
pub fn is_emulated() -> bool {
    Program::under_test().is_emulated()
}

/// The file in the working folder that tells where the database is, if it is not in the data folder.
pub const DATABASE_URL: &str = "database-url";

/// A server to start.
#[derive(Clone)]
pub struct Launch {
    program: Program,
    folder: Arc<Folder>,
    /// Its database, if `PICTRS_TEST_REPO` asks for one on PostgreSQL.
    database: Option<Arc<Database>>,
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
    bucket: Option<Bucket>,
}

/// The working folder of a server.
enum Folder {
    /// Deleted when no longer used.
    Temporary(TempDir),
    Kept(PathBuf),
}

impl Default for Launch {
    fn default() -> Self {
        Self::new()
    }
}

impl Launch {
    /// The program under test, in a new folder, on a free port, otherwise with all defaults.
    pub fn new() -> Self {
        Self::of(Program::under_test())
    }

    /// The same for any program.
    ///
    /// # Panics
    /// When no folder can be made.
    pub fn of(program: Program) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("pict-rs-test-")
            .tempdir()
            .expect("a temporary folder can be made");
        Self::with_folder(program, Folder::Temporary(folder))
    }

    /// Any program in an existing folder, which is kept.
    pub fn in_folder(program: Program, folder: impl Into<PathBuf>) -> Self {
        Self::with_folder(program, Folder::Kept(folder.into()))
    }

    fn with_folder(program: Program, folder: Folder) -> Self {
        let launch = Self {
            program,
            folder: Arc::new(folder),
            database: None,
            arguments: Vec::new(),
            environment: BTreeMap::new(),
            bucket: None,
        };
        let launch = launch.setting("server.address", "127.0.0.1:0");
        let launch = match std::env::var("PICTRS_TEST_ISOLATION") {
            Ok(isolation) => launch.setting("media.isolation", isolation),
            Err(_) => launch,
        };
        let launch = match std::env::var("PICTRS_TEST_REPO").as_deref() {
            Ok("postgres") => launch.on_postgres(),
            _ => launch,
        };
        match Bucket::of_environment() {
            None => launch,
            // Tests change what is stored behind the back of the server.
            Some(bucket) => Self {
                bucket: Some(bucket.clone()),
                ..bucket.holds(launch).setting("store.cache_size", 0)
            },
        }
    }

    /// With a database on the PostgreSQL server that tests share; the one that an earlier server in
    /// this folder had, if there was one.
    fn on_postgres(mut self) -> Self {
        let file = self.folder().join(DATABASE_URL);
        let url = std::fs::read_to_string(&file).unwrap_or_else(|_| {
            let cluster = Cluster::shared_or_skip("PICTRS_TEST_REPO=postgres");
            let database = cluster.expect("PostgreSQL is installed").database();
            let url = database.url();
            std::fs::write(&file, &url).expect("the working folder can be written to");
            self.database = Some(Arc::new(database));
            url
        });
        self.setting("repo.type", "postgres")
            .setting("repo.url", url)
    }

    /// Sets a configuration key through the environment, as deployments do.
    pub fn setting(self, key: &str, value: impl ToString) -> Self {
        let name = format!("PICTRS__{}", key.to_uppercase().replace('.', "__"));
        self.environment(&name, value)
    }

    /// Sets an environment variable.
    pub fn environment(mut self, name: &str, value: impl ToString) -> Self {
        self.environment.insert(name.to_owned(), value.to_string());
        self
    }

    /// Unsets an environment variable.
    pub fn without_environment(mut self, name: &str) -> Self {
        self.environment.remove(name);
        self
    }

    /// Adds arguments to the command line.
    pub fn arguments<'a>(mut self, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        self.arguments
            .extend(arguments.into_iter().map(str::to_owned));
        self
    }

    /// The working folder; `data` in it is the default data folder.
    pub fn folder(&self) -> &Path {
        match &*self.folder {
            Folder::Temporary(folder) => folder.path(),
            Folder::Kept(folder) => folder,
        }
    }

    /// The command that starts it.
    pub fn command(&self) -> Command {
        let mut command = self.program.command();
        command
            .args(&self.arguments)
            .envs(&self.environment)
            .current_dir(self.folder());
        command
    }

    /// Starts it and waits until it listens.
    pub fn start(self) -> Server {
        match self.try_start() {
            Ok(server) => server,
            Err(refusal) => panic!("{refusal}"),
        }
    }

    /// Starts a server that is expected to fail.
    pub fn refused(self) -> Refusal {
        match self.try_start() {
            Ok(_) => panic!("the server started"),
            Err(refusal) => refusal,
        }
    }

    /// Starts it and waits until it listens, for up to a minute.
    ///
    /// # Errors
    /// When it exits instead, or does not log its address.
    ///
    /// # Panics
    /// When the program does not exist.
    pub fn try_start(self) -> Result<Server, Refusal> {
        let started = Instant::now();
        let mut child = self
            .command()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program can be run");
        let output = Output::default();
        let (sender, lines) = mpsc::channel();
        let readers = vec![
            output.drain(child.stdout.take().expect("piped"), Some(sender)),
            output.drain(child.stderr.take().expect("piped"), None),
        ];
        let address = loop {
            match lines.recv_timeout(PATIENCE.saturating_sub(started.elapsed())) {
                Ok(line) => {
                    if let Some(address) = address_in(&line) {
                        break Some(address);
                    }
                }
                Err(_) => break None,
            }
        };
        let Some(address) = address else {
            // It has exited, or took too long: then it is stopped.
            let status = wait(&mut child, Duration::from_secs(2)).unwrap_or_else(|| {
                let _ = child.kill();
                child.wait().expect("a child can be waited for")
            });
            readers.into_iter().for_each(|reader| {
                let _ = reader.join();
            });
            return Err(Refusal {
                status,
                output: output.text(),
            });
        };
        Ok(Server {
            client: Client::new(address),
            launch: self,
            child,
            output,
            readers,
            start_time: started.elapsed(),
        })
    }
}

/// The result of a failed start.
#[derive(Debug)]
pub struct Refusal {
    /// Its exit status.
    pub status: ExitStatus,
    /// Both outputs.
    pub output: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server did not start:\n{}", self.output)
    }
}

impl std::error::Error for Refusal {}

/// A running server. Dropping it kills it, and prints its output if the test failed.
pub struct Server {
    client: Client,
    launch: Launch,
    child: Child,
    output: Output,
    readers: Vec<JoinHandle<()>>,
    start_time: Duration,
}

/// Requests are methods of the client.
impl std::ops::Deref for Server {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Server {
    /// Starts a server with all defaults.
    pub fn start() -> Self {
        Launch::new().start()
    }

    /// Starts a server with some settings.
    pub fn with<const N: usize>(settings: [(&str, &str); N]) -> Self {
        settings
            .into_iter()
            .fold(Launch::new(), |launch, (key, value)| {
                launch.setting(key, value)
            })
            .start()
    }

    /// The time from spawning the process until it was ready.
    pub fn start_time(&self) -> Duration {
        self.start_time
    }

    /// The folder with database and files, unless a setting moves them. What clients have been given
    /// is stored there by then.
    pub fn data(&self) -> PathBuf {
        self.settle();
        self.launch.folder().join("data")
    }

    /// The folder of stored files; in a bucket that of the S3 server. What clients have been given is
    /// stored there by then.
    pub fn files(&self) -> PathBuf {
        match &self.launch.bucket {
            Some(bucket) => {
                self.settle();
                bucket.folder()
            }
            None => self.data().join("files"),
        }
    }

    /// Waits until no variant is being stored any more. Uploads that are being received look alike, so
    /// this does not wait for long.
    pub fn settle(&self) {
        let started = Instant::now();
        while started.elapsed() < UNSTORED && self.nameless_files() > 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The number of its open files on a disk that have no name: uploads that are being received, and
    /// variants that are being stored.
    pub fn nameless_files(&self) -> usize {
        let is_nameless = |path: PathBuf| {
            let name = path.file_name().map(|name| name.to_string_lossy());
            name.is_some_and(|name| name.starts_with('#') && name.ends_with(" (deleted)"))
        };
        let descriptors = std::fs::read_dir(format!("/proc/{}/fd", self.child.id()));
        descriptors
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| std::fs::read_link(entry.path()).is_ok_and(is_nameless))
            .count()
    }

    /// Whether `PICTRS_TEST_STORE` has put the files into a bucket.
    pub fn is_in_bucket(&self) -> bool {
        self.launch.bucket.is_some()
    }

    /// Its output so far.
    pub fn output(&self) -> String {
        self.output.text()
    }

    /// Waits until this was printed.
    #[track_caller]
    pub fn wait_for_output(&self, text: &str) {
        eventually(text, || self.output().contains(text).then_some(()));
    }

    /// Resets the peak memory to the current value (proc(5), `clear_refs`).
    pub fn forget_peak_memory(&self) {
        let path = format!("/proc/{}/clear_refs", self.child.id());
        std::fs::write(path, "5").expect("our own child's peak can be reset");
    }

    /// Its peak memory in KiB, since its start or the last reset.
    pub fn peak_memory_kib(&self) -> u64 {
        self.memory_kib("VmHWM")
    }

    /// A line of `/proc/PID/status`, in KiB: `VmRSS` is its current memory.
    ///
    /// # Panics
    /// When it is not running, or there is no such line.
    pub fn memory_kib(&self, line: &str) -> u64 {
        memory_of(self.child.id(), line).unwrap_or_else(|| panic!("no {line} in the status"))
    }

    /// The id of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The processor time that it has used.
    ///
    /// # Panics
    /// When it is not running.
    pub fn processor_time(&self) -> Duration {
        let id = Pid::from_raw(self.child.id().cast_signed());
        let time = id.and_then(|id| times_of(id, 2));
        time.expect("a running process has a status")
    }

    /// The processor time that it and the processes that it started have used, and those that have
    /// ended.
    ///
    /// # Panics
    /// When it is not running.
    pub fn processor_time_of_all(&self) -> Duration {
        let own = Pid::from_raw(self.child.id().cast_signed());
        let own = own.and_then(|id| times_of(id, 4));
        let others = self.children().into_iter();
        let others = others.filter_map(|id| times_of(id, 4));
        own.expect("a running process has a status") + others.sum::<Duration>()
    }

    /// The sum of the peaks of its memory and of that of the processes that it started and that still
    /// run.
    ///
    /// # Panics
    /// When it is not running.
    pub fn peak_memory_of_all_kib(&self) -> u64 {
        let others = self.children().into_iter();
        let others =
            others.filter_map(|id| memory_of(id.as_raw_nonzero().get().cast_unsigned(), "VmHWM"));
        self.peak_memory_kib() + others.sum::<u64>()
    }

    /// The processes that it has started and that still run.
    pub fn children(&self) -> Vec<Pid> {
        children_of(self.child.id())
    }

    /// Sends a signal, without waiting.
    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("process ids are small");
        let process = Pid::from_raw(id).expect("not zero");
        kill_process(process, signal).expect("a running child can be signalled");
    }

    /// Waits until it exits; returns its exit code, and how to start it again on the same data.
    pub fn ended(mut self) -> (Option<i32>, Launch) {
        let status = wait(&mut self.child, PATIENCE).unwrap_or_else(|| panic!("it never ended"));
        let launch = self.launch.clone();
        assert_ne!(status.signal(), Some(11), "it must not crash");
        (status.code(), launch)
    }

    /// Stops it gracefully.
    pub fn stop(self) -> Launch {
        self.signal(Signal::TERM);
        let (code, launch) = self.ended();
        assert_eq!(code, Some(0));
        launch
    }

    /// Kills it, which for one process is like a power cut.
    pub fn kill(self) -> Launch {
        self.signal(Signal::KILL);
        self.ended().1
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        if std::thread::panicking() {
            eprintln!("--- the server said:\n{}---", self.output.text());
        }
    }
}

fn address_in(line: &str) -> Option<SocketAddr> {
    LISTENING
        .iter()
        .find_map(|words| address_after(words, line))
}

/// The processes that a process has started and that still run.
///
/// # Panics
/// When there is no `/proc`.
pub fn children_of(id: u32) -> Vec<Pid> {
    let processes = std::fs::read_dir("/proc").expect("there is /proc");
    let ids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let parent = id.to_string();
    let is_child = |id: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        // Behind the name, which may hold anything: the state, and whose child it is.
        let rest = stat.rsplit(')').next().unwrap_or_default();
        let mut words = rest.split_whitespace();
        words.next() != Some("Z") && words.next() == Some(parent.as_str())
    };
    ids.filter(is_child).filter_map(Pid::from_raw).collect()
}

/// A line of `/proc/PID/status`, in KiB.
fn memory_of(id: u32, line: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let found = status.lines().find_map(|text| text.strip_prefix(line));
    let number = found.and_then(|text| text.strip_prefix(':')?.trim().strip_suffix(" kB"))?;
    number.parse().ok()
}

/// The processor time of a process: of itself, for users and in the kernel, with a count of 2; with
/// its ended children, with a count of 4.
fn times_of(id: Pid, count: usize) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", id.as_raw_nonzero())).ok()?;
    // Its name may contain blanks; what follows it does not.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks = fields.split_whitespace().skip(11).take(count);
    let ticks: u64 = ticks.map_while(|field| field.parse::<u64>().ok()).sum();
    // Linux counts hundredths of a second here, whatever its clock is.
    Some(Duration::from_millis(ticks * 10))
}

/// The address after `words` in a line of output.
pub fn address_after(words: &str, line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once(words)?;
    let end = rest
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ':')))
        .unwrap_or(rest.len());
    rest[..end].parse().ok()
}

fn wait(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            return Some(status);
        }
        if Instant::now() > deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// All output, collected by threads so that the server never blocks on a full pipe.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<String>>);

impl Output {
    fn drain(
        &self,
        pipe: impl Read + Send + 'static,
        lines: Option<mpsc::Sender<String>>,
    ) -> JoinHandle<()> {
        let output = self.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines() {
                let Ok(line) = line else { return };
                // Writing to a String cannot fail.
                let _ = writeln!(output.lock(), "{line}");
                if let Some(lines) = &lines {
                    let _ = lines.send(line);
                }
            }
        })
    }

    fn text(&self) -> String {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
