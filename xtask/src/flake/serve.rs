//! Runs a server for a moment and asks it the least that proves it works.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

use crate::{apt::Scratch, cache};

/// What the server says once it can be spoken to.
const LISTENING: &str = "listening on http://";

/// # Errors
/// When it does not start, is not healthy or does not take a picture.
pub fn check(program: &Path) -> Result<()> {
    let folder = Scratch::new(cache::folder("nix")?.join("served"))?;
    let mut server = Killed(
        Command::new(program)
            .args(["run", "--address", "127.0.0.1:0"])
            .current_dir(folder.path())
            .env_clear()
            .env("PATH", "")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("it cannot be started")?,
    );
    let output = server.0.stdout.take().context("no output")?;
    let mut said = String::new();
    let mut address = None;
    // Open until the end, or what the server says next would fail.
    let mut lines = BufReader::new(output).lines();
    for line in lines.by_ref() {
        let line = line?;
        if let Some((_, rest)) = line.split_once(LISTENING) {
            let is_address = |c: char| c.is_ascii_digit() || c == '.' || c == ':';
            address = Some(
                rest.split(|c| !is_address(c))
                    .next()
                    .unwrap_or_default()
                    .to_owned(),
            );
            break;
        }
        said.push_str(&line);
        said.push('\n');
    }
    let address = address.with_context(|| format!("it never listened:\n{said}"))?;

    let healthy = ask(&address, "GET /healthz", "", &[])?;
    ensure!(healthy.starts_with("HTTP/1.1 200"), "{healthy}");
    let picture = std::fs::read(cache::repository().join("tests/data/cmyk.jpeg"))?;
    let mut body =
        b"--x\r\nContent-Disposition: form-data; name=\"images[]\"; filename=\"a.jpeg\"\r\n\r\n"
            .to_vec();
    body.extend(picture);
    body.extend(b"\r\n--x--\r\n");
    let header = "Content-Type: multipart/form-data; boundary=x\r\n";
    let taken = ask(&address, "POST /image", header, &body)?;
    ensure!(taken.starts_with("HTTP/1.1 201"), "{taken}");
    Ok(())
}

fn ask(address: &str, what: &str, header: &str, body: &[u8]) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    write!(
        stream,
        "{what} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{header}Content-Length: {}\r\n\r\n",
        body.len()
    )?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// A child that does not outlive us.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
