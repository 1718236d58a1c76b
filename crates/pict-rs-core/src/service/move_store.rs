//! Moves all objects to another store, while the server serves from both, or without one.
//!
//! The server writes to the new store and reads from both (`crate::store`); a run copies the rest, step
//! by step, in the order of the rows: originals, variants, uploads that wait. Then it compares what the
//! new store has with what the rows say, and copies what is missing there. New rows need no copy, so a
//! row is looked at once in each phase. Objects keep their keys, so no row changes, and the old store
//! keeps all of them; only what is removed meanwhile is removed from both.
//!
//! An object that is removed while it is copied would stay in the new store. So its row is looked for
//! again after the copy, and for the case that the server dies in between, the objects of a step are
//! written down before it ([`StoreMove::arriving`]).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::time::sleep_until;

use crate::clock::now;
use crate::config::Config;
use crate::context::open_both_to_look;
use crate::repo::{MovePhase, Repo, StoreMove, Total};
use crate::service::guard;
use crate::state::store_move;
use crate::store::{Carried, CopyState};
use crate::{ContentKey, Context, Error, ErrorCode, ObjectKey, Result, UploadId};

/// Rows of a step.
const ROWS: u32 = 64;
/// Rows between two lines in the log.
const LOG_EVERY: u64 = 1000;
/// While the disk is full.
const AFTER_FULL_DISK: Duration = Duration::from_secs(5);

