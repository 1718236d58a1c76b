//! The server under test, as its users start it: a process with its own folder, a cleared
//! environment and a port of the system's choice.

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
use crate::{eventually, programs};

/// How long a start may take. An emulated processor on a busy machine is slow.
const PATIENCE: Duration = Duration::from_secs(60);
/// What the server says once it can be spoken to.
const LISTENING: [&str; 2] = ["listening on http://", "listening on https://"];

/// A binary, and what runs it where this machine cannot.
#[derive(Clone, Debug)]
pub struct Program {
    binary: PathBuf,
    runner: Vec<PathBuf>,
}

impl Program {
    /// `runner` stands in front of the binary: an emulator, `chroot`, with their arguments.
    pub fn new(binary: impl Into<PathBuf>, runner: Vec<PathBuf>) -> Self {
        let binary = binary.into();
        Self { binary, runner }
    }

    /// What `PICTRS_TEST_BIN` and `PICTRS_TEST_RUNNER` name, else what cargo built for the tests.
    ///
    /// # Panics
    /// When there is no such runner.
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

    /// With nothing in its environment but an empty PATH, so that no helper program of this
    /// machine can matter.
    pub fn command(&self) -> Command {
        let mut words = self.runner.iter().chain([&self.binary]);
        let mut command = Command::new(words.next().expect("there is a binary"));
        command.args(words).env_clear().env("PATH", "");
        command
    }

    /// Whether it runs under an emulator, whose memory and time tell nothing.
    pub fn is_emulated(&self) -> bool {
        !self.runner.is_empty()
    }
}

/// What cargo built: it says where; a test program that is started by hand lies in a folder beside
/// it.
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

/// A server to be started.
#[derive(Clone)]
pub struct Launch {
    program: Program,
    folder: Arc<Folder>,
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
}

/// Where a server works.
enum Folder {
    /// Gone with the last that needs it.
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

    /// Any program in a folder that is there and stays.
    pub fn in_folder(program: Program, folder: impl Into<PathBuf>) -> Self {
        Self::with_folder(program, Folder::Kept(folder.into()))
    }

    fn with_folder(program: Program, folder: Folder) -> Self {
        Self {
            program,
            folder: Arc::new(folder),
            arguments: Vec::new(),
            environment: BTreeMap::new(),
        }
        .setting("server.address", "127.0.0.1:0")
    }

    /// Sets a key of the configuration, as deployments do: by environment.
    pub fn setting(self, key: &str, value: impl ToString) -> Self {
        let name = format!("PICTRS__{}", key.to_uppercase().replace('.', "__"));
        self.environment(&name, value)
    }

    /// A variable of its environment.
    pub fn environment(mut self, name: &str, value: impl ToString) -> Self {
        self.environment.insert(name.to_owned(), value.to_string());
        self
    }

    /// Takes a variable away again.
    pub fn without_environment(mut self, name: &str) -> Self {
        self.environment.remove(name);
        self
    }

    /// More arguments of the command line.
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

    /// The command as it would be run.
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

    /// Runs a server that is expected not to come up.
    pub fn refused(self) -> Refusal {
        match self.try_start() {
            Ok(_) => panic!("the server started"),
            Err(refusal) => refusal,
        }
    }

    /// Starts it and waits until it listens, for up to a minute.
    ///
    /// # Errors
    /// When it ends instead, or says nothing.
    ///
    /// # Panics
    /// When there is no such program.
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
            // Ended, or silent for too long: then it is made to end.
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

/// What a server that did not come up left behind.
#[derive(Debug)]
pub struct Refusal {
    /// How it ended.
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

/// A running server. Dropping it kills it; if the test failed, its output is shown.
pub struct Server {
    client: Client,
    launch: Launch,
    child: Child,
    output: Output,
    readers: Vec<JoinHandle<()>>,
    start_time: Duration,
}

/// All requests are methods of the client.
impl std::ops::Deref for Server {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Server {
    /// With all defaults.
    pub fn start() -> Self {
        Launch::new().start()
    }

    /// With some settings.
    pub fn with<const N: usize>(settings: [(&str, &str); N]) -> Self {
        settings
            .into_iter()
            .fold(Launch::new(), |launch, (key, value)| {
                launch.setting(key, value)
            })
            .start()
    }

    /// From spawning the process to the line that says it listens.
    pub fn start_time(&self) -> Duration {
        self.start_time
    }

    /// The folder with database and files, unless a setting moves them.
    pub fn data(&self) -> PathBuf {
        self.launch.folder().join("data")
    }

    /// The folder with the stored files.
    pub fn files(&self) -> PathBuf {
        self.data().join("files")
    }

    /// All it has printed so far.
    pub fn output(&self) -> String {
        self.output.text()
    }

    /// Waits until it has printed this.
    #[track_caller]
    pub fn wait_for_output(&self, text: &str) {
        eventually(text, || self.output().contains(text).then_some(()));
    }

    /// Makes the peak what it has now (proc(5), `clear_refs`).
    pub fn forget_peak_memory(&self) {
        let path = format!("/proc/{}/clear_refs", self.child.id());
        std::fs::write(path, "5").expect("our own child's peak can be reset");
    }

    /// The most memory it ever had, in KiB, or had since its peak was forgotten.
    pub fn peak_memory_kib(&self) -> u64 {
        self.memory_kib("VmHWM")
    }

    /// A line of `/proc/PID/status`, in KiB: `VmRSS` is the memory that it has now.
    ///
    /// # Panics
    /// When it does not run any more, or there is no such line.
    pub fn memory_kib(&self, line: &str) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("a running process has a status");
        let found = status.lines().find_map(|text| text.strip_prefix(line));
        let number = found.and_then(|text| text.strip_prefix(':')?.trim().strip_suffix(" kB"));
        let number = number.unwrap_or_else(|| panic!("no {line} in the status"));
        number.parse().expect("a number")
    }

    /// Sends a signal, without waiting.
    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("process ids are small");
        let process = Pid::from_raw(id).expect("not zero");
        kill_process(process, signal).expect("a running child can be signalled");
    }

    /// Waits for its end; returns its exit code and how to start it again on the same data.
    pub fn ended(mut self) -> (Option<i32>, Launch) {
        let status = wait(&mut self.child, PATIENCE).unwrap_or_else(|| panic!("it never ended"));
        let launch = self.launch.clone();
        assert_ne!(status.signal(), Some(11), "it must not crash");
        (status.code(), launch)
    }

    /// The gentle way.
    pub fn stop(self) -> Launch {
        self.signal(Signal::TERM);
        let (code, launch) = self.ended();
        assert_eq!(code, Some(0));
        launch
    }

    /// As a power cut, as far as one process goes.
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

/// The address that stands behind `words` in a line of output.
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

/// Everything printed, gathered by threads so that the server never blocks on a full pipe.
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
