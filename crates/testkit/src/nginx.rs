//! Debian's nginx, in front of a server or next to it: in its own folder, on a port that the system
//! chose.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::io::FdFlags;
use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

use crate::client::Client;
use crate::programs;

/// Where Debian installs it; PATH need not include this folder.
const PROGRAM: &str = "/usr/sbin/nginx";

/// A running nginx, with a client for it. Dropping it stops it.
pub struct Nginx {
    client: Client,
    child: Child,
    folder: TempDir,
}

impl std::ops::Deref for Nginx {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

/// The address of an nginx that is still to be started, so that a server can be told it before.
pub struct Place(TcpListener);

impl Place {
    /// A port that the system chose.
    ///
    /// # Errors
    /// When there is none.
    pub fn reserve() -> io::Result<Self> {
        // nginx takes over a listening socket, so no other program can take the port.
        let listener = TcpListener::bind("127.0.0.1:0")?;
        rustix::io::fcntl_setfd(&listener, FdFlags::empty())?;
        Ok(Self(listener))
    }

    /// The address.
    ///
    /// # Panics
    /// Never: the socket is bound.
    pub fn address(&self) -> SocketAddr {
        self.0.local_addr().expect("bound")
    }
}

impl Nginx {
    /// As [`Nginx::start`], with one worker; or reports that the test was skipped. If
    /// `PICTRS_TEST_REQUIRE` names programs, a skip is a failure.
    ///
    /// # Panics
    /// When nginx does not start, or prints a warning.
    pub fn start_or_skip(test: &str, http: &str, server: &str) -> Option<Self> {
        programs::find_or_skip(PROGRAM, test)?;
        match Self::start("1", http, server) {
            Ok(nginx) => Some(nginx),
            Err(error) => panic!("{error}"),
        }
    }

    /// Starts nginx with this number of workers, or `auto`, and with these lines in its `http` and
    /// `server` sections. Relative paths are relative to its folder.
    ///
    /// # Errors
    /// When it is not installed, or complains about the lines.
    pub fn start(workers: &str, http: &str, server: &str) -> io::Result<Self> {
        Self::start_at(Place::reserve()?, workers, "", http, server)
    }

    /// The same at a place, with these lines before its sections, such as modules to load.
    ///
    /// # Errors
    /// As [`Nginx::start`].
    pub fn start_at(
        place: Place,
        workers: &str,
        modules: &str,
        http: &str,
        server: &str,
    ) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let address = place.address();
        let config = modules.to_owned() + &config(address, workers, http, server);
        std::fs::write(folder.path().join("nginx.conf"), config)?;
        let command = || {
            let mut command = Command::new(PROGRAM);
            command
                .arg("-p")
                .arg(folder.path())
                .args(["-e", "error.log", "-c", "nginx.conf"])
                .stdin(Stdio::null());
            command
        };
        let checked = command().arg("-t").output()?;
        let said = String::from_utf8_lossy(&checked.stderr);
        if !checked.status.success() || said.contains("[warn]") {
            return Err(io::Error::other(said.into_owned()));
        }
        let child = command()
            .env("NGINX", format!("{};", place.0.as_raw_fd()))
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self {
            client: Client::new(address),
            child,
            folder,
        })
    }

    /// The folder that relative paths refer to.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

fn config(address: SocketAddr, workers: &str, http: &str, server: &str) -> String {
    // Otherwise root's workers run as another user, who cannot write to the folder.
    let user = if geteuid().is_root() {
        "user root;"
    } else {
        ""
    };
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {name};\n"))
        .concat();
    format!(
        "daemon off;\npid nginx.pid;\nworker_processes {workers};\n{user}\nevents {{ worker_connections 256; }}\n\
         http {{\naccess_log off;\n{temporary}{http}\nserver {{\nlisten {address};\n{server}\n}}\n}}\n"
    )
}

impl Drop for Nginx {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.path().join("error.log"));
            eprintln!("nginx said:\n{}", log.unwrap_or_default());
        }
        // SIGTERM lets the master stop its workers; SIGKILL would leave them behind.
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.child.wait();
    }
}
