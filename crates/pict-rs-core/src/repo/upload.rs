//! Backgrounded uploads between acknowledgement and claim. The outcome is committed together with
//! the end of the job, so each upload has exactly one, and no alias exists without it.

use super::audit::{Action, Cause};
use super::change::Change;
use super::fault::again;
use super::job::{self, Job, Work};
use super::sql::{Row, broken, sql};
use super::{Added, NewUpload, Removal, Repo, garbage, hash, node, removal};
use crate::{Alias, ErrorCode, ObjectKey, Result, UploadId, UserMessage};

/// The state of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It does not exist: it was claimed, it expired, or it never existed.
    Unknown,
    /// Its job is queued or running.
    Waiting,
    /// It can be claimed.
    Finished,
}

/// Why an upload failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The stable code.
    pub code: ErrorCode,
    /// For the client; `None` for an internal error.
    pub message: Option<UserMessage>,
}

impl Failure {
    /// As stored in the database.
    fn to_text(&self) -> Result<Option<String>> {
        let text = |message| serde_json::to_string(message).map_err(|_| broken("message"));
        self.message.as_ref().map(text).transpose()
    }
}

/// The outcome of an upload.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It was ingested.
    Taken(Box<NewUpload>),
    /// It was ingested, and removed before it was claimed.
    Removed(Alias),
    /// It failed.
    Failed(Failure),
}

/// An outcome that was taken out of the database for a claim.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The outcome.
    pub outcome: Outcome,
    /// Unix time in milliseconds.
    pub finished_at: i64,
}

impl Repo {
    /// Adds uploads whose bytes are durable, each with its job; none of them when more than `limit`
    /// jobs would wait. Returns whether they were added.
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
        again(|| async {
            let mut tx = self.begin().await?;
            for id in ids {
                sql("INSERT INTO uploads (upload_id, query) VALUES ($1, $2)")
                    .bind(id.expose())
                    .bind(query)
                    .run(&mut tx)
                    .await?;
                garbage::fulfil_in(&mut tx, &ObjectKey::of_upload(id)).await?;
                let key = format!("ingest/{}", id.expose());
                if !job::insert(&mut tx, &key, &Work::Ingest(*id), now, limit).await? {
                    return Ok(false);
                }
            }
            tx.commit().await?;
            Ok(true)
        })
        .await
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

    /// Up to `limit` uploads without an outcome after this one, in the order of their ids.
    ///
    /// # Errors
    /// [`ErrorCode::RepoError`].
    pub async fn waiting_after(
        &self,
        cursor: Option<&UploadId>,
        limit: u32,
    ) -> Result<Vec<UploadId>> {
        let rows = sql("SELECT upload_id FROM uploads \
             WHERE upload_id > $1 AND finished_at IS NULL ORDER BY upload_id LIMIT $2")
        .bind(cursor.map(UploadId::expose).unwrap_or_default())
        .bind(i64::from(limit))
        .all(&self.read)
        .await?;
        rows.iter()
            .map(|row| UploadId::parse(&row.text("upload_id")?).map_err(|_| broken("upload_id")))
            .collect()
    }

    /// The state of an upload.
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

    /// As [`Repo::add_upload`]; the same transaction records the outcome and removes the job.
    /// Returns `None`, and changes nothing, when the lease was lost.
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
        again(|| async {
            let mut tx = self.begin().await?;
            if !job::finish_in(&mut tx, job).await? {
                return Ok(None);
            }
            let added = hash::add_in(&mut tx, upload).await?;
            discard_file_in(&mut tx, id).await?;
            sql("UPDATE uploads SET alias = $2, finished_at = $3 WHERE upload_id = $1")
                .bind(id.expose())
                .bind(upload.alias.as_str())
                .bind(now)
                .run(&mut tx)
                .await?;
            tx.commit().await?;
            Ok(Some(added))
        })
        .await
    }

    /// Records that an upload failed. Returns false, and changes nothing, when the lease was lost.
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
        discard_file_in(&mut tx, id).await?;
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

    /// Takes an outcome out of the database; of several concurrent callers, one gets it.
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

    /// Undoes [`Repo::take_outcome`], because the claiming client could not be answered.
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
             VALUES ($1, '', $2, $3, $4, $5) ON CONFLICT (upload_id) DO NOTHING",
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

    /// Removes up to `limit` outcomes that were not claimed since `before`, with their aliases,
    /// which no client knows. Returns the number of outcomes, and what was removed.
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
        again(|| async {
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
            node::announce_in(&mut tx, &removal).await?;
            tx.commit().await?;
            Ok((rows.len(), removal))
        })
        .await
    }

    /// When the oldest unclaimed outcome was finished.
    ///
    /// # Errors
    /// [`ErrorCode::RepoError`].
    pub async fn oldest_unclaimed(&self) -> Result<Option<i64>> {
        let oldest = sql("SELECT MIN(finished_at) AS finished_at FROM uploads");
        oldest.one(&self.read).await?.int_or_null("finished_at")
    }
}

/// Where objects need intents, nothing else remembers the file of an upload that is over.
async fn discard_file_in(tx: &mut Change, id: &UploadId) -> Result<()> {
    if tx.needs_intents() {
        garbage::discard_in(tx, &[ObjectKey::of_upload(id)]).await?;
    }
    Ok(())
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
        // Versions before 0.7 stored only the sentence.
        message: message.map(|text| serde_json::from_str(&text).unwrap_or_else(|_| text.into())),
    })
}
