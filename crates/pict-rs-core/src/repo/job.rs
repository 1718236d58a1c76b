//! The queue of jobs. One worker at a time holds a job, until its lease ends.
//!
//! A job is due when its `due_at` has passed. Holding it moves `due_at` to the end of the lease, so
//! the job of a worker that died is simply due again. Every statement about a held job checks its
//! lease; with a lost lease it changes nothing and reports that.
//!
//! The start of a job is committed before its work starts. A job that is marked as begun when the
//! server starts was running when the server died, and may be the cause.

use uuid::Uuid;

use super::change::Change;
use super::sql::{Row, broken, composed, sql};
use super::{Repo, bigint, node};
use crate::{Alias, ContentKey, Result, UploadId};

/// Where transactions that add to the queue pass one at a time.
const QUEUE: i64 = 0x7069_6374_6a6f_6273;

/// What a job does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Ingest a waiting upload.
    Ingest(UploadId),
    /// Make a variant.
    Variant {
        /// The alias of the original.
        alias: Alias,
        /// The variant's key, as text.
        variant: String,
    },
}

/// A job held by one worker.
#[derive(Clone, Debug)]
pub struct Job {
    /// What to do.
    pub work: Work,
    /// How often it was started, including this time.
    pub attempt: u32,
    /// How often the server died while it was running.
    pub deaths: u32,
    key: String,
    lease: String,
}

/// A job in the queue, as administrators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedJob {
    /// The alias whose variant is made; `None` for an upload, whose id only its client may know.
    pub variant_of: Option<Alias>,
    /// The variant's key, as text.
    pub variant: Option<String>,
    /// Whether a worker holds it, or held it when it died.
    pub is_held: bool,
    /// How often it was started.
    pub attempts: u32,
    /// How often the server died while it was running.
    pub deaths: u32,
    /// When it may start, or when its lease ends; unix time in milliseconds.
    pub due_at: i64,
    /// Unix time in milliseconds.
    pub created_at: i64,
}

/// Result of trying to enqueue a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enqueued {
    /// It was enqueued.
    Added,
    /// The same job is already in the queue.
    Known,
    /// The queue is full; nothing was added.
    Full,
}

impl QueuedJob {
    /// Whether a worker holds it now; `now` is unix time in milliseconds, by the clock of the queue.
    pub fn is_running(&self, now: i64) -> bool {
        self.is_held && self.due_at > now
    }
}

impl Repo {
    /// Enqueues the making of a variant, unless it is queued already or the queue has `limit` jobs.
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

    /// Takes the job that has been due longest, and holds it until `until`. This marks its work as
    /// begun, unless the server died during it before: then [`Repo::begin_job`] does.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn hold_job(&self, now: i64, until: i64) -> Result<Option<Job>> {
        let lease = format!("{}/{}", self.node.id, Uuid::new_v4());
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

    /// Marks the work of a job as begun, for a job during which the server died before. Returns
    /// false when the lease was lost.
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

    /// When the next job is due, if there is one.
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

    /// Up to `limit` jobs, those first that are due first.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn queued_jobs(&self, limit: u32) -> Result<Vec<QueuedJob>> {
        let rows = sql(
            "SELECT kind, subject, detail, attempts, deaths, lease, due_at, created_at FROM jobs \
             ORDER BY due_at, created_at, key LIMIT $1",
        )
        .bind(i64::from(limit))
        .all(&self.read)
        .await?;
        let job = |row: &Row| {
            let is_variant = row.text("kind")? == "variant";
            Ok(QueuedJob {
                variant_of: is_variant.then(|| row.alias("subject")).transpose()?,
                variant: row.text_or_null("detail")?,
                is_held: row.text_or_null("lease")?.is_some(),
                attempts: row.number("attempts")?,
                deaths: row.number("deaths")?,
                due_at: row.int("due_at")?,
                created_at: row.int("created_at")?,
            })
        };
        rows.iter().map(job).collect()
    }

    /// Extends the lease of a job. Returns false when the lease was lost.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn renew_job(&self, job: &Job, until: i64) -> Result<bool> {
        self.move_job(job, until, "UPDATE jobs SET due_at = $3")
            .await
    }

    /// Releases a job, to be tried again at `due`. Returns false when the lease was lost.
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

    /// As [`Repo::retry_job`], but the attempt does not count, because the job did not cause its
    /// end.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn return_job(&self, job: &Job, due: i64) -> Result<bool> {
        let change =
            "UPDATE jobs SET lease = NULL, begun = 0, due_at = $3, attempts = attempts - 1";
        self.move_job(job, due, change).await
    }

    /// Postpones a job that has killed the server more than once. It stays in the queue, so that
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

    /// Removes a finished job, successful or not. Returns false when the lease was lost.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn finish_job(&self, job: &Job) -> Result<bool> {
        let mut tx = self.begin_removal().await?;
        let is_ours = finish_in(&mut tx, job).await?;
        tx.commit().await?;
        Ok(is_ours)
    }

    /// Makes all jobs due, those that were running when the server died at `later`. Called at
    /// start: the lock on the database proves that the server that held them is gone, and clocks
    /// may have been set. A postponed job stays so, but at most until `latest`.
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
        node::forget_all_in(&mut tx).await?;
        tx.commit().await?;
        Ok(freed)
    }
}

/// Adds a job that is due at once, unless the same job is queued or the queue has `limit` jobs, of
/// any kind and state. Counts and adds in one statement. Returns whether it was added.
pub(super) async fn insert(
    tx: &mut Change,
    key: &str,
    work: &Work,
    now: i64,
    limit: u64,
) -> Result<bool> {
    // Otherwise two transactions could each find room for one more.
    tx.pass_alone(QUEUE).await?;
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

/// Removes a job from the queue as part of a transaction. Returns false when the lease was lost;
/// then the transaction must not change anything else.
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
