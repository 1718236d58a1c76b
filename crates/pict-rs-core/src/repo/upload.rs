//! Backgrounded uploads between their acknowledgement and their claim. The outcome is committed
//! together with the end of the job, so there is exactly one, and never an alias without it.

use super::audit::{Action, Cause};
use super::job::{self, Job, Work};
use super::sql::{Row, broken, sql};
use super::{Added, NewUpload, Removal, Repo, hash, removal};
use crate::{Alias, ErrorCode, Result, UploadId, UserMessage};

/// How far an upload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nobody knows it: claimed, expired, or never there.
    Unknown,
    /// Its job is queued or being done.
    Waiting,
    /// It can be claimed.
    Finished,
}

/// Why an upload was not taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The stable code.
    pub code: ErrorCode,
    /// For the client; `None` when the fault was ours.
    pub message: Option<UserMessage>,
}

impl Failure {
    /// As it stands in the database.
    fn to_text(&self) -> Result<Option<String>> {
        let text = |message| serde_json::to_string(message).map_err(|_| broken("message"));
        self.message.as_ref().map(text).transpose()
    }
}

/// What became of an upload.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It was taken in.
    Taken(Box<NewUpload>),
    /// It was taken in, and removed before anybody claimed it.
    Removed(Alias),
    /// It was not taken in.
    Failed(Failure),
}

/// An outcome that was taken off the database for the one who claims it.
#[derive(Clone, Debug)]
pub struct Finished {
    /// What became of the upload.
    pub outcome: Outcome,
    /// Unix time in milliseconds.
    pub finished_at: i64,
}

impl Repo {
    /// Adds uploads whose bytes are durable, each with its job; all of them, or none when more
    /// than `limit` jobs would wait. Returns whether they were added.
    ///
    /// # Errors
    /// [`ErrorCode::RepoError`].
    pub async fn add_waiting(
        &self,
        ids: &[UploadId],
        query: &str,
        now: i64,
        limit: u64,
    ) -> Result<bool> {
        let mut tx = self.begin().await?;
        for id in ids {
            sql("INSERT INTO uploads (upload_id, query) VALUES ($1, $2)")
                .bind(id.expose())
                .bind(query)
                .run(&mut tx)
                .await?;
            let key = format!("ingest/{}", id.expose());
            if !job::insert(&mut tx, &key, &Work::Ingest(*id), now, limit).await? {
                return Ok(false);
            }
        }
        tx.commit().await?;
        Ok(true)
    }

    /// The query of an upload that has no outcome yet.
    ///
    /// # Errors
    /// [`ErrorCode::RepoError`].
    pub async fn waiting(&self, id: &UploadId) -> Result<Option<String>> {
        let row = sql("SELECT query FROM uploads WHERE upload_id = $1 AND finished_at IS NULL")
            .bind(id.expose())
            .optional(&self.read)
            .await?;
        row.map(|row| row.text("query")).transpose()
    }

    /// How far an upload is.
    ///
    /// # Errors
    /// [`ErrorCode::RepoError`].
    pub async fn progress(&self, id: &UploadId) -> Result<Progress> {
        let row = sql("SELECT finished_at FROM uploads WHERE upload_id = $1")
            .bind(id.expose())
            .optional(&self.read)
            .await?;
        let Some(row) = row else {
            return Ok(Progress::Unknown);
        };
        Ok(match row.int_or_null("finished_at")? {
            None => Progress::Waiting,
            Some(_) => Progress::Finished,
        })
    }

