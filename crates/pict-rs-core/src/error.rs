//! The one error of this crate, and the stable codes that clients see.
//!
//! Modules below convert their own errors into [`Error`] at their border. Messages about a user's
//! mistake go to the client unchanged; the source of an internal error goes only to the log.

use std::fmt;
use std::sync::Arc;

use pict_rs_media::limits::{LimitKind, Violation};
use serde::{Deserialize, Serialize};

/// The result of every fallible function of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Public, stable error codes. Codes may be added, but are never renamed or reused.
        /// `docs/errors.md` lists each with its HTTP status.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $($(#[$doc])* $name,)*
        }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// From the database, which keeps the codes of failed uploads.
            pub fn from_text(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| code.as_str() == text)
            }

            /// The code as written in error bodies.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

codes! {
    /// No such alias.
    AliasNotFound = "alias-not-found",
    /// No upload can be claimed under this id: it was claimed, it expired, or it never existed.
    AlreadyClaimed = "already-claimed",
    /// Another server uses the folder of the database or of the files.
    AlreadyRunning = "already-running",
    /// The request is not valid HTTP.
    BadRequest = "bad-request",
    /// The bytes are on the blocklist.
    Blocked = "blocked",
    /// A setting has a value that cannot work.
    ConfigInvalid = "config-invalid",
    /// This build cannot read the file as media.
    DiscoverError = "discover-error",
    /// This URL must not be fetched: its scheme, port or address is not allowed.
    DownloadFileError = "download-file-error",
    /// The name of an imported file is taken.
    DuplicateAlias = "duplicate-alias",
    /// The external validation gives no verdict.
    ExternalValidationUnavailable = "external-validation-unavailable",
    /// The external validation refused the file.
    FailedExternalValidation = "failed-external-validation",
    /// Reading or writing a stored or temporary file failed.
    FileIoError = "file-io-error",
    /// The multipart body is not what the upload route expects.
    FileUploadError = "file-upload-error",
    /// The path existed in older versions only.
    Gone = "gone",
    /// No such hash is on the blocklist.
    HashNotFound = "hash-not-found",
    /// The disk has no room for the write.
    InsufficientStorage = "insufficient-storage",
    /// The API key is missing or wrong, or none is configured.
    InvalidApiToken = "invalid-api-token",
    /// The delete token does not belong to the alias.
    InvalidDeleteToken = "invalid-delete-token",
    /// `process.{ext}` with an extension that cannot be written.
    InvalidFileExtension = "invalid-file-extension",
    /// The body is not the JSON that the path takes.
    InvalidJson = "invalid-json",
    /// A text is not a list of hashes.
    InvalidList = "invalid-list",
    /// An operation that does not exist or has a bad argument.
    InvalidProcessPath = "invalid-process-path",
    /// A query that lacks something or has a bad value.
    InvalidQuery = "invalid-query",
    /// The database has a row for the file, but the store lacks the file.
    LostFile = "lost-file",
    /// More would be removed at once than the settings allow.
    MassRemoval = "mass-removal",
    /// The file is damaged: its pixels cannot be decoded.
    MediaDamaged = "media-damaged",
    /// This kind of media is not allowed here.
    MediaDisallowed = "media-disallowed",
    /// The media engine failed on data that it should have handled.
    MediaFailed = "media-failed",
    /// The path does not allow this method.
    MethodNotAllowed = "method-not-allowed",
    /// A file has no PDQ hash.
    NoPdq = "no-pdq",
    /// There is nothing at this path.
    NotFound = "not-found",
    /// The request's deadline is not a time.
    ParseDeadline = "parse-deadline",
    /// The server that this one takes over from answered with an error.
    PredecessorError = "predecessor-error",
    /// The server that this one takes over from does not answer.
    PredecessorUnavailable = "predecessor-unavailable",
    /// Media work took longer than `media.process_timeout`.
    ProcessTimeout = "process-timeout",
    /// A program that the work needs is not installed.
    ProgramMissing = "program-missing",
    /// Proxied media cannot be used for this.
    ProxyNotAllowed = "proxy-not-allowed",
    /// Nothing belongs to this owner.
    OwnerNotFound = "owner-not-found",
    /// The originals of an owner would have more bytes than allowed.
    OwnerQuota = "owner-quota",
    /// The URL has not been proxied.
    ProxyNotFound = "proxy-not-found",
    /// The asked range does not lie inside the file.
    RangeNotSatisfiable = "range-not-satisfiable",
    /// The server is in read-only mode.
    ReadOnly = "read-only",
    /// The database failed.
    RepoError = "repo-error",
    /// The database cannot be reached at the moment, or ended a transaction because of others.
    RepoUnavailable = "repo-unavailable",
    /// The request's deadline has passed.
    RequestTimeout = "request-timeout",
    /// The folder of files is not the one that belongs to the database.
    StoreMismatch = "store-mismatch",
    /// The bucket of files cannot be used at the moment.
    StoreUnavailable = "store-unavailable",
    /// The body did not arrive in time.
    StreamTooSlow = "stream-too-slow",
    /// SVG files are not accepted.
    SvgDisabled = "svg-disabled",
    /// Too much media work is waiting already.
    TooBusy = "too-busy",
    /// Any other internal error.
    UnknownError = "unknown-error",
    /// The body of a request is compressed.
    UnsupportedEncoding = "unsupported-encoding",
    /// Another server could not be reached, refused, or broke off.
    UpstreamError = "upstream-error",
    /// Another server did not deliver in time.
    UpstreamTimeout = "upstream-timeout",
    /// More pixels than allowed.
    ValidateArea = "validate-area",
    /// An empty file.
    ValidateFileEmpty = "validate-file-empty",
    /// More bytes than allowed.
    ValidateFileSize = "validate-file-size",
    /// More frames than allowed.
    ValidateFrames = "validate-frames",
    /// Taller than allowed.
    ValidateHeight = "validate-height",
    /// The work would need more memory than the server may use.
    ValidateMemory = "validate-memory",
    /// An upload without a file.
    ValidateNoFiles = "validate-no-files",
    /// Wider than allowed.
    ValidateWidth = "validate-width",
    /// Videos are not accepted.
    VideoDisabled = "video-disabled",
}

