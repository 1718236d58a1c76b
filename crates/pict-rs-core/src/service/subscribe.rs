//! Lists of PDQ hashes that other servers publish, with a signature of minisign. A list becomes what
//! its last signed version is; someone who controls only the network or the server that it lies on can
//! neither change it nor bring back an older version.

use std::time::Duration;

use minisign_verify::Signature;
use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::clock::{millis, now};
use crate::config::Subscription;
use crate::repo::audit::{Actor, Cause};
use crate::service::perceptual::{self, MAX_LIST};
use crate::task::blocking;
use crate::{Context, Error, Result};

/// Bytes of a signature at most.
const MAX_SIGNATURE: usize = 4096;
/// The lease of the server that looks at a list.
const LEASE: &str = "pdq-lists";
/// For how long it is held at most: both files are fetched and written in that time.
const SPAN: Duration = Duration::from_secs(30 * 60);
/// The pause while another server has it.
const WHILE_ANOTHER: Duration = Duration::from_secs(5);
/// How long a signature may take.
const SIGNATURE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a list may take.
const LIST_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// How much the clock of an author may be ahead, in seconds. A time far ahead would make every later
/// list an older one.
const AHEAD: i64 = 24 * 60 * 60;
/// After a failure, if the lists are not looked at sooner.
const AFTER_FAILURE: Duration = Duration::from_secs(5 * 60);

/// How a subscription goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SubscriptionStatus {
    /// The key that it was verified with, as in the settings.
    key: String,
    /// The signature of what the list is now.
    signature: Option<String>,
    /// Whether its author signed an empty list.
    is_empty: bool,
    /// When that was signed, in unix seconds.
    pub signed_at: Option<i64>,
    /// When the list was changed here, in unix milliseconds.
    pub changed_at: Option<i64>,
    /// When it was looked at last, in unix milliseconds.
    pub checked_at: Option<i64>,
    /// Why that failed.
    pub error: Option<String>,
}

/// All subscriptions, with the URLs that their lists are named after.
///
/// # Errors
/// When the database fails.
pub async fn statuses(ctx: &Context) -> Result<Vec<(String, SubscriptionStatus)>> {
    let mut all = Vec::new();
    for subscription in ctx.config.media.pdq.subscriptions()? {
        let status = status_of(ctx, &subscription).await?;
        all.push((subscription.url.into(), status));
    }
    Ok(all)
}

/// The status with this key. A list that was removed here counts as one that was never fetched.
async fn status_of(ctx: &Context, subscription: &Subscription) -> Result<SubscriptionStatus> {
    let list = subscription.url.as_str();
    let text = ctx.repo.subscription_status(list).await?;
    // What another version has written counts as nothing.
    let status = text.and_then(|text| serde_json::from_str::<SubscriptionStatus>(&text).ok());
    let status = status.filter(|status| status.key == subscription.key_text);
    let is_there = ctx.repo.has_pdq_list(list).await?;
    let is_known =
        |status: &SubscriptionStatus| is_there || status.signature.is_none() || status.is_empty;
    Ok(status
        .filter(is_known)
        .unwrap_or_else(|| SubscriptionStatus {
            key: subscription.key_text.clone(),
            ..SubscriptionStatus::default()
        }))
}

