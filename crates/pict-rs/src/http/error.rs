//! Turns errors into answers: the only table of codes and statuses.

use std::error::Error as _;
use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT_ENCODING, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use pict_rs_core::{Error, ErrorCode, UserMessage};

/// The result of every handler.
pub type Result<T, E = ApiError> = std::result::Result<T, E>;

/// An error that is sent to a client.
#[derive(Debug)]
pub struct ApiError(pub Error);

impl<E: Into<Error>> From<E> for ApiError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        status(self.0.code())
    }

    fn error_response(&self) -> HttpResponse {
        let code = self.0.code();
        let mut response = HttpResponse::build(status(code));
        match code {
            // Is remembered for as long (`state::failures` of the core).
            ErrorCode::MediaFailed | ErrorCode::ProcessTimeout => {
                response.insert_header((RETRY_AFTER, "60"));
            }
            _ if status(code) == StatusCode::SERVICE_UNAVAILABLE => {
                response.insert_header((RETRY_AFTER, "2"));
            }
            _ => {}
        }
        if code == ErrorCode::UnsupportedEncoding {
            // Tells the client which codings are supported in request bodies (RFC 9110, section
            // 12.5.3).
            response.insert_header((ACCEPT_ENCODING, "identity"));
        }
        response.json(body(&self.0))
    }
}

/// The JSON body of every error.
pub fn body(error: &Error) -> serde_json::Value {
    let code = error.code();
    let told = match error.user_message() {
        Some(message) => message.clone(),
        // Internal errors are only for the log.
        None => UserMessage::from(fault(code).to_owned()),
    };
    serde_json::json!(ErrorBody {
        told,
        code: code.as_str(),
    })
}

#[derive(serde::Serialize)]
struct ErrorBody {
    #[serde(flatten)]
    told: UserMessage,
    code: &'static str,
}

/// The error behind an answer, if one of our handlers returned it.
pub fn cause(error: &actix_web::Error) -> Option<&Error> {
    let api = error.as_error::<ApiError>().map(|ApiError(error)| error);
    api.or_else(|| error.as_error::<Unhealthy>().map(|Unhealthy(error)| error))
}

impl ApiError {
    /// A client's mistake that only the HTTP side detects.
    pub fn user(code: ErrorCode, message: impl Into<String>) -> Self {
        Self(Error::user(code, message))
    }
}

/// Why the server cannot do its work: 503, whatever status the error usually has.
#[derive(Debug)]
pub struct Unhealthy(pub Error);

impl fmt::Display for Unhealthy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&with_cause(&self.0))
    }
}

impl ResponseError for Unhealthy {
    fn status_code(&self) -> StatusCode {
        StatusCode::SERVICE_UNAVAILABLE
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::ServiceUnavailable()
            .insert_header((RETRY_AFTER, "10"))
            .json(body(&self.0))
    }
}

/// An error with its causes, for clients that may also read the log.
pub fn with_cause(fault: &Error) -> String {
    match fault.source() {
        Some(source) => format!("{fault}: {source}"),
        None => fault.to_string(),
    }
}