/// What a client is told about its mistake.
///
/// `msg` is what the existing pict-rs says, because clients show it and some compare it. The other
/// fields say more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserMessage {
    /// A short sentence.
    pub msg: String,
    /// What exactly was wrong, as a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The value of the limit that was exceeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// What was found instead, in the unit of the limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<u64>,
}

impl fmt::Display for UserMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.msg)?;
        match &self.detail {
            Some(detail) => write!(f, ": {detail}"),
            None => Ok(()),
        }
    }
}

impl From<String> for UserMessage {
    fn from(msg: String) -> Self {
        Self {
            msg,
            detail: None,
            limit: None,
            found: None,
        }
    }
}

/// What went wrong, divided by who must act on it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller's mistake; the message is meant for the caller.
    #[error("{message}")]
    User {
        /// The stable code.
        code: ErrorCode,
        /// For the caller: what was wrong, the limit and what was found.
        message: UserMessage,
    },
    /// An internal error. The message and its sources are meant only for the log.
    #[error("{message}")]
    Internal {
        /// The stable code.
        code: ErrorCode,
        /// For the log: what the server was doing.
        message: String,
        /// The underlying error.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// One failure that several callers were waiting for.
    #[error(transparent)]
    Shared(Arc<Error>),
}

impl Error {
    /// The caller's mistake. [`Error::detail`], [`Error::limit`] and [`Error::found`] say more.
    pub fn user(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::User {
            code,
            message: message.into().into(),
        }
    }

    /// An error that was already reported, read from the database.
    pub(crate) fn told(code: ErrorCode, message: UserMessage) -> Self {
        Self::User { code, message }
    }

