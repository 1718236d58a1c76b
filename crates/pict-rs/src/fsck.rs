//! `pict-rs fsck`: calls the checks of the core, and reports.

use std::io::Write;
use std::path::Path;

use pict_rs_core::service::fsck::{self, Checked, Finding, FsckReport, KEPT, Problem, SecondStore};
use pict_rs_core::service::recover;
use pict_rs_core::{Config, Error, ErrorCode};
use serde_json::{Value, json};

use crate::cli::Overrides;
use crate::{cli, load, owner, programs};

/// Returns whether nothing is wrong, or everything was repaired.
///
/// # Errors
/// When database or files cannot be used.
pub fn run(config: Config, data: &Path, command: &cli::Fsck) -> anyhow::Result<bool> {
    for (flag, is_given) in [
        ("--from", command.from.is_some()),
        ("--from-config", command.from_config.is_some()),
    ] {
        if is_given && !command.repair {
            let message = format!("{flag} needs --repair");
            return Err(Error::user(ErrorCode::ConfigInvalid, message).into());
        }
    }
    let runtime = tokio::runtime::Runtime::new()?;
    let report = runtime.block_on(async {
        if !command.repair {
            let looked = fsck::look(&config, data, command.digests).await?;
            return anyhow::Ok(looked);
        }
        owner::refuse_to_begin(&config, data)?;
        owner::refuse_to_intrude(&config, data)?;
        let helpers = programs::find_all(&config.media, std::env::var_os("PATH").as_deref());
        let context = recover::open(config, data, helpers).await?;
        let second = second(command, data)?;
        let report = fsck::repair(&context, command.digests, second.as_ref()).await;
        context.repo.close().await;
        Ok(report?)
    })?;
    let mut out = std::io::stdout();
    match command.json {
        true => writeln!(out, "{}", serde_json::to_string_pretty(&as_json(&report))?)?,
        false => tell(&report, &mut out)?,
    }
    Ok(report.is_sound())
}

/// Where lost originals may be.
fn second(command: &cli::Fsck, data: &Path) -> anyhow::Result<Option<SecondStore>> {
    if let Some(file) = &command.from_config {
        // What the environment says is about the store that is repaired.
        let loaded = load::load(
            Some(file.as_path()),
            std::iter::empty(),
            Overrides::default(),
        )?;
        return Ok(Some(SecondStore::of(&loaded.config, data)?));
    }
    Ok(command.from.clone().map(SecondStore::Folder))
}

fn tell(report: &FsckReport, out: &mut impl Write) -> std::io::Result<()> {
    for finding in &report.findings {
        let repaired = if finding.is_repaired {
            "repaired: "
        } else {
            ""
        };
        let aliases: Vec<_> = finding.aliases.iter().map(|alias| alias.as_str()).collect();
        writeln!(
            out,
            "{repaired}{} {}, {} (aliases: {})",
            finding.variant.as_deref().unwrap_or("original"),
            finding.object.as_str(),
            what(finding),
            aliases.join(", ")
        )?;
    }
    for object in &report.files.listed {
        writeln!(out, "no row names the file {object}")?;
    }
    for upload in &report.lost_uploads {
        writeln!(
            out,
            "upload {upload} waits and is lost; the server tells so when it is claimed"
        )?;
    }
    let FsckReport {
        originals,
        variants,
        uploads,
        lost_uploads: _,
        files,
        findings,
    } = report;
    if findings.len() == KEPT {
        writeln!(out, "only the first {KEPT} are listed")?;
    }
    for (noun, checked) in [
        ("originals", originals),
        ("variants", variants),
        ("waiting uploads", uploads),
    ] {
        let Checked {
            rows,
            lost,
            damaged,
        } = checked;
        writeln!(out, "{rows} {noun}: {lost} lost, {damaged} damaged")?;
    }
    writeln!(
        out,
        "{} files: {} without a row ({} bytes), {} removed, {} too young to judge, {} not ours",
        files.files, files.orphans, files.bytes, files.removed, files.young, files.strangers
    )?;
    let repaired = findings.iter().filter(|finding| finding.is_repaired);
    let repaired = repaired.count() as u64 + files.removed;
    match (report.is_sound(), repaired) {
        (true, 0) => writeln!(out, "nothing is wrong"),
        (true, _) => writeln!(out, "{repaired} repaired, nothing is wrong any more"),
        (false, _) => writeln!(out, "{repaired} repaired; something is still wrong"),
    }
}

fn what(finding: &Finding) -> String {
    match finding.problem {
        Problem::Lost => "lost".to_owned(),
        Problem::WrongSize(size) => format!("damaged: it has {size} bytes"),
        Problem::WrongDigest => "damaged: other bytes than were stored".to_owned(),
    }
}

fn as_json(report: &FsckReport) -> Value {
    let checked = |checked: Checked| json!({ "rows": checked.rows, "lost": checked.lost, "damaged": checked.damaged });
    let findings = report.findings.iter().map(|finding| {
        let problem = match finding.problem {
            Problem::Lost => "lost",
            Problem::WrongSize(_) => "wrong-size",
            Problem::WrongDigest => "wrong-digest",
        };
        let aliases: Vec<_> = finding.aliases.iter().map(|alias| alias.as_str()).collect();
        json!({
            "problem": problem,
            "hash": finding.hash.to_hex(),
            "variant": finding.variant,
            "object": finding.object.as_str(),
            "aliases": aliases,
            "repaired": finding.is_repaired,
        })
    });
    let files = &report.files;
    let listed: Vec<_> = files.listed.iter().map(ToString::to_string).collect();
    json!({
        "is_sound": report.is_sound(),
        "originals": checked(report.originals),
        "variants": checked(report.variants),
        "uploads": checked(report.uploads),
        "lost_uploads": report.lost_uploads,
        "files": {
            "checked": files.files,
            "orphans": files.orphans,
            "orphan_bytes": files.bytes,
            "removed": files.removed,
            "young": files.young,
            "strangers": files.strangers,
            "first_orphans": listed,
        },
        "findings": findings.collect::<Vec<_>>(),
    })
}