/// The status of each code.
pub fn status(code: ErrorCode) -> StatusCode {
    use ErrorCode as Code;
    match code {
        Code::AliasNotFound
        | Code::HashNotFound
        | Code::NotFound
        | Code::OwnerNotFound
        | Code::ProxyNotFound => StatusCode::NOT_FOUND,
        Code::Gone => StatusCode::GONE,
        Code::AlreadyRunning
        | Code::ConfigInvalid
        | Code::FileIoError
        | Code::LostFile
        | Code::MediaFailed
        | Code::RepoError
        | Code::UnknownError => StatusCode::INTERNAL_SERVER_ERROR,
        Code::AlreadyClaimed
        | Code::BadRequest
        | Code::Blocked
        | Code::DiscoverError
        | Code::DownloadFileError
        | Code::DuplicateAlias
        | Code::FailedExternalValidation
        | Code::FileUploadError
        | Code::InvalidFileExtension
        | Code::InvalidJson
        | Code::InvalidList
        | Code::InvalidProcessPath
        | Code::InvalidQuery
        | Code::MediaDamaged
        | Code::MediaDisallowed
        | Code::NoPdq
        | Code::ParseDeadline
        | Code::ProcessTimeout
        | Code::ProxyNotAllowed
        | Code::ReadOnly
        | Code::StreamTooSlow
        | Code::SvgDisabled
        | Code::ValidateArea
        | Code::ValidateFileEmpty
        | Code::ValidateFrames
        | Code::ValidateHeight
        | Code::ValidateMemory
        | Code::ValidateNoFiles
        | Code::ValidateWidth
        | Code::VideoDisabled => StatusCode::BAD_REQUEST,
        Code::MassRemoval | Code::StoreMismatch => StatusCode::CONFLICT,
        Code::InvalidApiToken => StatusCode::UNAUTHORIZED,
        Code::InvalidDeleteToken => StatusCode::FORBIDDEN,
        Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Code::RangeNotSatisfiable => StatusCode::RANGE_NOT_SATISFIABLE,
        Code::ProgramMissing => StatusCode::NOT_IMPLEMENTED,
        Code::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        Code::ExternalValidationUnavailable
        | Code::InsufficientStorage
        | Code::PredecessorUnavailable
        | Code::RepoUnavailable
        | Code::StoreUnavailable
        | Code::TooBusy => StatusCode::SERVICE_UNAVAILABLE,
        Code::UnsupportedEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::PredecessorError | Code::UpstreamError => StatusCode::BAD_GATEWAY,
        Code::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
        Code::OwnerQuota | Code::ValidateFileSize => StatusCode::PAYLOAD_TOO_LARGE,
    }
}

/// The message of an internal error for clients.
fn fault(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::LostFile => "The server has lost this file",
        ErrorCode::MediaFailed => "The server could not process this media",
        ErrorCode::RepoError => "The server's database failed",
        ErrorCode::RepoUnavailable => "The server's database cannot be reached at the moment",
        ErrorCode::ExternalValidationUnavailable => {
            "New files cannot be checked at the moment, so none are accepted"
        }
        ErrorCode::FileIoError => "The server's storage failed",
        ErrorCode::StoreUnavailable => "The server's storage cannot be reached at the moment",
        ErrorCode::InsufficientStorage => "The server has no room for new files at the moment",
        _ => "The server failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_of_ours_do_not_leak_and_mistakes_are_explained() {
        let ours = ApiError(Error::internal(
            ErrorCode::RepoError,
            "SELECT secret FROM /srv/db",
            std::io::Error::other("disk"),
        ));
        assert_eq!(ours.status_code(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(fault(ErrorCode::RepoError), "The server's database failed");
        let theirs = ApiError::user(ErrorCode::ValidateFileSize, "too large");
        assert_eq!(theirs.status_code().as_u16(), 413);
    }

    #[test]
    fn every_code_has_a_status_and_only_what_passes_asks_to_come_back() {
        for code in ErrorCode::ALL {
            let status = status(*code);
            assert!(
                status.is_client_error() || status.is_server_error(),
                "{}",
                code.as_str()
            );
            let response = ApiError::user(*code, "x").error_response();
            let is_remembered = matches!(code, ErrorCode::MediaFailed | ErrorCode::ProcessTimeout);
            assert_eq!(
                response.headers().contains_key(RETRY_AFTER),
                is_remembered || status == StatusCode::SERVICE_UNAVAILABLE,
                "{}",
                code.as_str()
            );
        }
    }

    #[test]
    fn the_table_in_the_docs_is_complete() {
        let docs = include_str!("../../../../docs/errors.md");
        // The part after it lists the codes of another program.
        let (docs, _) = docs.split_once("\n## ").expect("a second part");
        for code in ErrorCode::ALL {
            let row = format!("| `{}` | {} |", code.as_str(), status(*code).as_u16());
            assert!(docs.contains(&row), "docs/errors.md lacks: {row}");
        }
        assert_eq!(
            docs.matches("\n| `").count(),
            ErrorCode::ALL.len(),
            "docs/errors.md has a stale row"
        );
    }
}