    /// Says what exactly was wrong, as a sentence.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        if let Self::User { message, .. } = &mut self {
            message.detail = Some(detail.into());
        }
        self
    }

    /// Names the value of the limit that was exceeded.
    #[must_use]
    pub fn limit(mut self, limit: impl TryInto<u64>) -> Self {
        if let Self::User { message, .. } = &mut self {
            message.limit = limit.try_into().ok();
        }
        self
    }

    /// Names what was found instead.
    #[must_use]
    pub fn found(mut self, found: impl TryInto<u64>) -> Self {
        if let Self::User { message, .. } = &mut self {
            message.found = found.try_into().ok();
        }
        self
    }

    /// An internal error and its source.
    pub fn internal(
        code: ErrorCode,
        message: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Internal {
            code,
            message: message.into(),
            source: Some(source.into()),
        }
    }

    /// A file could not be read or written. A full disk has its own code, because it passes when
    /// space is freed.
    pub(crate) fn io(message: impl Into<String>, error: std::io::Error) -> Self {
        use std::io::ErrorKind;
        let code = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => ErrorCode::InsufficientStorage,
            _ => ErrorCode::FileIoError,
        };
        Self::internal(code, message, error)
    }

    /// No media has this alias.
    pub fn alias_not_found() -> Self {
        Self::user(ErrorCode::AliasNotFound, "No media has this alias")
    }

    /// The stable code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::User { code, .. } | Self::Internal { code, .. } => *code,
            Self::Shared(error) => error.code(),
        }
    }

    /// Whether the caller caused the error; then the message is meant for the caller.
    pub fn is_users(&self) -> bool {
        match self {
            Self::User { .. } => true,
            Self::Internal { .. } => false,
            Self::Shared(error) => error.is_users(),
        }
    }

    /// What the caller is told, if it was the caller's mistake.
    pub fn user_message(&self) -> Option<&UserMessage> {
        match self {
            Self::User { message, .. } => Some(message),
            Self::Internal { .. } => None,
            Self::Shared(error) => error.user_message(),
        }
    }

    /// Wraps an error for each of several callers.
    pub(crate) fn shared(error: Arc<Self>) -> Self {
        Self::Shared(error)
    }
}

impl From<Violation> for Error {
    fn from(violation: Violation) -> Self {
        let code = match violation.limit {
            LimitKind::Width => ErrorCode::ValidateWidth,
            LimitKind::Height => ErrorCode::ValidateHeight,
            LimitKind::Area => ErrorCode::ValidateArea,
            LimitKind::Frames => ErrorCode::ValidateFrames,
            LimitKind::FileSize | LimitKind::MediaFileSize => ErrorCode::ValidateFileSize,
            LimitKind::Memory => ErrorCode::ValidateMemory,
        };
        Self::user(code, violation.title())
            .detail(violation.detail())
            .limit(violation.allowed)
            .found(violation.found)
    }
}

impl From<pict_rs_media::Error> for Error {
    fn from(error: pict_rs_media::Error) -> Self {
        use pict_rs_media::Error as Media;
        match error {
            Media::Empty => Self::user(ErrorCode::ValidateFileEmpty, "Uploaded file is empty"),
            Media::Unrecognised | Media::Unsupported(_) => {
                Self::user(ErrorCode::DiscoverError, error.to_string())
            }
            Media::Corrupt { .. } => Self::user(ErrorCode::MediaDamaged, error.to_string()),
            Media::Limit(violation) => violation.into(),
            Media::Cancelled => Self::user(ErrorCode::ProcessTimeout, "Processing took too long"),
            Media::Internal(_) => {
                Self::internal(ErrorCode::MediaFailed, "the media engine failed", error)
            }
        }
    }
}

impl From<pict_rs_media::operation::ParseError> for Error {
    fn from(error: pict_rs_media::operation::ParseError) -> Self {
        Self::user(ErrorCode::InvalidProcessPath, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_keeps_the_short_sentence_and_tells_the_rest_beside_it() {
        let violation = Violation {
            limit: LimitKind::Width,
            allowed: 100,
            found: 1200,
        };
        let error = Error::from(violation);
        assert_eq!(error.code(), ErrorCode::ValidateWidth);
        let told = error.user_message().expect("a mistake of the client");
        assert_eq!(told.msg, "Too wide");
        assert_eq!((told.limit, told.found), (Some(100), Some(1200)));
        let detail = told.detail.as_deref().expect("a sentence");
        assert!(
            detail.contains("1200") && detail.contains("100"),
            "{detail}"
        );
        assert_eq!(error.to_string(), format!("Too wide: {detail}"));
        let shared = Error::shared(Arc::new(error));
        assert_eq!(
            shared.user_message().map(|told| told.limit),
            Some(Some(100))
        );
    }

    #[test]
    fn a_fault_of_ours_tells_nothing() {
        let error = Error::internal(ErrorCode::RepoError, "secret", std::io::Error::other("x"))
            .detail("secret")
            .limit(1u64)
            .found(2u64);
        assert_eq!(error.user_message(), None);
    }
}
