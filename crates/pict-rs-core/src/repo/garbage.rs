//! Objects between their last row and their removal from the store.

use super::Repo;
use super::change::Change;
use super::fault::again;
use super::sql::{self, composed, sql};
use crate::{Error, ErrorCode, ObjectKey, Result};

/// Objects that are looked up in one statement.
pub(super) const ASKED: usize = 16;
/// The same number of parameters.
pub(super) const PARAMETERS: &str =
    "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16";

impl Repo {
    /// All objects that must still be removed from the store.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn garbage(&self) -> Result<Vec<ObjectKey>> {
        let rows = sql("SELECT object FROM garbage WHERE not_before = 0")
            .all(&self.read)
            .await?;
        sql::objects(&rows)
    }

    /// Up to `limit` objects that must still be removed from the store.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn some_garbage(&self, limit: u32) -> Result<Vec<ObjectKey>> {
        let rows = sql("SELECT object FROM garbage WHERE not_before = 0 LIMIT $1")
            .bind(i64::from(limit))
            .all(&self.read)
            .await?;
        sql::objects(&rows)
    }

    /// Records that the store has removed these objects.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn collected(&self, objects: &[ObjectKey]) -> Result<()> {
        // In one order for all transactions.
        let mut objects: Vec<_> = objects.iter().map(ObjectKey::as_str).collect();
        objects.sort_unstable();
        again(|| async {
            let mut tx = self.begin_removal().await?;
            for object in &objects {
                sql("DELETE FROM garbage WHERE object = $1")
                    .bind(*object)
                    .run(&mut tx)
                    .await?;
            }
            tx.commit().await
        })
        .await
    }

    /// Records that objects are about to be stored, which become garbage if no row names them until
    /// `not_before`, in unix milliseconds.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`], [`crate::ErrorCode::InsufficientStorage`].
    pub async fn intend(&self, objects: &[ObjectKey], not_before: i64) -> Result<()> {
        again(|| async {
            let mut tx = self.begin().await?;
            for object in objects {
                sql("INSERT INTO garbage (object, not_before) VALUES ($1, $2)")
                    .bind(object.as_str())
                    .bind(not_before)
                    .run(&mut tx)
                    .await?;
            }
            tx.commit().await
        })
        .await
    }

    /// Records that an object that another program has stored is about to be named. It never becomes
    /// garbage, whether a row names it or not.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`], [`crate::ErrorCode::InsufficientStorage`].
    #[cfg(feature = "migrate")]
    pub async fn intend_to_adopt(&self, object: &ObjectKey) -> Result<()> {
        again(|| async {
            let mut tx = self.begin().await?;
            sql("INSERT INTO garbage (object, not_before) VALUES ($1, $2) \
                 ON CONFLICT (object) DO NOTHING")
            .bind(object.as_str())
            .bind(i64::MAX)
            .run(&mut tx)
            .await?;
            tx.commit().await
        })
        .await
    }

    /// Forgets objects of another program that no row has named in the end.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    #[cfg(feature = "migrate")]
    pub async fn end_adoption(&self) -> Result<()> {
        again(|| async {
            let mut tx = self.begin_removal().await?;
            sql("DELETE FROM garbage WHERE not_before = $1")
                .bind(i64::MAX)
                .run(&mut tx)
                .await?;
            tx.commit().await
        })
        .await
    }

    /// Makes garbage of objects whose time has passed: from then on no row can name them. Returns
    /// their number.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn expire_intents(&self, now: i64) -> Result<u64> {
        let is_due = "SELECT 1 FROM garbage WHERE not_before > 0 AND not_before <= $1 LIMIT 1";
        if !self.has_any(is_due, now).await? {
            return Ok(0);
        }
        again(|| async {
            let mut tx = self.begin_removal().await?;
            let expired =
                sql("UPDATE garbage SET not_before = 0 WHERE not_before > 0 AND not_before <= $1")
                    .bind(now)
                    .run(&mut tx)
                    .await?;
            tx.commit().await?;
            Ok(expired)
        })
        .await
    }

    /// Whether a row names the object, or an upload waits for it.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn knows_object(&self, object: &ObjectKey) -> Result<bool> {
        if let Some(id) = object.upload_id() {
            return Ok(self.waiting(&id).await?.is_some());
        }
        sql(
            "SELECT 1 FROM hashes WHERE object = $1 UNION ALL SELECT 1 FROM variants WHERE object = $1",
        )
        .bind(object.as_str())
        .any(&self.read)
        .await
    }

    /// Those of `objects` that no row names, not even as garbage.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn unnamed(&self, objects: &[ObjectKey]) -> Result<Vec<ObjectKey>> {
        let mut unnamed = Vec::new();
        for asked in objects.chunks(ASKED) {
            // A shorter list is padded with its last object, so that one statement is prepared for
            // all.
            let filled = asked.iter().chain(asked.last().into_iter().cycle());
            let statement = composed(format!(
                "SELECT object FROM hashes WHERE object IN ({PARAMETERS}) \
                 UNION ALL SELECT object FROM variants WHERE object IN ({PARAMETERS}) \
                 UNION ALL SELECT object FROM garbage WHERE object IN ({PARAMETERS})"
            ));
            let rows = filled
                .take(ASKED)
                .fold(statement, |statement, object| {
                    statement.bind(object.as_str())
                })
                .all(&self.read)
                .await?;
            let named: Vec<_> = (rows.iter())
                .map(|row| row.text("object"))
                .collect::<Result<_>>()?;
            let is_named = |object: &ObjectKey| named.iter().any(|name| name == object.as_str());
            for object in asked.iter().filter(|object| !is_named(object)) {
                let waits = match object.upload_id() {
                    Some(id) => self.waiting(&id).await?.is_some(),
                    None => false,
                };
                if !waits {
                    unnamed.push(object.clone());
                }
            }
        }
        Ok(unnamed)
    }
}

/// Must be called in the transaction that adds a row that names an object, after the row was added.
/// Does nothing where objects need no intent.
///
/// # Errors
/// [`ErrorCode::StoreUnavailable`] when too much time has passed since [`Repo::intend`]: then the
/// object is being removed.
pub(super) async fn fulfil_in(tx: &mut Change, object: &ObjectKey) -> Result<()> {
    if !tx.needs_intents() {
        return Ok(());
    }
    let fulfilled = sql("DELETE FROM garbage WHERE object = $1 AND not_before > 0")
        .bind(object.as_str())
        .run(&mut *tx)
        .await?;
    match fulfilled {
        1 => Ok(()),
        _ => Err(Error::Internal {
            code: ErrorCode::StoreUnavailable,
            message: format!("object {object} was stored too slowly, and is given up"),
            source: None,
        }),
    }
}

/// Marks objects without rows for removal from the store.
pub(super) async fn discard_in(tx: &mut Change, objects: &[ObjectKey]) -> Result<()> {
    for object in objects {
        sql("INSERT INTO garbage (object, not_before) VALUES ($1, 0) ON CONFLICT (object) DO NOTHING")
            .bind(object.as_str())
            .run(&mut *tx)
            .await?;
    }
    Ok(())
}
