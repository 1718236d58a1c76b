//! Long runs over all rows, done in small steps. Each step moves the cursor of its run in the
//! transaction that makes the changes, so a run resumes where it was when the server died.

use std::collections::HashSet;
use std::time::Duration;

use super::audit::{self, Action, Actor, Cause, Event};
use super::change::Change;
use super::fault::again;
use super::sql::{Row, broken, composed, sql};
use super::{Removal, Repo, bigint, blocklist, content, garbage, node, removal, variant};
use crate::{ContentKey, ObjectKey, Result};

/// What a run does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Purge contents whose file is lost.
    Prune,
    /// Remove variants.
    Variants,
    /// Compute missing PDQ hashes, and put what looks like a listed one into quarantine.
    Scan,
}

impl Task {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Prune, Self::Variants, Self::Scan];

    /// Its name in database and API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prune => "prune",
            Self::Variants => "variants",
            Self::Scan => "scan",
        }
    }

    fn table(self) -> &'static str {
        match self {
            Self::Prune | Self::Scan => "hashes",
            Self::Variants => "variants",
        }
    }
}

/// The last run of a task.
#[derive(Clone, Debug)]
pub struct Run {
    /// What it does.
    pub task: Task,
    /// The last content that was processed.
    pub cursor: Option<ContentKey>,
    /// How many have been removed, or looked at by a scan.
    pub progress: u64,
    /// How many there were at the start.
    pub total: u64,
    /// How many may be removed; `None` is unlimited.
    pub allowed: Option<u64>,
    /// How many must be removed, as far as they have been counted.
    pub lost: u64,
    /// Whether counting is complete, so that removing can begin.
    pub is_counted: bool,
    /// Whether removed content is blocked.
    pub block: bool,
    /// Whether it was stopped because it would have removed more than allowed.
    pub is_stopped: bool,
    /// Why it was started. The actor is the server, on a client's request.
    pub cause: Cause,
    /// Unix time in milliseconds; distinguishes runs of one task.
    pub started_at: i64,
    /// Whether it has ended.
    pub is_finished: bool,
}

impl Run {
    /// The fraction that is done, from 0 to 1.
    pub fn fraction_done(&self) -> f64 {
        if self.is_finished {
            return 1.0;
        }
        let of_total = (self.progress as f64 / self.total.max(1) as f64).min(1.0);
        match self.task {
            Task::Variants | Task::Scan => of_total,
            // Counts everything, then removes what is lost. Keys begin with a digest, so they are
            // spread evenly.
            Task::Prune => {
                let digits = self.cursor.as_ref().map(|key| &key.as_bytes()[..4]);
                let first = digits.and_then(|digits| digits.try_into().ok());
                let at = first.map_or(0, u32::from_be_bytes);
                let half = if self.is_counted { 0.5 } else { 0.0 };
                half + f64::from(at) / f64::from(u32::MAX) / 2.0
            }
        }
    }

    /// The time that the rest takes at the rate so far; `None` while there is no rate. `now` is unix
    /// time in milliseconds.
    pub fn time_left(&self, now: i64) -> Option<Duration> {
        let (done, elapsed) = (self.fraction_done(), now.saturating_sub(self.started_at));
        if self.is_finished || done < 0.01 || elapsed < 1000 {
            return None;
        }
        let left = elapsed as f64 / done * (1.0 - done);
        Duration::try_from_secs_f64(left / 1e3).ok()
    }
}

/// The parameters of a new run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Whether a run that has not ended is started over; otherwise it goes on as it was requested.
    pub restart: bool,
    /// What to do.
    pub task: Task,
    /// The result of [`Repo::count_for`].
    pub total: u64,
    /// How many may be removed; `None` is unlimited.
    pub allowed: Option<u64>,
    /// Whether removed content is blocked.
    pub block: bool,
}

const COLUMNS: &str = "task, cursor, progress, total, allowed, lost, counted, block, stopped, \
                       reason, request_id, key_name, started_at, finished_at";

