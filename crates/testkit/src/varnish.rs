//! Debian's Varnish, in front of a server: in its own folder, on a port that the system chose.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::client::Client;
use crate::{eventually, programs};

/// Where Debian installs it; PATH need not include this folder.
const PROGRAM: &str = "/usr/sbin/varnishd";
/// Before it is told its configuration.
const NOTHING: &str = "vcl 4.1;\nbackend default none;\n";

/// A running Varnish, with a client for it. Dropping it stops it.
pub struct Varnish {
    client: Client,
    child: Child,
    folder: TempDir,
    address: SocketAddr,
}

impl std::ops::Deref for Varnish {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Varnish {
    /// Starts one that has no server behind it yet, or reports that the test was skipped. If
    /// `PICTRS_TEST_REQUIRE` names programs, a skip is a failure.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_or_skip(test: &str) -> Option<Self> {
        programs::find_or_skip(PROGRAM, test)?;
        programs::find_or_skip("varnishadm", test)?;
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("nothing.vcl");
        std::fs::write(&file, NOTHING).expect("written");
        let child = Command::new(PROGRAM)
            .args(["-F", "-n"])
            .arg(folder.path().join("work"))
            .args(["-a", "127.0.0.1:0", "-T", "127.0.0.1:0"])
            .args(["-j", "none", "-s", "malloc,32m", "-f"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program can be run");
        let address = eventually("Varnish listens", || {
            let said = administer(folder.path(), &["debug.listen_address"])?;
            let mut words = said.split_whitespace().skip(1);
            let (host, port) = (words.next()?, words.next()?);
            format!("{host}:{port}").parse().ok()
        });
        Some(Self {
            client: Client::new(address),
            child,
            folder,
            address,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on it works by this VCL.
    ///
    /// # Panics
    /// When Varnish refuses it.
    pub fn configure(&self, vcl: &str) {
        let file = self.folder.path().join("told.vcl");
        std::fs::write(&file, vcl).expect("written");
        let file = file.to_str().expect("UTF-8");
        for words in [&["vcl.load", "told", file][..], &["vcl.use", "told"]] {
            let said = administer(self.folder.path(), words);
            assert!(said.is_some(), "{words:?}");
        }
    }
}

/// What a command of `varnishadm` says; `None` when it fails.
fn administer(folder: &Path, words: &[&str]) -> Option<String> {
    let told = Command::new("varnishadm")
        .arg("-n")
        .arg(folder.join("work"))
        .args(words)
        .output()
        .expect("the program can be run");
    let said = String::from_utf8_lossy(&told.stdout).into_owned();
    told.status.success().then_some(said)
}

impl Drop for Varnish {
    fn drop(&mut self) {
        // SIGTERM lets it stop its child; SIGKILL would leave that behind.
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.child.wait();
    }
}
