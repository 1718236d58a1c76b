//! What the keys of objects in a bucket begin with, so that rules of the bucket can tell them apart.

use pict_rs_media::Format;

use super::{Objects, Store};
use crate::ObjectKey;

/// What an object is. In a bucket its key begins with the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefix {
    /// Of an upload.
    Original,
    /// Fetched for the proxy. An upload of the same bytes gets an object of its own.
    Proxied,
    /// Made from one of the others.
    Variant,
}

impl Prefix {
    /// Every prefix.
    pub(super) const ALL: [Self; 3] = [Self::Original, Self::Proxied, Self::Variant];

    /// As in keys, without the slash.
    pub fn name(self) -> &'static str {
        match self {
            Self::Original => "original",
            Self::Proxied => "proxied",
            Self::Variant => "variant",
        }
    }

    /// The prefix of a key, and the rest of it.
    pub(super) fn split(object: &ObjectKey) -> Option<(Self, &str)> {
        let (name, rest) = object.as_str().split_once('/')?;
        let prefix = Self::ALL.into_iter().find(|prefix| prefix.name() == name)?;
        Some((prefix, rest))
    }
}

impl Store {
    /// A new random key. In a folder there are no prefixes.
    pub fn new_key(&self, prefix: Prefix, format: Format) -> ObjectKey {
        let key = match prefix {
            Prefix::Original | Prefix::Proxied => ObjectKey::generate(format),
            Prefix::Variant => ObjectKey::generate_for_variant(format),
        };
        match &self.objects {
            Objects::Folder(_) => key,
            Objects::Bucket(_) => key.below(prefix.name()),
        }
    }

    /// Whether a rule of the bucket may remove the second object before the first: it was fetched,
    /// and the first was uploaded.
    pub fn outlives(&self, first: &ObjectKey, second: &ObjectKey) -> bool {
        let prefix = |object| Prefix::split(object).map(|(prefix, _)| prefix);
        let (first, second) = (prefix(first), prefix(second));
        first == Some(Prefix::Original) && second == Some(Prefix::Proxied)
    }
}
