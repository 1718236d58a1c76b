//! Names, keys and tokens. Strings from outside are converted into these types once, at the edge,
//! and trusted from then on.

pub(crate) mod url;

use std::fmt::{self, Write as _};

use base64::{Engine as _, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE};
use pict_rs_media::{Format, OutputFormat, operation};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use crate::{Error, ErrorCode, Result};

pub use url::SourceUrl;

/// The public name of an upload: what clients put into URLs. Several can name one content.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Alias(String);

impl Alias {
    /// Imported aliases come from file names, which are shorter than this on every system.
    pub(crate) const MAX_BYTES: usize = 1024;

    /// A new random alias, ending in the extension of `format`.
    pub fn generate(format: Format) -> Self {
        Self(format!("{}.{}", Uuid::new_v4(), format.extension()))
    }

    /// Any text can be an alias, unless it is empty or too long.
    ///
    /// # Errors
    /// Not found, because no alias is empty or this long.
    pub fn parse(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        if text.is_empty() || text.len() > Self::MAX_BYTES || text.contains('\0') {
            return Err(Error::alias_not_found());
        }
        Ok(Self(text))
    }

    /// The alias as written in URLs and in the database.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whom an upload belongs to, as an application with an API key says: the name or number of a user,
/// for example.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner(String);

impl Owner {
    const MAX_BYTES: usize = 200;

    /// Any text without control characters can be an owner, unless it is empty or too long.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidQuery`].
    pub fn parse(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        if text.is_empty() || text.chars().any(char::is_control) {
            let message = "An owner is a text without control characters, and not empty";
            return Err(Error::user(ErrorCode::InvalidQuery, message));
        }
        if text.len() > Self::MAX_BYTES {
            let message = format!(
                "An owner has at most {} bytes, found {}",
                Self::MAX_BYTES,
                text.len()
            );
            let error = Error::user(ErrorCode::InvalidQuery, message);
            return Err(error.limit(Self::MAX_BYTES).found(text.len()));
        }
        Ok(Self(text))
    }

    /// As the application wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The secret that lets its holder delete one alias.
#[derive(Clone)]
pub struct DeleteToken(String);

impl DeleteToken {
    /// A new random token.
    pub fn generate() -> Self {
        Self(Uuid::new_v4().to_string())
    }

    /// From a client or the database.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Stands for a token that only another server knows. It matches no token.
    pub(crate) fn unknown() -> Self {
        Self(String::new())
    }

    /// Whether this server knows the token.
    pub fn is_known(&self) -> bool {
        !self.0.is_empty()
    }

    /// The token as text, for the one client that may see it and for the database.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Compares in constant time for equal lengths.
    pub fn matches(&self, other: &Self) -> bool {
        self.is_known() & bool::from(self.0.as_bytes().ct_eq(other.0.as_bytes()))
    }
}

impl fmt::Debug for DeleteToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeleteToken(***)")
    }
}

/// Names one file of a backgrounded upload until its outcome is claimed. Knowing it is enough to
/// claim, so it is as secret as a delete token; only its beginning is printed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct UploadId(Uuid);

impl UploadId {
    /// A new random id.
    pub fn generate() -> Self {
        Self(Uuid::new_v4())
    }

    /// From a query or the database.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidQuery`] when it is not a UUID.
    pub fn parse(text: &str) -> Result<Self> {
        Uuid::parse_str(text).map(Self).map_err(|_| {
            Error::user(
                ErrorCode::InvalidQuery,
                format!("upload_id={text} is no UUID"),
            )
        })
    }

    /// The id as text, for the one client that may see it and for the database.
    pub fn expose(&self) -> String {
        self.0.to_string()
    }
}

impl fmt::Debug for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}…", self.0.as_fields().0)
    }
}

/// SHA-256 of some bytes, stored here or not.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; Self::BYTES]);

impl Digest {
    /// Length of a digest.
    pub const BYTES: usize = 32;

    /// Computes the digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// From a digest that was computed incrementally.
    pub(crate) fn computed(digest: [u8; Self::BYTES]) -> Self {
        Self(digest)
    }

    /// From the database.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// From hexadecimal digits: of a digest, or of a whole [`ContentKey`], which begins with one.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidQuery`].
    pub fn parse(text: &str) -> Result<Self> {
        let bytes = hex::decode(text).unwrap_or_default();
        match bytes.first_chunk() {
            Some(digest) if [Self::BYTES, ContentKey::BYTES].contains(&bytes.len()) => {
                Ok(Self(*digest))
            }
            _ => Err(Error::user(
                ErrorCode::InvalidQuery,
                "A hash is the SHA-256 of a file in 64 hexadecimal digits, or one of the hashes \
                 that /internal/hashes lists",
            )),
        }
    }

