//! A throw-away PostgreSQL server, and databases on it. It listens on a socket in a folder of its own,
//! forgets to flush because it is not kept, and ends when the program that started it ends, however
//! that comes.

use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::geteuid;

use crate::programs;

/// Where Debian installs every version; PATH does not include these folders.
const VERSIONS: &str = "/usr/lib/postgresql";
/// The user that Debian's package makes. The server refuses to run as root.
const USER: &str = "postgres";
/// The port of a server that listens on no port: it is part of the name of the socket only.
const PORT: u16 = 5432;
/// How long the server may take to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the server until standard input ends, then stops it at once, and removes the folder that is
/// the first argument unless the input says otherwise.
const LEASH: &str = r#"folder=$1; shift; "$@" & server=$!; word=$(cat); kill -QUIT $server; wait $server
[ "$word" = keep ] || { cd /; rm -rf "$folder"; }"#;

/// Settings of a server whose data are not kept. Each test has a server with connections of its own.
const SETTINGS: [&str; 4] = [
    "max_connections=400",
    "shared_buffers=64MB",
    "deadlock_timeout=100ms",
    "log_min_messages=fatal",
];

/// Besides, where it forgets to flush.
const FORGETFUL: [&str; 3] = ["fsync=off", "full_page_writes=off", "autovacuum=off"];

/// A server. Dropping it stops it and removes its data.
#[derive(Debug)]
pub struct Cluster {
    programs: PathBuf,
    folder: PathBuf,
    /// Where it listens besides its socket.
    address: Option<SocketAddr>,
    /// Whether connections to that address are encrypted.
    encrypts: bool,
    flushes: bool,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    leash: Option<ChildStdin>,
    shell: Child,
}

