//! Delivers what others are to be told: events to their receiver, removals to caches in front. Run by
//! the worker; among several servers one at a time delivers.
//!
//! Each row of the outbox is sent until it is confirmed, so one may arrive twice: when the server dies,
//! or does not hear the answer. A row waits for earlier rows about the same subject; others pass it.
//! When the other side does not answer at all, everything waits.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::clock::{millis, now, rfc3339};
use crate::fetch::caches::Confirmation;
use crate::fetch::caches::urls::Doomed;
use crate::fetch::outgoing::Unconfirmed;
use crate::metrics;
use crate::repo::outbox::{DeliveryOutcome, OutboxRow};
use crate::repo::{OutboxStatus, OutboxTarget};
use crate::{Context, Result};

/// Rows that are read at a time.
const PAGE: u32 = 100;
/// After the first failure; twice as long after each further one.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause after a failure.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// After this time caches are told again, because an answer that was under way when they were told may
/// have brought the removed media back; and because other servers may serve them for a second.
const AGAIN_AFTER: Duration = Duration::from_secs(3);
/// How often it is looked for rows that other servers have written.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// How long another server is given that is at it.
const TURN_INTERVAL: Duration = Duration::from_millis(250);
/// How much longer than a request a server holds the right to deliver.
const SPARE: Duration = Duration::from_secs(15);

/// What the worker does after a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// It looks again after this time, or when something was queued.
    Look(Duration),
    /// It waits for so long, whatever is queued.
    Wait(Duration),
}

/// Whether the settings name a receiver, or caches.
pub(crate) fn is_on(ctx: &Context, target: OutboxTarget) -> bool {
    match target {
        OutboxTarget::Events => ctx.receiver.is_some(),
        OutboxTarget::Caches => ctx.caches.is_some(),
    }
}

/// How deliveries go, for each side that is told.
///
/// # Errors
/// When the database fails.
pub async fn status(ctx: &Context) -> Result<Vec<(OutboxTarget, OutboxStatus)>> {
    let mut found = Vec::new();
    for target in OutboxTarget::ALL {
        if is_on(ctx, target) {
            found.push((target, ctx.repo.outbox_status(target).await?));
        }
    }
    Ok(found)
}

/// Delivers all that can be delivered now.
///
/// # Errors
/// When the database fails.
pub(crate) async fn pass(ctx: &Context, target: OutboxTarget) -> Result<Next> {
    let mut turn = false;
    let next = deliver_all(ctx, target, &mut turn).await;
    if turn && ctx.repo.is_shared() {
        // Otherwise it runs out.
        let _ = ctx.repo.give_lease_back(lease(target)).await;
    }
    next
}

async fn deliver_all(ctx: &Context, target: OutboxTarget, turn: &mut bool) -> Result<Next> {
    let mut pause = LOOK_INTERVAL;
    let mut cursor = 0;
    let mut held = HashSet::new();
    loop {
        let rows = ctx.repo.outbox_after(target, cursor, PAGE).await?;
        let is_last = rows.len() < PAGE as usize;
        for row in rows {
            cursor = row.number;
            let early = u64::try_from(row.due_at.saturating_sub(now())).unwrap_or(0);
            if early > 0 || row.subjects.iter().any(|subject| held.contains(subject)) {
                if early > 0 {
                    pause = pause.min(Duration::from_millis(early));
                }
                held.extend(row.subjects);
                continue;
            }
            *turn = takes_turn(ctx, target).await?;
            if !*turn {
                return Ok(Next::Look(TURN_INTERVAL));
            }
            match deliver(ctx, target, &row).await? {
                Settled::Done => {}
                Settled::Later(later) => {
                    pause = pause.min(later);
                    held.extend(row.subjects);
                }
                Settled::Away(pause) => return Ok(Next::Wait(pause)),
            }
        }
        if is_last {
            return Ok(Next::Look(pause));
        }
    }
}

