//! The queue of jobs: each is held by one worker at a time, for as long as its lease lasts.
//!
//! A job is due when its `due_at` has passed. Holding it moves `due_at` to the end of the lease,
//! so a worker that died needs no one to notice: its job is simply due again. Whatever is done
//! with a held job names the lease; with a lease that was lost it does nothing and says so.
//!
//! That its work begins is committed before it does. A job that has begun and not ended when the
//! server starts was being done when the server died, and may be the reason.

use uuid::Uuid;

use super::change::Change;
use super::sql::{Row, broken, composed, sql};
use super::{Repo, bigint};
use crate::{Alias, ContentKey, Result, UploadId};

/// What there is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Take a waiting upload in.
    Ingest(UploadId),
    /// Make a variant.
    Variant {
        /// Of this.
        alias: Alias,
        /// The variant's key, as text.
        variant: String,
    },
}

/// A job in the hands of one worker.
#[derive(Clone, Debug)]
pub struct Job {
    /// What there is to do.
    pub work: Work,
    /// How often it was begun, this time included.
    pub attempt: u32,
    /// How often the server died while it was being done.
    pub deaths: u32,
    key: String,
    lease: String,
}

/// What became of a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enqueued {
    /// It waits for a worker.
    Added,
    /// The same is in the queue already.
    Known,
    /// Too much is waiting; nothing was added.
    Full,
}

impl Repo {
    /// Queues the making of a variant, unless it is queued already or `limit` jobs are.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn enqueue_variant(
        &self,
        hash: &ContentKey,
        alias: &Alias,
        variant: &str,
        now: i64,
        limit: u64,
    ) -> Result<Enqueued> {
        let key = format!("variant/{}/{variant}", hash.to_hex());
        let mut tx = self.begin().await?;
        let work = Work::Variant {
            alias: alias.clone(),
            variant: variant.to_owned(),
        };
        if insert(&mut tx, &key, &work, now, limit).await? {
            tx.commit().await?;
            return Ok(Enqueued::Added);
        }
        let is_known = sql("SELECT 1 FROM jobs WHERE key = $1")
            .bind(&key)
            .any(&mut tx)
            .await?;
        Ok(match is_known {
            true => Enqueued::Known,
            false => Enqueued::Full,
        })
    }

    /// Hands out the job that has been due longest, held until `until`. Its work has begun, unless
    /// the server died during it before: then [`Repo::begin_job`] says when it begins.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn hold_job(&self, now: i64, until: i64) -> Result<Option<Job>> {
        let lease = Uuid::new_v4().to_string();
        let row = sql(
            "UPDATE jobs SET lease = $1, due_at = $2, attempts = attempts + 1, \
             begun = CASE deaths WHEN 0 THEN 1 ELSE 0 END WHERE key = \
             (SELECT key FROM jobs WHERE due_at <= $3 ORDER BY due_at, created_at, key LIMIT 1 FOR UPDATE SKIP LOCKED) \
             RETURNING key, kind, subject, detail, attempts, deaths",
        )
        .bind(&lease)
        .bind(until)
        .bind(now)
        .optional(&self.write).await?;
        row.map(|row| from_row(&row, lease)).transpose()
    }

    /// The work of a job begins that was being done when the server died. False when the lease was
    /// lost.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn begin_job(&self, job: &Job) -> Result<bool> {
        let begun = sql("UPDATE jobs SET begun = 1 WHERE key = $1 AND lease = $2")
            .bind(&job.key)
            .bind(&job.lease)
            .run(&self.write)
            .await?;
        Ok(begun == 1)
    }

    /// When the next job is due, if there is any.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn next_due(&self) -> Result<Option<i64>> {
        let next = sql("SELECT MIN(due_at) AS due_at FROM jobs")
            .one(&self.read)
            .await?;
        next.int_or_null("due_at")
    }

    /// How many jobs wait or are held.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn jobs(&self) -> Result<u64> {
        let jobs = sql("SELECT COUNT(*) AS jobs FROM jobs");
        jobs.one(&self.read).await?.number("jobs")
    }

    /// Holds a job longer. False when the lease was lost.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn renew_job(&self, job: &Job, until: i64) -> Result<bool> {
        self.move_job(job, until, "UPDATE jobs SET due_at = $3")
            .await
    }

    /// Gives a job back, to be tried again at `due`. False when the lease was lost.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn retry_job(&self, job: &Job, due: i64) -> Result<bool> {
        self.move_job(
            job,
            due,
            "UPDATE jobs SET lease = NULL, begun = 0, due_at = $3",
        )
        .await
    }

    /// As [`Repo::retry_job`], but this attempt does not count: it was not the job's fault.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn return_job(&self, job: &Job, due: i64) -> Result<bool> {
        let change =
            "UPDATE jobs SET lease = NULL, begun = 0, due_at = $3, attempts = attempts - 1";
        self.move_job(job, due, change).await
    }

    /// Puts a job off that has killed the server more than once. It stays in the queue, so that
    /// the same work is not queued again; when it is due, it is tried once.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn put_job_off(&self, job: &Job, due: i64) -> Result<bool> {
        let change =
            "UPDATE jobs SET lease = NULL, begun = 0, due_at = $3, attempts = 0, deaths = 1";
        self.move_job(job, due, change).await
    }

    async fn move_job(&self, job: &Job, due: i64, change: &'static str) -> Result<bool> {
        let moved = composed(format!("{change} WHERE key = $1 AND lease = $2"))
            .bind(&job.key)
            .bind(&job.lease)
            .bind(due)
            .run(&self.write)
            .await?;
        Ok(moved == 1)
    }

    /// A job is done, well or not. False when the lease was lost.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn finish_job(&self, job: &Job) -> Result<bool> {
        let mut tx = self.begin_removal().await?;
        let is_ours = finish_in(&mut tx, job).await?;
        tx.commit().await?;
        Ok(is_ours)
    }

    /// Makes all jobs due, and those `later` that were being done when the server died. For the
    /// start: the server that held one is gone, as the lock on the database proves; and clocks may have
    /// been set. A job that was put off stays so, but no longer than until `latest`.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn free_jobs(&self, now: i64, later: i64, latest: i64) -> Result<u64> {
        let mut tx = self.begin_removal().await?;
        let freed = sql(
            "UPDATE jobs SET lease = NULL, begun = 0, deaths = deaths + begun, due_at = CASE \
             WHEN lease IS NULL AND deaths > 0 AND attempts = 0 AND due_at <= $3 THEN due_at \
             WHEN lease IS NULL AND deaths > 0 AND attempts = 0 THEN $3 \
             WHEN deaths + begun > 0 THEN $2 ELSE $1 END",
        )
        .bind(now)
        .bind(later)
        .bind(latest)
        .run(&mut tx)
        .await?;
        tx.commit().await?;
        Ok(freed)
    }
}

