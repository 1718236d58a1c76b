//! Migrates the data of the existing pict-rs: the same aliases, tokens and bytes, with their
//! original times. An interrupted migration can be repeated; existing data is kept.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::clock::now;
use crate::config::StoreConfig;
use crate::legacy::{Existing, Files, LegacyContent, Name};
use crate::repo::{LoadingHints, NewUpload, Original};
use crate::service::adopt::{self, Examined, Shape};
use crate::service::keep::{self, discard_if_unreferenced, replace_lost_object};
use crate::service::takeover::{stale, tokens};
use crate::store::{BucketSettings, Prefix, Source, Store, StoredObject};
use crate::task::blocking;
use crate::{Alias, ContentKey, Context, Digest, Error, ErrorCode, ObjectKey, Result};

/// Contents between two folds of the usage sums, because no worker runs here.
const FOLD_EVERY: u64 = 1000;
/// Contents at a time whose files are in a bucket, which is mostly waited for.
const FROM_BUCKET: usize = 16;
/// Names in a batch of a listing.
const LISTED: usize = 1000;
/// An object without a byte, which each health check of the existing pict-rs stores in its bucket.
const HEALTH_CHECK: &str = "health-check";

/// The result of a migration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MigrationReport {
    /// Contents that were added.
    pub contents: u64,
    /// Aliases that were added.
    pub aliases: u64,
    /// Aliases that existed already.
    pub known: u64,
    /// Of these, those that a takeover had brought without their tokens.
    pub learnt: u64,
    /// Files of contents that are not where the database says, with the aliases of these contents.
    pub missing: Vec<(PathBuf, Vec<Alias>)>,
    /// Files that the database does not name, and contents without an alias.
    pub unnamed: Vec<String>,
    /// Everything else that was not migrated, with the reason.
    pub failed: Vec<String>,
    /// Files that do not have the bytes they were stored with; they are migrated as they are.
    pub altered: Vec<PathBuf>,
}

impl MigrationReport {
    /// Whether everything was migrated.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.failed.is_empty() && self.unnamed.is_empty()
    }

    fn fail(&mut self, what: impl Display, why: &impl Display) {
        self.failed.push(format!("{what}: {why}"));
    }

    fn add(&mut self, other: Self) {
        self.contents += other.contents;
        self.aliases += other.aliases;
        self.known += other.known;
        self.learnt += other.learnt;
        self.missing.extend(other.missing);
        self.unnamed.extend(other.unnamed);
        self.failed.extend(other.failed);
        self.altered.extend(other.altered);
    }
}

/// Where the files of the existing pict-rs are.
#[derive(Clone, Debug)]
pub enum Place {
    /// Where ours are: they become our objects as they lie.
    Own,
    /// Elsewhere: they are copied.
    Other(Store),
}

impl Place {
    /// A folder.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`] when there is none.
    pub fn of_folder(ctx: &Context, files: &Path) -> Result<Self> {
        if !files.is_dir() {
            return Err(Error::user(
                ErrorCode::ConfigInvalid,
                format!("there is no folder of files {}", files.display()),
            ));
        }
        let is_own = |root: &Path| files.canonicalize().ok() == root.canonicalize().ok();
        match ctx.store.root() {
            Some(root) if is_own(root) => Ok(Self::Own),
            _ => Ok(Self::Other(Store::open_to_look(files)?)),
        }
    }

    /// A bucket, or a folder, that other settings name. Blocks.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`].
    pub fn of_settings(ctx: &Context, settings: &StoreConfig) -> Result<Self> {
        let Some(mut bucket) = settings.bucket()? else {
            let folder = settings.path.as_deref().ok_or_else(|| {
                let message = "--from-config names no folder and no bucket of files; name a folder with --files";
                Error::user(ErrorCode::ConfigInvalid, message)
            });
            return Self::of_folder(ctx, folder?);
        };
        let own = ctx.config.store.bucket()?;
        let is_own =
            |own: BucketSettings| own.endpoint == bucket.endpoint && own.name == bucket.name;
        if own.is_some_and(is_own) {
            return Ok(Self::Own);
        }
        // Each file is read once.
        bucket.cache_size = 0;
        let store = Store::open_bucket(bucket, ctx.scratch.clone())?;
        Ok(Self::Other(store))
    }

    fn store<'a>(&'a self, ctx: &'a Context) -> &'a Store {
        match self {
            Self::Own => &ctx.store,
            Self::Other(store) => store,
        }
    }
}

