//! Lists of PDQ hashes that other servers publish (`media.pdq.subscriptions`).

use std::time::Duration;

use reqwest::{Client, Url};

use super::outgoing;
use crate::Result;

/// No request may take longer.
const LONGEST: Duration = Duration::from_secs(10 * 60);

/// Fetches lists and their signatures.
#[derive(Debug)]
pub(crate) struct Lists {
    client: Client,
}

impl Lists {
    /// # Errors
    /// [`crate::ErrorCode::ConfigInvalid`].
    pub(crate) fn open() -> Result<Self> {
        Ok(Self {
            client: outgoing::client("media.pdq.subscriptions", LONGEST)?,
        })
    }

    /// What is at a URL, if it has at most `limit` bytes and comes within `timeout`.
    ///
    /// # Errors
    /// Why it cannot be had, for people.
    pub(crate) async fn get(
        &self,
        url: Url,
        limit: usize,
        timeout: Duration,
    ) -> Result<Vec<u8>, String> {
        let request = self.client.get(url.clone()).timeout(timeout);
        let answer = outgoing::send(request).await;
        let mut answer = answer.map_err(|error| format!("{url}: {}", error.text()))?;
        if !answer.status().is_success() {
            return Err(format!("{url}: its status is {}", answer.status().as_u16()));
        }
        let mut bytes = Vec::new();
        loop {
            let part = answer.chunk().await.map_err(reqwest::Error::without_url);
            match part.map_err(|error| format!("{url}: {error}"))? {
                None => return Ok(bytes),
                Some(part) if bytes.len() + part.len() > limit => {
                    return Err(format!("{url}: it has more than {limit} bytes"));
                }
                Some(part) => bytes.extend_from_slice(&part),
            }
        }
    }
}
