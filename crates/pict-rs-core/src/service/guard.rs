//! Keeps database and files together, so that a disk that is not mounted is not taken for media
//! that are gone: both sides know the id of the store, which is compared at start and before
//! anything is removed that no request named.

use std::path::Path;

use uuid::Uuid;

use crate::config::{Config, ServerConfig};
use crate::context::blocking;
use crate::repo::Repo;
use crate::store::Store;
use crate::{Context, Error, ErrorCode, ObjectKey, Result};

/// Files that are looked for where no id says whether the folder is the right one.
const SAMPLE: u32 = 32;

/// What [`accept`] has tied together.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// Contents that the database has.
    pub contents: u64,
    /// Of some of them, how many files were looked for.
    pub sampled: usize,
    /// Of these, how many are there.
    pub present: usize,
}

/// The id that database and files share. They get one where it is clear that they belong
/// together: both are new, or the files are there that the database names.
///
/// # Errors
/// [`ErrorCode::StoreMismatch`], which says what to check.
pub(crate) async fn pair(repo: &Repo, store: &Store) -> Result<Uuid> {
    let known = repo.store_id().await?;
    let found = {
        let store = store.clone();
        blocking(move || store.id()).await?
    };
    if let (Some(known), Some(found)) = (known, found)
        && known == found
    {
        return Ok(known);
    }
    let names_nothing = repo.names_nothing().await?;
    let store_again = store.clone();
    // This can take a while, and is needed for an empty database only.
    let has_objects = names_nothing && blocking(move || store_again.has_objects()).await?;
    let id = match (known, found) {
        _ if has_objects => {
            return Err(mismatch(
                repo.folder(),
                store.root(),
                "there are files, and the database is empty",
            ));
        }
        (Some(_), Some(_)) if !names_nothing => {
            return Err(mismatch(
                repo.folder(),
                store.root(),
                "they have different ids",
            ));
        }
        // At least one of them is empty, or neither has an id that says otherwise.
        (Some(id), _) | (None, Some(id)) => id,
        (None, None) => Uuid::new_v4(),
    };
    if !names_nothing {
        let (sampled, present) = sample(repo, store).await?;
        // Some may be lost for good reasons, not most of them.
        if present * 2 < sampled {
            let found = format!("of {sampled} files that the database names, {present} are there");
            return Err(mismatch(repo.folder(), store.root(), &found));
        }
    }
    tie(repo, store, id).await?;
    Ok(id)
}

/// Ties database and files together whatever they hold; for an administrator who has looked.
///
/// # Errors
/// When a folder cannot be used, or a server runs on it.
pub async fn accept(config: &Config, data: &Path) -> Result<Accepted> {
    let repo = Repo::open(&config.database_folder(data)).await?;
    let store = Store::open(&config.files_folder(data))?;
    let contents = repo.usage().await?.originals.count;
    let (sampled, present) = sample(&repo, &store).await?;
    tie(&repo, &store, Uuid::new_v4()).await?;
    repo.close().await;
    Ok(Accepted {
        contents,
        sampled,
        present,
    })
}

/// Whether the folder of files still is the one that belongs to the database. To be asked before
/// anything is removed that was not asked for by name.
///
/// # Errors
/// [`ErrorCode::StoreMismatch`].
pub(crate) async fn check(ctx: &Context) -> Result<()> {
    let store = ctx.store.clone();
    let found = blocking(move || store.id()).await?;
    match found {
        Some(found) if found == ctx.store_id => Ok(()),
        Some(_) => Err(moved(ctx, "has another id")),
        None => Err(moved(ctx, "has no id")),
    }
}

/// How many of `total` may be removed at once.
pub(crate) fn allowance(config: &ServerConfig, total: u64) -> u64 {
    let share =
        total / 100 * config.max_removal_percent + total % 100 * config.max_removal_percent / 100;
    share.max(config.max_removal_count)
}

/// Refuses to remove more than that. `what` is counted.
pub(crate) fn too_many(config: &ServerConfig, what: &str, total: u64, allowed: u64) -> Error {
    Error::user(
        ErrorCode::MassRemoval,
        format!(
            "{what} of {total}: at most {allowed} are removed at once (the larger of \
             server.max_removal_count = {} and server.max_removal_percent = {}), and nothing more was \
             removed. Check that all disks are mounted and that the database is the right one; \
             force=true removes them",
            config.max_removal_count, config.max_removal_percent
        ),
    )
}

/// How many of some files were looked for, and how many of them are there.
async fn sample(repo: &Repo, store: &Store) -> Result<(usize, usize)> {
    let objects = repo.some_objects(SAMPLE).await?;
    let store = store.clone();
    blocking(move || {
        let is_there = |object: &ObjectKey| store.is_lost(object).map(|is_lost| !is_lost);
        let present = objects.iter().map(is_there).collect::<Result<Vec<_>>>()?;
        let count = present.iter().filter(|is_there| **is_there).count();
        Ok((objects.len(), count))
    })
    .await
}

async fn tie(repo: &Repo, store: &Store, id: Uuid) -> Result<()> {
    let store = store.clone();
    blocking(move || store.set_id(id)).await?;
    repo.set_store_id(id).await
}

fn mismatch(database: &Path, files: &Path, why: &str) -> Error {
    Error::user(
        ErrorCode::StoreMismatch,
        format!(
            "the files in {} do not belong to the database in {}: {why}. Is a disk or volume not \
             mounted, or does store.path or repo.path name another folder? Nothing was removed. If \
             they are to be used together all the same, run 'pict-rs accept-store' once with the \
             same configuration",
            files.display(),
            database.display()
        ),
    )
}

fn moved(ctx: &Context, why: &str) -> Error {
    Error::user(
        ErrorCode::StoreMismatch,
        format!(
            "The folder of files {} {why}, so it is not the one that belongs to the database: is a \
             disk or volume not mounted? Nothing is removed until it is back",
            ctx.store.root().display()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_bound_counts() {
        let config = ServerConfig::default();
        let check = |total, expected| assert_eq!(allowance(&config, total), expected, "{total}");
        check(0, 100);
        check(9_999, 100);
        check(10_100, 101);
        check(u64::MAX, u64::MAX / 100);
        let none = ServerConfig {
            max_removal_count: 0,
            max_removal_percent: 0,
            ..ServerConfig::default()
        };
        assert_eq!(allowance(&none, 1_000_000), 0);
        let all = ServerConfig {
            max_removal_percent: 100,
            ..ServerConfig::default()
        };
        assert_eq!(allowance(&all, u64::MAX), u64::MAX);
    }
}
