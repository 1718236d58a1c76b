//! A change of the database: a transaction, and what it does to the sums.
//!
//! What is counted here is written when the transaction commits, one row for each class, so that
//! there is no change without its count and no count without its change.

use super::sql::{On, Pool, Tx};
use super::usage::{Class, Delta, Deltas};
use crate::Result;

/// A transaction with the counts that belong to it. Rolled back when it is dropped.
#[derive(Debug)]
pub(super) struct Change {
    tx: Tx,
    deltas: Deltas,
}

impl Change {
    /// Begins one.
    pub(super) async fn begin(pool: &Pool) -> Result<Self> {
        Ok(Self {
            tx: pool.begin().await?,
            deltas: Deltas::default(),
        })
    }

    /// There are so many more of a class, or fewer.
    pub(super) fn count(&mut self, class: Class, count: i64) {
        self.deltas.add(
            class,
            Delta {
                count,
                ..Delta::default()
            },
        );
    }

    /// A class has a file of `size` bytes more.
    pub(super) fn add_file(&mut self, class: Class, size: u64) {
        self.deltas.add(class, Delta::of_file(size));
    }

    /// A class has a file of `size` bytes less.
    pub(super) fn take_file(&mut self, class: Class, size: u64) {
        self.deltas.add(class, -Delta::of_file(size));
    }

    /// What is counted so far.
    pub(super) fn counted(&self, class: Class) -> Delta {
        self.deltas.of(class)
    }

    /// Makes the change durable, and its counts with it.
    pub(super) async fn commit(mut self) -> Result<()> {
        self.deltas.write_in(&mut self.tx).await?;
        self.tx.commit().await
    }
}

impl<'a> From<&'a mut Change> for On<'a> {
    fn from(change: &'a mut Change) -> Self {
        Self::Tx(&mut change.tx)
    }
}
