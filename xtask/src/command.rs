//! Runs other programs: in the root of the clone, without standard input, with their output passed
//! on line by line.

use std::{
    env,
    ffi::OsStr,
    io::{BufRead as _, BufReader, IsTerminal as _, Read},
    path::PathBuf,
    process::{Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
};

use anyhow::{Context as _, Result, bail};

use crate::cache;

/// A command that runs in the root of the clone, without input.
pub fn new(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(cache::repository())
        .stdin(Stdio::null());
    command
}

/// The cargo that started this chore; with colours on a terminal.
pub fn cargo() -> Command {
    let mut command = new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    if env::var_os("CARGO_TERM_COLOR").is_none() && std::io::stdout().is_terminal() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    command
}

/// Runs the command, passing both outputs through.
///
/// # Errors
/// When it cannot be started or fails.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {}", name(command)))?;
    expect_success(command, status)
}

/// Runs the command and returns standard output; standard error is passed through.
///
/// # Errors
/// When it cannot be started, fails, or prints no UTF-8.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {}", name(command)))?;
    expect_success(command, output.status)?;
    String::from_utf8(output.stdout).with_context(|| format!("{} printed no text", name(command)))
}

/// Runs the command, prints both outputs as they arrive and passes each line to `look`.
///
/// # Errors
/// When it cannot be started or fails.
pub fn watch(command: &mut Command, mut look: impl FnMut(&str)) -> Result<()> {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", name(command)))?;
    let (sender, lines) = mpsc::channel();
    let readers = [
        child.stdout.take().map(|out| forward(out, sender.clone())),
        child.stderr.take().map(|err| forward(err, sender)),
    ];
    for line in lines {
        println!("{line}");
        look(&line);
    }
    for reader in readers.into_iter().flatten() {
        let _ = reader.join();
    }
    let status = child.wait()?;
    expect_success(command, status)
}

/// Runs the command silently and returns standard output. An error contains the end of both
/// outputs, where the cause usually is.
///
/// # Errors
/// When it cannot be started or fails.
pub fn said(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {}", name(command)))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if output.status.success() {
        return Ok(text.into_owned());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<_> = text.lines().chain(errors.lines()).collect();
    let end = lines.len().saturating_sub(20);
    bail!("{}", lines[end..].join("\n"))
}

/// Cargo's target folder for this workspace.
///
/// # Errors
/// When cargo does not report it.
pub fn target_folder() -> Result<PathBuf> {
    let mut metadata = cargo();
    metadata.args(["metadata", "--no-deps", "--locked", "--format-version=1"]);
    let metadata: serde_json::Value = serde_json::from_str(&output(&mut metadata)?)?;
    let folder = metadata["target_directory"].as_str();
    Ok(folder
        .context("cargo metadata names no target folder")?
        .into())
}

/// Whether a program of this name is on PATH.
pub fn is_installed(program: &str) -> bool {
    testkit::programs::find(program).is_some()
}

fn forward(
    output: impl Read + Send + 'static,
    lines: mpsc::Sender<String>,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut reader = BufReader::new(output);
        let mut line = Vec::new();
        // Read as bytes: a test may print anything, and its line must not be lost.
        while reader.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            let text = String::from_utf8_lossy(&line);
            if lines.send(text.trim_end_matches('\n').to_owned()).is_err() {
                return;
            }
            line.clear();
        }
    })
}

fn expect_success(command: &Command, status: ExitStatus) -> Result<()> {
    if !status.success() {
        bail!("{} ended with {status}", name(command));
    }
    Ok(())
}

/// The command as typed in a shell.
fn name(command: &Command) -> String {
    let program = command.get_program();
    let program = std::path::Path::new(program).file_name().unwrap_or(program);
    let mut text = program.to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}
