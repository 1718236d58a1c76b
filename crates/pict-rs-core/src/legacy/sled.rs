//! The trees of the sled database of version 0.5.

use std::path::Path;

use ::sled::{Config, Db, IVec, Tree};

use super::embedded::{Bytes, Each, Relation, Relations};
use crate::{Error, ErrorCode, Result};

/// Bytes of memory for reading; the library's default is 1 GiB.
const CACHE: u64 = 64 << 20;

#[derive(Debug)]
pub(super) struct Trees {
    /// Time and content.
    ordered: Tree,
    hashes: Tree,
    files: Tree,
    variants: Tree,
    motions: Tree,
    blurhashes: Tree,
    /// By content and alias.
    aliases: Tree,
    contents: Tree,
    tokens: Tree,
    urls: Tree,
    details: Tree,
    settings: Tree,
    /// Closed when this goes.
    _database: Db,
}

impl Trees {
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let config = Config::new().path(folder).cache_capacity(CACHE);
        let database = config.open().map_err(|e| {
            let what = format!(
                "cannot open the sled database in {}, maybe because the existing pict-rs is running",
                folder.display()
            );
            Error::internal(ErrorCode::ConfigInvalid, what, e)
        })?;
        let tree = |name: &str| {
            let name = format!("pict-rs-{name}-tree");
            database.open_tree(name).map_err(failed)
        };
        Ok(Self {
            ordered: tree("hashes-inverse")?,
            hashes: tree("hashes")?,
            files: tree("hash-identifiers")?,
            variants: tree("hash-variant-identifiers")?,
            motions: tree("hash-motion-identifiers")?,
            contents: tree("alias-hashes")?,
            blurhashes: tree("hash-blurhashes")?,
            aliases: tree("hash-aliases")?,
            tokens: tree("alias-delete-tokens")?,
            urls: tree("inverse-proxy")?,
            details: tree("identifier-details")?,
            settings: tree("settings")?,
            _database: database,
        })
    }

    fn tree(&self, relation: Relation) -> &Tree {
        match relation {
            Relation::Hashes => &self.hashes,
            Relation::Files => &self.files,
            Relation::Variants => &self.variants,
            Relation::Motions => &self.motions,
            Relation::Blurhashes => &self.blurhashes,
            Relation::Contents => &self.contents,
            Relation::Tokens => &self.tokens,
            Relation::Urls => &self.urls,
            Relation::Details => &self.details,
            Relation::Settings => &self.settings,
        }
    }
}

impl Relations for Trees {
    fn ordered(&self) -> Each<'_, Bytes> {
        Box::new(self.ordered.iter().keys().map(bytes))
    }

    fn get(&self, relation: Relation, key: &[u8]) -> Result<Option<Bytes>> {
        let found = self.tree(relation).get(key).map_err(failed)?;
        Ok(found.map(|value| value.to_vec()))
    }

    fn all(&self, relation: Relation) -> Each<'_, (Bytes, Bytes)> {
        let rows = self.tree(relation).iter();
        Box::new(rows.map(|row| {
            let (key, value) = row.map_err(failed)?;
            Ok((key.to_vec(), value.to_vec()))
        }))
    }

    fn aliases_of(&self, content: &[u8]) -> Each<'_, Bytes> {
        Box::new(self.aliases.scan_prefix(content).values().map(bytes))
    }

    fn knows(&self, content: &[u8], alias: &[u8]) -> Result<bool> {
        let key = [content, alias].concat();
        self.aliases.contains_key(key).map_err(failed)
    }
}

fn bytes(found: ::sled::Result<IVec>) -> Result<Bytes> {
    Ok(found.map_err(failed)?.to_vec())
}

fn failed(error: ::sled::Error) -> Error {
    Error::internal(
        ErrorCode::RepoError,
        "cannot read the existing database",
        error,
    )
}
