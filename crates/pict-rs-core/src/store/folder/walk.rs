//! Walks through all files of the store in batches: memory does not grow with the number of files.

use std::fs::{self, ReadDir};
use std::io;
use std::path::Path;
use std::time::SystemTime;

use super::{Folder, identity};
use crate::{Error, ObjectKey, Result};

/// The result of checking an object that no row seems to name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// It is gone, or about to get a row.
    Moving,
    /// It is too young to be judged.
    Young,
    /// It exists and takes this many bytes.
    Lies(u64),
}

impl Folder {
    /// Passes the names of all files except unfinished ones to `each`, `batch` at a time, until it
    /// returns false; waiting uploads by their keys. Files that appear or disappear meanwhile may be
    /// missed. Blocks.
    ///
    /// # Errors
    /// [`crate::ErrorCode::FileIoError`] when a folder cannot be read.
    pub(in crate::store) fn walk(
        &self,
        batch: usize,
        mut each: impl FnMut(Vec<ObjectKey>) -> bool,
    ) -> Result<()> {
        let failed = |error| Error::io("cannot list the objects", error);
        let mut open: Vec<ReadDir> = open_folder(&self.root)
            .map_err(failed)?
            .into_iter()
            .collect();
        let mut names = Vec::with_capacity(batch);
        while let Some(folder) = open.last_mut() {
            let Some(entry) = folder.next() else {
                open.pop();
                continue;
            };
            let entry = entry.map_err(failed)?;
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                // Below it are folders of helper programs.
                if path.parent() != Some(&*self.incoming) {
                    open.extend(open_folder(&path).map_err(failed)?);
                }
                continue;
            }
            // A name that is not UTF-8 is not ours.
            names.extend(match path.parent() == Some(&*self.incoming) {
                true => waiting(&path),
                false => (self.name(&path)).filter(|name| name.as_str() != identity::FILE),
            });
            if names.len() == batch && !each(std::mem::take(&mut names)) {
                return Ok(());
            }
        }
        if !names.is_empty() {
            each(names);
        }
        Ok(())
    }

    /// Checks an object that the database did not know. The database must be asked again
    /// afterwards: a row may have been committed before the marker was removed. Blocks.
    pub(in crate::store) fn look_at(&self, object: &ObjectKey, written_before: SystemTime) -> Look {
        if self.marker(object).is_some_and(|marker| marker.exists()) {
            return Look::Moving;
        }
        match fs::metadata(self.path(object)) {
            Ok(file) if file.modified().is_ok_and(|time| time <= written_before) => {
                Look::Lies(file.len())
            }
            Ok(_) => Look::Young,
            Err(_) => Look::Moving,
        }
    }

    /// Whether a file with this name could be one of ours: `0a/1b/0a1b….png`, or `0a/0a1b….png` for
    /// a variant.
    pub(in crate::store) fn is_ours(name: &str) -> bool {
        let parts: Vec<_> = name.split('/').collect();
        let (first, second, name) = match parts[..] {
            [first, second, name] if second.len() == 2 => (first, second, name),
            [first, name] => (first, "", name),
            _ => return false,
        };
        let stem = name.split('.').next().unwrap_or_default();
        stem.len() == 32
            && stem
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
            && first.len() == 2
            && stem.starts_with(first)
            && stem[2..].starts_with(second)
    }

    fn name(&self, path: &Path) -> Option<ObjectKey> {
        let name: &Path = path.strip_prefix(&*self.root).ok()?;
        name.to_str().map(ObjectKey::new)
    }
}

/// The key of a waiting upload, whose file this is. Everything else in its folder is unfinished.
fn waiting(path: &Path) -> Option<ObjectKey> {
    let name = path.file_name()?.to_str()?;
    super::id_of(name).map(|id| ObjectKey::of_upload(&id))
}

/// `None` when it is gone.
fn open_folder(path: &Path) -> io::Result<Option<ReadDir>> {
    match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}
