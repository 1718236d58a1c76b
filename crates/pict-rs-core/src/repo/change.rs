//! A change of the database: a transaction, and its changes of the usage sums.
//!
//! The counts are written when the transaction commits, one row for each class, so that a change
//! and its counts are always committed together.

use super::listeners::Listeners;
use super::sql::{On, RepoPool, Tx};
use super::usage::{Class, Delta, Deltas};
use crate::Result;

/// A transaction with its counts. Rolled back when dropped.
#[derive(Debug)]
pub(super) struct Change {
    tx: Tx,
    deltas: Deltas,
    needs_intents: bool,
    listeners: Listeners,
    has_queued: bool,
}

impl Change {
    /// Begins a transaction. With `needs_intents` it can only name objects that were intended.
    pub(super) async fn begin(
        pool: &RepoPool,
        needs_intents: bool,
        listeners: &Listeners,
    ) -> Result<Self> {
        Ok(Self {
            tx: pool.begin().await?,
            deltas: Deltas::default(),
            needs_intents,
            listeners: listeners.clone(),
            has_queued: false,
        })
    }

    /// Whether other servers may use the database at the same time.
    pub(super) fn is_shared(&self) -> bool {
        matches!(self.tx, Tx::Postgres(_))
    }

    /// As [`Tx::pass_alone`].
    pub(super) async fn pass_alone(&mut self, place: i64) -> Result<()> {
        self.tx.pass_alone(place).await
    }

    /// Whether objects must have been intended before a row names them.
    pub(super) fn needs_intents(&self) -> bool {
        self.needs_intents
    }

    /// Who is told of the change.
    pub(super) fn listeners(&self) -> &Listeners {
        &self.listeners
    }

    /// Called when a row for others was written.
    pub(super) fn has_queued(&mut self) {
        self.has_queued = true;
    }

    /// Adds `count`, which may be negative, to the number of a class.
    pub(super) fn count(&mut self, class: Class, count: i64) {
        self.deltas.add(
            class,
            Delta {
                count,
                ..Delta::default()
            },
        );
    }

    /// Adds a file of `size` bytes to a class.
    pub(super) fn add_file(&mut self, class: Class, size: u64) {
        self.deltas.add(class, Delta::of_file(size));
    }

    /// Removes a file of `size` bytes from a class.
    pub(super) fn take_file(&mut self, class: Class, size: u64) {
        self.deltas.add(class, -Delta::of_file(size));
    }

    /// The counts so far.
    pub(super) fn counted(&self, class: Class) -> Delta {
        self.deltas.of(class)
    }

    /// Commits the change and its counts durably.
    pub(super) async fn commit(mut self) -> Result<()> {
        self.deltas.write_in(&mut self.tx).await?;
        self.tx.commit().await?;
        if self.has_queued {
            self.listeners.ring();
        }
        Ok(())
    }
}

impl<'a> From<&'a mut Change> for On<'a> {
    fn from(change: &'a mut Change) -> Self {
        Self::Tx(&mut change.tx)
    }
}