    /// As [`Repo::add_upload`], and in the same transaction the outcome of the upload and the
    /// end of its job. `None`, and nothing changed, when the lease was lost.
    ///
    /// # Errors
    /// [`ErrorCode::RepoError`].
    pub async fn complete_upload(
        &self,
        job: &Job,
        id: &UploadId,
        upload: &NewUpload,
        now: i64,
    ) -> Result<Option<Added>> {
        let mut tx = self.begin().await?;
        if !job::finish_in(&mut tx, job).await? {
            return Ok(None);
        }
        let added = hash::add_in(&mut tx, upload).await?;
        sql("UPDATE uploads SET alias = $2, finished_at = $3 WHERE upload_id = $1")
            .bind(id.expose())
            .bind(upload.alias.as_str())
            .bind(now)
            .run(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(Some(added))
    }

    /// Gives an upload up. False, and nothing changed, when the lease was lost.
    ///
    /// # Errors
    /// [`ErrorCode::RepoError`].
    pub async fn fail_upload(
        &self,
        job: &Job,
        id: &UploadId,
        failure: &Failure,
        now: i64,
    ) -> Result<bool> {
        let mut tx = self.begin_removal().await?;
        if !job::finish_in(&mut tx, job).await? {
            return Ok(false);
        }
        sql("UPDATE uploads SET code = $2, message = $3, finished_at = $4 WHERE upload_id = $1")
            .bind(id.expose())
            .bind(failure.code.as_str())
            .bind(failure.to_text()?)
            .bind(now)
            .run(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Takes an outcome off the database; of many who ask, one gets it.
    ///
    /// # Errors
    /// [`ErrorCode::RepoError`].
    pub async fn take_outcome(&self, id: &UploadId) -> Result<Option<Finished>> {
        let mut tx = self.begin_removal().await?;
        let row = sql(
            "DELETE FROM uploads WHERE upload_id = $1 AND finished_at IS NOT NULL \
             RETURNING alias, code, message, finished_at",
        )
        .bind(id.expose())
        .optional(&mut tx)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let outcome = match alias(&row)? {
            None => Outcome::Failed(failure(&row)?),
            Some(alias) => match hash::find_in(&mut tx, alias.clone()).await? {
                Some(upload) => Outcome::Taken(Box::new(upload)),
                None => Outcome::Removed(alias),
            },
        };
        let finished_at = row.int("finished_at")?;
        tx.commit().await?;
        Ok(Some(Finished {
            outcome,
            finished_at,
        }))
    }

    /// Undoes [`Repo::take_outcome`], because whoever claimed it could not be answered.
    ///
    /// # Errors
    /// [`ErrorCode::RepoError`].
    pub async fn put_back(&self, id: &UploadId, finished: &Finished) -> Result<()> {
        let (alias, failure) = match &finished.outcome {
            Outcome::Taken(upload) => (Some(&upload.alias), None),
            Outcome::Removed(alias) => (Some(alias), None),
            Outcome::Failed(failure) => (None, Some(failure)),
        };
        let message = failure.map(Failure::to_text).transpose()?.flatten();
        sql(
            "INSERT INTO uploads (upload_id, query, alias, code, message, finished_at) \
             VALUES ($1, '', $2, $3, $4, $5)",
        )
        .bind(id.expose())
        .bind(alias.map(Alias::as_str))
        .bind(failure.map(|failure| failure.code.as_str()))
        .bind(message)
        .bind(finished.finished_at)
        .run(&self.write)
        .await?;
        Ok(())
    }

    /// Removes up to `limit` outcomes that nobody claimed since `before`, with the aliases that
    /// nobody has heard of. Returns how many outcomes, and what went with them.
    ///
    /// # Errors
    /// [`ErrorCode::RepoError`].
    pub async fn expire(
        &self,
        before: i64,
        limit: u32,
        cause: &Cause,
        now: i64,
    ) -> Result<(usize, Removal)> {
        let any = "SELECT 1 FROM uploads WHERE finished_at <= $1 LIMIT 1";
        if !self.has_any(any, before).await? {
            return Ok((0, Removal::default()));
        }
        let mut tx = self.begin_removal().await?;
        let rows = sql(
            "DELETE FROM uploads WHERE upload_id IN (SELECT upload_id FROM uploads \
             WHERE finished_at <= $1 ORDER BY finished_at LIMIT $2) RETURNING alias",
        )
        .bind(before)
        .bind(i64::from(limit))
        .all(&mut tx)
        .await?;
        let mut removal = Removal::default();
        for row in &rows {
            if let Some(alias) = alias(row)? {
                let action = Action::Expire;
                let removed = removal::remove_for(&mut tx, &alias, action, cause, now).await?;
                removal.objects.extend(removed.objects);
                removal.aliases.push(alias);
            }
        }
        tx.commit().await?;
        Ok((rows.len(), removal))
    }

    /// When the oldest outcome was finished that nobody has claimed yet.
    ///
    /// # Errors
    /// [`ErrorCode::RepoError`].
    pub async fn oldest_unclaimed(&self) -> Result<Option<i64>> {
        let oldest = sql("SELECT MIN(finished_at) AS finished_at FROM uploads");
        oldest.one(&self.read).await?.int_or_null("finished_at")
    }
}

fn alias(row: &Row) -> Result<Option<Alias>> {
    match row.text_or_null("alias")? {
        Some(_) => row.alias("alias").map(Some),
        None => Ok(None),
    }
}

fn failure(row: &Row) -> Result<Failure> {
    let code = row.text("code")?;
    let message = row.text_or_null("message")?;
    Ok(Failure {
        // A code of a newer version, read after a downgrade.
        code: ErrorCode::from_text(&code).unwrap_or(ErrorCode::UnknownError),
        // Versions before 0.7 kept the sentence alone.
        message: message.map(|text| serde_json::from_str(&text).unwrap_or_else(|_| text.into())),
    })
}
