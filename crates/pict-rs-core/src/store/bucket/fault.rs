//! Why a request to the server of a bucket failed, in words for the log. The server's whole answer
//! is left out: it may name keys, and what was signed with them.

use std::error::Error as _;

use crate::{Error, ErrorCode, ObjectKey};

/// Why a request failed.
#[derive(Debug)]
pub(super) enum Fault {
    /// There is no such object.
    Missing,
    /// The object has no such range.
    Range,
    /// There is no such bucket.
    NoBucket,
    /// The key is wrong, or may not do this.
    Refused(Said),
    /// Anything else, such as a server that does not answer.
    Away(Said),
}

/// What the server or the network said.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Said(String);

impl Fault {
    pub(super) fn of(error: object_store::Error) -> Self {
        use object_store::Error as Given;
        let answer = error.to_string();
        let code = code(&answer);
        let reason = |code: Option<&str>| {
            Said(code.map_or_else(
                || last(&error),
                |code| format!("the server answered {code}"),
            ))
        };
        match &error {
            _ if code == Some("NoSuchBucket") => Self::NoBucket,
            Given::NotFound { .. } if code != Some("NoSuchUpload") => Self::Missing,
            Given::PermissionDenied { .. } | Given::Unauthenticated { .. } => {
                Self::Refused(reason(code))
            }
            _ if code == Some("InvalidRange") || answer.contains("416 Range Not Satisfiable") => {
                Self::Range
            }
            // Some servers answer so with a status of their own.
            _ if matches!(
                code,
                Some("AccessDenied" | "InvalidAccessKeyId" | "SignatureDoesNotMatch")
            ) =>
            {
                Self::Refused(reason(code))
            }
            _ => Self::Away(reason(code)),
        }
    }

    /// The error of a request for an object that is missing.
    pub(super) fn into_error(self, object: &ObjectKey) -> Error {
        Error::Internal {
            code: ErrorCode::LostFile,
            message: format!("object {object} is lost"),
            source: None,
        }
    }

    /// The error of any other request. `what` could not be done, `place` is the bucket.
    pub(super) fn explain(self, what: &str, place: &str) -> Error {
        let (why, reason) = match self {
            Self::Missing => ("it lacks an object", None),
            Self::Range => ("an object is shorter than it was", None),
            Self::NoBucket => (
                "there is no such bucket; check store.endpoint, store.bucket_name and \
                 store.use_path_style",
                None,
            ),
            Self::Refused(reason) => (
                "it refuses the access key; check store.access_key, store.secret_key and what the key \
                 may do",
                Some(reason),
            ),
            Self::Away(reason) => ("the server fails or does not answer", Some(reason)),
        };
        Error::Internal {
            code: ErrorCode::StoreUnavailable,
            message: format!("{place}: {what}: {why}"),
            source: reason.map(Into::into),
        }
    }
}

/// The source of an error, for the log.
pub(super) fn cause(error: &Error) -> Option<String> {
    error.source().map(ToString::to_string)
}

/// The code in an answer of S3.
fn code(answer: &str) -> Option<&str> {
    let (_, rest) = answer.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    let is_word = |code: &str| code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (code.len() <= 64 && is_word(code)).then_some(code)
}

/// The innermost cause, such as that a connection was refused. Its text must not be an answer of the
/// server.
fn last(error: &object_store::Error) -> String {
    let mut last: &dyn std::error::Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    let text = last.to_string();
    let line = text.lines().next().unwrap_or_default();
    // What follows is the body of an answer.
    let end = line.find('<').unwrap_or(line.len());
    line[..end].trim_end_matches([':', ' ']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(text: &str) -> Box<dyn std::error::Error + Send + Sync> {
        format!("Server returned non-2xx status code: {text}").into()
    }

    fn of(source: &str) -> Fault {
        Fault::of(object_store::Error::Generic {
            store: "S3",
            source: answered(source),
        })
    }

    #[test]
    fn answers_are_understood_and_not_repeated() {
        let missing = |body: &str| {
            Fault::of(object_store::Error::NotFound {
                path: "a".to_owned(),
                source: answered(&format!("404 Not Found: {body}")),
            })
        };
        assert!(matches!(missing(""), Fault::Missing));
        assert!(matches!(missing("<Code>NoSuchKey</Code>"), Fault::Missing));
        assert!(matches!(
            missing("<Code>NoSuchBucket</Code>"),
            Fault::NoBucket
        ));
        assert!(matches!(
            missing("<Code>NoSuchUpload</Code>"),
            Fault::Away(_)
        ));
        assert!(matches!(of("416 Range Not Satisfiable: "), Fault::Range));
        let secret = "403 Forbidden: <Error><Code>SignatureDoesNotMatch</Code>\
             <AWSAccessKeyId>AKIA</AWSAccessKeyId></Error>";
        let Fault::Refused(reason) = of(secret) else {
            panic!("a refusal");
        };
        assert_eq!(
            reason.to_string(),
            "the server answered SignatureDoesNotMatch"
        );
        let Fault::Away(reason) = of("503 Service Unavailable: <html>AKIA</html>") else {
            panic!("a failure");
        };
        assert_eq!(
            reason.to_string(),
            "Server returned non-2xx status code: 503 Service Unavailable"
        );
        let error = of(secret).explain("an object cannot be read", "the bucket b");
        assert_eq!(error.code(), ErrorCode::StoreUnavailable);
        assert!(!format!("{error} {error:?}").contains("AKIA"));
    }
}