fn lease(target: OutboxTarget) -> &'static str {
    match target {
        OutboxTarget::Events => "deliver/events",
        OutboxTarget::Caches => "deliver/caches",
    }
}

/// Takes or keeps the right to deliver, for longer than a request takes.
async fn takes_turn(ctx: &Context, target: OutboxTarget) -> Result<bool> {
    if !ctx.repo.is_shared() {
        return Ok(true);
    }
    let timeout = match target {
        OutboxTarget::Events => ctx.config.events.timeout,
        OutboxTarget::Caches => ctx.config.purge.timeout,
    };
    let span = timeout.duration().saturating_add(SPARE);
    ctx.repo.hold_lease(lease(target), span).await
}

/// What became of a row.
enum Settled {
    /// It needs no more work now.
    Done,
    /// It alone is tried again.
    Later(Duration),
    /// Nothing can be delivered for so long.
    Away(Duration),
}

async fn deliver(ctx: &Context, target: OutboxTarget, row: &OutboxRow) -> Result<Settled> {
    let (caches, failure) = match target {
        OutboxTarget::Events => (None, tell(ctx, row).await.err()),
        OutboxTarget::Caches => {
            let (caches, failure) = purge(ctx, row).await;
            (Some(caches), failure)
        }
    };
    let Some(failure) = failure else {
        metrics::delivered(target.as_str(), "confirmed");
        if row.attempts > 0 {
            let (number, attempts) = (row.number, row.attempts);
            tracing::info!(
                target = target.as_str(),
                number,
                attempts,
                "delivered at last"
            );
        }
        let delivery = if caches.is_some() && row.stage == 0 {
            let due_at = now().saturating_add(millis(AGAIN_AFTER));
            DeliveryOutcome::Repeat { due_at }
        } else {
            DeliveryOutcome::Ended
        };
        ctx.repo
            .outbox_delivered(row, delivery, caches.as_ref())
            .await?;
        return Ok(Settled::Done);
    };
    fail(ctx, target, row, caches, &failure).await
}

/// Decides what becomes of a row that was not confirmed.
async fn fail(
    ctx: &Context,
    target: OutboxTarget,
    row: &OutboxRow,
    mut caches: Option<Value>,
    failure: &Unconfirmed,
) -> Result<Settled> {
    let (number, error) = (row.number, failure.text());
    let patience = match target {
        OutboxTarget::Events => ctx.config.events.give_up_after,
        OutboxTarget::Caches => ctx.config.purge.give_up_after,
    };
    let age = now().saturating_sub(row.created_at);
    if age > millis(patience.duration()) {
        metrics::delivered(target.as_str(), "given_up");
        tracing::error!(
            target = target.as_str(),
            number,
            error,
            "given up, and dropped"
        );
        if let Some(caches) = &mut caches {
            caches["state"] = "failed".into();
        }
        ctx.repo
            .outbox_delivered(row, DeliveryOutcome::Ended, caches.as_ref())
            .await?;
        return Ok(Settled::Done);
    }
    metrics::delivered(target.as_str(), "failed");
    if row.attempts == 0 {
        tracing::warn!(
            target = target.as_str(),
            number,
            error,
            "cannot be delivered yet"
        );
    }
    let pause = back_off(row.attempts);
    let due_at = now().saturating_add(millis(pause));
    ctx.repo
        .outbox_delivered(
            row,
            DeliveryOutcome::Failed { error, due_at },
            caches.as_ref(),
        )
        .await?;
    Ok(match failure {
        Unconfirmed::Away(_) => Settled::Away(pause),
        Unconfirmed::Refused(_) => Settled::Later(pause),
    })
}

fn back_off(failures: u32) -> Duration {
    let longer = SHORTEST_PAUSE.saturating_mul(2_u32.saturating_pow(failures));
    longer.min(LONGEST_PAUSE)
}