/// Adds a job that is due at once, unless the same is queued or `limit` jobs are, of any kind and
/// state. Counts and adds in one statement. Returns whether it was added.
pub(super) async fn insert(
    tx: &mut Change,
    key: &str,
    work: &Work,
    now: i64,
    limit: u64,
) -> Result<bool> {
    let (kind, subject, detail) = match work {
        Work::Ingest(id) => ("ingest", id.expose(), None),
        Work::Variant { alias, variant } => ("variant", alias.to_string(), Some(variant)),
    };
    let inserted = sql(
        "INSERT INTO jobs (key, kind, subject, detail, attempts, due_at, created_at) \
         SELECT $1, $2, $3, $4, 0, $5, $5 WHERE (SELECT COUNT(*) FROM jobs) < $6 \
         ON CONFLICT (key) DO NOTHING",
    )
    .bind(key)
    .bind(kind)
    .bind(subject)
    .bind(detail)
    .bind(now)
    .bind(bigint(limit))
    .run(tx)
    .await?;
    Ok(inserted == 1)
}

/// Takes a job off the queue, together with what else the transaction changes. False when the
/// lease was lost; then nothing else may be changed either.
pub(super) async fn finish_in(tx: &mut Change, job: &Job) -> Result<bool> {
    let finished = sql("DELETE FROM jobs WHERE key = $1 AND lease = $2")
        .bind(&job.key)
        .bind(&job.lease)
        .run(&mut *tx)
        .await?;
    Ok(finished == 1)
}

fn from_row(row: &Row, lease: String) -> Result<Job> {
    let work = match row.text("kind")?.as_str() {
        "ingest" => {
            Work::Ingest(UploadId::parse(&row.text("subject")?).map_err(|_| broken("subject"))?)
        }
        "variant" => Work::Variant {
            alias: row.alias("subject")?,
            variant: row.text("detail")?,
        },
        _ => return Err(broken("kind")),
    };
    Ok(Job {
        work,
        attempt: row.number("attempts")?,
        deaths: row.number("deaths")?,
        key: row.text("key")?,
        lease,
    })
}
