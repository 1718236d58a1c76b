//! The trees of the sled database of version 0.5.

use std::path::Path;

use ::sled::{Config, Db, IVec, Tree};

use super::{Content, Details, Name, broken, file_inside, names};
use crate::{Alias, ContentKey, Error, ErrorCode, Result};

/// Length of the time prefix in the ordered tree: nanoseconds of Unix time.
const TIME: usize = 16;

/// Bytes of memory for reading; the library's default is 1 GiB.
const CACHE: u64 = 64 << 20;

#[derive(Debug)]
pub(super) struct Database {
    /// Time and content.
    ordered: Tree,
    /// By content: its time.
    hashes: Tree,
    /// By content.
    files: Tree,
    /// By content and operations.
    variants: Tree,
    /// By content.
    motions: Tree,
    blurhashes: Tree,
    /// By content and alias.
    aliases: Tree,
    /// By alias: its content.
    contents: Tree,
    /// By alias.
    tokens: Tree,
    urls: Tree,
    /// By file.
    details: Tree,
    settings: Tree,
    /// Closed when this goes.
    _database: Db,
}

impl Database {
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

    pub(super) fn count(&self) -> usize {
        self.ordered.len()
    }

    pub(super) fn contents(&self) -> impl Iterator<Item = Result<Content>> {
        let mut keys = Some(self.ordered.iter().keys());
        std::iter::from_fn(move || match keys.as_mut()?.next()? {
            Ok(key) => Some(self.content(&key)),
            // The library would return the same error for ever.
            Err(error) => {
                keys = None;
                Some(Err(failed(error)))
            }
        })
    }

    /// Passes the file of every content and of every variant to `each`.
    pub(super) fn each_file(&self, mut each: impl FnMut(&[u8])) -> Result<()> {
        for tree in [&self.files, &self.variants, &self.motions] {
            for file in tree.iter().values() {
                each(&file.map_err(failed)?);
            }
        }
        Ok(())
    }

    /// Inconsistencies between the trees. A truncated database opens without an error, but some of
    /// its trees know more than others.
    pub(super) fn contradictions(&self) -> Result<Vec<String>> {
        let mut ordered = Vec::with_capacity(self.ordered.len());
        for key in self.ordered.iter().keys() {
            let key = key.map_err(failed)?;
            ordered.push(key.get(TIME..).unwrap_or_default().to_vec());
        }
        ordered.sort_unstable();
        let is_listed = |hash: &[u8]| {
            ordered
                .binary_search_by(|known| known[..].cmp(hash))
                .is_ok()
        };
        let mut found = Vec::new();
        for entry in self.files.iter() {
            let (hash, file) = entry.map_err(failed)?;
            if !is_listed(&hash) {
                let file = String::from_utf8_lossy(&file).into_owned();
                let names = self.names_of(&hash)?;
                found.push(format!(
                    "content {} with the file {file} and the aliases {names} is not in the list of \
                     contents",
                    hex::encode(&hash)
                ));
            }
        }
        for hash in self.hashes.iter().keys() {
            let hash = hash.map_err(failed)?;
            if !is_listed(&hash) && !self.files.contains_key(&hash).map_err(failed)? {
                found.push(format!("content {} has no file", hex::encode(&hash)));
            }
        }
        for entry in self.contents.iter() {
            let (alias, hash) = entry.map_err(failed)?;
            let key = [&hash[..], &alias[..]].concat();
            let is_known = is_listed(&hash) || self.files.contains_key(&hash).map_err(failed)?;
            if !is_known || !self.aliases.contains_key(key).map_err(failed)? {
                let name = names::alias(&alias)
                    .map_or_else(|_| hex::encode(&alias), |alias| alias.to_string());
                found.push(format!(
                    "alias {name} names content {}, which does not know it",
                    hex::encode(&hash)
                ));
            }
        }
        Ok(found)
    }

    /// The aliases of a content, for people.
    fn names_of(&self, hash: &[u8]) -> Result<String> {
        let mut names = Vec::new();
        for alias in self.aliases.scan_prefix(hash).values() {
            let alias = names::alias(&alias.map_err(failed)?);
            names.push(alias.map_or_else(|_| "?".to_owned(), |alias| alias.to_string()));
        }
        Ok(names.join(", "))
    }

    pub(super) fn not_found_alias(&self) -> Result<Option<Alias>> {
        let found = self.settings.get("404-alias").map_err(failed)?;
        found.map(|bytes| names::alias(&bytes)).transpose()
    }

    fn content(&self, ordered: &[u8]) -> Result<Content> {
        let (time, hash) = ordered
            .split_first_chunk::<TIME>()
            .ok_or_else(|| broken("the time of a content is cut off"))?;
        let key = ContentKey::from_bytes(hash)
            .ok_or_else(|| broken("a content has no digest, size and format"))?;
        let created_at = i64::try_from(i128::from_be_bytes(*time) / 1_000_000)
            .map_err(|_| broken(format!("content {} is from no time", key.to_hex())))?;
        let file = text(self.files.get(hash).map_err(failed)?)?
            .ok_or_else(|| broken(format!("content {} has no file", key.to_hex())))?;
        let details = self.details.get(&file).map_err(failed)?;
        // The engine reads details again, so they are rarely needed.
        let details = details.and_then(|json| serde_json::from_slice::<Details>(&json).ok());
        let names = self.aliases.scan_prefix(hash).values();
        Ok(Content {
            key,
            file: file_inside(&file)?,
            created_at,
            blurhash: text(self.blurhashes.get(hash).map_err(failed)?)?,
            details,
            names: names
                .map(|alias| self.name(&alias.map_err(failed)?))
                .collect::<Result<_>>()?,
        })
    }

    fn name(&self, alias: &[u8]) -> Result<Name> {
        let name = names::alias(alias)?;
        let token = self.tokens.get(alias).map_err(failed)?;
        let token = token.ok_or_else(|| broken(format!("alias {name} has no delete token")))?;
        Ok(Name {
            token: names::token(&token)?,
            url: text(self.urls.get(alias).map_err(failed)?)?,
            alias: name,
        })
    }
}

fn text(bytes: Option<IVec>) -> Result<Option<String>> {
    let text = bytes.map(|bytes| String::from_utf8(bytes.to_vec()));
    text.transpose().map_err(|_| broken("a text is none"))
}

fn failed(error: ::sled::Error) -> Error {
    Error::internal(
        ErrorCode::RepoError,
        "cannot read the existing database",
        error,
    )
}