    /// All 32 bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// All 32 bytes in hexadecimal digits.
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

/// The identity of stored bytes: SHA-256 (32 bytes), length (6 bytes, big endian), format
/// (1 byte). The same 39 bytes as the existing pict-rs uses, so ETags and paging agree.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentKey([u8; Self::BYTES]);

impl ContentKey {
    /// Length of a key.
    pub const BYTES: usize = 39;

    /// From the digest of the stored bytes, their number and what they are.
    pub fn new(sha256: [u8; 32], size: u64, format: Format) -> Self {
        let mut key = [0; Self::BYTES];
        key[..32].copy_from_slice(&sha256);
        key[32..38].copy_from_slice(&size.to_be_bytes()[2..]);
        key[38] = format.byte();
        Self(key)
    }

    /// As [`ContentKey::new`].
    pub(crate) fn of(digest: Digest, size: u64, format: Format) -> Self {
        Self::new(digest.0, size, format)
    }

    /// From the database.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let key: [u8; Self::BYTES] = bytes.try_into().ok()?;
        Format::from_byte(key[38])?;
        Some(Self(key))
    }

    /// All 39 bytes in hexadecimal digits.
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }

    /// All 39 bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The digest of the stored bytes.
    pub fn digest(&self) -> Digest {
        let mut digest = [0; Digest::BYTES];
        digest.copy_from_slice(&self.0[..Digest::BYTES]);
        Digest(digest)
    }

    /// The number of stored bytes.
    pub fn size(&self) -> u64 {
        let mut size = [0; 8];
        size[2..].copy_from_slice(&self.0[32..38]);
        u64::from_be_bytes(size)
    }

    /// What the stored bytes are.
    pub fn format(&self) -> Format {
        Format::from_byte(self.0[38]).expect("both constructors put a known format here")
    }

    /// What caches in front know the content by, with all its variants.
    pub fn to_cache_tag(&self) -> String {
        tag_of_digest(&hex::encode(&self.0[..Digest::BYTES / 2]))
    }

    /// The key in URL-safe base64, as used for paging. It needs no padding.
    pub fn to_slug(&self) -> String {
        URL_SAFE.encode(self.0)
    }

    /// From [`ContentKey::to_slug`].
    pub fn from_slug(slug: &str) -> Option<Self> {
        Self::from_bytes(&URL_SAFE.decode(slug).ok()?)
    }

    /// The key in standard base64: the text inside a strong ETag.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.0)
    }

    /// From [`ContentKey::to_base64`].
    pub(crate) fn from_base64(text: &str) -> Option<Self> {
        Self::from_bytes(&STANDARD.decode(text).ok()?)
    }

    /// From [`ContentKey::to_hex`].
    pub(crate) fn from_hex(text: &str) -> Option<Self> {
        Self::from_bytes(&hex::decode(text).ok()?)
    }
}

impl fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

/// What caches in front know a content by, with all its variants, from the digest in hexadecimal
/// digits. Half of it is enough to tell contents apart.
pub(crate) fn tag_of_digest(digest: &str) -> String {
    format!("pict-rs-{}", digest.get(..32).unwrap_or(digest))
}

/// The location of bytes in the store: a random path under its root, never derived from content, so
/// that a late removal of an old copy cannot delete a new upload.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ObjectKey(String);

/// Prefix of the keys of waiting uploads. Other keys begin with two hexadecimal digits.
const WAITING: &str = "waiting/";

impl ObjectKey {
    /// A new random key, `ab/cd/<uuid>.<extension>`.
    pub fn generate(format: Format) -> Self {
        let uuid = Uuid::new_v4().simple().to_string();
        Self(format!(
            "{}/{}/{}.{}",
            &uuid[..2],
            &uuid[2..4],
            uuid,
            format.extension()
        ))
    }

    /// A new random key for a variant, `ab/<uuid>.<extension>`. Variants are small and numerous:
    /// with one more level, the folders would take as much space as the files.
    pub fn generate_for_variant(format: Format) -> Self {
        let uuid = Uuid::new_v4().simple().to_string();
        Self(format!("{}/{}.{}", &uuid[..2], uuid, format.extension()))
    }

    /// The same key below a prefix, such as `variant/ab/<uuid>.webp`.
    pub(crate) fn below(self, prefix: &str) -> Self {
        Self(format!("{prefix}/{}", self.0))
    }

    /// From the database. Not parsed, so that keys of other shapes stay valid.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The key of an upload that waits for its work. It contains the secret id of the upload, so
    /// only its beginning is printed.
    pub(crate) fn of_upload(id: &UploadId) -> Self {
        Self(format!("{WAITING}{}", id.expose()))
    }

    /// The upload whose key this is, if it is one.
    pub(crate) fn upload_id(&self) -> Option<UploadId> {
        UploadId::parse(self.0.strip_prefix(WAITING)?).ok()
    }

    /// The path under the store's root.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.upload_id() {
            Some(id) => write!(f, "{WAITING}{id:?}"),
            None => f.write_str(&self.0),
        }
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectKey({self})")
    }
}

