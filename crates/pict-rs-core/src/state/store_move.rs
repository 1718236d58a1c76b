//! Both sides of a store whose objects are moved: finds out at start whether they are, and begins a
//! move. `service::move_store` does the rest.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::pace::Pace;
use super::store_id::pair;
use crate::clock::now;
use crate::repo::{MovePhase, Repo, StoreMove};
use crate::store::Store;
use crate::{Error, ErrorCode, Result};

/// The right to begin a move, for servers that start at the same time.
const BEGIN: &str = "begin-store-move";
/// For how long it is held at most.
const LEASE: Duration = Duration::from_secs(60);
/// How long signs of life of servers that have just been stopped are waited out.
const PATIENCE: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(500);

/// What the run of a move remembers.
#[derive(Debug, Default)]
pub(crate) struct MoveNotes {
    /// Of what it copies and compares.
    pub(crate) pace: Pace,
    /// Why the last step failed.
    trouble: Mutex<Option<(ErrorCode, String)>>,
}

impl MoveNotes {
    /// Why the run does not proceed; `None` when it does.
    pub(crate) fn trouble(&self) -> Option<(ErrorCode, String)> {
        let trouble = self.trouble.lock();
        trouble.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Records the result of a step.
    pub(crate) fn note(&self, failure: Option<&Error>) {
        let trouble = self.trouble.lock();
        *trouble.unwrap_or_else(PoisonError::into_inner) =
            failure.map(|error| (error.code(), error.to_string()));
    }
}

/// The store that a server uses: `new`, and while its objects come from another one that as well.
/// `open_old` opens the one that the settings name; `None` when they name none.
///
/// # Errors
/// [`ErrorCode::ConfigInvalid`] when a move was begun and the settings do not name both stores, or
/// when none can begin; [`ErrorCode::StoreMismatch`] when the files are not in the old store.
pub(crate) async fn join(
    repo: &Repo,
    new: Store,
    open_old: Option<impl Fn() -> Result<Store>>,
) -> Result<Store> {
    let Some(open_old) = open_old else {
        return match repo.store_move().await? {
            Some(last) if !last.is_finished() => Err(unfinished(&last)),
            _ => Ok(new),
        };
    };
    loop {
        let last = repo.store_move().await?;
        let found = match (new.id().await, &last) {
            (Ok(found), _) => found.map(as_text),
            // It is compared when it is back.
            (Err(error), Some(last)) if error.code() == ErrorCode::StoreUnavailable => {
                Some(last.to_id.clone())
            }
            (Err(error), _) => return Err(error),
        };
        if let Some(last) = last
            .as_ref()
            .filter(|last| found.as_ref() == Some(&last.to_id))
        {
            if last.is_finished() {
                tracing::info!(
                    from = last.from,
                    "the files have been moved, the old store is not used: old_store can be taken out of \
                     the settings"
                );
                return Ok(new);
            }
            tracing::info!(
                from = last.from,
                to = last.to,
                phase = last.phase.as_str(),
                rows = last.rows,
                copied = last.copied,
                "going on with the move of the files"
            );
            return Ok(new.moving_from(open_old()?));
        }
        if repo.is_shared() && !repo.hold_lease(BEGIN, LEASE).await? {
            sleep(PAUSE).await;
            continue;
        }
        let old = open_old()?;
        let begun = begin(repo, &new, &old, last.as_ref(), found).await;
        if repo.is_shared() {
            repo.give_lease_back(BEGIN).await?;
        }
        begun?;
        return Ok(new.moving_from(old));
    }
}

/// As [`join`], for one who only reads, and begins nothing.
///
/// # Errors
/// [`ErrorCode::ConfigInvalid`] when a move was begun and the settings do not name both stores.
pub(crate) async fn look(
    repo: &Repo,
    new: Store,
    open_old: impl Fn() -> Result<Option<Store>>,
) -> Result<Store> {
    let Some(last) = repo.store_move().await?.filter(|last| !last.is_finished()) else {
        return Ok(new);
    };
    match open_old()? {
        Some(old) => Ok(new.moving_from(old)),
        None => Err(unfinished(&last)),
    }
}

/// `found` is the id of the new store.
async fn begin(
    repo: &Repo,
    new: &Store,
    old: &Store,
    last: Option<&StoreMove>,
    found: Option<String>,
) -> Result<()> {
    let from = pair(repo, old).await?;
    refuse_strange_files(new, found, from, last).await?;
    wait_until_alone(repo).await?;
    let to = Uuid::new_v4();
    new.set_id(to).await?;
    if old.id().await? != Some(from) {
        new.set_id(from).await?;
        return Err(same_place());
    }
    let begun = StoreMove {
        from: old.place(),
        to: new.place(),
        from_id: as_text(from),
        to_id: as_text(to),
        phase: MovePhase::Originals,
        after: None,
        arriving: Vec::new(),
        rows: 0,
        copied: 0,
        bytes: 0,
        lost: 0,
        damaged: 0,
        started_at: now(),
        finished_at: None,
        written: String::new(),
    };
    repo.begin_store_move(&begun, to).await?;
    tracing::info!(from = begun.from, to = begun.to, "moving the files");
    Ok(())
}

/// `found` is the id of the new store, `from` that of the old one.
async fn refuse_strange_files(
    new: &Store,
    found: Option<String>,
    from: Uuid,
    last: Option<&StoreMove>,
) -> Result<()> {
    let is_of_ours = match found {
        None => true,
        // A copy of the old one, or where a move came from that is taken back.
        Some(id) => id == as_text(from) || last.is_some_and(|last| last.from_id == id),
    };
    // Asked in any case: a bucket that cannot be listed may not be there.
    let has_objects = new.has_objects().await?;
    if is_of_ours || !has_objects {
        return Ok(());
    }
    Err(refusal(format!(
        "files cannot be moved to the {}: there are files already, and they belong to another database",
        new.place()
    )))
}

/// Why a move between these stores can neither begin nor go on; `None` when it can. `new` is `None`
/// when it is a folder that does not exist yet.
///
/// # Errors
/// When the database or a store fails.
pub(crate) async fn trouble(
    repo: &Repo,
    new: Option<&Store>,
    old: &Store,
) -> Result<Option<String>> {
    let last = repo.store_move().await?;
    let found = match new {
        Some(new) => new.id().await?.map(as_text),
        None => None,
    };
    if last
        .as_ref()
        .is_some_and(|last| found.as_ref() == Some(&last.to_id))
    {
        return Ok(None);
    }
    let [known, from] = [repo.store_id().await?, old.id().await?];
    let (Some(new), Some(from)) = (new, from) else {
        return Ok(None);
    };
    if known.is_some_and(|known| known != from) {
        return Ok(Some(format!(
            "the {} does not belong to the database {}",
            old.place(),
            repo.place()
        )));
    }
    let refused = refuse_strange_files(new, found, from, last.as_ref()).await;
    Ok(refused.err().map(|error| error.to_string()))
}

/// The error when files would be moved to where they are.
pub(crate) fn same_place() -> Error {
    refusal(
        "[store] and [old_store] name the same place; old_store is where the files are now, store is where \
         they go"
            .to_owned(),
    )
}

/// The error when a move needs an old store and there is none.
pub(crate) fn nothing_named() -> Error {
    refusal("old_store.type is not set, so nothing is moved".to_owned())
}

/// A server that knows only the old store would go on writing there.
async fn wait_until_alone(repo: &Repo) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match repo.other_servers().await? {
            0 => return Ok(()),
            others if Instant::now() > deadline => {
                return Err(refusal(format!(
                    "a move of the files cannot begin while other servers use the database: {others} of \
                     them. Stop them, and start all with the same settings"
                )));
            }
            _ => sleep(PAUSE).await,
        }
    }
}

fn as_text(id: Uuid) -> String {
    id.simple().to_string()
}

fn unfinished(last: &StoreMove) -> Error {
    refusal(format!(
        "the files are being moved from the {} to the {}, and only some of them are there. Name the first \
         as [old_store] and the second as [store]: the server serves from both and moves the rest, and so \
         does 'pict-rs migrate-store', which needs no server. To go back, name them the other way round",
        last.from, last.to
    ))
}

fn refusal(message: String) -> Error {
    Error::user(ErrorCode::ConfigInvalid, message)
}
