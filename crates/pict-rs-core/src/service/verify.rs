//! Shows that a file carries no metadata: cleans a copy as an upload is cleaned, by a server's own
//! functions and settings, and judges what would be stored.
//!
//! There are two judges. Cleaning again must change nothing; and exiftool, where it is installed, must
//! find nothing that a picture does not need. Nothing is kept: database and files are in a temporary
//! folder, and no other server is asked.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use pict_rs_media::limits::{Bounds, LimitKind, Limits, at_most};
use pict_rs_media::{Done, Facts, Format, Job, Kind};
use tempfile::TempDir;

use crate::config::{Config, RepoConfig, StoreConfig, TakeoverConfig};
use crate::helper::exiftool::{self, Tag};
use crate::helper::{Helper, Helpers};
use crate::media::{InputFile, JobResult, Slot, Worked};
use crate::query::UploadQuery;
use crate::service::spool::{self, Spool};
use crate::service::upload::ingest_all;
use crate::service::{clip, recover};
use crate::task::blocking;
use crate::{Context, Error, ErrorCode, Result};

/// A server for one command, without clients.
pub struct Verifier {
    ctx: Arc<Context>,
    /// Goes when the verifier does.
    _folder: TempDir,
    /// Where exiftool is.
    exiftool: Option<PathBuf>,
}

/// What was found in a file.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The format of what was judged.
    pub format: Format,
    /// Bytes of the file that was given.
    pub given: u64,
    /// Bytes of what was judged.
    pub size: u64,
    /// Bytes that another cleaning would leave, if it would change anything.
    pub cleaned_again: Option<u64>,
    /// What exiftool finds that no picture needs.
    pub left: Vec<Tag>,
    /// What it finds that `media.keep_metadata` keeps.
    pub kept: Vec<Tag>,
}

impl Verified {
    /// Whether no judge objects.
    pub fn is_clean(&self) -> bool {
        self.cleaned_again.is_none() && self.left.is_empty()
    }
}

impl Verifier {
    /// Opens it with the settings of a server and the programs that were found.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`] for settings under which nothing is cleaned, and when there is no
    /// temporary folder.
    pub async fn open(
        config: &Config,
        helpers: Helpers,
        exiftool: Option<PathBuf>,
    ) -> Result<Self> {
        if config.server.danger_dummy_mode {
            return Err(Error::user(
                ErrorCode::ConfigInvalid,
                "server.danger_dummy_mode is true: nothing is cleaned",
            ));
        }
        let folder = tempfile::tempdir().map_err(|e| Error::io("no temporary folder", e))?;
        let mut config = config.clone();
        config.store = StoreConfig::default();
        config.repo = RepoConfig {
            reserve: 0,
            ..RepoConfig::default()
        };
        config.takeover = TakeoverConfig::default();
        config.server.read_only = false;
        config.server.temporary_directory = None;
        config.media.external_validation = None;
        Ok(Self {
            ctx: recover::open(config, folder.path(), helpers).await?,
            _folder: folder,
            exiftool,
        })
    }

    /// Judges a copy of the file, cleaned as an upload; or, with `as_is`, the file.
    ///
    /// # Errors
    /// When the file cannot be read, and whatever its upload would be refused with. With `as_is`
    /// [`ErrorCode::DiscoverError`] for formats that are never stored.
    pub async fn verify(&self, file: &Path, as_is: bool) -> Result<Verified> {
        let sent = self.read(file).await?;
        let given = sent.len() as u64;
        let bytes = if as_is {
            sent.into()
        } else {
            self.stored(sent).await?
        };
        let size = bytes.len() as u64;
        let (bytes, facts, cleaned_again) = self.clean_again(bytes).await?;
        let tags = self.second_opinion(bytes, facts.format).await?;
        let keeps_credits = self.ctx.config.media.keeps_credits();
        let (kept, left) = tags
            .into_iter()
            .filter(|tag| !tag.is_structure())
            .partition(|tag| keeps_credits && tag.is_credit());
        Ok(Verified {
            format: facts.format,
            given,
            size,
            cleaned_again,
            left,
            kept,
        })
    }

    /// Closes the database.
    pub async fn close(self) {
        self.ctx.repo.close().await;
    }