impl Repo {
    /// How many rows a task has to process.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn count_for(&self, task: Task) -> Result<u64> {
        let table = task.table();
        let count = composed(format!("SELECT COUNT(*) AS things FROM {table}"));
        count.one(&self.read).await?.number("things")
    }

    /// The last run of a task, if there is one.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn run_of(&self, task: Task) -> Result<Option<Run>> {
        let row = composed(format!("SELECT {COLUMNS} FROM maintenance WHERE task = $1"))
            .bind(task.as_str())
            .optional(&self.read)
            .await?;
        row.map(|row| from_row(&row)).transpose()
    }

    /// The last run of every task that had one.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn runs(&self) -> Result<Vec<Run>> {
        let rows = composed(format!("SELECT {COLUMNS} FROM maintenance ORDER BY task"))
            .all(&self.read)
            .await?;
        rows.iter().map(from_row).collect()
    }

    /// The oldest unfinished run.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn unfinished_run(&self) -> Result<Option<Run>> {
        let row = composed(format!(
            "SELECT {COLUMNS} FROM maintenance WHERE finished_at IS NULL \
             ORDER BY started_at LIMIT 1"
        ))
        .optional(&self.read)
        .await?;
        row.map(|row| from_row(&row)).transpose()
    }

    /// Starts a run, or starts it over. Returns the one that is there then.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn begin_run(&self, plan: Plan, cause: &Cause, now: i64) -> Result<Run> {
        let Plan { task, total, .. } = plan;
        let mut tx = self.begin_removal().await?;
        let row = composed(format!(
            "INSERT INTO maintenance (task, progress, total, reason, request_id, started_at, \
             allowed, block, key_name) VALUES ($1, 0, $2, $3, $4, $5, $6, $7, $8) \
             ON CONFLICT (task) DO UPDATE SET cursor = NULL, \
             progress = 0, total = excluded.total, reason = excluded.reason, \
             request_id = excluded.request_id, key_name = excluded.key_name, finished_at = NULL, \
             allowed = excluded.allowed, block = excluded.block, lost = 0, counted = 0, stopped = 0, \
             started_at = CASE WHEN excluded.started_at > maintenance.started_at \
             THEN excluded.started_at ELSE maintenance.started_at + 1 END \
             WHERE maintenance.finished_at IS NOT NULL OR $9 = 1 RETURNING {COLUMNS}"
        ))
        .bind(task.as_str())
        .bind(bigint(total))
        .bind(&cause.reason)
        .bind(&cause.request_id)
        .bind(now)
        .bind(plan.allowed.map(bigint))
        .bind(i64::from(plan.block))
        .bind(&cause.key)
        .bind(i64::from(plan.restart))
        .optional(&mut tx).await?;
        let Some(row) = row else {
            drop(tx);
            let run = self.run_of(task).await?;
            return run.ok_or_else(|| broken("task"));
        };
        let run = from_row(&row)?;
        if task == Task::Variants {
            // One entry for all of them: they are made again on request.
            let event = Event {
                action: Action::Variants,
                aliases: &[],
                hash: None,
                amount: Some(total),
                destroyed: None,
            };
            audit::record_in(&mut tx, cause, &event, now).await?;
        }
        tx.commit().await?;
        Ok(run)
    }

    /// A step of [`Task::Variants`]: removes up to `limit` variants that are older than the run.
    /// The run ends with a step that finds none, so that this server's cache has forgotten the
    /// variants of all steps when the run is reported as ended. Returns their objects; `None` when
    /// the run was started over.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn drop_variants(&self, run: &Run, limit: u32, now: i64) -> Result<Option<Removal>> {
        again(|| async {
            let mut tx = self.begin_removal().await?;
            let rows = sql(
                "DELETE FROM variants WHERE (hash, variant) IN (SELECT hash, variant FROM variants \
                 WHERE created_at <= $1 ORDER BY hash, variant LIMIT $2) RETURNING hash, object, size",
            )
            .bind(run.started_at)
            .bind(i64::from(limit))
            .all(&mut tx)
            .await?;
            variant::discount(&mut tx, &rows)?;
            let mut removal = Removal::default();
            for row in &rows {
                removal.contents.push(row.content_key("hash")?);
                removal.objects.push(row.object("object")?);
            }
            garbage::discard_in(&mut tx, &removal.objects).await?;
            let end = rows.is_empty().then_some(now);
            if !advance_in(&mut tx, run, None, rows.len(), end).await? {
                return Ok(None);
            }
            node::announce_in(&mut tx, &removal).await?;
            tx.commit().await?;
            Ok(Some(removal))
        })
        .await
    }

    /// The next contents for a step of [`Task::Prune`], with their objects.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn contents_after(
        &self,
        cursor: Option<&ContentKey>,
        limit: u32,
    ) -> Result<Vec<(ContentKey, ObjectKey)>> {
        let rows = sql("SELECT hash, object FROM hashes WHERE hash > $1 ORDER BY hash LIMIT $2")
            .bind(cursor.map_or(&[][..], ContentKey::as_bytes))
            .bind(i64::from(limit))
            .all(&self.read)
            .await?;
        rows.iter()
            .map(|row| Ok((row.content_key("hash")?, row.object("object")?)))
            .collect()
    }

    /// A step of [`Task::Prune`] that only counts: adds to the number of lost contents. `cursor` is
    /// the last content processed; without a cursor counting is complete, and removing begins.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn count_lost(
        &self,
        run: &Run,
        cursor: Option<&ContentKey>,
        lost: usize,
    ) -> Result<()> {
        sql(
            "UPDATE maintenance SET cursor = $3, lost = lost + $4, counted = $5 \
             WHERE task = $1 AND started_at = $2",
        )
        .bind(run.task.as_str())
        .bind(run.started_at)
        .bind(cursor.map(ContentKey::as_bytes))
        .bind(bigint(lost as u64))
        .bind(i64::from(cursor.is_none()))
        .run(&self.write)
        .await?;
        Ok(())
    }

    /// Stops a run that would remove more than it may. `lost` is the number counted so far.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn stop_run(&self, run: &Run, lost: u64, now: i64) -> Result<()> {
        sql(
            "UPDATE maintenance SET stopped = 1, lost = $3, finished_at = $4 \
             WHERE task = $1 AND started_at = $2",
        )
        .bind(run.task.as_str())
        .bind(run.started_at)
        .bind(bigint(lost))
        .bind(now)
        .run(&self.write)
        .await?;
        Ok(())
    }

    /// A step of [`Task::Prune`]: purges the contents that still point to these lost objects.
    /// `cursor` is the last content processed; without a cursor the run has ended. Returns what was
    /// purged; `None` when the run was started over.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn prune(
        &self,
        run: &Run,
        cursor: Option<&ContentKey>,
        lost: &[(ContentKey, ObjectKey)],
        now: i64,
    ) -> Result<Option<Removal>> {
        again(|| async {
            let mut tx = self.begin_removal().await?;
            let mut pruned = Removal::default();
            let mut count = 0;
            for (hash, object) in lost {
                // An upload may have restored it meanwhile.
                let known = content::lock_in(&mut tx, hash).await?;
                if known.is_some_and(|known| known.representation.object == *object) {
                    let action = Action::Prune;
                    if run.block {
                        blocklist::block_content_in(&mut tx, hash, &run.cause, now).await?;
                    }
                    let purged = removal::purge_in(&mut tx, hash, action, &run.cause, now).await?;
                    pruned.aliases.extend(purged.aliases);
                    pruned.objects.extend(purged.objects);
                    count += 1;
                }
            }
            if cursor.is_none() {
                prune_aliases_in(&mut tx, run, &mut pruned, now).await?;
            }
            let end = cursor.is_none().then_some(now);
            if !advance_in(&mut tx, run, cursor, count, end).await? {
                return Ok(None);
            }
            node::announce_in(&mut tx, &pruned).await?;
            tx.commit().await?;
            Ok(Some(pruned))
        })
        .await
    }
}