/// Migrates everything in `existing`, whose files are in `place`. `progress` is called with the
/// number of contents processed.
///
/// # Errors
/// [`ErrorCode::RepoError`], [`ErrorCode::FileIoError`] and [`ErrorCode::StoreUnavailable`] for
/// problems with all contents; problems with one are in the report.
pub async fn migrate(
    ctx: &Arc<Context>,
    existing: &Existing,
    place: &Place,
    progress: impl Fn(u64),
) -> Result<MigrationReport> {
    // Of a run that was interrupted.
    ctx.repo.end_adoption().await?;
    ctx.repo.record_uses_since(now()).await?;
    let mut report = MigrationReport::default();
    let mut running = JoinSet::new();
    let at_once = match place.store(ctx).root() {
        Some(_) => std::thread::available_parallelism().map_or(2, usize::from),
        None => FROM_BUCKET,
    };
    let mut seen = 0;
    let mut contents = existing.contents();
    while let Some(content) = contents.next().await {
        while running.len() >= at_once {
            finish(&mut running, &mut report).await?;
        }
        seen += 1;
        progress(seen);
        if seen % FOLD_EVERY == 0 {
            ctx.repo.fold_usage().await?;
        }
        match content {
            Ok(content) => {
                let (ctx, place) = (ctx.clone(), place.clone());
                running.spawn(async move { take_over(&ctx, content, &place).await });
            }
            Err(error) => report.failed.push(error.to_string()),
        }
    }
    while !running.is_empty() {
        finish(&mut running, &mut report).await?;
    }
    ctx.repo.end_adoption().await?;
    match existing.contradictions().await {
        Ok(found) => report.failed.extend(found),
        Err(error) => report.failed.push(error.to_string()),
    }
    match existing.files().await {
        Ok(named) => report
            .unnamed
            .extend(unnamed(place.store(ctx), &named).await?),
        Err(error) => report.failed.push(error.to_string()),
    }
    if let Ok(Some(alias)) = existing.not_found_alias().await
        && ctx.repo.not_found_alias().await?.is_none()
        && ctx.repo.has_alias(&alias).await?
    {
        ctx.repo.set_not_found_alias(Some(&alias)).await?;
    }
    ctx.repo.fold_usage().await?;
    Ok(report)
}

/// The files that the database does not name. A truncated sled database opens without an error; files
/// it does not name are the only sign.
async fn unnamed(files: &Store, named: &Files) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut listing = files.list_with_foreign(LISTED);
    while let Some(names) = listing.next().await? {
        for name in names {
            let path = Path::new(name.as_str());
            // If the place is our own, it contains our objects too.
            let is_known = named.contains(path)
                || Store::is_ours(&name)
                || Store::is_reserved(path)
                || name.as_str() == HEALTH_CHECK;
            if !is_known {
                found.push(format!("file {name}"));
            }
        }
    }
    found.sort();
    Ok(found)
}

async fn finish(
    running: &mut JoinSet<Result<MigrationReport>>,
    report: &mut MigrationReport,
) -> Result<()> {
    if let Some(done) = running.join_next().await {
        let done = done.map_err(|panic| {
            Error::internal(
                ErrorCode::UnknownError,
                "taking a content over panicked",
                panic,
            )
        })?;
        report.add(done?);
    }
    Ok(())
}

async fn take_over(
    ctx: &Arc<Context>,
    content: LegacyContent,
    place: &Place,
) -> Result<MigrationReport> {
    let mut report = MigrationReport::default();
    let mut names = Vec::with_capacity(content.names.len());
    for name in &content.names {
        if ctx.repo.has_alias(&name.alias).await? {
            report.known += 1;
            report.learnt += tokens::learn(ctx, std::slice::from_ref(name)).await?;
        } else {
            names.push(name);
        }
    }
    if content.names.is_empty() {
        let file = content.file.display();
        report.unnamed.push(format!(
            "content {} without an alias, file {file}",
            content.key.to_hex()
        ));
    }
    if names.is_empty() {
        return Ok(report);
    }
    let object = ObjectKey::new(content.file.to_string_lossy());
    let source = match read(place.store(ctx), &object, content.key.size()).await {
        Ok(Some(source)) => source,
        Ok(None) => {
            let aliases = content.names.into_iter().map(|name| name.alias).collect();
            report.missing.push((content.file, aliases));
            return Ok(report);
        }
        // A disk may have lost some files; without the bucket there is none.
        Err(error) if error.code() == ErrorCode::FileIoError => {
            report.fail(content.file.display(), &error);
            return Ok(report);
        }
        Err(error) => return Err(error),
    };
    let (stored, original) = match store(ctx, &content, place, source).await {
        Ok(made) => made,
        Err(error) if error.is_users() => {
            report.fail(content.file.display(), &error);
            return Ok(report);
        }
        Err(error) => return Err(error),
    };
    if original.hash() != &content.key {
        report.altered.push(content.file);
    }
    remember(ctx, stored, original, &names, &mut report).await?;
    Ok(report)
}