/// How far a move is.
#[derive(Clone, Debug)]
pub struct MoveStatus {
    /// The counts.
    pub last: StoreMove,
    /// Rows that each phase looks at together with its likes: originals and variants.
    pub total: u64,
    /// Why the run does not proceed; `None` when it does.
    pub trouble: Option<(ErrorCode, String)>,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stepped {
    /// There is more to do, after this time.
    Onward(Duration),
    /// Everything is in the new store.
    Finished,
    /// Objects are nowhere, and that was not to be put up with.
    Lacking,
}

/// How far the move is that the settings name, or that was begun; `None` when there is none.
///
/// # Errors
/// When the database fails.
pub async fn status(ctx: &Context) -> Result<Option<MoveStatus>> {
    let is_named = ctx.config.old_store.r#type.is_some();
    let Some(last) = ctx.repo.store_move().await?.filter(|_| is_named) else {
        return Ok(None);
    };
    let usage = ctx.repo.usage().await?;
    Ok(Some(MoveStatus {
        last,
        total: usage.originals.count + usage.variants.count,
        trouble: ctx.move_notes.trouble(),
    }))
}

/// What a move would do.
#[derive(Debug)]
pub struct Survey {
    /// The old store, for people.
    pub from: String,
    /// The new store, for people.
    pub to: String,
    /// Contents.
    pub originals: Total,
    /// Variants.
    pub variants: Total,
    /// Backgrounded uploads that wait.
    pub uploads: u64,
    /// The last move.
    pub last: Option<StoreMove>,
    /// Why it cannot begin or go on.
    pub trouble: Option<String>,
}

/// What a move would do that the settings name. Changes nothing; a server may run meanwhile.
///
/// # Errors
/// [`ErrorCode::ConfigInvalid`], and when the database or a store fails.
pub async fn survey(config: &Config, data: &Path) -> Result<Survey> {
    let repo = Repo::open_to_look(&config.database(data)?).await?;
    let (new, old) = open_both_to_look(config, data)?;
    let usage = repo.usage().await?;
    let (mut uploads, mut cursor) = (0, None);
    loop {
        let ids = repo.waiting_after(cursor.as_ref(), ROWS).await?;
        uploads += ids.len() as u64;
        cursor = ids.last().copied();
        if cursor.is_none() {
            break;
        }
    }
    let survey = Survey {
        from: old.place(),
        to: match &new {
            Some(new) => new.place(),
            None => format!("folder of files {}", config.files_folder(data).display()),
        },
        originals: usage.originals,
        variants: usage.variants,
        uploads,
        last: repo.store_move().await?,
        trouble: store_move::trouble(&repo, new.as_ref(), &old).await?,
    };
    repo.close().await;
    Ok(survey)
}

/// Compares once more what was compared, because objects were nowhere.
///
/// # Errors
/// When the database fails.
pub async fn again(ctx: &Context) -> Result<()> {
    if let Some(last) = ctx.repo.store_move().await?
        && last.phase == MovePhase::Compared
        && !last.is_finished()
    {
        let mut next = last.clone();
        next.begin(MovePhase::CompareOriginals);
        ctx.repo.advance_store_move(&last, next).await?;
    }
    Ok(())
}

/// Does one step of the run. With `wants_all` it does not end while objects are nowhere.
///
/// # Errors
/// When a store or the database fails; the step must be tried again later.
pub async fn step(ctx: &Arc<Context>, wants_all: bool) -> Result<Stepped> {
    let stepped = attempt(ctx, wants_all).await;
    ctx.move_notes.note(stepped.as_ref().err());
    stepped
}

/// Notices that another server has ended the move. Returns whether it has.
///
/// # Errors
/// When the database fails.
pub(crate) async fn follow(ctx: &Context) -> Result<bool> {
    let is_over = (ctx.repo.store_move().await?).is_none_or(|last| last.is_finished());
    if is_over {
        ctx.store.forget_old();
    }
    Ok(is_over)
}

async fn attempt(ctx: &Arc<Context>, wants_all: bool) -> Result<Stepped> {
    let last = match ctx.repo.store_move().await? {
        Some(last) if !last.is_finished() && ctx.store.is_moving() => last,
        _ => {
            ctx.store.forget_old();
            return Ok(Stepped::Finished);
        }
    };
    guard::check(ctx).await?;
    if last.phase == MovePhase::Compared {
        if wants_all && last.lost > 0 {
            return Ok(Stepped::Lacking);
        }
        return finish(ctx, &last).await;
    }
    if !ctx.repo.has_room().await {
        return Ok(Stepped::Onward(AFTER_FULL_DISK));
    }
    let last = take_back(ctx, last).await?;
    let rows = Rows::after(ctx, &last).await?;
    let mut begun = last.clone();
    if last.phase.copies() {
        begun.arriving = rows.objects();
        begun = match ctx.repo.advance_store_move(&last, begun).await? {
            Some(begun) => begun,
            // Another server has gone on.
            None => return Ok(Stepped::Onward(Duration::ZERO)),
        };
    }
    let mut next = begun.clone();
    next.arriving.clear();
    next.rows += rows.0.len() as u64;
    let mut looks = stream::iter(rows.0.iter().cloned())
        .map(|row| look(ctx, row, last.phase))
        .buffer_unordered(ctx.config.old_store.concurrency);
    while let Some(seen) = looks.next().await {
        let seen = seen?;
        next.copied += u64::from(seen.bytes.is_some());
        next.bytes += seen.bytes.unwrap_or(0);
        if !last.phase.copies() {
            next.lost += u64::from(seen.is_lost);
            next.damaged += u64::from(seen.is_damaged);
        }
    }
    // Checked last, because a disk may have been unmounted meanwhile.
    guard::check(ctx).await?;
    match rows.0.last() {
        Some(row) => next.after = Some(row.position.clone()),
        None => next.begin(after(last.phase)),
    }
    if last.phase != next.phase || last.rows / LOG_EVERY != next.rows / LOG_EVERY {
        log(&next);
    }
    ctx.repo.advance_store_move(&begun, next).await?;
    Ok(Stepped::Onward(Duration::ZERO))
}

fn after(phase: MovePhase) -> MovePhase {
    match phase {
        MovePhase::Originals => MovePhase::Variants,
        MovePhase::Variants => MovePhase::Uploads,
        MovePhase::Uploads => MovePhase::CompareOriginals,
        MovePhase::CompareOriginals => MovePhase::CompareVariants,
        MovePhase::CompareVariants | MovePhase::Compared => MovePhase::Compared,
    }
}

impl StoreMove {
    fn begin(&mut self, phase: MovePhase) {
        self.phase = phase;
        self.after = None;
        if phase == MovePhase::CompareOriginals {
            self.rows = 0;
            self.lost = 0;
            self.damaged = 0;
        }
    }
}

fn log(at: &StoreMove) {
    tracing::info!(
        phase = at.phase.as_str(),
        rows = at.rows,
        copied = at.copied,
        bytes = at.bytes,
        lost = at.lost,
        damaged = at.damaged,
        "moving the files"
    );
}

async fn finish(ctx: &Context, last: &StoreMove) -> Result<Stepped> {
    let mut next = last.clone();
    next.finished_at = Some(now());
    let Some(next) = ctx.repo.advance_store_move(last, next).await? else {
        return Ok(Stepped::Onward(Duration::ZERO));
    };
    ctx.store.forget_old();
    log(&next);
    tracing::info!(
        from = next.from,
        to = next.to,
        rows = next.rows,
        "all files are in the new store, and the old one is not used any more: old_store can be taken out \
         of the settings"
    );
    if next.lost > 0 {
        tracing::warn!(
            lost = next.lost,
            "files are in neither store; 'pict-rs fsck' names them"
        );
    }
    Ok(Stepped::Finished)
}

/// Removes from the new store what a step that died may have left there without a row.
async fn take_back(ctx: &Context, last: StoreMove) -> Result<StoreMove> {
    if last.arriving.is_empty() {
        return Ok(last);
    }
    let mut gone = Vec::new();
    for object in last.arriving.iter().map(ObjectKey::new) {
        if !ctx.repo.knows_object(&object).await? {
            gone.push(object);
        }
    }
    let removed = ctx.store.remove_new(gone.clone()).await?;
    if removed.len() < gone.len() {
        return Err(Error::Internal {
            code: ErrorCode::StoreUnavailable,
            message: "objects that were removed cannot be removed from the new store".to_owned(),
            source: None,
        });
    }
    let mut next = last.clone();
    next.arriving.clear();
    let written = ctx.repo.advance_store_move(&last, next).await?;
    written.ok_or_else(|| Error::Internal {
        code: ErrorCode::RepoError,
        message: "another server has gone on with the move".to_owned(),
        source: None,
    })
}

/// A row that names an object.
#[derive(Clone, Debug)]
struct NamedObject {
    object: ObjectKey,
    /// What its bytes are; not known of a waiting upload.
    key: Option<ContentKey>,
    /// Where the row stands.
    position: String,
}

/// The next rows of a phase.
struct Rows(Vec<NamedObject>);

impl Rows {
    async fn after(ctx: &Context, last: &StoreMove) -> Result<Self> {
        let position = last.after.as_deref();
        Ok(Self(match last.phase {
            MovePhase::Originals | MovePhase::CompareOriginals => {
                let cursor = position.map(content).transpose()?;
                let rows = ctx.repo.contents_after(cursor.as_ref(), ROWS).await?;
                let row = |(hash, object): (ContentKey, ObjectKey)| NamedObject {
                    object,
                    key: Some(hash),
                    position: hash.to_hex(),
                };
                rows.into_iter().map(row).collect()
            }
            MovePhase::Variants | MovePhase::CompareVariants => {
                let cursor = position.map(variant).transpose()?;
                let rows = ctx.repo.variants_after(cursor.as_ref(), ROWS).await?;
                let rows = rows.into_iter().map(|row| NamedObject {
                    position: format!("{} {}", row.hash.to_hex(), row.variant),
                    object: row.object,
                    key: Some(row.key),
                });
                rows.collect()
            }
            MovePhase::Uploads => {
                let cursor = position.map(UploadId::parse).transpose();
                let cursor = cursor.map_err(|_| unreadable())?;
                let rows = ctx.repo.waiting_after(cursor.as_ref(), ROWS).await?;
                let row = |id: UploadId| NamedObject {
                    object: ObjectKey::of_upload(&id),
                    key: None,
                    position: id.expose(),
                };
                rows.into_iter().map(row).collect()
            }
            MovePhase::Compared => Vec::new(),
        }))
    }

