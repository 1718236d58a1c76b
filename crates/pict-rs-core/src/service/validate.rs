//! Asking somebody else whether a file may be kept (`media.external_validation`).
//!
//! The file is stored already and named by no row yet, so nobody can see it; what is asked about
//! is what would be served: the cleaned or converted bytes. An answer of 2xx keeps it, any other
//! answer refuses it. No answer is not the client's fault.

use std::fs::File;
use std::io::Read as _;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Client, Url, redirect};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use uuid::Uuid;

use crate::config::{MediaConfig, ValidationFailure, ValidationForm};
use crate::context::blocking;
use crate::fetch;
use crate::measure;
use crate::stage::{Stage, timed};
use crate::store::{Store, StoredObject};
use crate::{Context, Error, ErrorCode, Result};

/// Bytes read and sent at a time.
const PIECE: usize = 64 * 1024;
/// Questions at a time; each takes a connection and an open file.
const QUESTIONS: usize = 64;

/// Why there was no answer.
type Silence = Box<dyn std::error::Error + Send + Sync>;

/// Who is asked.
#[derive(Debug)]
pub(crate) struct Validator {
    url: Url,
    client: Client,
    form: ValidationForm,
    failure: ValidationFailure,
    turns: Semaphore,
    timeout: Duration,
}

impl Validator {
    /// As the settings say; `None` when nobody is to be asked.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`] for a bad URL.
    pub(crate) fn open(config: &MediaConfig) -> Result<Option<Self>> {
        let Some(url) = parse_url(config)? else {
            return Ok(None);
        };
        let client = Client::builder()
            .user_agent(concat!("pict-rs ", env!("CARGO_PKG_VERSION")))
            // It is named in full, so nothing of the environment leads there.
            .no_proxy()
            // Where a redirect leads is not who was configured; it counts as a refusal.
            .redirect(redirect::Policy::none())
            .timeout(config.external_validation_timeout.duration())
            .tls_backend_preconfigured(fetch::client_config()?);
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

    /// Whether the file may be kept, if there is an answer.
    async fn answer(&self, store: &Store, object: &StoredObject) -> Result<Result<bool, Silence>> {
        let Ok(Ok(_turn)) = timeout(self.timeout, self.turns.acquire()).await else {
            return Ok(Err("too many files are being validated".into()));
        };
        let (store, key) = (store.clone(), object.object().clone());
        let file = blocking(move || store.open_object(&key)).await?;
        let answer = self.ask(object, file).await;
        // The address may hold a password.
        Ok(answer.map_err(|error| error.without_url().into()))
    }

    async fn ask(&self, object: &StoredObject, file: File) -> reqwest::Result<bool> {
        let key = object.key();
        let (name, mime) = (object.object().as_str(), key.format().mime());
        let bytes = pieces(file);
        let request = self.client.post(self.url.clone());
        let request = match self.form {
            ValidationForm::Raw => request
                .header(CONTENT_TYPE, mime)
                .header(CONTENT_LENGTH, key.size())
                .body(reqwest::Body::wrap_stream(bytes)),
            ValidationForm::Multipart => {
                let boundary = Uuid::new_v4().simple();
                // Names of objects are made of letters, digits, `-`, `.` and `/`.
                let part = name.replace('/', "%2F");
                let head = format!(
                    "--{boundary}\r\nContent-Disposition: form-data; name=\"{part}\"; \
                     filename=\"{part}\"\r\nContent-Type: {mime}\r\n\r\n"
                );
                let tail = format!("\r\n--{boundary}--\r\n");
                let length = key.size() + (head.len() + tail.len()) as u64;
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
        Ok(request.send().await?.status().is_success())
    }
}

/// `media.external_validation`, parsed.
///
/// # Errors
/// [`ErrorCode::ConfigInvalid`].
pub(crate) fn parse_url(config: &MediaConfig) -> Result<Option<Url>> {
    // A variable that a deployment left empty names nobody.
    let text = config.external_validation.as_deref().unwrap_or_default();
    if text.is_empty() {
        return Ok(None);
    }
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(Some(url)),
        _ => Err(Error::user(
            ErrorCode::ConfigInvalid,
            "media.external_validation is no http:// or https:// URL",
        )),
    }
}

/// Asks about a stored file, which is gone if the answer is no.
///
/// # Errors
/// [`ErrorCode::FailedExternalValidation`], [`ErrorCode::ExternalValidationUnavailable`].
pub(crate) async fn external(ctx: &Context, stored: StoredObject) -> Result<StoredObject> {
    let Some(validator) = &ctx.validator else {
        return Ok(stored);
    };
    let answer = validator.answer(&ctx.store, &stored);
    let error = match timed(Stage::Validation, answer).await? {
        Ok(true) => {
            measure::validation("accepted");
            return Ok(stored);
        }
        Ok(false) => {
            measure::validation("refused");
            Error::user(
                ErrorCode::FailedExternalValidation,
                "This file was refused by the external validation",
            )
        }
        Err(error) => {
            measure::validation("unavailable");
            if validator.failure == ValidationFailure::Accept {
                let cause = error.source().map(ToString::to_string);
                tracing::warn!(%error, cause, "the external validation does not answer, a file is accepted without it");
                return Ok(stored);
            }
            Error::internal(
                ErrorCode::ExternalValidationUnavailable,
                "the external validation does not answer",
                error,
            )
        }
    };
    blocking(move || {
        stored.discard();
        Ok(())
    })
    .await?;
    Err(error)
}

/// The bytes of a file, read as they are sent.
fn pieces(
    file: File,
) -> impl stream::Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static {
    stream::try_unfold(file, |mut file| async {
        let read = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::with_capacity(PIECE);
            let read = (&mut file).take(PIECE as u64).read_to_end(&mut bytes)?;
            Ok((read > 0).then(|| (Bytes::from(bytes), file)))
        });
        read.await.map_err(std::io::Error::other)?
    })
    .into_stream()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_urls_that_can_be_asked_are_taken() {
        let check = |text: &str, expected: Result<bool, ErrorCode>| {
            let config = MediaConfig {
                external_validation: Some(text.to_owned()),
                ..MediaConfig::default()
            };
            let parsed = parse_url(&config).map(|url| url.is_some());
            assert_eq!(parsed.map_err(|error| error.code()), expected, "{text}");
        };
        check("http://validator:14051/api/v1/scan/IPADDR", Ok(true));
        check("https://user:password@example.org/", Ok(true));
        check("", Ok(false));
        check("validator:14051", Err(ErrorCode::ConfigInvalid));
        check("ftp://validator/", Err(ErrorCode::ConfigInvalid));
        check("/scan", Err(ErrorCode::ConfigInvalid));
    }
}
