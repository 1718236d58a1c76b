//! `pict-rs migrate`: calls the migration of the core, and reports the result.

mod unit;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use pict_rs_core::config::StoreType;
use pict_rs_core::legacy::{Existing, OldDatabase};
use pict_rs_core::repo::Location;
use pict_rs_core::service::migrate::{MigrationReport, Place};
use pict_rs_core::service::recover;
use pict_rs_core::{Config, service};

use crate::progress::Progress;
use crate::{cli, load, programs};
use unit::{Owner, Unit};

/// The destination.
#[derive(Debug)]
pub struct Target {
    data: PathBuf,
    /// The user that must own the data, if it is not the current one.
    owner: Option<Owner>,
}

impl Target {
    /// The data folder of the server. If a systemd unit runs it, that is the state directory of the
    /// unit, which a shell does not know.
    ///
    /// # Errors
    /// When the unit shows that the server would look for its data elsewhere.
    pub fn find(
        config: &Config,
        has_config_file: bool,
        state_directory: Option<String>,
        from: &cli::Migrate,
    ) -> anyhow::Result<Self> {
        let is_known = state_directory
            .as_deref()
            .is_some_and(|path| !path.is_empty());
        let is_set = !config.is_database_folder_default() && config.store.path.is_some();
        let data = load::data_folder(state_directory);
        if is_known || is_set {
            let owner = Owner::of(&data);
            return Ok(Self { data, owner });
        }
        let unit = match &from.unit {
            Some(file) => Some(Unit::read(file)?),
            None => Unit::find(),
        };
        let Some(unit) = unit else {
            let owner = Owner::of(&data);
            return Ok(Self { data, owner });
        };
        if let Some(file) = unit.config.as_ref().filter(|_| !has_config_file) {
            anyhow::bail!(
                "the server here is run by {}, which reads {}: give that file with -c, so that its data \
                 go where the server looks for them. Nothing was changed",
                unit.file.display(),
                file.display()
            );
        }
        let Some(data) = unit.state else {
            anyhow::bail!(
                "the server here is run by {}, which has no StateDirectory=: say where its data go with \
                 repo.path and store.path, or by STATE_DIRECTORY. Nothing was changed",
                unit.file.display()
            );
        };
        let owner = Owner::for_user(unit.user.as_deref(), &data)?;
        Ok(Self { data, owner })
    }
}

/// Returns whether everything was migrated.
///
/// # Errors
/// When a database cannot be opened or written to, or the disk fails.
pub fn run(config: Config, target: &Target, from: &cli::Migrate) -> anyhow::Result<bool> {
    let data = &target.data;
    let mut out = std::io::stdout();
    let mut written = Vec::new();
    match config.database(data)? {
        Location::Server(server) => writeln!(out, "writing the database to {server}")?,
        Location::Folder { path, .. } => {
            let folder = std::path::absolute(&path)?;
            writeln!(out, "writing the database to {}", folder.display())?;
            written.push(path);
        }
    }
    if config.store.r#type == StoreType::Filesystem {
        let files = config.files_folder(data);
        let place = std::path::absolute(&files)?;
        writeln!(out, "writing the files to {}", place.display())?;
        written.push(files);
    }
    let taken = take_over(config, data, from);
    // Also for what was migrated before an error.
    if let Some(owner) = &target.owner {
        owner.take(data, &written)?;
    }
    let (report, all) = taken?;
    tell(&report, all, &mut out)?;
    let is_tolerable = report.failed.is_empty()
        && (report.missing.is_empty() || from.skip_missing_files)
        && (report.unnamed.is_empty() || (from.skip_unnamed && all > 0));
    Ok(is_tolerable)
}

fn take_over(
    config: Config,
    data: &Path,
    from: &cli::Migrate,
) -> anyhow::Result<(MigrationReport, u64)> {
    let old = match &from.from_config {
        Some(file) => Some(load::load(Some(file), [], cli::Overrides::default())?.config),
        None => None,
    };
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let helpers = programs::find_all(&config.media, std::env::var_os("PATH").as_deref());
        let folder = config.database_folder(data);
        let origin = match (&from.from, &old) {
            (Some(text), _) => OldDatabase::parse("--from", text)?,
            (None, Some(old)) => match old.database(data)? {
                Location::Server(server) => OldDatabase::Server(server),
                Location::Folder { .. } if old.is_database_folder_default() => {
                    anyhow::bail!("--from-config names no database; name it with --from")
                }
                Location::Folder { path, .. } => OldDatabase::Folder(path),
            },
            (None, None) => OldDatabase::Folder(folder.clone()),
        };
        let existing = Existing::open(&origin, &folder).await?;
        let context = recover::open_beside(config, data, helpers).await?;
        let place = match (&from.files, &old) {
            (Some(files), _) => Place::of_folder(&context, files)?,
            (None, Some(old)) => Place::of_settings(&context, &old.store)?,
            (None, None) => Place::Own,
        };
        let all = existing.count().await?;
        let progress = Progress::new("taking over");
        let report = |seen| progress.report("contents", seen, all);
        let taken = service::migrate::migrate(&context, &existing, &place, report).await?;
        progress.end();
        anyhow::Ok((taken, all))
    })
}

fn tell(report: &MigrationReport, all: u64, out: &mut impl std::io::Write) -> anyhow::Result<()> {
    for (file, aliases) in &report.missing {
        let aliases: Vec<_> = aliases.iter().map(|alias| alias.as_str()).collect();
        let aliases = aliases.join(", ");
        writeln!(out, "missing: {} (aliases: {aliases})", file.display())?;
    }
    for reason in &report.failed {
        writeln!(out, "not taken over: {reason}")?;
    }
    for what in &report.unnamed {
        writeln!(out, "not named by the database: {what}")?;
    }
    for file in &report.altered {
        writeln!(out, "other bytes than were stored once: {}", file.display())?;
    }
    writeln!(
        out,
        "{} contents and {} aliases taken over, {} aliases were here already, {} files missing, {} \
         not taken over, {} not named",
        report.contents,
        report.aliases,
        report.known,
        report.missing.len(),
        report.failed.len(),
        report.unnamed.len()
    )?;
    if report.learnt > 0 {
        writeln!(
            out,
            "{} delete tokens were added to aliases that a takeover had brought",
            report.learnt
        )?;
    }
    if !report.unnamed.is_empty() || !report.failed.is_empty() {
        let about = match all {
            0 => "The database has no contents, and there are files".to_owned(),
            _ => "Some files and the database do not know each other".to_owned(),
        };
        writeln!(
            out,
            "{about}: it may be damaged, or not the one that belongs to these files. Look for a backup of \
             it before you go on"
        )?;
    }
    Ok(())
}
