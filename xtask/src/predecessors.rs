//! Published versions of the existing pict-rs, which the tests take over from.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use crate::cache;
use crate::tool::Tool;

/// The newest of the line that most servers run, and the newest of the next one, which is not stable.
const PUBLISHED: [Tool; 2] = [published("0.5.25"), published("0.6.0-rc.6")];

const fn published(version: &'static str) -> Tool {
    Tool {
        name: "pict-rs",
        program: "pict-rs",
        version,
    }
}

/// Builds those that are missing, which takes minutes, and prints their folder.
///
/// # Errors
/// When one cannot be built, which requires the crate registry.
pub fn run() -> Result<ExitCode> {
    for tool in &PUBLISHED {
        tool.installed()?;
    }
    println!("PICTRS_TEST_PREDECESSORS_DIR={}", folder()?.display());
    Ok(ExitCode::SUCCESS)
}

/// The folder, if it has at least one of them.
///
/// # Errors
/// When there is no place for a cache.
pub fn present() -> Result<Option<PathBuf>> {
    let folder = folder()?;
    let has_any = PUBLISHED.iter().any(|tool| {
        let Tool { name, version, .. } = tool;
        folder
            .join(format!("{name}-{version}/bin/{name}"))
            .is_file()
    });
    Ok(has_any.then_some(folder))
}

/// Where tools are installed.
fn folder() -> Result<PathBuf> {
    cache::folder("tools")
}
