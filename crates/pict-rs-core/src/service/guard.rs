//! Checks that database and files belong together, so that files on a disk that is not mounted are
//! not mistaken for lost ones. Both contain the id of the store, which is compared at start and
//! before anything is removed that no request named.

use std::path::Path;

use uuid::Uuid;

use crate::config::{Config, ServerConfig};
use crate::context::open_store;
use crate::repo::Repo;
use crate::state::store_id::{sample, tie};
use crate::{Context, Error, ErrorCode, Result};

/// The result of [`accept`].
#[derive(Clone, Debug)]
pub struct Accepted {
    /// The store, for people.
    pub place: String,
    /// Contents in the database.
    pub contents: u64,
    /// How many of them were sampled.
    pub sampled: usize,
    /// How many files of the sample exist.
    pub present: usize,
}

/// Ties database and files together, whatever they contain; for an administrator who has checked
/// them.
///
/// # Errors
/// When a folder cannot be used, or a server runs on it.
pub async fn accept(config: &Config, data: &Path) -> Result<Accepted> {
    let repo = Repo::open_at(&config.database(data)?, false).await?;
    let store = open_store(config, data, repo.is_shared())?;
    let contents = repo.usage().await?.originals.count;
    let (sampled, present) = sample(&repo, &store).await?;
    // Who ties the database to this store does not go on with a move to another one.
    repo.forget_store_move().await?;
    tie(&repo, &store, Uuid::new_v4()).await?;
    repo.close().await;
    Ok(Accepted {
        place: match store.root() {
            Some(root) => root.display().to_string(),
            None => store.place(),
        },
        contents,
        sampled,
        present,
    })
}

/// Checks that the folder of files still belongs to the database. Must be called before anything is
/// removed that no request named.
///
/// # Errors
/// [`ErrorCode::StoreMismatch`].
pub(crate) async fn check(ctx: &Context) -> Result<()> {
    let known = ctx.store_id.get()?;
    match ctx.store.id().await? {
        Some(found) if found == known => {}
        Some(_) => return Err(moved(ctx, "has another id")),
        None => return Err(moved(ctx, "has no id")),
    }
    if !ctx.store.is_moving() {
        return Ok(());
    }
    let found = ctx.store.old_id().await?;
    let found = found.map(|id| id.simple().to_string());
    match ctx.repo.store_move().await? {
        // It has ended just now.
        None => Ok(()),
        Some(last) if last.is_finished() || found.as_ref() == Some(&last.from_id) => Ok(()),
        Some(last) => Err(Error::user(
            ErrorCode::StoreMismatch,
            format!(
                "The {}, whose files are being moved, lacks its id: is a disk or volume not mounted? Nothing \
                 is moved or removed until it is back",
                last.from
            ),
        )),
    }
}

/// How many of `total` may be removed at once.
pub(crate) fn allowance(config: &ServerConfig, total: u64) -> u64 {
    let share =
        total / 100 * config.max_removal_percent + total % 100 * config.max_removal_percent / 100;
    share.max(config.max_removal_count)
}

/// The error when more would be removed than that. `what` is the noun.
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

fn moved(ctx: &Context, why: &str) -> Error {
    let hint = match ctx.store.root() {
        Some(_) => ": is a disk or volume not mounted?",
        None => ".",
    };
    Error::user(
        ErrorCode::StoreMismatch,
        format!(
            "The {} {why}, so it is not the one that belongs to the database{hint} Nothing is removed \
             until it is back",
            ctx.store.place()
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
