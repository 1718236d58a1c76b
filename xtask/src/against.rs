//! `cargo xtask conform`: compares our server with another one, using the list of `xtask::conform`.
//! Unless an address is given, starts ours in a temporary folder.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use testkit::{Launch, Program, Server};
use xtask::conform;

use crate::command;

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

/// Prints the differences, and fails if one of them is not expected.
///
/// # Errors
/// When a server cannot be started or reached.
pub fn run(args: &Args) -> Result<ExitCode> {
    let mut started = None;
    let ours = match &args.ours {
        Some(url) => url.clone(),
        None => format!("http://{}", started.insert(start(&args.key)?).address),
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

/// Starts ours as a development build, on a port that the system chooses, with the programs of this
/// machine.
fn start(key: &str) -> Result<Server> {
    println!("building and starting pict-rs");
    command::run(command::cargo().args(["build", "--quiet", "--locked", "-p", "pict-rs"]))?;
    let binary = Path::new(&command::target_folder()?).join("debug/pict-rs");
    let launch = Launch::of(Program::new(binary, Vec::new()))
        .environment("PATH", std::env::var("PATH").unwrap_or_default())
        .setting("server.api_key", key)
        .setting("client.allow_local_connections", true);
    Ok(launch.try_start()?)
}
