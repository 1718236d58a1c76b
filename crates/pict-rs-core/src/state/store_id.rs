//! The id that database and files share, so that files on a disk that is not mounted are not
//! mistaken for lost ones.

use std::sync::{Mutex, OnceLock, PoisonError};

use uuid::Uuid;

use crate::repo::Repo;
use crate::store::Store;
use crate::{Error, ErrorCode, Result};

/// Files that are checked when there is no id.
const SAMPLE: u32 = 32;

/// The id, once it is known. A bucket that is away at start is compared when it is back; until then
/// nothing is written to it.
#[derive(Debug, Default)]
pub(crate) struct StoreId {
    known: OnceLock<Uuid>,
    /// Why it is unknown.
    why: Mutex<Option<(ErrorCode, String)>>,
}

impl StoreId {
    /// # Errors
    /// As [`pair`], unless the store is away.
    pub(crate) async fn open(repo: &Repo, store: &Store) -> Result<Self> {
        let id = Self::default();
        match id.find(repo, store).await {
            Err(error) if error.code() == ErrorCode::StoreUnavailable => {
                tracing::error!(cause = cause(&error), "starting without the files: {error}");
            }
            found => found?,
        }
        Ok(id)
    }

    /// Tries to find the id, unless it is known.
    ///
    /// # Errors
    /// As [`pair`].
    pub(crate) async fn find(&self, repo: &Repo, store: &Store) -> Result<()> {
        if self.known.get().is_some() {
            return Ok(());
        }
        match pair(repo, store).await {
            Ok(id) => {
                // Whoever was first found the same.
                let _ = self.known.set(id);
                Ok(())
            }
            Err(error) => {
                *self.why() = Some((error.code(), error.to_string()));
                Err(error)
            }
        }
    }

    /// The id.
    ///
    /// # Errors
    /// The reason why it is unknown: [`ErrorCode::StoreUnavailable`],
    /// [`ErrorCode::StoreMismatch`].
    pub(crate) fn get(&self) -> Result<Uuid> {
        if let Some(id) = self.known.get() {
            return Ok(*id);
        }
        let (code, message) = self.why().clone().unwrap_or_else(|| {
            let message = "the store was not compared with the database yet";
            (ErrorCode::StoreUnavailable, message.to_owned())
        });
        Err(match code {
            ErrorCode::StoreMismatch => Error::user(code, message),
            _ => Error::Internal {
                code,
                message,
                source: None,
            },
        })
    }

    fn why(&self) -> std::sync::MutexGuard<'_, Option<(ErrorCode, String)>> {
        self.why.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cause(error: &Error) -> Option<String> {
    std::error::Error::source(error).map(ToString::to_string)
}

/// The id that database and files share. It is created where they clearly belong together: both are
/// new, or the files exist that the database names.
///
/// # Errors
/// [`ErrorCode::StoreMismatch`], which says what to check.
pub(crate) async fn pair(repo: &Repo, store: &Store) -> Result<Uuid> {
    let known = repo.store_id().await?;
    let found = store.id().await?;
    if let (Some(known), Some(found)) = (known, found)
        && known == found
    {
        return Ok(known);
    }
    if repo
        .store_move()
        .await?
        .is_some_and(|last| !last.is_finished())
    {
        // Both have had their id since the move began.
        let why = "files are being moved, and this is not where they go";
        return Err(mismatch(&repo.place(), store, why));
    }
    let names_nothing = repo.names_nothing().await?;
    // Slow, and only needed for an empty database.
    let has_objects = names_nothing && store.has_objects().await?;
    let id = match (known, found) {
        _ if has_objects => {
            return Err(mismatch(
                &repo.place(),
                store,
                "there are files, and the database is empty",
            ));
        }
        (Some(_), Some(_)) if !names_nothing => {
            return Err(mismatch(&repo.place(), store, "they have different ids"));
        }
        // At least one of them is empty, or at most one has an id.
        (known, found) => known.or(found),
    };
    if !names_nothing {
        let (sampled, present) = sample(repo, store).await?;
        // A few files may be lost for good reasons, but not most of them.
        if present * 2 < sampled {
            let found = format!("of {sampled} files that the database names, {present} are there");
            return Err(mismatch(&repo.place(), store, &found));
        }
    }
    let id = match id {
        Some(id) => id,
        // Servers that are started at once on a new database agree there.
        None => repo.propose_store_id(Uuid::new_v4()).await?,
    };
    tie(repo, store, id).await?;
    Ok(id)
}

/// How many files were sampled, and how many of them exist.
pub(crate) async fn sample(repo: &Repo, store: &Store) -> Result<(usize, usize)> {
    let objects = repo.some_objects(SAMPLE).await?;
    let sizes = store.sizes(objects).await?;
    Ok((sizes.len(), sizes.iter().flatten().count()))
}

/// Gives both the same id.
pub(crate) async fn tie(repo: &Repo, store: &Store, id: Uuid) -> Result<()> {
    store.set_id(id).await?;
    repo.set_store_id(id).await
}

fn mismatch(database: &str, store: &Store, why: &str) -> Error {
    let hint = match store.root() {
        Some(_) => {
            "Is a disk or volume not mounted, or does store.path, repo.path or repo.url name another one?"
        }
        None => "Does store.endpoint or store.bucket_name name another bucket?",
    };
    Error::user(
        ErrorCode::StoreMismatch,
        format!(
            "the {} does not belong to the database in {}: {why}. {hint} Nothing was removed. If \
             they are to be used together all the same, run 'pict-rs accept-store' once with the \
             same configuration; where a package runs the server as a service: 'pict-rs-admin \
             accept-store'",
            store.place(),
            database
        ),
    )
}
