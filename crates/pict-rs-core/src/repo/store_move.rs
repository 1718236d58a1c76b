//! How far a move of all objects to another store is. It stands in the settings, together with the id
//! of the store: a move begins by tying the database to the new store, so that from then on no server
//! uses the old one alone.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::fault::again;
use super::setting::STORE_ID;
use super::sql::sql;
use super::{ErrorCode, Repo};
use crate::{Error, Result};

const MOVE: &str = "store-move";

/// A move of all objects.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoreMove {
    /// The old store, for people.
    pub from: String,
    /// The new store, for people.
    pub to: String,
    /// The id of the old store.
    pub from_id: String,
    /// The id of the new store.
    pub to_id: String,
    /// What is being done.
    pub phase: MovePhase,
    /// The last row that was looked at in this phase.
    pub after: Option<String>,
    /// Objects that may be arriving at the new store. What a crash left of them there has to go if
    /// their rows are gone.
    pub arriving: Vec<String>,
    /// Rows that were looked at in this phase and, while comparing, in the one before.
    pub rows: u64,
    /// Objects that were copied.
    pub copied: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Rows whose object is nowhere, as far as they were compared.
    pub lost: u64,
    /// Rows whose object has other bytes than were stored, in the old store too, as far as they were
    /// compared.
    pub damaged: u64,
    /// Unix time in milliseconds.
    pub started_at: i64,
    /// When everything was in the new store.
    pub finished_at: Option<i64>,
    /// As it stands in the database, perhaps written by another version.
    #[serde(skip)]
    pub(crate) written: String,
}

/// What a move does, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MovePhase {
    /// Copies originals.
    Originals,
    /// Copies variants.
    Variants,
    /// Copies backgrounded uploads that wait.
    Uploads,
    /// Compares originals.
    CompareOriginals,
    /// Compares variants.
    CompareVariants,
    /// Everything was compared.
    Compared,
}

impl MovePhase {
    /// For people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Originals => "copying originals",
            Self::Variants => "copying variants",
            Self::Uploads => "copying waiting uploads",
            Self::CompareOriginals => "comparing originals",
            Self::CompareVariants => "comparing variants",
            Self::Compared => "compared",
        }
    }

    /// Whether objects are still being copied.
    pub fn copies(self) -> bool {
        matches!(self, Self::Originals | Self::Variants | Self::Uploads)
    }
}

impl StoreMove {
    /// Whether everything is in the new store.
    pub fn is_finished(&self) -> bool {
        self.finished_at.is_some()
    }

    fn to_text(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|error| {
            let message = "the state of a move cannot be written";
            Error::internal(ErrorCode::RepoError, message, error)
        })
    }
}

impl Repo {
    /// The last move of the store.
    ///
    /// # Errors
    /// [`ErrorCode::RepoError`].
    pub async fn store_move(&self) -> Result<Option<StoreMove>> {
        let row = sql("SELECT value FROM settings WHERE name = $1")
            .bind(MOVE)
            .optional(&self.read)
            .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let written = row.text("value")?;
        let read = serde_json::from_str(&written).map_err(|error| {
            let message = "the state of a move of the store cannot be read";
            Error::internal(ErrorCode::RepoError, message, error)
        });
        read.map(|read| Some(StoreMove { written, ..read }))
    }

    /// Begins a move: the database belongs to the new store from now on.
    ///
    /// # Errors
    /// [`ErrorCode::RepoError`], [`ErrorCode::InsufficientStorage`].
    pub(crate) async fn begin_store_move(&self, begun: &StoreMove, id: Uuid) -> Result<()> {
        let text = begun.to_text()?;
        again(|| async {
            let mut tx = self.begin().await?;
            for (name, value) in [(MOVE, text.clone()), (STORE_ID, id.simple().to_string())] {
                sql("INSERT INTO settings (name, value) VALUES ($1, $2) \
                     ON CONFLICT (name) DO UPDATE SET value = excluded.value")
                .bind(name)
                .bind(value)
                .run(&mut tx)
                .await?;
            }
            tx.commit().await
        })
        .await
    }

    /// Records how far a move is, and returns it as it was written. `None`, and nothing is changed, if
    /// another server has gone on with it meanwhile.
    ///
    /// # Errors
    /// [`ErrorCode::RepoError`].
    pub(crate) async fn advance_store_move(
        &self,
        before: &StoreMove,
        after: StoreMove,
    ) -> Result<Option<StoreMove>> {
        let written = after.to_text()?;
        let changed = sql("UPDATE settings SET value = $3 WHERE name = $1 AND value = $2")
            .bind(MOVE)
            .bind(before.written.as_str())
            .bind(written.as_str())
            .run(&self.write)
            .await?;
        Ok((changed == 1).then_some(StoreMove { written, ..after }))
    }

    /// Forgets the last move, whether or not it was finished.
    ///
    /// # Errors
    /// [`ErrorCode::RepoError`].
    pub(crate) async fn forget_store_move(&self) -> Result<()> {
        sql("DELETE FROM settings WHERE name = $1")
            .bind(MOVE)
            .run(&self.write)
            .await
            .map(drop)
    }
}
