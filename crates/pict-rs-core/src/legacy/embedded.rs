//! What an embedded database of the existing pict-rs says, whichever library keeps it. The values are the
//! same; where they lie is told by [`Relations`].

use std::fmt::Debug;

use super::{Details, LegacyContent, Name, broken, file_inside, names};
use crate::{Alias, ContentKey, Result};

/// Length of the time prefix of an ordered content: nanoseconds of Unix time.
const TIME: usize = 16;

/// What a value is about and what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    /// By content: its time.
    Hashes,
    /// By content.
    Files,
    /// By content and operations: files.
    Variants,
    /// By content: files.
    Motions,
    /// By content.
    Blurhashes,
    /// By alias: its content.
    Contents,
    /// By alias.
    Tokens,
    /// By alias.
    Urls,
    /// By file.
    Details,
    /// By name.
    Settings,
}

/// A key, or a value.
pub(super) type Bytes = Vec<u8>;
/// One after another. After an error there may be no end of them.
pub(super) type Each<'a, T> = Box<dyn Iterator<Item = Result<T>> + 'a>;

/// Where a library keeps the relations.
pub(super) trait Relations: Debug + Send + Sync {
    /// Time and key of all contents, oldest first.
    fn ordered(&self) -> Each<'_, Bytes>;
    /// A value.
    fn get(&self, relation: Relation, key: &[u8]) -> Result<Option<Bytes>>;
    /// All keys and values of a relation. The key of a variant is not told apart.
    fn all(&self, relation: Relation) -> Each<'_, (Bytes, Bytes)>;
    /// The aliases that a content knows.
    fn aliases_of(&self, content: &[u8]) -> Each<'_, Bytes>;
    /// Whether a content knows an alias.
    fn knows(&self, content: &[u8], alias: &[u8]) -> Result<bool>;
}

/// All of an embedded database.
#[derive(Debug)]
pub(super) struct OldTables(Box<dyn Relations>);

impl OldTables {
    pub(super) fn new(rows: impl Relations + 'static) -> Self {
        Self(Box::new(rows))
    }

    pub(super) fn count(&self) -> Result<u64> {
        let mut count = 0;
        for key in self.0.ordered() {
            key?;
            count += 1;
        }
        Ok(count)
    }

    pub(super) fn contents(&self) -> impl Iterator<Item = Result<LegacyContent>> {
        let mut ordered = Some(self.0.ordered());
        std::iter::from_fn(move || match ordered.as_mut()?.next()? {
            Ok(key) => Some(self.content(&key)),
            Err(error) => {
                ordered = None;
                Some(Err(error))
            }
        })
    }

    /// Passes the file of every content and of every variant to `each`.
    pub(super) fn each_file(&self, mut each: impl FnMut(&[u8])) -> Result<()> {
        for relation in [Relation::Files, Relation::Variants, Relation::Motions] {
            for row in self.0.all(relation) {
                each(&row?.1);
            }
        }
        Ok(())
    }

    /// Inconsistencies between the relations. A truncated database opens without an error, but some of
    /// its relations know more than others.
    pub(super) fn contradictions(&self) -> Result<Vec<String>> {
        let mut ordered = Vec::new();
        for key in self.0.ordered() {
            ordered.push(key?.get(TIME..).unwrap_or_default().to_vec());
        }
        ordered.sort_unstable();
        let is_listed = |hash: &[u8]| {
            ordered
                .binary_search_by(|known| known[..].cmp(hash))
                .is_ok()
        };
        let has_file = |hash: &[u8]| {
            let file = self.0.get(Relation::Files, hash);
            file.map(|file| file.is_some())
        };
        let mut found = Vec::new();
        for row in self.0.all(Relation::Files) {
            let (hash, file) = row?;
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
        for row in self.0.all(Relation::Hashes) {
            let (hash, _) = row?;
            if !is_listed(&hash) && !has_file(&hash)? {
                found.push(format!("content {} has no file", hex::encode(&hash)));
            }
        }
        for row in self.0.all(Relation::Contents) {
            let (alias, hash) = row?;
            let is_known = is_listed(&hash) || has_file(&hash)?;
            if !is_known || !self.0.knows(&hash, &alias)? {
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
        for alias in self.0.aliases_of(hash) {
            let alias = names::alias(&alias?);
            names.push(alias.map_or_else(|_| "?".to_owned(), |alias| alias.to_string()));
        }
        Ok(names.join(", "))
    }

    pub(super) fn not_found_alias(&self) -> Result<Option<Alias>> {
        let found = self.0.get(Relation::Settings, b"404-alias")?;
        found.map(|bytes| names::alias(&bytes)).transpose()
    }

    fn content(&self, ordered: &[u8]) -> Result<LegacyContent> {
        let (time, hash) = ordered
            .split_first_chunk::<TIME>()
            .ok_or_else(|| broken("the time of a content is cut off"))?;
        let key = ContentKey::from_bytes(hash)
            .ok_or_else(|| broken("a content has no digest, size and format"))?;
        let created_at = i64::try_from(i128::from_be_bytes(*time) / 1_000_000)
            .map_err(|_| broken(format!("content {} is from no time", key.to_hex())))?;
        let file = text(self.0.get(Relation::Files, hash)?)?
            .ok_or_else(|| broken(format!("content {} has no file", key.to_hex())))?;
        let details = self.0.get(Relation::Details, file.as_bytes())?;
        // The engine reads details again, so they are rarely needed.
        let details = details.and_then(|json| serde_json::from_slice::<Details>(&json).ok());
        Ok(LegacyContent {
            key,
            file: file_inside(&file)?,
            created_at,
            blurhash: text(self.0.get(Relation::Blurhashes, hash)?)?,
            details,
            names: self
                .0
                .aliases_of(hash)
                .map(|alias| self.name(&alias?))
                .collect::<Result<_>>()?,
        })
    }

    fn name(&self, alias: &[u8]) -> Result<Name> {
        let name = names::alias(alias)?;
        let token = self.0.get(Relation::Tokens, alias)?;
        let token = token.ok_or_else(|| broken(format!("alias {name} has no delete token")))?;
        Ok(Name {
            token: names::token(&token)?,
            url: text(self.0.get(Relation::Urls, alias)?)?,
            alias: name,
        })
    }
}

fn text(bytes: Option<Bytes>) -> Result<Option<String>> {
    let text = bytes.map(String::from_utf8);
    text.transpose().map_err(|_| broken("a text is none"))
}