/// What a variant is: canonical operations and format, e.g. `thumbnail/256/webp`. Equal keys
/// mean equal pictures.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VariantKey(String);

impl VariantKey {
    /// The longest key that is kept; no real request has this many operations.
    const MAX_BYTES: usize = 512;

    /// The key for these operations and this format.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidProcessPath`] when there are too many operations.
    pub fn new(operations: &[operation::Operation], format: OutputFormat) -> Result<Self> {
        Self::of_frame(None, None, operations, format)
    }

    /// As [`VariantKey::new`], for one frame: by its number, counted from 1, in an animation; by
    /// its time in milliseconds in a clip.
    ///
    /// # Errors
    /// As [`VariantKey::new`].
    pub fn of_frame(
        frame: Option<u32>,
        time: Option<u64>,
        operations: &[operation::Operation],
        format: OutputFormat,
    ) -> Result<Self> {
        let mut key = String::new();
        // Writing to a String cannot fail.
        if let Some(millis) = time {
            let _ = write!(key, "time/{}.{:03}/", millis / 1000, millis % 1000);
        }
        if let Some(frame) = frame {
            let _ = write!(key, "frame/{frame}/");
        }
        for operation in operations {
            let _ = write!(key, "{operation}/");
        }
        key.push_str(format.extension());
        if key.len() > Self::MAX_BYTES {
            return Err(Error::user(
                ErrorCode::InvalidProcessPath,
                format!(
                    "the operations take {} characters, the limit is {}",
                    key.len(),
                    Self::MAX_BYTES
                ),
            )
            .limit(Self::MAX_BYTES)
            .found(key.len()));
        }
        Ok(Self(key))
    }

    /// The key of the reduced copy whose longer side has this many pixels. No request has it, because
    /// `reduced` is not an operation.
    pub(crate) fn reduced(side: u32) -> Self {
        Self(format!("reduced/{side}/jpg"))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_key_keeps_size_and_format() {
        let key = ContentKey::new([7; 32], 0x1234_5678_9abc, Format::Webp);
        assert_eq!(key.size(), 0x1234_5678_9abc);
        assert_eq!(key.format(), Format::Webp);
        assert_eq!(ContentKey::from_bytes(key.as_bytes()), Some(key));
        assert_eq!(ContentKey::from_bytes(&key.as_bytes()[1..]), None);
        let mut unknown = *key.as_bytes().first_chunk::<39>().expect("39 bytes");
        unknown[38] = 200;
        assert_eq!(ContentKey::from_bytes(&unknown), None);
    }

    #[test]
    fn a_content_key_is_read_as_it_is_written() {
        let key = ContentKey::new([0xfb; 32], 77, Format::Png);
        assert_eq!(ContentKey::from_slug(&key.to_slug()), Some(key));
        assert!(!key.to_slug().contains(['+', '/', '=']));
        assert_eq!(ContentKey::from_base64(&key.to_base64()), Some(key));
        assert_eq!(ContentKey::from_hex(&key.to_hex()), Some(key));
        assert_eq!(ContentKey::from_hex(&key.digest().to_hex()), None);
        assert_eq!(ContentKey::from_slug("absent"), None);
        let digest = Digest::parse(&key.to_hex()).expect("valid");
        assert_eq!(digest, key.digest());
        assert_eq!(Digest::parse(&digest.to_hex()).expect("valid"), digest);
        for text in ["", "fb", "x", &digest.to_hex()[1..]] {
            let error = Digest::parse(text).expect_err("no digest");
            assert_eq!(error.code(), ErrorCode::InvalidQuery);
        }
    }

    #[test]
    fn tokens_match_only_themselves_and_never_print() {
        let token = DeleteToken::generate();
        assert!(token.matches(&DeleteToken::new(token.expose())));
        assert!(!token.matches(&DeleteToken::generate()));
        assert!(!DeleteToken::unknown().matches(&DeleteToken::unknown()));
        assert_eq!(format!("{token:?}"), "DeleteToken(***)");
    }

    #[test]
    fn an_upload_id_is_read_as_it_is_written_and_prints_only_its_beginning() {
        let id = UploadId::generate();
        assert_eq!(UploadId::parse(&id.expose()).expect("valid"), id);
        assert!(!format!("{id:?}").contains(&id.expose()[9..]));
        for text in ["", "x", "1c44265c-9c83-4f9f-9a61"] {
            let error = UploadId::parse(text).expect_err("no UUID");
            assert_eq!(error.code(), ErrorCode::InvalidQuery);
        }
    }

    #[test]
    fn impossible_aliases_are_not_found() {
        for text in ["", "a\0b", &"x".repeat(1025)] {
            let error = Alias::parse(text).expect_err("impossible");
            assert_eq!(error.code(), ErrorCode::AliasNotFound);
        }
        assert!(Alias::parse("ä b.png").is_ok());
    }
}
