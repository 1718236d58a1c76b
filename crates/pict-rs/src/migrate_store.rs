//! `pict-rs migrate-store`: runs the move of the core without a server, and reports.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pict_rs_core::config::{OldStoreConfig, StoreConfig};
use pict_rs_core::service::move_store::{self, MoveStatus, Stepped, Survey};
use pict_rs_core::service::recover;
use pict_rs_core::{Config, Context, ErrorCode};

use crate::cli::MigrateStore;
use crate::progress::Progress;
use crate::{owner, programs};

/// How often a step is tried again while a store is away, and the pause before.
const ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_secs(3);

/// Lets the store that files come from have what the settings say of the other one, where they say
/// nothing about it: usually only one of the two stands in the configuration.
pub fn complete(config: &mut Config) {
    let StoreConfig {
        path,
        endpoint,
        bucket_name,
        region,
        access_key,
        secret_key,
        session_token,
        certificate_file,
        ..
    } = config.store.clone();
    let is_given = config.old_store.endpoint.is_some();
    let old: &mut OldStoreConfig = &mut config.old_store;
    if old.access_key.is_none() && old.secret_key.is_none() && !old.instance_credentials {
        old.access_key = access_key;
        old.secret_key = secret_key;
        old.session_token = session_token;
        old.instance_credentials = config.store.instance_credentials;
    }
    if !is_given {
        old.endpoint = endpoint;
        old.use_path_style |= config.store.use_path_style;
        old.certificate_file = old.certificate_file.take().or(certificate_file);
    }
    old.region = old.region.take().or(region);
    if old.r#type != Some(config.store.r#type) {
        old.path = old.path.take().or(path);
        old.bucket_name = old.bucket_name.take().or(bucket_name);
    }
}

/// Returns whether everything is in the new store, or for a dry run whether the move can begin.
///
/// # Errors
/// When database or stores cannot be used, or a server uses them.
pub fn run(config: Config, data: &Path, command: &MigrateStore) -> anyhow::Result<bool> {
    anyhow::ensure!(
        config.old_store.r#type.is_some(),
        "migrate-store needs two stores: the one that files come from and the one that they go to, as in \
         'migrate-store filesystem --path FOLDER object-storage --bucket-name BUCKET', or as [old_store] and \
         [store] in the configuration"
    );
    let runtime = tokio::runtime::Runtime::new()?;
    if command.dry_run {
        let survey = runtime.block_on(move_store::survey(&config, data))?;
        return Ok(tell(&survey)?);
    }
    owner::refuse_to_begin(&config, data)?;
    owner::refuse_to_intrude(&config, data)?;
    let helpers = programs::find_all(&config.media, std::env::var_os("PATH").as_deref());
    runtime.block_on(async {
        let context = recover::open(config, data, helpers).await?;
        let moved = work(&context, command.skip_missing_files).await;
        context.repo.close().await;
        moved
    })
}

fn tell(survey: &Survey) -> std::io::Result<bool> {
    let mut out = std::io::stdout();
    let Survey {
        from,
        to,
        originals,
        variants,
        uploads,
        last,
        trouble,
    } = survey;
    for (noun, total) in [("originals", originals), ("variants", variants)] {
        writeln!(out, "{noun}: {}, {} bytes", total.count, total.bytes)?;
    }
    writeln!(out, "waiting uploads: {uploads}")?;
    writeln!(
        out,
        "they would be moved from the {from} to the {to}; nothing was changed"
    )?;
    if let Some(last) = last.as_ref().filter(|last| !last.is_finished()) {
        writeln!(
            out,
            "a move from the {} to the {} was begun and is at this point: {}, {} copied",
            last.from,
            last.to,
            last.phase.as_str(),
            last.copied
        )?;
    }
    if let Some(trouble) = trouble {
        writeln!(out, "refused: {trouble}")?;
    }
    Ok(trouble.is_none())
}

async fn work(context: &Arc<Context>, skips_missing: bool) -> anyhow::Result<bool> {
    let mut out = std::io::stdout();
    if !skips_missing {
        move_store::again(context).await?;
    }
    if let Some(MoveStatus { last, .. }) = move_store::status(context).await? {
        writeln!(
            out,
            "moving the files from the {} to the {}",
            last.from, last.to
        )?;
        if last.rows > 0 {
            writeln!(
                out,
                "going on after {} rows: {}",
                last.rows,
                last.phase.as_str()
            )?;
        }
    }
    let progress = Progress::new("moving");
    let stepped = loop {
        match patiently(context, !skips_missing).await? {
            Stepped::Onward(pause) => tokio::time::sleep(pause).await,
            ended => break ended,
        }
        if let Some(MoveStatus { last, total, .. }) = move_store::status(context).await? {
            progress.report(last.phase.as_str(), last.rows, total);
        }
    };
    progress.end();
    let Some(MoveStatus { last, .. }) = move_store::status(context).await? else {
        anyhow::bail!("the move is not in the database any more");
    };
    writeln!(
        out,
        "{} files were copied, {} bytes. {} originals and variants were compared: {} are in neither store, {} \
         have other bytes than were stored",
        last.copied, last.bytes, last.rows, last.lost, last.damaged
    )?;
    match stepped {
        Stepped::Lacking => writeln!(
            out,
            "the move has not ended, because files are in neither store; 'pict-rs fsck' names them. \
             --skip-missing-files ends it without them"
        )?,
        _ => writeln!(
            out,
            "everything is in the {}, where the server can be started; the {} is as it was",
            last.to, last.from
        )?,
    }
    Ok(stepped == Stepped::Finished)
}

/// One step, tried again while a store is away.
async fn patiently(context: &Arc<Context>, wants_all: bool) -> anyhow::Result<Stepped> {
    let mut attempt = 1;
    loop {
        match move_store::step(context, wants_all).await {
            Err(error) if error.code() == ErrorCode::StoreUnavailable && attempt < ATTEMPTS => {
                tracing::warn!(attempt, "a store is away and is tried again: {error}");
                attempt += 1;
                tokio::time::sleep(PAUSE).await;
            }
            stepped => return Ok(stepped?),
        }
    }
}
