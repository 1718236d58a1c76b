//! The receiver of events (`events.url`).
//!
//! An event is a POST with JSON. Its signature is HMAC-SHA256 over the time of sending, a dot, and
//! the body, so that a receiver can refuse what is old or was not sent by us.

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Url};
use ring::hmac;

use super::outgoing::{self, Unconfirmed};
use crate::Result;
use crate::config::EventsConfig;

/// `t=<unix time in seconds>,v1=<hexadecimal digits>`
const SIGNATURE: &str = "x-pict-rs-signature";
/// The number of the event.
const NUMBER: &str = "x-pict-rs-event";

/// Who receives events.
#[derive(Debug)]
pub(crate) struct Receiver {
    url: Url,
    key: hmac::Key,
    client: Client,
}

impl Receiver {
    /// As the settings say; `None` without a receiver.
    ///
    /// # Errors
    /// [`crate::ErrorCode::ConfigInvalid`].
    pub(crate) fn open(config: &EventsConfig) -> Result<Option<Self>> {
        let Some(url) = config.parse_url()? else {
            return Ok(None);
        };
        let secret = config.secret.as_ref().map_or("", |key| key.expose());
        Ok(Some(Self {
            url,
            key: hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()),
            client: outgoing::client("events.url", config.timeout.duration())?,
        }))
    }

    /// Sends an event. `now` is the unix time in seconds.
    ///
    /// # Errors
    /// Anything but a 2xx.
    pub(crate) async fn deliver(
        &self,
        number: i64,
        body: String,
        now: i64,
    ) -> Result<(), Unconfirmed> {
        let request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(NUMBER, number)
            .header(SIGNATURE, signature(&self.key, &body, now))
            .body(body);
        let answer = outgoing::send(request).await?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(outgoing::refusal(status)),
        }
    }
}

fn signature(key: &hmac::Key, body: &str, now: i64) -> String {
    let tag = hmac::sign(key, format!("{now}.{body}").as_bytes());
    format!("t={now},v1={}", hex::encode(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with Python's hmac.
    #[test]
    fn a_signature_is_what_other_programs_compute() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"0123456789abcdef");
        assert_eq!(
            signature(&key, r#"{"id":1}"#, 1_764_000_000),
            "t=1764000000,v1=a85d2d9373a24a91407a96892584fa4a51fa9b525570d6fa10c2c8e6875bf8ed"
        );
    }
}
