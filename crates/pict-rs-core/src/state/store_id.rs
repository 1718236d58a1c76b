//! The id that database and files share, so that files on a disk that is not mounted are not
//! mistaken for lost ones.

use std::path::Path;

use uuid::Uuid;

use crate::repo::Repo;
use crate::store::Store;
use crate::{Error, ErrorCode, Result};

/// Files that are checked when there is no id.
const SAMPLE: u32 = 32;

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
    let names_nothing = repo.names_nothing().await?;
    // Slow, and only needed for an empty database.
    let has_objects = names_nothing && store.has_objects().await?;
    let id = match (known, found) {
        _ if has_objects => {
            return Err(mismatch(
                &repo.place(),
                store.root(),
                "there are files, and the database is empty",
            ));
        }
        (Some(_), Some(_)) if !names_nothing => {
            return Err(mismatch(
                &repo.place(),
                store.root(),
                "they have different ids",
            ));
        }
        // At least one of them is empty, or at most one has an id.
        (Some(id), _) | (None, Some(id)) => id,
        (None, None) => Uuid::new_v4(),
    };
    if !names_nothing {
        let (sampled, present) = sample(repo, store).await?;
        // A few files may be lost for good reasons, but not most of them.
        if present * 2 < sampled {
            let found = format!("of {sampled} files that the database names, {present} are there");
            return Err(mismatch(&repo.place(), store.root(), &found));
        }
    }
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

fn mismatch(database: &str, files: &Path, why: &str) -> Error {
    Error::user(
        ErrorCode::StoreMismatch,
        format!(
            "the files in {} do not belong to the database in {}: {why}. Is a disk or volume not \
             mounted, or does store.path, repo.path or repo.url name another one? Nothing was removed. If \
             they are to be used together all the same, run 'pict-rs accept-store' once with the \
             same configuration; where a package runs the server as a service: 'pict-rs-admin \
             accept-store'",
            files.display(),
            database
        ),
    )
}
