//! A throw-away PostgreSQL server, and databases on it. It listens on a socket in a folder of its own,
//! forgets to flush because it is not kept, and ends when the program that started it ends, however
//! that comes.

use std::io::{self, Write as _};
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
/// The port is part of the name of the socket only.
const SOCKET: &str = ".s.PGSQL.5432";
/// How long the server may take to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the server until standard input ends, then stops it at once, and removes the folder that is
/// the first argument unless the input says otherwise.
const LEASH: &str = r#"folder=$1; shift; "$@" & server=$!; word=$(cat); kill -QUIT $server; wait $server
[ "$word" = keep ] || { cd /; rm -rf "$folder"; }"#;

/// Settings of a server whose data are not kept. Each test has a server with connections of its own.
const SETTINGS: [&str; 8] = [
    "fsync=off",
    "full_page_writes=off",
    "autovacuum=off",
    "max_connections=400",
    "shared_buffers=64MB",
    "listen_addresses=",
    "deadlock_timeout=100ms",
    "log_min_messages=fatal",
];

/// A server. Dropping it stops it and removes its data.
#[derive(Debug)]
pub struct Cluster {
    programs: PathBuf,
    folder: PathBuf,
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

    fn start(programs: PathBuf) -> io::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("pict-rs-pg-")
            .permissions(std::fs::Permissions::from_mode(0o755))
            .tempdir()?
            .keep();
        let mut cluster = Self {
            programs,
            folder,
            running: None,
        };
        if geteuid().is_root() {
            let (user, group) = owner()?;
            chown(&cluster.folder, Some(user), Some(group))?;
        }
        let made = cluster
            .command("initdb")
            .args(["-D", "data", "-U", USER, "-A", "trust", "-E", "UTF8"])
            .args(["--locale=C", "--no-sync", "--no-instructions"])
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
        for setting in SETTINGS {
            shell.args(["-c", setting]);
        }
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
            let answered = UnixStream::connect(self.folder.join(SOCKET))
                .and_then(|_| self.run("postgres", "SELECT 1"));
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

    /// Makes an empty database.
    ///
    /// # Panics
    /// When that fails.
    pub fn database(&self) -> Database {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{number}", std::process::id());
        let database = Database {
            name,
            programs: self.programs.clone(),
            folder: self.folder.clone(),
        };
        self.run(
            "postgres",
            &format!("CREATE DATABASE {} TEMPLATE template0", database.name),
        )
        .unwrap_or_else(|error| panic!("no database: {error}"));
        database
    }

    /// Runs statements, and returns what psql prints of their rows.
    ///
    /// # Errors
    /// What psql says.
    pub fn run(&self, database: &str, statements: &str) -> io::Result<String> {
        run(&self.programs, &self.folder, database, statements)
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
}

impl Database {
    /// The URL of the database, for the setting `repo.url`.
    pub fn url(&self) -> String {
        self.url_of(USER)
    }

    /// The same for another user.
    pub fn url_of(&self, user: &str) -> String {
        let (name, folder) = (&self.name, self.folder.display());
        format!("postgres:///{name}?host={folder}&user={user}")
    }

    /// Its name on the server.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs statements, and returns what psql prints of their rows.
    ///
    /// # Panics
    /// When one fails.
    pub fn run(&self, statements: &str) -> String {
        run(&self.programs, &self.folder, &self.name, statements)
            .unwrap_or_else(|error| panic!("{statements}: {error}"))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let statement = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        let _ = run(&self.programs, &self.folder, "postgres", &statement);
    }
}

fn run(programs: &Path, folder: &Path, database: &str, statements: &str) -> io::Result<String> {
    let done = Command::new(programs.join("psql"))
        .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"])
        .args(["-U", USER, "-d", database, "-c", statements, "-h"])
        .arg(folder)
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

/// The ids of the server's user and group.
fn owner() -> io::Result<(u32, u32)> {
    let id = |kind: &str| {
        let text = succeeded(Command::new("id").args([kind, USER]).output()?)?;
        text.trim().parse().map_err(io::Error::other)
    };
    Ok((id("-u")?, id("-g")?))
}
