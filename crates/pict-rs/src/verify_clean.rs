//! `pict-rs verify-clean`: has files judged by the core, and reports.

use std::io::Write;
use std::path::Path;

use pict_rs_core::helper::exiftool::Tag;
use pict_rs_core::helper::{self, Helper};
use pict_rs_core::service::verify::{Verified, Verifier};
use pict_rs_core::{Config, Error, Result};
use serde_json::{Value, json};

use crate::{cli, programs};

/// Something is left in a file.
const LEFT: u8 = 1;
/// A file could not be judged. 2 are wrong arguments.
const NOT_JUDGED: u8 = 3;

/// Judges each file, and returns the exit code: 0, [`LEFT`] or [`NOT_JUDGED`], the first of these
/// before the second.
///
/// # Errors
/// When nothing can be judged, such as by settings that cannot work.
pub fn run(config: &Config, command: &cli::VerifyClean) -> anyhow::Result<u8> {
    let helpers = programs::find_all(&config.media, std::env::var_os("PATH").as_deref());
    let exiftool = programs::exiftool();
    let version = match &exiftool {
        Some(path) => Some(helper::version(Helper::Exiftool, path)?),
        None => None,
    };
    let runtime = tokio::runtime::Runtime::new()?;
    let judged = runtime.block_on(async {
        let verifier = Verifier::open(config, helpers, exiftool).await?;
        let mut judged = Vec::new();
        for file in &command.files {
            judged.push((&**file, verifier.verify(file, command.as_is).await));
        }
        verifier.close().await;
        anyhow::Ok(judged)
    })?;
    let mut out = std::io::stdout();
    if command.json {
        let report = as_json(&judged, version.as_deref());
        writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
    } else {
        for (file, judgement) in &judged {
            tell(file, judgement, &mut out)?;
        }
        match version {
            Some(version) => writeln!(out, "judged by exiftool {version} and by pict-rs itself")?,
            None => writeln!(out, "judged by pict-rs itself; exiftool is not on PATH")?,
        }
    }
    Ok(code(judged.iter().map(|(_, judgement)| judgement)))
}

fn code<'a>(judged: impl Iterator<Item = &'a Result<Verified>> + Clone) -> u8 {
    let is_left = |judgement: &Result<Verified>| judgement.as_ref().is_ok_and(|j| !j.is_clean());
    if judged.clone().any(is_left) {
        LEFT
    } else if judged.clone().any(Result::is_err) {
        NOT_JUDGED
    } else {
        0
    }
}

fn tell(file: &Path, judgement: &Result<Verified>, out: &mut impl Write) -> std::io::Result<()> {
    let file = file.display();
    let verified = match judgement {
        Ok(verified) => verified,
        Err(error) => return writeln!(out, "{file}: not judged: {}", chain(error)),
    };
    let verdict = if verified.is_clean() {
        "clean"
    } else {
        "not clean"
    };
    let (mime, size, given) = (verified.format.mime(), verified.size, verified.given);
    writeln!(
        out,
        "{file}: {verdict}: {mime}, {size} bytes (given: {given})"
    )?;
    if let Some(again) = verified.cleaned_again {
        writeln!(out, "  pict-rs: cleaning it leaves {again} bytes")?;
    }
    for (word, tags) in [("exiftool", &verified.left), ("kept", &verified.kept)] {
        for Tag { group, name, value } in tags {
            writeln!(out, "  {word}: {group}:{name} = {value}")?;
        }
    }
    Ok(())
}

fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn as_json(judged: &[(&Path, Result<Verified>)], exiftool: Option<&str>) -> Value {
    let tags = |tags: &[Tag]| -> Value {
        tags.iter()
            .map(|tag| json!({ "group": tag.group, "name": tag.name, "value": tag.value }))
            .collect()
    };
    let files = judged.iter().map(|(file, judgement)| match judgement {
        Ok(verified) => json!({
            "file": file.display().to_string(),
            "verdict": if verified.is_clean() { "clean" } else { "not-clean" },
            "content_type": verified.format.mime(),
            "given_bytes": verified.given,
            "judged_bytes": verified.size,
            "cleaned_again_bytes": verified.cleaned_again,
            "left": tags(&verified.left),
            "kept": tags(&verified.kept),
        }),
        Err(error) => json!({
            "file": file.display().to_string(),
            "verdict": "not-judged",
            "code": error.code().as_str(),
            "msg": chain(error),
        }),
    });
    let is_clean = code(judged.iter().map(|(_, judgement)| judgement)) == 0;
    json!({ "is_clean": is_clean, "exiftool": exiftool, "files": files.collect::<Vec<_>>() })
}
