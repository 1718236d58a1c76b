//! `cargo xtask conform`: ours beside another server, by the list of `xtask::conform`. Starts ours
//! when no address is given, in a folder that goes away.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, ExitCode, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use xtask::conform;

use crate::{cache, command};

/// Options of `cargo xtask conform`.
#[derive(clap::Args)]
pub struct Args {
    /// The other server, such as http://127.0.0.1:8080, with `client.allow_local_connections`. It
    /// loses data: uploads and removals are among the requests.
    #[arg(long, value_name = "URL")]
    against: String,
    /// Our server; it is built and started when this is not given.
    #[arg(long, value_name = "URL")]
    ours: Option<String>,
    /// The API key of both.
    #[arg(long, value_name = "KEY", default_value = "conform")]
    key: String,
}

/// Prints the differences and fails if one of them is not expected.
///
/// # Errors
/// When a server cannot be started or reached.
pub fn run(args: &Args) -> Result<ExitCode> {
    let mut started = None;
    let ours = match &args.ours {
        Some(url) => url.clone(),
        None => started.insert(Server::start(&args.key)?).url.clone(),
    };
    let differences = conform::compare(&ours, &args.against, &args.key)?;
    println!(
        "{:<38} {:<28} {:<28} {:<28} verdict",
        "request", "what", "ours", "theirs"
    );
    for difference in &differences {
        println!("{difference}");
    }
    let unexpected = differences.iter().filter(|d| d.expected.is_none()).count();
    println!(
        "{} requests, {} differences, {unexpected} of them unexpected",
        conform::count(),
        differences.len()
    );
    Ok(ExitCode::from(u8::from(unexpected > 0)))
}

/// Ours, on a port of the system's choice.
struct Server {
    child: Child,
    folder: PathBuf,
    url: String,
}

impl Server {
    fn start(key: &str) -> Result<Self> {
        println!("building and starting pict-rs");
        command::run(command::cargo().args(["build", "--quiet", "--locked", "-p", "pict-rs"]))?;
        let folder = cache::folder("conform")?.join(std::process::id().to_string());
        std::fs::create_dir_all(&folder)?;
        let mut run = command::cargo();
        run.args([
            "run",
            "--quiet",
            "--locked",
            "-p",
            "pict-rs",
            "--",
            "run",
            "-a",
            "127.0.0.1:0",
        ]);
        run.args(["--api-key", key, "filesystem", "-p"]);
        run.arg(folder.join("files"))
            .args(["sqlite", "-p"])
            .arg(folder.join("database"));
        // What this shell has set for a server of its own must not get in.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PICTRS_") {
                run.env_remove(name);
            }
        }
        run.env("PICTRS__CLIENT__ALLOW_LOCAL_CONNECTIONS", "true");
        let mut child = run.env_remove("RUST_LOG").stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().context("no output")?;
        let (sender, addresses) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some((_, address)) = line.split_once("listening on ") {
                    let _ = sender.send(address.trim().to_owned());
                }
            }
        });
        let mut server = Self {
            child,
            folder,
            url: String::new(),
        };
        server.url = addresses
            .recv_timeout(Duration::from_secs(60))
            .context("pict-rs did not start")?;
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
