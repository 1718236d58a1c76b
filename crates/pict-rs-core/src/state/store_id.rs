//! The id that database and files share, so that a disk that is not mounted is not taken for media
//! that are gone.

use std::path::Path;

use uuid::Uuid;

use crate::repo::Repo;
use crate::store::Store;
use crate::{Error, ErrorCode, Result};

/// Files that are looked for where no id says whether the folder is the right one.
const SAMPLE: u32 = 32;

/// The id that database and files share. They get one where it is clear that they belong
/// together: both are new, or the files are there that the database names.
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
    // This can take a while, and is needed for an empty database only.
    let has_objects = names_nothing && store.has_objects().await?;
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

/// How many of some files were looked for, and how many of them are there.
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

fn mismatch(database: &Path, files: &Path, why: &str) -> Error {
    Error::user(
        ErrorCode::StoreMismatch,
        format!(
            "the files in {} do not belong to the database in {}: {why}. Is a disk or volume not \
             mounted, or does store.path or repo.path name another folder? Nothing was removed. If \
             they are to be used together all the same, run 'pict-rs accept-store' once with the \
             same configuration; where a package runs the server as a service: 'pict-rs-admin \
             accept-store'",
            files.display(),
            database.display()
        ),
    )
}