/// Reads a whole object, whatever its size. `None` when it is missing.
async fn read(files: &Store, object: &ObjectKey, expected: u64) -> Result<Option<Vec<u8>>> {
    let size = match files.read(object, expected, 0..expected).await {
        Ok(content) => return content.into_vec().await.map(Some),
        Err(error) if error.code() == ErrorCode::LostFile => files.size(object).await?,
        Err(error) => return Err(error),
    };
    let Some(size) = size else {
        return Ok(None);
    };
    let content = files.read(object, size, 0..size).await?;
    content.into_vec().await.map(Some)
}

/// Copies the file if needed, and determines its facts. If the engine cannot read the file, the
/// details of the existing pict-rs are used.
async fn store(
    ctx: &Arc<Context>,
    content: &LegacyContent,
    place: &Place,
    source: Vec<u8>,
) -> Result<(Option<StoredObject>, Original)> {
    let permit = ctx.media.acquire().await?;
    let hints = content.blurhash.clone().map(LoadingHints::of_blurhash);
    let examined = adopt::examine(ctx, permit, source.into(), hints).await?;
    let Examined {
        source,
        facts,
        hints,
    } = examined;
    let size = source.len() as u64;
    let (scratch, is_own) = (ctx.scratch.clone(), matches!(place, Place::Own));
    let (copy, digest) = blocking(move || {
        if is_own {
            return Ok((None, Digest::of(&source)));
        }
        let mut writer = scratch.create()?;
        writer.write(&source)?;
        let copy = writer.finish();
        let digest = copy.digest();
        Ok((Some(copy), digest))
    })
    .await?;
    let format = content.key.format();
    let stored = match copy {
        None => None,
        Some(copy) => {
            let object = ctx.store.new_key(Prefix::Original, format);
            Some(keep::put(ctx, object, format, Source::Scratch(copy)).await?)
        }
    };
    let object = match &stored {
        Some(stored) => stored.object().clone(),
        None => {
            let object = ObjectKey::new(content.file.to_string_lossy());
            if ctx.store.needs_intents() {
                ctx.repo.intend_to_adopt(&object).await?;
            }
            object
        }
    };
    let key = ContentKey::of(digest, size, format);
    let shape = content.details.map(|details| Shape {
        width: details.width,
        height: details.height,
        frames: details.frames,
    });
    match adopt::representation(object, key, facts, shape, content.created_at) {
        Ok(representation) => Ok((
            stored,
            Original {
                representation,
                hints,
            },
        )),
        Err(error) => {
            discard(stored).await;
            Err(error)
        }
    }
}

async fn discard(stored: Option<StoredObject>) {
    if let Some(stored) = stored {
        stored.discard().await;
    }
}

async fn remember(
    ctx: &Arc<Context>,
    mut stored: Option<StoredObject>,
    original: Original,
    names: &[&Name],
    report: &mut MigrationReport,
) -> Result<()> {
    if let Some(stored) = &mut stored {
        stored.name();
    }
    for name in names {
        match add(ctx, &original, name).await {
            Ok(added) => {
                report.aliases += 1;
                report.contents += u64::from(added.is_new);
                // The first alias decides what happens to the copy.
                match stored.take() {
                    Some(stored) if added.is_new => stored.keep().await,
                    Some(stored) => {
                        drop(replace_lost_object(ctx, stored, added.original, None).await?)
                    }
                    None => {}
                }
            }
            Err(error) if error.is_users() => report.fail(&name.alias, &error),
            Err(error) => {
                if let Some(stored) = stored {
                    discard_if_unreferenced(ctx, stored, &error).await;
                }
                return Err(error);
            }
        }
    }
    discard(stored).await;
    Ok(())
}

async fn add(ctx: &Context, original: &Original, name: &Name) -> Result<crate::repo::Added> {
    let upload = NewUpload {
        alias: name.alias.clone(),
        token: name.token.clone(),
        original: original.clone(),
        owned: None,
        pdq: None,
        listed: None,
        source: None,
    };
    // If it was fetched again meanwhile, the old alias keeps the old bytes.
    if let Some(url) = &name.url
        && let Some(proxied) = ctx.repo.add_proxied(&upload, &stale(url), now()).await?
    {
        return Ok(proxied.added);
    }
    ctx.repo.add_upload(&upload).await
}