    async fn read(&self, file: &Path) -> Result<Vec<u8>> {
        let limit = spool::limit(&self.ctx, &UploadQuery::default());
        let file = file.to_owned();
        blocking(move || {
            let failed = |e| Error::io(format!("cannot read {}", file.display()), e);
            let opened = std::fs::File::open(&file).map_err(failed)?;
            let size = opened.metadata().map_err(failed)?.len();
            at_most(LimitKind::FileSize, limit, size)?;
            let mut bytes = Vec::new();
            // It may grow meanwhile.
            let mut opened = opened.take(limit.saturating_add(1));
            opened.read_to_end(&mut bytes).map_err(failed)?;
            at_most(LimitKind::FileSize, limit, bytes.len() as u64)?;
            Ok(bytes)
        })
        .await
    }

    /// What is stored of an upload with these bytes.
    async fn stored(&self, sent: Vec<u8>) -> Result<InputFile> {
        let (ctx, query) = (&self.ctx, UploadQuery::default());
        let mut spool = Spool::start(ctx, &query).await?;
        spool.write(&Bytes::from(sent)).await?;
        let spooled = spool.finish().await?;
        let uploaded = ingest_all(ctx, vec![(None, spooled)], &query).await?;
        let original = uploaded.into_iter().next().ok_or_else(|| Error::Internal {
            code: ErrorCode::UnknownError,
            message: "an upload has no outcome".to_owned(),
            source: None,
        })?;
        let original = original.original.representation;
        let size = original.key.size();
        let content = ctx.store.read(&original.object, size, 0..size).await?;
        content.into_input().await
    }

    /// The facts of a file, and the size of what cleaning makes of it, if that is another file.
    async fn clean_again(&self, bytes: InputFile) -> Result<(InputFile, Facts, Option<u64>)> {
        let ctx = &self.ctx;
        let permit = ctx.media.acquire().await?;
        let inspected = ctx.media.inspect(permit, bytes, Bounds::NONE).await?;
        let Worked {
            permit,
            source,
            result,
        } = inspected;
        let facts = result?;
        if facts.kind() == Kind::Video {
            ctx.helpers.need(Helper::Ffmpeg)?;
            let memory = clip::memory(&facts, source.len() as u64);
            let work = {
                let ctx = ctx.clone();
                move |slot: &mut Slot| {
                    let written = clip::write(&ctx, &source, &Limits::NONE, slot)?;
                    let other = (*written.bytes != *source).then_some(written.bytes.len() as u64);
                    Ok((source, other))
                }
            };
            let (source, other) = ctx.media.run(permit, memory, work).await?;
            return Ok((source, facts, other));
        }
        if !facts.format.is_kept() {
            return Err(Error::user(
                ErrorCode::DiscoverError,
                format!(
                    "{} files are never stored as they are, so there is no clean one to compare with",
                    facts.format
                ),
            ));
        }
        let job = Job::Keep {
            facts: facts.clone(),
            credits: ctx.config.media.keeps_credits(),
            preview: false,
        };
        let take = |source: &[u8], done: JobResult| {
            let made = done.and_then(Done::made)?.into_bytes(source)?;
            Ok((made != source).then_some(made.len() as u64))
        };
        let worked = ctx.media.work(permit, source, job, take).await?;
        let other: pict_rs_media::Result<_> = worked.result;
        Ok((worked.source, facts, other?))
    }

    /// Everything that exiftool finds; nothing where it is not installed.
    async fn second_opinion(&self, bytes: InputFile, format: Format) -> Result<Vec<Tag>> {
        let Some(program) = self.exiftool.clone() else {
            return Ok(Vec::new());
        };
        let ctx = self.ctx.clone();
        let permit = ctx.media.acquire().await?;
        let memory = exiftool::memory(bytes.len() as u64);
        let time = ctx.config.media.process_timeout.duration();
        let work = move |slot: &mut Slot| {
            let folder = ctx.scratch.helper_folder()?;
            let name = format!("file.{}", format.extension());
            std::fs::write(folder.path().join(&name), &*bytes)
                .map_err(|e| Error::io("cannot hand a file to exiftool", e))?;
            exiftool::look(
                &program,
                folder.path(),
                &name,
                (memory, time),
                slot.control(),
            )
        };
        self.ctx.media.run(permit, memory, work).await
    }
}
