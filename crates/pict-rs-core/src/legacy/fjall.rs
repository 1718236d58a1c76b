//! The keyspace of the fjall database of version 0.6, in which everything is a path: names and values in
//! turn, with dots between them, as in `hash.….alias.….empty`.

use std::path::Path;

use ::fjall::{Database, Guard, Keyspace, KeyspaceCreateOptions};

use super::broken;
use super::embedded::{Bytes, Each, Relation, Relations};
use crate::{Error, ErrorCode, Result};

const KEYSPACE: &str = "fjall-keyspace";
/// Between the parts of a path.
const DOT: u8 = b'.';
/// Stands before a dot, or another one of these, that belongs to a value.
const ESCAPE: u8 = b'\\';
/// Length of the time of a content, before whatever makes it unique.
const TIME: usize = 16;

pub(super) struct Paths {
    rows: Keyspace,
    /// Closed when this goes.
    _database: Database,
}

impl std::fmt::Debug for Paths {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Paths").finish_non_exhaustive()
    }
}

impl Paths {
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let database = Database::builder(folder).worker_threads(1).open();
        let database = database.map_err(|e| {
            let what = format!("cannot open the fjall database in {}", folder.display());
            Error::internal(ErrorCode::ConfigInvalid, what, e)
        })?;
        // Opening would make it.
        if !database.keyspace_exists(KEYSPACE) {
            return Err(broken(format!("it has no keyspace '{KEYSPACE}'")));
        }
        let rows = database.keyspace(KEYSPACE, KeyspaceCreateOptions::default);
        Ok(Self {
            rows: rows.map_err(failed)?,
            _database: database,
        })
    }

    /// The paths below one, and their values.
    fn below(&self, path: &[&[u8]]) -> impl Iterator<Item = Result<(Vec<Bytes>, Bytes)>> + use<> {
        let mut prefix = join(path);
        prefix.push(DOT);
        self.rows.prefix(prefix).map(read)
    }
}

/// Names before and after the key of a relation.
fn names(relation: Relation) -> (&'static [u8], &'static [u8]) {
    match relation {
        Relation::Hashes => (b"hash", b"created"),
        Relation::Files | Relation::Variants => (b"hash", b"identifier"),
        Relation::Motions => (b"hash", b"motion-identifier"),
        Relation::Blurhashes => (b"hash", b"blurhash"),
        Relation::Contents => (b"alias", b"hash"),
        Relation::Tokens => (b"alias", b"delete-token"),
        Relation::Urls => (b"alias", b"proxy"),
        Relation::Details => (b"identifier", b"details"),
        Relation::Settings => (b"setting", b"settings-value"),
    }
}

impl Relations for Paths {
    fn ordered(&self) -> Each<'_, Bytes> {
        let rows = self.below(&[b"created"]).filter_map(|row| match row {
            Ok((path, hash)) => match &path[..] {
                [_, time, name] if name == b"hash" => {
                    let time = time.get(..TIME).unwrap_or(time);
                    Some(Ok([time, &hash].concat()))
                }
                _ => None,
            },
            Err(error) => Some(Err(error)),
        });
        Box::new(rows)
    }

    fn get(&self, relation: Relation, key: &[u8]) -> Result<Option<Bytes>> {
        let (kind, name) = names(relation);
        let found = self.rows.get(join(&[kind, key, name])).map_err(failed)?;
        Ok(found.map(|value| value.to_vec()))
    }

    fn all(&self, relation: Relation) -> Each<'_, (Bytes, Bytes)> {
        let (kind, name) = names(relation);
        let rows = self.below(&[kind]).filter_map(move |row| match row {
            Ok((mut path, value)) => {
                let is_here = match &path[..] {
                    [_, _, last] => relation != Relation::Variants && last == name,
                    [_, _, part, _, last] => {
                        relation == Relation::Variants && part == b"variant" && last == name
                    }
                    _ => false,
                };
                is_here.then(|| Ok((path.swap_remove(1), value)))
            }
            Err(error) => Some(Err(error)),
        });
        Box::new(rows)
    }

    fn aliases_of(&self, content: &[u8]) -> Each<'_, Bytes> {
        let rows = self.below(&[b"hash", content, b"alias"]);
        Box::new(rows.filter_map(|row| match row {
            Ok((mut path, _)) => (path.len() == 5).then(|| Ok(path.swap_remove(3))),
            Err(error) => Some(Err(error)),
        }))
    }

    fn knows(&self, content: &[u8], alias: &[u8]) -> Result<bool> {
        let path = join(&[b"hash", content, b"alias", alias, b"empty"]);
        self.rows.contains_key(path).map_err(failed)
    }
}

fn read(row: Guard) -> Result<(Vec<Bytes>, Bytes)> {
    let (key, value) = row.into_inner().map_err(failed)?;
    Ok((split(&key), value.to_vec()))
}

fn join(parts: &[&[u8]]) -> Bytes {
    let mut path = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            path.push(DOT);
        }
        for byte in *part {
            if matches!(*byte, DOT | ESCAPE) {
                path.push(ESCAPE);
            }
            path.push(*byte);
        }
    }
    path
}

fn split(path: &[u8]) -> Vec<Bytes> {
    let mut parts = Vec::new();
    let mut part = Vec::new();
    let mut bytes = path.iter();
    while let Some(byte) = bytes.next() {
        match *byte {
            ESCAPE => part.extend(bytes.next()),
            DOT => parts.push(std::mem::take(&mut part)),
            byte => part.push(byte),
        }
    }
    parts.push(part);
    parts
}

fn failed(error: ::fjall::Error) -> Error {
    Error::internal(
        ErrorCode::RepoError,
        "cannot read the existing database",
        error,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_with_dots_are_one_part_of_a_path() {
        let parts: [&[u8]; 5] = [b"hash", b".\\.\\\\", b"alias", b"a cat.png", b"empty"];
        let path = join(&parts);
        assert_eq!(path, b"hash.\\.\\\\\\.\\\\\\\\.alias.a cat\\.png.empty");
        assert_eq!(split(&path), parts);
    }
}
