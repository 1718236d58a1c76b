//! Asks another program whether a file may be kept (`media.external_validation`).
//!
//! A 2xx answer accepts the file. No answer, or a status that means the validator is unavailable,
//! is not a verdict. Any other answer refuses the file.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use pict_rs_media::Format;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Client, StatusCode, Url, redirect};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use uuid::Uuid;

use crate::config::{MediaConfig, ValidationFailure, ValidationForm, validation};
use crate::store::{Content, Store, StoredObject};
use crate::tls;
use crate::{Error, ErrorCode, Result};

/// Concurrent requests; each takes a connection and an open file.
const QUESTIONS: usize = 64;

/// The validator's verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accepted,
    /// With this status.
    Refused(u16),
}

/// Why there was no answer.
pub(crate) type Silence = Box<dyn std::error::Error + Send + Sync>;

/// The external validation.
#[derive(Debug)]
pub(crate) struct Validator {
    url: Url,
    client: Client,
    form: ValidationForm,
    /// What happens to files without a verdict.
    pub(crate) failure: ValidationFailure,
    turns: Semaphore,
    timeout: Duration,
}

impl Validator {
    /// As the settings say; `None` without a validator.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`] for a bad URL.
    pub(crate) fn open(config: &MediaConfig) -> Result<Option<Self>> {
        let Some(url) = validation::parse_url(config)? else {
            return Ok(None);
        };
        let client = Client::builder()
            .user_agent(concat!("pict-rs ", env!("CARGO_PKG_VERSION")))
            // The URL is configured explicitly, so proxies from the environment do not apply.
            .no_proxy()
            // A redirect would lead to a server that was not configured, so it counts as a refusal.
            .redirect(redirect::Policy::none())
            .timeout(config.external_validation_timeout.duration())
            .tls_backend_preconfigured(tls::client_config(None)?);
        let client = client.build().map_err(|e| {
            Error::internal(
                ErrorCode::ConfigInvalid,
                "the client for media.external_validation cannot be made",
                e,
            )
        })?;
        Ok(Some(Self {
            url,
            client,
            form: config.external_validation_form,
            failure: config.external_validation_failure,
            turns: Semaphore::new(QUESTIONS),
            timeout: config.external_validation_timeout.duration(),
        }))
    }

    /// Whether the file may be kept, or why there is no verdict. Every picture of it must be
    /// accepted.
    pub(crate) async fn answer(
        &self,
        store: &Store,
        object: &StoredObject,
        pictures: Option<Vec<Bytes>>,
    ) -> Result<Result<Verdict, Silence>> {
        let Ok(Ok(_turn)) = timeout(self.timeout, self.turns.acquire()).await else {
            return Ok(Err("too many files are being validated".into()));
        };
        let name = object.object().as_str();
        let Some(pictures) = pictures else {
            let key = object.key();
            let (mime, size) = (key.format().mime(), key.size());
            let content = store.read(object.object(), size, 0..size).await?;
            return Ok(self.ask(name, mime, size, pieces(content)).await);
        };
        let stem = name.split('.').next().unwrap_or(name);
        for (number, picture) in pictures.into_iter().enumerate() {
            let name = match number {
                0 => format!("{stem}.jpeg"),
                _ => format!("{stem}-{}.jpeg", number + 1),
            };
            let size = picture.len() as u64;
            let bytes = stream::iter([Ok(picture)]);
            match self.ask(&name, Format::Jpeg.mime(), size, bytes).await {
                Ok(Verdict::Accepted) => {}
                other => return Ok(other),
            }
        }
        Ok(Ok(Verdict::Accepted))
    }

    async fn ask(
        &self,
        name: &str,
        mime: &str,
        size: u64,
        bytes: impl stream::Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static,
    ) -> Result<Verdict, Silence> {
        let request = self.client.post(self.url.clone());
        let request = match self.form {
            ValidationForm::Raw => request
                .header(CONTENT_TYPE, mime)
                .header(CONTENT_LENGTH, size)
                .body(reqwest::Body::wrap_stream(bytes)),
            ValidationForm::Multipart => {
                let boundary = Uuid::new_v4().simple();
                // Object names consist of letters, digits, `-`, `.` and `/`.
                let part = name.replace('/', "%2F");
                let head = format!(
                    "--{boundary}\r\nContent-Disposition: form-data; name=\"{part}\"; \
                     filename=\"{part}\"\r\nContent-Type: {mime}\r\n\r\n"
                );
                let tail = format!("\r\n--{boundary}--\r\n");
                let length = size + (head.len() + tail.len()) as u64;
                let once = |text: String| stream::iter([Ok(Bytes::from(text))]);
                let body = once(head).chain(bytes).chain(once(tail));
                request
                    .header(
                        CONTENT_TYPE,
                        format!("multipart/form-data; boundary={boundary}"),
                    )
                    .header(CONTENT_LENGTH, length)
                    .body(reqwest::Body::wrap_stream(body))
            }
        };
        // The URL may contain a password.
        let answer = request.send().await.map_err(reqwest::Error::without_url)?;
        verdict(answer.status())
    }
}

/// Maps a status to a verdict. A server that fails, or asks for patience, has not looked at the
/// file.
fn verdict(status: StatusCode) -> Result<Verdict, Silence> {
    let is_unable = status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
        );
    if is_unable {
        return Err(format!("its status is {}", status.as_u16()).into());
    }
    if status.is_success() {
        return Ok(Verdict::Accepted);
    }
    Ok(Verdict::Refused(status.as_u16()))
}

/// The bytes of a file, read as they are sent.
fn pieces(
    content: Content,
) -> impl stream::Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static {
    match content {
        Content::Bytes(bytes) => stream::iter([Ok(bytes)]).left_stream(),
        Content::Stream(pieces) => {
            let pieces = pieces.into_stream().map_err(std::io::Error::other);
            pieces.right_stream()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_about_the_file_is_a_verdict() {
        let check = |status: u16, expected: Option<Verdict>| {
            let status = StatusCode::from_u16(status).expect("a status");
            assert_eq!(verdict(status).ok(), expected, "{status}");
        };
        for status in [200, 201, 204] {
            check(status, Some(Verdict::Accepted));
        }
        for status in [301, 400, 403, 404, 406, 413, 415, 422] {
            check(status, Some(Verdict::Refused(status)));
        }
        for status in [408, 425, 429, 500, 502, 503, 504, 599] {
            check(status, None);
        }
    }
}