impl Cluster {
    /// The server that all tests of this program share, or a line that says which test was skipped.
    /// If `PICTRS_TEST_REQUIRE` names postgres, a skip is a failure.
    ///
    /// # Panics
    /// When it does not start.
    pub fn shared_or_skip(test: &str) -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Cluster>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| {
            let programs = programs()?;
            Some(Self::start(programs).unwrap_or_else(|error| panic!("PostgreSQL: {error}")))
        });
        if shared.is_none() {
            programs::skip("postgres", test, "PostgreSQL is not installed");
        }
        shared.as_ref()
    }

    /// A server for one test, which may stop it. Skipped as [`Cluster::shared_or_skip`].
    ///
    /// # Panics
    /// When it does not start.
    pub fn own_or_skip(test: &str) -> Option<Self> {
        let Some(programs) = programs() else {
            programs::skip("postgres", test, "PostgreSQL is not installed");
            return None;
        };
        Some(Self::start(programs).unwrap_or_else(|error| panic!("PostgreSQL: {error}")))
    }

    /// As [`Cluster::own_or_skip`], with its write-ahead log in this folder, such as a small disk.
    ///
    /// # Panics
    /// When it does not start.
    pub fn with_log_in_or_skip(folder: &Path, test: &str) -> Option<Self> {
        let Some(programs) = programs() else {
            programs::skip("postgres", test, "PostgreSQL is not installed");
            return None;
        };
        let log = folder.join("log").display().to_string();
        // Its files are made in advance, and writes need no room as long as there is one.
        let arguments = ["-X", &log, "--wal-segsize=1"];
        let started = give(folder).and_then(|()| Self::start_with(programs, &arguments));
        Some(started.unwrap_or_else(|error| panic!("PostgreSQL: {error}")))
    }

    fn start(programs: PathBuf) -> io::Result<Self> {
        Self::start_with(programs, &[])
    }

    fn new_folder() -> io::Result<PathBuf> {
        let folder = tempfile::Builder::new()
            .prefix("pict-rs-pg-")
            .permissions(std::fs::Permissions::from_mode(0o755))
            .tempdir()?;
        Ok(folder.keep())
    }

    fn start_with(programs: PathBuf, arguments: &[&str]) -> io::Result<Self> {
        let mut cluster = Self {
            programs,
            folder: Self::new_folder()?,
            address: None,
            encrypts: false,
            flushes: false,
            running: None,
        };
        give(&cluster.folder)?;
        let made = cluster
            .command("initdb")
            .args(["-D", "data", "-U", USER, "-A", "trust", "-E", "UTF8"])
            .args(["--locale=C", "--no-sync", "--no-instructions"])
            .args(arguments)
            .output()?;
        succeeded(made)?;
        // One user has a password, for tests of that.
        let rules = cluster.folder.join("data/pg_hba.conf");
        let text = std::fs::read_to_string(&rules)?;
        std::fs::write(&rules, format!("local all guarded scram-sha-256\n{text}"))?;
        cluster.resume()?;
        cluster.run("postgres", "CREATE ROLE guarded LOGIN PASSWORD 'hush'")?;
        Ok(cluster)
    }

    /// Starts it again as a server that keeps what it has confirmed, for measurements.
    ///
    /// # Errors
    /// When it does not start.
    pub fn flush(&mut self) -> io::Result<()> {
        self.stop();
        self.flushes = true;
        self.resume()
    }

    /// Starts it again, on a port as well, where it takes encrypted connections only.
    ///
    /// # Errors
    /// When it does not start.
    pub fn encrypt(&mut self, certificate: &Path, key: &Path) -> io::Result<SocketAddr> {
        // It cannot be told to choose one itself.
        let free = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        self.encrypt_at(free, certificate, key)?;
        Ok(free)
    }

    /// As [`Cluster::encrypt`], on a port of the caller's choice.
    ///
    /// # Errors
    /// When it does not start.
    pub fn encrypt_at(
        &mut self,
        address: SocketAddr,
        certificate: &Path,
        key: &Path,
    ) -> io::Result<()> {
        self.stop();
        for (file, name) in [(certificate, "server.crt"), (key, "server.key")] {
            let copy = self.folder.join("data").join(name);
            std::fs::copy(file, &copy)?;
            std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o600))?;
            give(&copy)?;
        }
        let rules = self.folder.join("data/pg_hba.conf");
        let text = std::fs::read_to_string(&rules)?.replace("\nhost ", "\nhostssl ");
        std::fs::write(&rules, text)?;
        self.address = Some(address);
        self.encrypts = true;
        self.resume()
    }

    /// Starts it again, where it listens on an address as well and lets everybody in: for networks of
    /// a test's own.
    ///
    /// # Errors
    /// When it does not start.
    pub fn open_at(&mut self, address: SocketAddr) -> io::Result<()> {
        self.stop();
        let rules = self.folder.join("data/pg_hba.conf");
        let text = std::fs::read_to_string(&rules)?;
        std::fs::write(&rules, format!("{text}host all all all trust\n"))?;
        self.address = Some(address);
        self.resume()
    }

    /// Makes a standby, which follows this server and can only be read.
    ///
    /// # Panics
    /// When that fails.
    pub fn standby(&self) -> Self {
        let mut standby = Self {
            programs: self.programs.clone(),
            folder: Self::new_folder().expect("a folder"),
            address: None,
            encrypts: false,
            flushes: false,
            running: None,
        };
        give(&standby.folder).expect("given");
        let copied = standby
            .command("pg_basebackup")
            .args(["-D", "data", "-U", USER, "-R", "-X", "stream", "-c", "fast"])
            .args(["--no-sync", "-h"])
            .arg(&self.folder)
            .arg("-p")
            .arg(self.port().to_string())
            .output();
        copied
            .and_then(succeeded)
            .and_then(|_| standby.resume())
            .unwrap_or_else(|error| panic!("no standby: {error}"));
        standby
    }

    /// Starts the server after [`Cluster::stop`].
    ///
    /// # Errors
    /// When it does not answer in time.
    pub fn resume(&mut self) -> io::Result<()> {
        let mut shell = self.as_user("sh");
        shell.args(["-c", LEASH, "sh"]).arg(&self.folder);
        shell.arg(self.programs.join("postgres"));
        shell.arg("-D").arg(self.folder.join("data"));
        shell.arg("-k").arg(&self.folder);
        let forgetful = FORGETFUL.iter().filter(|_| !self.flushes);
        for setting in SETTINGS.iter().chain(forgetful) {
            shell.args(["-c", setting]);
        }
        if self.encrypts {
            shell.args(["-c", "ssl=on"]);
        }
        match self.address {
            None => shell.args(["-c", "listen_addresses="]),
            Some(address) => shell
                .arg("-c")
                .arg(format!("listen_addresses={}", address.ip()))
                .arg("-p")
                .arg(address.port().to_string()),
        };
        shell.stdin(Stdio::piped());
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("log"))?;
        shell.stdout(log.try_clone()?).stderr(log);
        let mut shell = shell.spawn()?;
        self.running = Some(Running {
            leash: shell.stdin.take(),
            shell,
        });
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answered =
                UnixStream::connect(self.socket()).and_then(|_| self.run("postgres", "SELECT 1"));
            match answered {
                Err(_) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Ok(_) => return Ok(()),
                Err(error) => {
                    let log = std::fs::read_to_string(self.folder.join("log"));
                    let log = log.unwrap_or_default();
                    return Err(io::Error::other(format!("{error}; it said: {log}")));
                }
            }
        }
    }

    /// Stops the server at once, as a crash does; its data stay.
    pub fn stop(&mut self) {
        self.end("keep");
    }

    fn end(&mut self, word: &str) {
        if let Some(mut running) = self.running.take() {
            // The shell ends with its input.
            if let Some(mut leash) = running.leash.take() {
                let _ = leash.write_all(word.as_bytes());
            }
            let _ = running.shell.wait();
        }
    }

    /// The folder of its socket.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.join(format!(".s.PGSQL.{}", self.port()))
    }

    fn port(&self) -> u16 {
        self.address.map_or(PORT, |address| address.port())
    }

    /// Whether it runs, which it may not after a fault of its own.
    pub fn runs(&self) -> bool {
        self.run("postgres", "SELECT 1").is_ok()
    }

    /// Makes an empty database.
    ///
    /// # Panics
    /// When that fails.
    pub fn database(&self) -> Database {
        self.database_with("")
    }

    /// The same with more words for `CREATE DATABASE`.
    ///
    /// # Panics
    /// When that fails.
    pub fn database_with(&self, words: &str) -> Database {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{number}", std::process::id());
        let database = Database {
            name,
            programs: self.programs.clone(),
            folder: self.folder.clone(),
            port: self.port(),
        };
        let name = &database.name;
        self.run(
            "postgres",
            &format!("CREATE DATABASE {name} TEMPLATE template0 {words}"),
        )
        .unwrap_or_else(|error| panic!("no database: {error}"));
        database
    }

    /// Runs statements, and returns what psql prints of their rows.
    ///
    /// # Errors
    /// What psql says.
    pub fn run(&self, database: &str, statements: &str) -> io::Result<String> {
        let place = (&*self.folder, self.port());
        run(&self.programs, place, database, statements)
    }

    fn command(&self, program: &str) -> Command {
        self.as_user(&self.programs.join(program).display().to_string())
    }

    /// A command that runs as the user of the server, in its folder.
    fn as_user(&self, program: &str) -> Command {
        let mut command = if geteuid().is_root() {
            let mut command = Command::new("setpriv");
            command.arg(format!("--reuid={USER}"));
            command.arg(format!("--regid={USER}"));
            command.args(["--clear-groups", program]);
            command
        } else {
            Command::new(program)
        };
        command.current_dir(&self.folder).stdin(Stdio::null());
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.end("");
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A database for one test. Dropping it removes it.
#[derive(Debug)]
pub struct Database {
    name: String,
    programs: PathBuf,
    folder: PathBuf,
    port: u16,
}

impl Database {
    /// The URL of the database, for the setting `repo.url`.
    pub fn url(&self) -> String {
        self.url_of(USER)
    }

    /// The same for another user.
    pub fn url_of(&self, user: &str) -> String {
        let (name, folder) = (&self.name, self.folder.display());
        let port = self.port;
        format!("postgres:///{name}?host={folder}&port={port}&user={user}")
    }

    /// The same by way of an address, where a [`crate::proxy::Proxy`] stands.
    pub fn url_at(&self, address: SocketAddr) -> String {
        format!("postgres://{USER}@{address}/{}", self.name)
    }

    /// Its name on the server.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Everything in it as statements, without those that only some versions of the server know.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn dump(&self) -> String {
        let done = Command::new(self.programs.join("pg_dump"))
            .args([
                "--inserts",
                "--no-owner",
                "--no-privileges",
                "--no-comments",
            ])
            .args(["-U", USER, "-d", &self.name, "-h"])
            .arg(&self.folder)
            .stdin(Stdio::null())
            .output()
            .and_then(succeeded);
        let text = done.unwrap_or_else(|error| panic!("no dump: {error}"));
        let is_kept = |line: &&str| {
            let left_out = ["--", "\\", "SET transaction_timeout", "SET default_"];
            !line.is_empty() && !left_out.iter().any(|start| line.starts_with(start))
        };
        let mut lines: Vec<_> = text.lines().filter(is_kept).collect();
        lines.push("");
        lines.join("\n")
    }

    /// Runs statements, and returns what psql prints of their rows.
    ///
    /// # Panics
    /// When one fails.
    pub fn run(&self, statements: &str) -> String {
        run(
            &self.programs,
            (&self.folder, self.port),
            &self.name,
            statements,
        )
        .unwrap_or_else(|error| panic!("{statements}: {error}"))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let statement = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        let place = (&*self.folder, self.port);
        let _ = run(&self.programs, place, "postgres", &statement);
    }
}

