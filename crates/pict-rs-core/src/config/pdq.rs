//! `[media.pdq]`: pictures that look like listed ones.

use std::collections::HashSet;

use minisign_verify::PublicKey;
use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::{List, OnMatch, Span, invalid};
use crate::Result;

/// Characters of the name of a list at most.
pub(crate) const MAX_NAME: usize = 100;

/// `[media.pdq]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default)]
pub struct PdqConfig {
    /// What happens to a file that looks like a listed one.
    pub on_match: OnMatch,
    /// Bits, 0 to 128, in which the hash of a file may differ from a listed one that it matches.
    pub distance: u32,
    /// Files match only with a hash of at least this quality, 0 to 100.
    pub quality: u8,
    /// Lists of other servers, each as its URL, a space, and the key that it is signed with.
    pub subscriptions: List,
    /// How often they are looked at.
    pub refresh: Span,
}

impl Default for PdqConfig {
    fn default() -> Self {
        Self {
            on_match: OnMatch::default(),
            distance: 31,
            quality: 50,
            subscriptions: List(Vec::new()),
            refresh: Span::seconds(60 * 60),
        }
    }
}

/// A list of another server.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// Where it is; its signature is at the same place with `.minisig` behind it.
    pub url: Url,
    /// The key of its signatures.
    pub key: PublicKey,
    /// The same as it was written.
    pub key_text: String,
}

impl PdqConfig {
    /// `subscriptions`, parsed.
    ///
    /// # Errors
    /// [`crate::ErrorCode::ConfigInvalid`].
    pub fn subscriptions(&self) -> Result<Vec<Subscription>> {
        let all = self.subscriptions.0.iter().map(|text| parse(text));
        let all: Vec<_> = all.collect::<Result<_>>()?;
        let mut seen = HashSet::new();
        match all.iter().find(|one| !seen.insert(&one.url)) {
            Some(Subscription { url, .. }) => Err(invalid(format!(
                "media.pdq.subscriptions has {url} twice; a list has one key"
            ))),
            None => Ok(all),
        }
    }

    /// # Errors
    /// [`crate::ErrorCode::ConfigInvalid`], naming the key.
    pub(super) fn validate(&self) -> Result<()> {
        for (key, value, limit) in [
            ("distance", self.distance, 128),
            ("quality", u32::from(self.quality), 100),
        ] {
            if value > limit {
                let message = format!("media.pdq.{key} = {value}: it must be at most {limit}");
                return Err(invalid(message));
            }
        }
        if self.refresh.duration().is_zero() {
            let message = "media.pdq.refresh must be at least 1 second".to_owned();
            return Err(invalid(message));
        }
        self.subscriptions().map(drop)
    }
}

fn parse(text: &str) -> Result<Subscription> {
    // What may hold a password is not repeated.
    let refuse = |why: &str| {
        invalid(format!(
            "a subscription of media.pdq.subscriptions cannot work: {why}"
        ))
    };
    let (url, key) = text
        .split_once(' ')
        .ok_or_else(|| refuse("it must be a URL, a space and a public key of minisign"))?;
    let parsed = Url::parse(url).ok();
    let parsed = parsed.filter(|url| matches!(url.scheme(), "http" | "https"));
    let parsed = parsed.ok_or_else(|| refuse("it does not begin with an http or https URL"))?;
    if !parsed.username().is_empty() || parsed.password().is_some() || parsed.fragment().is_some() {
        return Err(refuse(
            "its URL must have no user name, password or fragment, because it is shown",
        ));
    }
    if parsed.as_str().chars().count() > MAX_NAME {
        let why =
            format!("the URL, which the list is named after, has more than {MAX_NAME} letters");
        return Err(refuse(&why));
    }
    let key_text = key.trim().to_owned();
    let key = PublicKey::from_base64(&key_text);
    let key = key.map_err(|_| refuse("what follows the URL is not a minisign public key"))?;
    Ok(Subscription {
        url: parsed,
        key,
        key_text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the documentation of minisign.
    const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

    #[test]
    fn a_subscription_that_cannot_work_is_found_at_start() {
        let refusal = |text: String| {
            let config = PdqConfig {
                subscriptions: List(vec![text]),
                ..PdqConfig::default()
            };
            config.validate().map_err(|error| error.to_string())
        };
        assert_eq!(refusal(format!("https://a.example/list.txt {KEY}")), Ok(()));
        let twice = vec![format!("https://a.example/b {KEY}"); 2];
        let config = PdqConfig {
            subscriptions: List(twice),
            ..PdqConfig::default()
        };
        let message = config.validate().map_err(|error| error.to_string());
        assert!(message.is_err_and(|message| message.contains("twice")));
        for (text, part) in [
            ("https://a.example/list.txt".to_owned(), "a space"),
            (format!("a.example/list.txt {KEY}"), "https URL"),
            (format!("ftp://a.example/list.txt {KEY}"), "https URL"),
            (
                format!("https://a.example/list.txt {}", &KEY[1..]),
                "not a minisign public key",
            ),
            (
                format!("https://a.example/{} {KEY}", "a".repeat(100)),
                "100",
            ),
        ] {
            let message = refusal(text).expect_err("refused");
            assert!(
                message.contains(part) && !message.contains("secret"),
                "{message}"
            );
        }
    }
}