/// Removes aliases whose file was lost and restored only for others.
async fn prune_aliases_in(
    tx: &mut Change,
    run: &Run,
    pruned: &mut Removal,
    now: i64,
) -> Result<()> {
    // Matches any time; written so that the index of such rows is used.
    let rows = sql("SELECT alias, hash FROM aliases WHERE lost_at >= 0")
        .all(&mut *tx)
        .await?;
    let mut blocked = HashSet::new();
    for row in &rows {
        let hash = row.content_key("hash")?;
        if run.block && blocked.insert(hash) {
            blocklist::block_content_in(tx, &hash, &run.cause, now).await?;
        }
        let alias = row.alias("alias")?;
        let removed = removal::remove_for(tx, &alias, Action::Prune, &run.cause, now).await?;
        pruned.objects.extend(removed.objects);
        pruned.aliases.push(alias);
    }
    Ok(())
}

/// Returns false when the run was started over; then the transaction must not change anything else.
pub(super) async fn advance_in(
    tx: &mut Change,
    run: &Run,
    cursor: Option<&ContentKey>,
    removed: usize,
    finished_at: Option<i64>,
) -> Result<bool> {
    let advanced = sql(
        "UPDATE maintenance SET cursor = $3, progress = progress + $4, finished_at = $5 \
         WHERE task = $1 AND started_at = $2",
    )
    .bind(run.task.as_str())
    .bind(run.started_at)
    .bind(cursor.map(ContentKey::as_bytes))
    .bind(bigint(removed as u64))
    .bind(finished_at)
    .run(&mut *tx)
    .await?;
    Ok(advanced == 1)
}