    fn objects(&self) -> Vec<String> {
        let objects = self.0.iter().map(|row| row.object.as_str().to_owned());
        objects.collect()
    }
}

fn content(position: &str) -> Result<ContentKey> {
    ContentKey::from_hex(position).ok_or_else(unreadable)
}

fn variant(position: &str) -> Result<(ContentKey, String)> {
    let (hash, variant) = position.split_once(' ').ok_or_else(unreadable)?;
    Ok((content(hash)?, variant.to_owned()))
}

fn unreadable() -> Error {
    Error::Internal {
        code: ErrorCode::RepoError,
        message: "it is not known how far the move of the store came".to_owned(),
        source: None,
    }
}

/// What was seen of an object.
#[derive(Debug, Default)]
struct Seen {
    /// How many bytes were copied, if any.
    bytes: Option<u64>,
    is_lost: bool,
    is_damaged: bool,
}

async fn look(ctx: &Arc<Context>, row: NamedObject, phase: MovePhase) -> Result<Seen> {
    sleep_until(ctx.move_notes.pace.turn(ctx.config.old_store.rate)).await;
    let key = match row.key {
        Some(key) if !phase.copies() => key,
        key => return carry(ctx, &row.object, key.as_ref()).await,
    };
    let reads = ctx.config.old_store.digests;
    match ctx.store.compare(&row.object, &key, reads).await? {
        CopyState::Whole => Ok(Seen::default()),
        CopyState::Missing => carry(ctx, &row.object, Some(&key)).await,
        CopyState::Spoilt => {
            tracing::warn!(object = %row.object, "a copy has other bytes and is made again");
            ctx.store.remove_new(vec![row.object.clone()]).await?;
            carry(ctx, &row.object, Some(&key)).await
        }
        CopyState::Damaged => {
            tracing::warn!(object = %row.object, "a file has other bytes than were stored, in both stores");
            Ok(Seen {
                is_damaged: true,
                ..Seen::default()
            })
        }
    }
}

/// Copies an object, unless its row goes meanwhile.
async fn carry(ctx: &Context, object: &ObjectKey, key: Option<&ContentKey>) -> Result<Seen> {
    match ctx.store.carry(object, key).await? {
        Carried::Known => Ok(Seen::default()),
        Carried::Copied(stored) => {
            let bytes = stored.key().size();
            if ctx.repo.knows_object(object).await? {
                stored.keep().await;
                return Ok(Seen {
                    bytes: Some(bytes),
                    ..Seen::default()
                });
            }
            stored.discard().await;
            Ok(Seen::default())
        }
        Carried::Lost => {
            let is_lost = ctx.repo.knows_object(object).await?;
            if is_lost {
                tracing::warn!(%object, "a file is in neither store");
            }
            Ok(Seen {
                is_lost,
                ..Seen::default()
            })
        }
    }
}
