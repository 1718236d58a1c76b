//! `pict-rs migrate`: asks the core to take over what the existing pict-rs has, and tells how it
//! went.

use std::io::Write as _;
use std::path::Path;

use pict_rs_core::existing::Existing;
use pict_rs_core::{Config, Context, service};

use crate::{cli, programs};

/// Contents between two lines that tell how far it is.
const STEP: u64 = 1000;

/// Returns whether everything is here now that had to be taken over.
///
/// # Errors
/// When a database cannot be opened or written to, or the disk fails.
pub fn run(config: Config, data: &Path, from: &cli::Migrate) -> anyhow::Result<bool> {
    let runtime = tokio::runtime::Runtime::new()?;
    let report = runtime.block_on(async {
        let helpers = programs::find_all(&config.media, std::env::var_os("PATH").as_deref());
        let database = from.from.clone();
        let existing = Existing::open(&database.unwrap_or_else(|| config.database_folder(data)))?;
        let files = from.files.clone();
        let files = files.unwrap_or_else(|| config.files_folder(data));
        let context = Context::open_beside(config, data, helpers).await?;
        let all = existing.count();
        let progress = |seen: u64| {
            if seen.is_multiple_of(STEP) {
                tracing::info!(seen, all, "taking contents over");
            }
        };
        let taken = service::migrate::migrate(&context, &existing, &files, progress);
        anyhow::Ok(taken.await?)
    })?;
    let mut out = std::io::stdout();
    for file in &report.missing {
        writeln!(out, "missing: {}", file.display())?;
    }
    for reason in &report.failed {
        writeln!(out, "not taken over: {reason}")?;
    }
    for file in &report.altered {
        writeln!(out, "other bytes than were stored once: {}", file.display())?;
    }
    writeln!(
        out,
        "{} contents and {} aliases taken over, {} aliases were here already, {} files missing, {} \
         not taken over",
        report.contents,
        report.aliases,
        report.known,
        report.missing.len(),
        report.failed.len()
    )?;
    let is_tolerable = from.skip_missing_files && report.failed.is_empty();
    Ok(report.is_complete() || is_tolerable)
}
