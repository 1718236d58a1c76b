//! Runs other programs: in the root of the clone, without standard input, with their output passed
//! on line by line.

use std::{
    env,
    ffi::OsStr,
    io::{BufReader, IsTerminal as _, Read},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
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
    let (mut child, lines, readers) = start(command, b"\n")?;
    for line in lines {
        println!("{line}");
        look(&line);
    }
    for reader in readers {
        let _ = reader.join();
    }
    let status = child.wait()?;
    expect_success(command, status)
}

/// Runs the command and passes each line of both outputs to `look`, and `None` whenever there was
/// none for `pause`. A line that is redrawn on a terminal counts as one each time.
///
/// # Errors
/// When it cannot be started or fails.
pub fn follow(
    command: &mut Command,
    pause: Duration,
    mut look: impl FnMut(Option<&str>),
) -> Result<()> {
    let (mut child, lines, readers) = start(command, b"\n\r")?;
    loop {
        match lines.recv_timeout(pause) {
            Ok(line) => look(Some(&line)),
            Err(mpsc::RecvTimeoutError::Timeout) => look(None),
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
    }
    for reader in readers {
        let _ = reader.join();
    }
    let status = child.wait()?;
    expect_success(command, status)
}

type Running = (Child, mpsc::Receiver<String>, Vec<thread::JoinHandle<()>>);

/// Starts the command with both outputs read by threads; one of the bytes `ends` ends a line.
fn start(command: &mut Command, ends: &'static [u8]) -> Result<Running> {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", name(command)))?;
    let (sender, lines) = mpsc::channel();
    let readers = [
        child
            .stdout
            .take()
            .map(|out| forward(out, ends, sender.clone())),
        child.stderr.take().map(|err| forward(err, ends, sender)),
    ];
    Ok((child, lines, readers.into_iter().flatten().collect()))
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
    ends: &'static [u8],
    lines: mpsc::Sender<String>,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        // Read as bytes: a test may print anything, and its line must not be lost.
        let mut line = Vec::new();
        let send = |line: &[u8]| lines.send(String::from_utf8_lossy(line).into_owned());
        for byte in BufReader::new(output).bytes().map_while(Result::ok) {
            if !ends.contains(&byte) {
                line.push(byte);
                continue;
            }
            if send(&line).is_err() {
                return;
            }
            line.clear();
        }
        if !line.is_empty() {
            let _ = send(&line);
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
