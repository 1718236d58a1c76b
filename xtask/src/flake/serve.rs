//! Runs a server briefly and checks that it works at all.

use std::path::Path;

use anyhow::{Result, ensure};
use testkit::{File, Launch, Program, pictures};

/// # Errors
/// When it does not start, is not healthy or does not accept a picture.
pub fn check(program: &Path) -> Result<()> {
    let server = Launch::of(Program::new(program, Vec::new())).try_start()?;
    let healthy = server.try_send("GET", "/healthz", &[], None)?;
    ensure!(healthy.status == 200, "{}", healthy.text());
    let picture = pictures::jpeg(&pictures::photo(64, 48));
    let taken = server.try_upload_form("", &[File::new(&picture)])?;
    ensure!(taken.status == 201, "{}", taken.text());
    Ok(())
}
