//! Debian's nginx in front of a server, in a folder of its own, on a port that the system chose.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd as _;
use std::process::{Child, Command, Stdio};

use rustix::io::FdFlags;
use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

use super::client::Client;
use super::programs;

/// Where Debian keeps it; PATH need not lead there.
const PROGRAM: &str = "/usr/sbin/nginx";

/// A running nginx, which is a client of its own. Dropping it ends it.
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

impl Nginx {
    /// Starts it with these lines in its `http` and `server` sections, or says what was not
    /// tested. Relative paths lead into its folder.
    pub fn start_or_skip(test: &str, http: &str, server: &str) -> Option<Self> {
        programs::find_or_skip(PROGRAM, test)?;
        let folder = tempfile::tempdir().expect("a folder");
        // nginx takes over a socket that listens already, so no other program can take the port.
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        rustix::io::fcntl_setfd(&listener, FdFlags::empty()).expect("inheritable");
        let address = listener.local_addr().expect("an address");
        let config = config(address, http, server);
        std::fs::write(folder.path().join("nginx.conf"), config).expect("written");
        let command = || {
            let mut command = Command::new(PROGRAM);
            command
                .arg("-p")
                .arg(folder.path())
                .args(["-e", "error.log", "-c", "nginx.conf"])
                .stdin(Stdio::null());
            command
        };
        let checked = command().arg("-t").output().expect("nginx runs");
        let said = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success(), "{said}");
        assert!(!said.contains("[warn]"), "{said}");
        let child = command()
            .env("NGINX", format!("{};", listener.as_raw_fd()))
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx runs");
        Some(Self {
            client: Client::new(address),
            child,
            folder,
        })
    }
}

fn config(address: SocketAddr, http: &str, server: &str) -> String {
    // Otherwise the workers of root are another user, who cannot write to the folder.
    let user = if geteuid().is_root() {
        "user root;"
    } else {
        ""
    };
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {name};\n"))
        .concat();
    format!(
        "daemon off;\npid nginx.pid;\nworker_processes 1;\n{user}\nevents {{ worker_connections 128; }}\n\
         http {{\naccess_log off;\n{temporary}{http}\nserver {{\nlisten {address};\n{server}\n}}\n}}\n"
    )
}

impl Drop for Nginx {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.path().join("error.log"));
            eprintln!("nginx said:\n{}", log.unwrap_or_default());
        }
        // The master ends its workers; killed, it would leave them behind.
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.child.wait();
    }
}