fn run(
    programs: &Path,
    (folder, port): (&Path, u16),
    database: &str,
    statements: &str,
) -> io::Result<String> {
    let done = Command::new(programs.join("psql"))
        .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"])
        .args(["-U", USER, "-d", database, "-c", statements, "-h"])
        .arg(folder)
        .arg("-p")
        .arg(port.to_string())
        .stdin(Stdio::null())
        .output()?;
    succeeded(done)
}

fn succeeded(done: Output) -> io::Result<String> {
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        return Err(io::Error::other(said.into_owned()));
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// The folder of the newest version that is installed.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| {
            let number: u32 = entry.file_name().to_str()?.parse().ok()?;
            let folder = entry.path().join("bin");
            folder.join("initdb").is_file().then_some((number, folder))
        })
        .max();
    let on_path = || Some(programs::find("initdb")?.parent()?.to_owned());
    newest.map(|(_, folder)| folder).or_else(on_path)
}

/// Lets the user of the server own a file, which only root can and has to do.
///
/// # Errors
/// When there is no such user.
pub fn give(path: &Path) -> io::Result<()> {
    match geteuid().is_root() {
        true => {
            let (user, group) = owner()?;
            chown(path, Some(user), Some(group))
        }
        false => Ok(()),
    }
}

/// The ids of the server's user and group.
fn owner() -> io::Result<(u32, u32)> {
    let id = |kind: &str| {
        let text = succeeded(Command::new("id").args([kind, USER]).output()?)?;
        text.trim().parse().map_err(io::Error::other)
    };
    Ok((id("-u")?, id("-g")?))
}
