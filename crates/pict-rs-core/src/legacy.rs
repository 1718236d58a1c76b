//! What the existing pict-rs has in its database, read so that it can be taken over.
//!
//! Of an embedded database of version 0.5 only what cannot be made again is read: contents, their
//! aliases and tokens, where proxied ones come from, and which alias stands in for those that are
//! not found. Variants, jobs and uploads that nobody has claimed are not. Start reading at
//! [`Existing::open`].

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
    /// Closed before its folder goes.
    sled: sled::Database,
    _copy: tempfile::TempDir,
}

/// The files that a database names. Paths are kept as hashes of 64 bits, so that millions of them fit
/// into memory; that a file passes for another one is as good as impossible.
#[derive(Debug, Default)]
pub struct Files(Vec<u64>);

impl Files {
    /// Whether the database names this file, from the folder of files on.
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

/// One file that was uploaded, with all that names it.
#[derive(Clone, Debug)]
pub struct Content {
    /// Digest and size of its bytes as they were stored, and their format.
    pub key: ContentKey,
    /// Where its bytes lie, from the folder of files on.
    pub file: PathBuf,
    /// Unix time in milliseconds.
    pub created_at: i64,
    /// Its blurhash, if it was ever asked for.
    pub blurhash: Option<String>,
    /// What was found out of it, if anything.
    pub details: Option<Details>,
    /// What names it.
    pub names: Vec<Name>,
}

/// An alias of a content.
#[derive(Clone, Debug)]
pub struct Name {
    /// The public name.
    pub alias: Alias,
    /// The secret that deletes it.
    pub token: DeleteToken,
    /// Where it was fetched from, for the proxy.
    pub url: Option<String>,
}

/// Facts that the existing pict-rs had of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
pub struct Details {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Of an animation or clip.
    #[serde(default)]
    pub frames: Option<u32>,
}

impl Existing {
    /// Opens a copy of the database that `repo.path` names in the configuration of the existing
    /// pict-rs, which must not be running: the library that reads a sled database writes to it. The
    /// copy lies in the folder `scratch` and goes when this is dropped. Blocks.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`] when there is none that can be read, or when it is in use;
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

    /// All contents, the oldest first. One that cannot be read is an error that names it.
    pub fn contents(&self) -> impl Iterator<Item = Result<Content>> {
        let mut contents = Some(self.sled.contents());
        std::iter::from_fn(move || {
            let rest = contents.as_mut()?;
            match unless_it_panics(|| Ok(rest.next())) {
                Ok(content) => content,
                // The library does not say how to go on from there.
                Err(error) => {
                    contents = None;
                    Some(Err(error))
                }
            }
        })
    }

    /// What the database says against itself, for people. Nothing in a whole one.
    ///
    /// # Errors
    /// [`ErrorCode::RepoError`].
    pub fn contradictions(&self) -> Result<Vec<String>> {
        unless_it_panics(|| self.sled.contradictions())
    }

    /// All files that the database names, those of variants included.
    ///
    /// # Errors
    /// [`ErrorCode::RepoError`].
    pub fn files(&self) -> Result<Files> {
        let mut files = Vec::new();
        unless_it_panics(|| self.sled.each_file(|file| files.push(hash_of(file))))?;
        files.sort_unstable();
        Ok(Files(files))
    }

    /// The alias that is shown instead of one that is not found.
    ///
    /// # Errors
    /// [`ErrorCode::RepoError`].
    pub fn not_found_alias(&self) -> Result<Option<Alias>> {
        self.sled.not_found_alias()
    }
}

/// The library panics on some damage.
fn unless_it_panics<T>(read: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(broken("the library that reads it has given up")))
}

/// A path inside the folder of files.
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
