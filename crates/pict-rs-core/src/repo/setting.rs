//! State that the server keeps across restarts, as key and value.

use uuid::Uuid;

use super::Repo;
use super::sql::{self, RepoPool, sql};
use crate::{Alias, ObjectKey, Result};

/// The alias of the placeholder for missing media.
const NOT_FOUND: &str = "404-alias";
/// Written to check that the database accepts writes.
const HEALTH: &str = "health";
/// The id that the folder of files must have.
pub(super) const STORE_ID: &str = "store-id";
/// The latest time that the server has seen.
const CLOCK: &str = "clock";

/// Since when uses of contents are recorded; migrations write it, too.
pub(super) const USES_SINCE: &str = "uses-since";

/// Before the name of a list.
const SUBSCRIPTION: &str = "pdq-subscription ";

/// Pieces of 32 bytes that need room in any case: pages of PostgreSQL have 8192 bytes.
const FILLER: usize = 2048;

impl Repo {
    /// The alias of the placeholder for missing media. It may have been removed since.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn not_found_alias(&self) -> Result<Option<Alias>> {
        self.get(NOT_FOUND).await?.map(Alias::parse).transpose()
    }

    /// Sets or clears the alias of the placeholder.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn set_not_found_alias(&self, alias: Option<&Alias>) -> Result<()> {
        match alias {
            Some(alias) => self.set(NOT_FOUND, alias.as_str()).await,
            None => sql("DELETE FROM settings WHERE name = $1")
                .bind(NOT_FOUND)
                .run(&self.write)
                .await
                .map(drop),
        }
    }

    /// Commits a durable write, as an upload does. Reading proves less: it works on a full disk.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`], [`crate::ErrorCode::InsufficientStorage`].
    pub async fn prove_writable(&self, now: i64) -> Result<()> {
        self.explained(async {
            self.prove_room().await?;
            let mut tx = self.begin().await?;
            sql("INSERT INTO settings (name, value) VALUES ($1, $2) \
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value")
            .bind(HEALTH)
            .bind(now.to_string())
            .run(&mut tx)
            .await?;
            tx.commit().await
        })
        .await
    }

    /// Writes something that needs room, if there was none lately, and takes it back.
    async fn prove_room(&self) -> Result<()> {
        let RepoPool::Postgres(sessions) = &self.write else {
            // Its reserve tells.
            return Ok(());
        };
        if !sessions.fullness().was_full() {
            return Ok(());
        }
        let mut tx = self.begin().await?;
        // By chance, so that it cannot be compressed.
        let filler: String = (0..FILLER)
            .map(|_| Uuid::new_v4().simple().to_string())
            .collect();
        sql("INSERT INTO settings (name, value) VALUES ($1, $2)")
            .bind(Uuid::new_v4().to_string())
            .bind(filler)
            .run(&mut tx)
            .await?;
        sessions.fullness().has_room();
        Ok(())
    }

    /// The id that the folder of files must have. `None` in a database that never had one.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn store_id(&self) -> Result<Option<Uuid>> {
        let id = self.get(STORE_ID).await?;
        Ok(id.and_then(|id| Uuid::try_parse(&id).ok()))
    }

    /// Sets that id, unless another server has just set one. Returns the one that is set.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn propose_store_id(&self, id: Uuid) -> Result<Uuid> {
        let text = id.simple().to_string();
        // The update changes nothing; it makes the statement return the row.
        let row = sql("INSERT INTO settings (name, value) VALUES ($1, $2) \
             ON CONFLICT (name) DO UPDATE SET value = settings.value RETURNING value")
        .bind(STORE_ID)
        .bind(text)
        .one(&self.write)
        .await?;
        let found = Uuid::try_parse(&row.text("value")?);
        found.map_err(|_| sql::broken("value"))
    }

    /// Sets that id.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn set_store_id(&self, id: Uuid) -> Result<()> {
        self.set(STORE_ID, &id.simple().to_string()).await
    }

    /// The latest time that the server has seen, and for how long it had doubted its clock then;
    /// both in milliseconds.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn last_seen(&self) -> Result<Option<(i64, i64)>> {
        let text = self.get(CLOCK).await?.unwrap_or_default();
        let numbers = text.split_once(' ');
        Ok(numbers.and_then(|(seen, doubted)| Some((seen.parse().ok()?, doubted.parse().ok()?))))
    }

    /// Records them.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn set_last_seen(&self, (seen, doubted): (i64, i64)) -> Result<()> {
        self.set(CLOCK, &format!("{seen} {doubted}")).await
    }

    /// Whether no row names a file: the database is new, or everything was removed.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn names_nothing(&self) -> Result<bool> {
        for statement in [
            "SELECT 1 FROM hashes LIMIT 1",
            "SELECT 1 FROM variants LIMIT 1",
            "SELECT 1 FROM uploads WHERE finished_at IS NULL LIMIT 1",
        ] {
            if sql(statement).any(&self.read).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Up to `limit` objects of contents, practically random: those that follow a random content
    /// key.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn some_objects(&self, limit: u32) -> Result<Vec<ObjectKey>> {
        let from = Uuid::new_v4();
        let mut found = Vec::new();
        for statement in [
            "SELECT object FROM hashes WHERE hash >= $1 ORDER BY hash LIMIT $2",
            "SELECT object FROM hashes WHERE hash < $1 ORDER BY hash LIMIT $2",
        ] {
            let more = sql(statement)
                .bind(&from.as_bytes()[..])
                .bind(i64::from(limit) - found.len() as i64)
                .all(&self.read)
                .await?;
            found.extend(more);
        }
        sql::objects(&found)
    }

    /// How the subscription of a list goes, as it was last set.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn subscription_status(&self, list: &str) -> Result<Option<String>> {
        self.get(&format!("{SUBSCRIPTION}{list}")).await
    }

    /// Records that.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn set_subscription_status(&self, list: &str, status: &str) -> Result<()> {
        self.set(&format!("{SUBSCRIPTION}{list}"), status).await
    }

    pub(super) async fn get(&self, name: &str) -> Result<Option<String>> {
        let row = sql("SELECT value FROM settings WHERE name = $1")
            .bind(name)
            .optional(&self.read)
            .await?;
        row.map(|row| row.text("value")).transpose()
    }

    async fn set(&self, name: &str, value: &str) -> Result<()> {
        sql("INSERT INTO settings (name, value) VALUES ($1, $2) \
             ON CONFLICT (name) DO UPDATE SET value = excluded.value")
        .bind(name)
        .bind(value)
        .run(&self.write)
        .await?;
        Ok(())
    }
}