async fn tell(ctx: &Context, row: &OutboxRow) -> Result<(), Unconfirmed> {
    let Some(receiver) = &ctx.receiver else {
        return Err(Unconfirmed::Away("there is no receiver".to_owned()));
    };
    let mut body = row.body.clone();
    body.insert("id".to_owned(), row.number.into());
    body.insert("time".to_owned(), rfc3339(row.created_at).into());
    let body = Value::from(body).to_string();
    receiver.deliver(row.number, body, now() / 1000).await
}

/// Tells all caches. Returns what the audit log says of it, and what is wrong.
async fn purge(ctx: &Context, row: &OutboxRow) -> (Value, Option<Unconfirmed>) {
    let doomed = serde_json::from_value::<Doomed>(Value::from(row.body.clone()));
    let (Some(caches), Ok(doomed)) = (&ctx.caches, doomed) else {
        let unreadable = "the row cannot be read".to_owned();
        return (json!({}), Some(Unconfirmed::Refused(unreadable)));
    };
    receipt(row.stage, caches.purge(&doomed).await)
}

fn receipt(stage: i64, confirmations: Vec<Confirmation>) -> (Value, Option<Unconfirmed>) {
    let time = rfc3339(now());
    let mut failure: Option<Unconfirmed> = None;
    let mut answers = Vec::new();
    for Confirmation { cache, result } in confirmations {
        let mut answer = Map::new();
        match &result {
            Ok(counts) => {
                answer.insert("asked".to_owned(), counts.asked.into());
                answer.insert("absent".to_owned(), counts.absent.into());
            }
            Err(error) => {
                answer.insert("error".to_owned(), error.text().into());
                let text = format!("{cache}: {}", error.text());
                // One that does not answer counts more.
                failure = Some(match (failure, error) {
                    (Some(Unconfirmed::Away(first)), _) => Unconfirmed::Away(first),
                    (_, Unconfirmed::Away(_)) => Unconfirmed::Away(text),
                    (Some(refused), _) => refused,
                    (None, Unconfirmed::Refused(_)) => Unconfirmed::Refused(text),
                });
            }
        }
        answer.insert("cache".to_owned(), cache.into());
        answers.push(Value::from(answer));
    }
    let state = match (&failure, stage) {
        (None, 0) => "purged",
        (None, _) => "confirmed",
        (Some(_), 0) => "waiting",
        (Some(_), _) => "purged",
    };
    let receipt = json!({ "state": state, "time": time, "answers": answers });
    (receipt, failure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::caches::Counts;

    #[test]
    fn pauses_grow_to_half_a_minute() {
        let pauses: Vec<_> = (0..8)
            .map(|failures| back_off(failures).as_secs())
            .collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(back_off(u32::MAX), LONGEST_PAUSE);
    }

    #[test]
    fn a_receipt_names_each_cache_and_what_it_said() {
        let confirmed = |cache: &str| Confirmation {
            cache: cache.to_owned(),
            result: Ok(Counts {
                asked: 3,
                absent: 1,
            }),
        };
        let failed = |cache: &str, why: Unconfirmed| Confirmation {
            cache: cache.to_owned(),
            result: Err(why),
        };
        let (receipt_of_first, failure) = receipt(0, vec![confirmed("nginx a:1")]);
        assert_eq!(failure, None);
        assert_eq!(receipt_of_first["state"], "purged");
        assert_eq!(
            receipt_of_first["answers"],
            json!([{ "cache": "nginx a:1", "asked": 3, "absent": 1 }])
        );
        assert_eq!(receipt(1, vec![confirmed("a")]).0["state"], "confirmed");
        let (receipt, failure) = receipt(
            0,
            vec![
                failed("a", Unconfirmed::Refused("no".to_owned())),
                failed("b", Unconfirmed::Away("gone".to_owned())),
            ],
        );
        assert_eq!(receipt["state"], "waiting");
        assert_eq!(failure, Some(Unconfirmed::Away("b: gone".to_owned())));
    }
}
