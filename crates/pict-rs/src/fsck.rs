//! `pict-rs fsck`: calls the checks of the core, and reports.

use std::io::Write;
use std::path::Path;

use pict_rs_core::service::fsck::{self, Checked, Finding, KEPT, Problem, Report};
use pict_rs_core::service::recover;
use pict_rs_core::{Config, Error, ErrorCode};
use serde_json::{Value, json};

use crate::{cli, owner, programs};

/// Returns whether nothing is wrong, or everything was repaired.
///
/// # Errors
/// When database or files cannot be used.
pub fn run(config: Config, data: &Path, command: &cli::Fsck) -> anyhow::Result<bool> {
    if command.from.is_some() && !command.repair {
        return Err(Error::user(ErrorCode::ConfigInvalid, "--from needs --repair").into());
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
        let second = command.from.as_deref();
        let report = fsck::repair(&context, command.digests, second).await;
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

fn tell(report: &Report, out: &mut impl Write) -> std::io::Result<()> {
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
        writeln!(out, "no row names the file {}", object.as_str())?;
    }
    let Report {
        originals,
        variants,
        files,
        findings,
    } = report;
    if findings.len() == KEPT {
        writeln!(out, "only the first {KEPT} are listed")?;
    }
    for (noun, checked) in [("originals", originals), ("variants", variants)] {
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

fn as_json(report: &Report) -> Value {
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
    let listed: Vec<_> = files.listed.iter().map(|object| object.as_str()).collect();
    json!({
        "is_sound": report.is_sound(),
        "originals": checked(report.originals),
        "variants": checked(report.variants),
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