/// Looks at the lists for which it is time. Returns how long there is nothing to do; `None` without
/// subscriptions.
///
/// # Errors
/// When the database fails.
pub(crate) async fn pass(ctx: &Context) -> Result<Option<Duration>> {
    let (mut pause, mut failed) = (None, None);
    for subscription in ctx.config.media.pdq.subscriptions()? {
        let status = status_of(ctx, &subscription).await?;
        let mut due = due(ctx, &status);
        // Each server that would look at it waits until this one has written what it found.
        if due <= now() && !begin(ctx).await? {
            due = now().saturating_add(millis(WHILE_ANOTHER));
        } else if due <= now() {
            let looked = look(ctx, &subscription).await;
            end(ctx).await?;
            match looked {
                Ok(status) => due = self::due(ctx, &status),
                // The others are looked at all the same.
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
        }
        let left = Duration::from_millis(due.saturating_sub(now()).max(0) as u64);
        pause = Some(pause.map_or(left, |pause: Duration| pause.min(left)));
    }
    failed.map_or(Ok(pause), Err)
}

/// Returns false while another server looks at a list.
async fn begin(ctx: &Context) -> Result<bool> {
    match ctx.repo.is_shared() {
        true => ctx.repo.hold_lease(LEASE, SPAN).await,
        false => Ok(true),
    }
}

async fn end(ctx: &Context) -> Result<()> {
    match ctx.repo.is_shared() {
        true => ctx.repo.give_lease_back(LEASE).await,
        false => Ok(()),
    }
}

/// Looks at a list, and records what came of it.
async fn look(ctx: &Context, subscription: &Subscription) -> Result<SubscriptionStatus> {
    let list = subscription.url.as_str();
    // Another server may have just looked.
    let mut status = status_of(ctx, subscription).await?;
    if due(ctx, &status) > now() {
        return Ok(status);
    }
    let checked = check(ctx, subscription, &mut status).await;
    status.checked_at = Some(now());
    let (why, error) = match checked {
        Ok(()) => (None, None),
        Err(Unusable::Theirs(why)) => (Some(why), None),
        Err(Unusable::Ours(error)) => (Some(error.to_string()), Some(error)),
    };
    if let Some(why) = why
        .as_ref()
        .filter(|why| status.error.as_ref() != Some(why))
    {
        tracing::warn!(list, why, "a list stays as it is");
    }
    status.error = why;
    let text = serde_json::to_string(&status).unwrap_or_default();
    ctx.repo.set_subscription_status(list, &text).await?;
    error.map_or(Ok(status), Err)
}

/// When a list is looked at again, in unix milliseconds.
fn due(ctx: &Context, status: &SubscriptionStatus) -> i64 {
    let Some(checked_at) = status.checked_at else {
        return i64::MIN;
    };
    let refresh = ctx.config.media.pdq.refresh.duration();
    let pause = match status.error {
        Some(_) => refresh.min(AFTER_FAILURE),
        None => refresh,
    };
    // A clock that was ahead must not keep it from being looked at.
    checked_at.min(now()).saturating_add(millis(pause))
}

/// Why a list was not taken.
enum Unusable {
    Ours(Error),
    Theirs(String),
}

impl From<Error> for Unusable {
    fn from(error: Error) -> Self {
        match error.is_users() {
            true => Self::Theirs(error.to_string()),
            false => Self::Ours(error),
        }
    }
}

impl From<String> for Unusable {
    fn from(why: String) -> Self {
        Self::Theirs(why)
    }
}

async fn check(
    ctx: &Context,
    subscription: &Subscription,
    status: &mut SubscriptionStatus,
) -> Result<(), Unusable> {
    let list = subscription.url.as_str();
    let place = signature_of(&subscription.url);
    let text = ctx.published.get(place, MAX_SIGNATURE, SIGNATURE_TIMEOUT);
    let text = String::from_utf8(text.await?);
    let text = text.map_err(|_| "its signature is not UTF-8".to_owned())?;
    if status.signature.as_ref() == Some(&text) {
        return Ok(());
    }
    let signature = Signature::decode(&text)
        .map_err(|error| format!("its signature cannot be read: {error}"))?;
    let signed_at = time_of(signature.trusted_comment())
        .ok_or_else(|| "its signature does not tell when it was made".to_owned())?;
    if signed_at > now() / 1000 + AHEAD {
        return Err("it was signed in the future".to_owned().into());
    }
    let body = ctx
        .published
        .get(subscription.url.clone(), MAX_LIST, LIST_TIMEOUT);
    let body = body.await?;
    let key = subscription.key.clone();
    let hashes = blocking(move || {
        // Not those of old versions of minisign: one of a hash could be passed off as one of that form.
        if key.verify(&body, &signature, false).is_err() {
            return Ok(None);
        }
        perceptual::parse(&body).map(Some)
    });
    let hashes = hashes.await?;
    let hashes = hashes.ok_or_else(|| "the signature is not of this list and key".to_owned())?;
    // Only now it is known to be what the author has written.
    if status.signed_at.is_some_and(|last| signed_at < last) {
        return Err("it is older than what was there before".to_owned().into());
    }
    let cause = Cause {
        reason: Some("subscribed".to_owned()),
        ..Cause::new(Actor::Server)
    };
    let (added, removed) = ctx
        .repo
        .replace_pdq_list(list, &hashes, &cause, now())
        .await?;
    tracing::info!(list, added, removed, "a list is as it was signed");
    status.signature = Some(text);
    status.is_empty = hashes.is_empty();
    status.signed_at = Some(signed_at);
    status.changed_at = Some(now());
    Ok(())
}

/// The same place with `.minisig` behind the path.
fn signature_of(url: &Url) -> Url {
    let mut place = url.clone();
    place.set_path(&format!("{}.minisig", url.path()));
    place
}

/// `timestamp:<unix seconds>`, which minisign writes, and then a tab and other words.
fn time_of(comment: &str) -> Option<i64> {
    let mut words = comment.split_ascii_whitespace();
    words.find_map(|word| word.strip_prefix("timestamp:")?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_beside_its_list_and_tells_when_it_was_made() {
        let place = |url: &str| signature_of(&Url::parse(url).expect("a URL")).to_string();
        assert_eq!(
            place("https://a.example/b.txt"),
            "https://a.example/b.txt.minisig"
        );
        assert_eq!(
            place("https://a.example/b?c=d"),
            "https://a.example/b.minisig?c=d"
        );
        assert_eq!(
            time_of("timestamp:1633700835\tfile:test\tprehashed"),
            Some(1_633_700_835)
        );
        assert_eq!(time_of("file:timestamp"), None);
        assert_eq!(time_of("timestamp:soon"), None);
    }
}
