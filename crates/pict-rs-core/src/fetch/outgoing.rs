//! Requests to servers that the settings name, which are told of changes here.

use std::error::Error as _;
use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, StatusCode, redirect};

use crate::tls;
use crate::{Error, ErrorCode, Result};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// Why the other side has not confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unconfirmed {
    /// It does not answer, or does not want anything at the moment.
    Away(String),
    /// It does not want this.
    Refused(String),
}

impl Unconfirmed {
    /// What was said, for people.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Away(text) | Self::Refused(text) => text,
        }
    }
}

/// A client for `key`, whose requests take at most `timeout`.
///
/// # Errors
/// [`ErrorCode::ConfigInvalid`].
pub(super) fn client(key: &'static str, timeout: Duration) -> Result<Client> {
    let client = Client::builder()
        .user_agent(super::USER_AGENT)
        // The URL is configured explicitly, so proxies from the environment do not apply.
        .no_proxy()
        // A redirect would lead to a server that was not configured.
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT.min(timeout))
        .timeout(timeout)
        .tls_backend_preconfigured(tls::client_config(None)?);
    client.build().map_err(|error| {
        let message = format!("the client for {key} cannot be made");
        Error::internal(ErrorCode::ConfigInvalid, message, error)
    })
}

/// Sends a request, and returns the answer with whatever status.
pub(super) async fn send(request: RequestBuilder) -> Result<Response, Unconfirmed> {
    let answer = request.send().await.map_err(reqwest::Error::without_url);
    answer.map_err(|error| {
        // The innermost cause says most: a refused connection, a time that is over.
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        Unconfirmed::Away(text)
    })
}

/// Judges a status that is no success: whether only this request is refused.
pub(super) fn refusal(status: StatusCode) -> Unconfirmed {
    let text = format!("its status is {}", status.as_u16());
    let is_about_this = [
        StatusCode::BAD_REQUEST,
        StatusCode::CONFLICT,
        StatusCode::PAYLOAD_TOO_LARGE,
        StatusCode::UNPROCESSABLE_ENTITY,
    ]
    .contains(&status);
    match is_about_this {
        true => Unconfirmed::Refused(text),
        false => Unconfirmed::Away(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_few_statuses_are_about_one_request() {
        let is_about_this = |status: u16| {
            let status = StatusCode::from_u16(status).expect("a status");
            matches!(refusal(status), Unconfirmed::Refused(_))
        };
        for status in [400, 409, 413, 422] {
            assert!(is_about_this(status), "{status}");
        }
        for status in [
            301, 401, 403, 404, 405, 408, 410, 425, 429, 500, 502, 503, 504,
        ] {
            assert!(!is_about_this(status), "{status}");
        }
    }
}