fn from_row(row: &Row) -> Result<Run> {
    let task = row.text("task")?;
    let allowed = row.int_or_null("allowed")?;
    Ok(Run {
        task: Task::ALL
            .into_iter()
            .find(|known| known.as_str() == task)
            .ok_or_else(|| broken("task"))?,
        cursor: row.blob_or_null("cursor")?.and_then(ContentKey::from_bytes),
        progress: row.number("progress")?,
        total: row.number("total")?,
        allowed: allowed.map(|allowed| u64::try_from(allowed).unwrap_or(0)),
        lost: row.number("lost")?,
        is_counted: row.int("counted")? != 0,
        block: row.int("block")? != 0,
        is_stopped: row.int("stopped")? != 0,
        cause: Cause {
            actor: Actor::Server,
            key: row.text_or_null("key_name")?,
            reason: row.text_or_null("reason")?,
            request_id: row.text_or_null("request_id")?,
        },
        started_at: row.int("started_at")?,
        is_finished: row.int_or_null("finished_at")?.is_some(),
    })
}

#[cfg(test)]
mod tests {
    use pict_rs_media::Format;

    use super::*;

    #[test]
    fn a_run_tells_which_part_is_done_and_how_long_the_rest_takes() {
        let run = |task, cursor: Option<u8>, progress, is_counted| Run {
            task,
            cursor: cursor.map(|first| ContentKey::new([first; 32], 1, Format::Png)),
            progress,
            total: 200,
            allowed: None,
            lost: 0,
            is_counted,
            block: false,
            is_stopped: false,
            cause: Cause::new(Actor::Server),
            started_at: 10_000,
            is_finished: false,
        };
        let check = |run: &Run, done: f64, left: Option<u64>| {
            assert!(
                (run.fraction_done() - done).abs() < 0.01,
                "{run:?}: {}",
                run.fraction_done()
            );
            let seconds = run.time_left(70_000).map(|left| left.as_secs());
            assert_eq!(seconds, left, "{run:?}");
        };
        check(&run(Task::Variants, None, 0, false), 0.0, None);
        check(&run(Task::Variants, None, 50, false), 0.25, Some(180));
        // More were made meanwhile.
        check(&run(Task::Scan, None, 300, false), 1.0, Some(0));
        check(&run(Task::Prune, None, 0, false), 0.0, None);
        check(&run(Task::Prune, Some(0x80), 0, false), 0.25, Some(179));
        check(&run(Task::Prune, Some(0x80), 1, true), 0.75, Some(19));
        let ended = Run {
            is_finished: true,
            ..run(Task::Prune, None, 0, false)
        };
        check(&ended, 1.0, None);
    }
}
