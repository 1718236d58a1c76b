//! Garage, of one node, with the settings of contrib/scaling.

use std::io::BufRead as _;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;

use super::{Bucket, KEY, SECRET, spawn};
use crate::eventually;

/// As in [`SETTINGS`].
pub(super) const REGION: &str = "garage";
/// What operators get.
const SETTINGS: &str = include_str!("../../../../contrib/scaling/garage.toml");

/// Starts it, with its files in `root`, and tells it of the key.
pub(super) fn start(folder: &Path, root: &Path) -> (Child, SocketAddr) {
    // It does not tell which port the system chose, so that ports are taken and given back.
    let ports = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
    let [rpc, s3] = ports.map(|port| port.local_addr().expect("an address"));
    let settings = SETTINGS
        .replace("/var/lib/garage", root.to_str().expect("text"))
        .replace("[::]:3901", &rpc.to_string())
        .replace("127.0.0.1:3901", &rpc.to_string())
        .replace("[::]:3900", &s3.to_string());
    std::fs::write(settings_of(root), settings).expect("written");
    let (child, mut output) = spawn(command(folder, root).arg("server"));
    let mut said = String::new();
    while !said.contains("S3 API server listening") {
        let read = output.read_line(&mut said).expect("text");
        assert_ne!(read, 0, "Garage does not start: {said}");
    }
    thread::spawn(move || {
        // To the end, so that the server never blocks.
        let _ = std::io::copy(&mut output, &mut std::io::sink());
    });
    let id = eventually("Garage answers", || {
        run(command(folder, root).args(["node", "id", "-q"])).ok()
    });
    let id = id.split('@').next().expect("an id");
    for arguments in [
        vec!["layout", "assign", "-z", "here", "-c", "100G", id],
        vec!["layout", "apply", "--version", "1"],
        vec!["key", "import", "--yes", "-n", "pict-rs", KEY, SECRET],
    ] {
        run(command(folder, root).args(arguments)).unwrap_or_else(|said| panic!("{said}"));
    }
    (child, s3)
}

/// Makes a bucket that the key may use.
pub(super) fn make_bucket(folder: &Path, root: &Path, name: &str) {
    for arguments in [
        vec!["bucket", "create", name],
        vec![
            "bucket", "allow", "--read", "--write", name, "--key", "pict-rs",
        ],
    ] {
        run(command(folder, root).args(arguments)).unwrap_or_else(|said| panic!("{said}"));
    }
}

/// Its program, with its settings.
fn command(folder: &Path, root: &Path) -> Command {
    let mut command = Command::new(folder.join("garage/bin/garage"));
    command
        .arg("-c")
        .arg(settings_of(root))
        // Any 32 bytes.
        .env("GARAGE_RPC_SECRET", SECRET);
    command
}

fn settings_of(root: &Path) -> PathBuf {
    root.join("garage.toml")
}

/// What a program prints.
///
/// # Errors
/// When it fails; with what it says.
fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().expect("a program starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    match output.status.success() {
        true => Ok(text),
        false => Err(format!(
            "{command:?}: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}

/// Asks a bucket in the way of other programs: with boto3, which came with moto.
const CLIENT: &str = r#"
import sys, boto3
from botocore.config import Config
what, endpoint, bucket, region, key, secret, name = sys.argv[1:]
s3 = boto3.client("s3", endpoint_url=endpoint, region_name=region, aws_access_key_id=key,
    aws_secret_access_key=secret, config=Config(s3={"addressing_style": "path"}))
if what == "keys":
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for found in page.get("Contents", []):
            print(found["Key"])
elif what == "uploads":
    for found in s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []):
        print(found["Key"])
else:
    s3.delete_object(Bucket=bucket, Key=name)
"#;

/// `keys`, `uploads` (begun in parts, neither completed nor aborted) or `remove` of an object.
pub(super) fn ask(bucket: &Bucket, what: &str, name: &str) -> Vec<String> {
    let mut python = Command::new(bucket.server.programs.join("moto/bin/python"));
    python
        .args(["-c", CLIENT, what, &bucket.endpoint(), bucket.name()])
        .args([bucket.region(), KEY, SECRET, name]);
    let text = run(&mut python).unwrap_or_else(|said| panic!("{said}"));
    text.lines().map(str::to_owned).collect()
}
