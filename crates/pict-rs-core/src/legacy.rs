//! Reads the database of the existing pict-rs for migration.
//!
//! Of an embedded database of version 0.5 only what cannot be recreated is read: contents, their
//! aliases and tokens, the URLs of proxied ones, and the alias of the placeholder. Variants, jobs
//! and unclaimed uploads are not. Start reading at [`Existing::open`].

mod copy;
mod names;
mod sled;

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Component, Path, PathBuf};

use crate::repo::{SLED_FOLDER, is_sled};
use crate::{Alias, ContentKey, DeleteToken, Error, ErrorCode, Result};

/// A database of the existing pict-rs.
#[derive(Debug)]
pub struct Existing {
    /// Closed before its folder is removed.
    sled: sled::Database,
    _copy: tempfile::TempDir,
}

/// The files that a database names. Paths are kept as 64-bit hashes, so that millions of them fit
/// into memory; collisions are practically impossible.
#[derive(Debug, Default)]
pub struct Files(Vec<u64>);

impl Files {
    /// Whether the database names this file; the path is relative to the folder of files.
    pub fn contains(&self, file: &Path) -> bool {
        let hash = hash_of(file.as_os_str().as_encoded_bytes());
        self.0.binary_search(&hash).is_ok()
    }
}

fn hash_of(path: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    hasher.finish()
}

/// One uploaded file, with all its aliases.
#[derive(Clone, Debug)]
pub struct Content {
    /// Digest and size of its bytes as they were stored, and their format.
    pub key: ContentKey,
    /// Path of its bytes, relative to the folder of files.
    pub file: PathBuf,
    /// Unix time in milliseconds.
    pub created_at: i64,
    /// Its blurhash, if one was computed.
    pub blurhash: Option<String>,
    /// Its details, if there are any.
    pub details: Option<Details>,
    /// Its aliases.
    pub names: Vec<Name>,
}

/// An alias of a content.
#[derive(Clone, Debug)]
pub struct Name {
    /// The public name.
    pub alias: Alias,
    /// The secret that deletes it.
    pub token: DeleteToken,
    /// The URL it was fetched from, if it is proxied.
    pub url: Option<String>,
}

/// Details that the existing pict-rs stored about a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
pub struct Details {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// For animations and clips.
    #[serde(default)]
    pub frames: Option<u32>,
}

impl Existing {
    /// Opens a copy of the database that `repo.path` names in the configuration of the existing
    /// pict-rs, which must not be running: the library for sled databases writes to what it opens.
    /// The copy is in the folder `scratch` and is removed when this is dropped. Blocks.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`] when there is no readable database, or it is in use;
    /// [`ErrorCode::FileIoError`] when it cannot be copied.
    pub fn open(folder: &Path, scratch: &Path) -> Result<Self> {
        let inside = folder.join(SLED_FOLDER);
        let sled = [inside.as_path(), folder]
            .into_iter()
            .find(|folder| is_sled(folder))
            .ok_or_else(|| {
                Error::user(
                    ErrorCode::ConfigInvalid,
                    format!(
                        "{} holds no sled database of pict-rs 0.5, which is a folder {SLED_FOLDER} with the \
                         files conf and db; other databases cannot be read",
                        folder.display()
                    ),
                )
            })?;
        let copy = copy::of(sled, scratch)?;
        let opened = unless_it_panics(|| sled::Database::open(copy.path()));
        let sled = opened.map_err(|error| copy::advice(sled, error))?;
        Ok(Self { sled, _copy: copy })
    }

    /// How many contents there are.
    pub fn count(&self) -> usize {
        self.sled.count()
    }

    /// All contents, oldest first. Unreadable contents are errors that name them.
    pub fn contents(&self) -> impl Iterator<Item = Result<Content>> {
        let mut contents = Some(self.sled.contents());
        std::iter::from_fn(move || {
            let rest = contents.as_mut()?;
            match unless_it_panics(|| Ok(rest.next())) {
                Ok(content) => content,
                // The library cannot continue after an error.
                Err(error) => {
                    contents = None;
                    Some(Err(error))
                }
            }
        })
    }

    /// Inconsistencies in the database, for people. Empty for an intact one.
    ///
    /// # Errors
    /// [`ErrorCode::RepoError`].
    pub fn contradictions(&self) -> Result<Vec<String>> {
        unless_it_panics(|| self.sled.contradictions())
    }

    /// All files that the database names, including variants.
    ///
    /// # Errors
    /// [`ErrorCode::RepoError`].
    pub fn files(&self) -> Result<Files> {
        let mut files = Vec::new();
        unless_it_panics(|| self.sled.each_file(|file| files.push(hash_of(file))))?;
        files.sort_unstable();
        Ok(Files(files))
    }

    /// The alias of the placeholder for missing media.
    ///
    /// # Errors
    /// [`ErrorCode::RepoError`].
    pub fn not_found_alias(&self) -> Result<Option<Alias>> {
        self.sled.not_found_alias()
    }
}

/// Catches panics: the library panics on some damage.
fn unless_it_panics<T>(read: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(broken("the library that reads it has given up")))
}

/// Checks that a path is inside the folder of files.
fn file_inside(identifier: &str) -> Result<PathBuf> {
    let path = PathBuf::from(identifier);
    let is_inside = path
        .components()
        .all(|component| matches!(component, Component::Normal(_)));
    if !is_inside || identifier.is_empty() {
        return Err(broken(format!(
            "the file '{identifier}' is not in the folder of files"
        )));
    }
    Ok(path)
}

fn broken(what: impl Into<String>) -> Error {
    Error::user(
        ErrorCode::RepoError,
        format!("the existing database is damaged: {}", what.into()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stay_inside_their_folder() {
        assert_eq!(
            file_inside("01/a2/x.png").expect("inside"),
            Path::new("01/a2/x.png")
        );
        for outside in ["", "/etc/passwd", "../x", "a/../../x"] {
            file_inside(outside).expect_err(outside);
        }
    }

    #[test]
    fn a_folder_without_a_database_is_refused_by_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = Existing::open(folder.path(), folder.path()).expect_err("nothing there");
        assert_eq!(error.code(), ErrorCode::ConfigInvalid);
        assert!(
            error.to_string().contains("holds no sled database"),
            "{error}"
        );
    }
}
