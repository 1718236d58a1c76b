//! `pict-rs migrate-repo`: finds both databases, calls the copy of the core, and reports.

use std::io::Write as _;
use std::path::Path;

use pict_rs_core::config::{RepoType, Secret};
use pict_rs_core::repo::Location;
use pict_rs_core::repo::transfer::{self, TargetState, Transfer};
use pict_rs_core::{Config, Error, ErrorCode};

use crate::cli::{MigrateRepo, RepoCommand};
use crate::owner;
use crate::progress::Progress;

/// Returns whether the target is a whole copy, or for a dry run whether it can become one.
///
/// # Errors
/// When a database cannot be used, or a server uses it.
pub fn run(config: &Config, data: &Path, command: &MigrateRepo) -> anyhow::Result<bool> {
    let (from, to) = command.ends();
    let source = with_repo(config, &from, false)?;
    let target = with_repo(config, to, true)?;
    let from = absolute(source.database(data)?)?;
    let to = absolute(target.database(data)?)?;
    let runtime = tokio::runtime::Runtime::new()?;
    if command.dry_run {
        return runtime.block_on(survey(&from, &to, command.restart));
    }
    owner::refuse_to_intrude(&target, data)?;
    runtime.block_on(copy(&from, &to, command.restart))
}

async fn survey(from: &Location, to: &Location, is_restart: bool) -> anyhow::Result<bool> {
    let mut out = std::io::stdout();
    let (counts, found) = transfer::survey(from, to).await?;
    for (table, rows) in &counts {
        writeln!(out, "{table}: {rows} rows")?;
    }
    let total: u64 = counts.iter().map(|(_, rows)| rows).sum();
    writeln!(
        out,
        "{total} rows would be copied from {from} to {to}; nothing was changed"
    )?;
    match found {
        TargetState::Nothing => Ok(true),
        TargetState::Part { .. } if is_restart => {
            writeln!(
                out,
                "what an interrupted run has copied would be thrown away"
            )?;
            Ok(true)
        }
        TargetState::Part { from, rows } => {
            writeln!(out, "{rows} of them were copied from {from} already")?;
            Ok(true)
        }
        TargetState::Data => {
            writeln!(
                out,
                "refused: the target holds data already. Name an empty one"
            )?;
            Ok(false)
        }
    }
}

async fn copy(from: &Location, to: &Location, is_restart: bool) -> anyhow::Result<bool> {
    let mut out = std::io::stdout();
    writeln!(out, "copying the database {from} to {to}")?;
    let mut transfer = Transfer::open(from, to, is_restart).await?;
    if transfer.copied() > 0 {
        writeln!(
            out,
            "continuing after {} rows that were copied before",
            transfer.copied()
        )?;
    }
    let progress = Progress::new("copying");
    transfer
        .copy(&|table, done, total| progress.report(table, done, total))
        .await?;
    progress.end();
    let progress = Progress::new("comparing");
    let compared = transfer
        .complete(&|table, done, total| progress.report(table, done, total))
        .await?;
    progress.end();
    for table in &compared {
        let [name, rows] = [table.table.to_owned(), table.rows[0].to_string()];
        if table.is_equal() {
            let digest = hexadecimal(&table.digests[0]);
            writeln!(out, "{name}: {rows} rows, sha256 {digest}")?;
        } else {
            writeln!(
                out,
                "{name}: not the same: {rows} rows in the source, {} in the target",
                table.rows[1]
            )?;
        }
    }
    let is_whole = compared.iter().all(transfer::Compared::is_equal);
    if is_whole {
        let rows: u64 = compared.iter().map(|table| table.rows[1]).sum();
        writeln!(
            out,
            "{rows} rows are the same on both sides. The server can be started on {to}, with the same \
             store; {from} is as it was"
        )?;
    } else {
        writeln!(
            out,
            "the copy is not whole, and no server starts on it: the source was changed between two \
             runs, or a disk fails. --restart begins again"
        )?;
    }
    Ok(is_whole)
}

/// The configuration with this database.
fn with_repo(config: &Config, words: &RepoCommand, is_target: bool) -> anyhow::Result<Config> {
    let mut config = config.clone();
    let repo = &mut config.repo;
    match words {
        RepoCommand::Sqlite(flags) => {
            repo.r#type = RepoType::Sqlite;
            if let Some(path) = &flags.path {
                repo.path = Some(path.clone());
            }
        }
        RepoCommand::Postgres(flags) => {
            repo.r#type = RepoType::Postgres;
            if let Some(url) = &flags.url {
                repo.url = Some(Secret::new(url));
            }
            repo.use_tls |= flags.use_tls;
            if let Some(file) = &flags.certificate_file {
                repo.certificate_file = Some(file.clone());
            }
        }
        RepoCommand::Sled(_) => return Err(foreign("sled", is_target).into()),
        RepoCommand::Fjall(_) => return Err(foreign("fjall", is_target).into()),
    }
    Ok(config)
}

fn foreign(kind: &str, is_target: bool) -> Error {
    let message = if is_target {
        "this program writes no sled and no fjall database. Name one with 'sqlite --path FOLDER' or \
         'postgres --url URL'"
            .to_owned()
    } else {
        format!(
            "a {kind} database of the existing pict-rs is taken over by 'pict-rs migrate', which needs its \
             files as well. A database that this program keeps in a folder with that name is \
             'sqlite --path FOLDER'"
        )
    };
    Error::user(ErrorCode::ConfigInvalid, message)
}

/// The same place, wherever a second run is started.
fn absolute(location: Location) -> std::io::Result<Location> {
    Ok(match location {
        Location::Folder { path, reserve } => Location::Folder {
            path: std::path::absolute(path)?,
            reserve,
        },
        server @ Location::Server(_) => server,
    })
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
