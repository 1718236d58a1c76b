//! Sums of each day, so that it can be told how fast the store grows.

use std::collections::BTreeMap;

use super::sql::{Row, sql};
use super::usage::{Class, Delta, Sums};
use super::{Repo, Total, bigint};
use crate::Result;

/// The sums as of the end of a day, or of now if it is today.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DaySums {
    /// Days since 1970, in UTC.
    pub day: i64,
    /// What was stored.
    pub sums: Sums,
}

impl Repo {
    /// Records the sums of a day, which replace those of earlier the same day, and forgets those from
    /// before `oldest`. Both are days since 1970.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn note_day(&self, day: i64, sums: &Sums, oldest: i64) -> Result<()> {
        let mut tx = self.begin().await?;
        let aliases = Total {
            count: sums.aliases,
            ..Total::default()
        };
        for (class, total) in [
            (Class::Aliases, aliases),
            (Class::Originals, sums.originals),
            (Class::Variants, sums.variants),
            (Class::Proxied, sums.proxied),
        ] {
            sql(
                "INSERT INTO growth (day, class, count, bytes, allocated) VALUES ($1, $2, $3, $4, $5) \
                 ON CONFLICT (day, class) DO UPDATE SET count = excluded.count, \
                 bytes = excluded.bytes, allocated = excluded.allocated",
            )
            .bind(day)
            .bind(class.as_str())
            .bind(bigint(total.count))
            .bind(bigint(total.bytes))
            .bind(bigint(total.allocated))
            .run(&mut tx)
            .await?;
        }
        sql("DELETE FROM growth WHERE day < $1")
            .bind(oldest)
            .run(&mut tx)
            .await?;
        tx.commit().await
    }

    /// The sums of all days from `since` to `until`, oldest first. Days on which no server ran are
    /// missing.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn days(&self, since: i64, until: i64) -> Result<Vec<DaySums>> {
        let rows = sql("SELECT day, class, count, bytes, allocated FROM growth \
             WHERE day >= $1 AND day <= $2 ORDER BY day")
        .bind(since)
        .bind(until)
        .all(&self.read)
        .await?;
        let mut days = BTreeMap::new();
        for row in &rows {
            add(&mut days, row)?;
        }
        Ok(days.into_values().collect())
    }
}

fn add(days: &mut BTreeMap<i64, DaySums>, row: &Row) -> Result<()> {
    let day = row.int("day")?;
    let sums = days.entry(day).or_insert(DaySums {
        day,
        ..DaySums::default()
    });
    // Classes of a newer version are ignored.
    if let Some(class) = Class::of(row)? {
        sums.sums.set(class, Delta::of(row)?.total());
    }
    Ok(())
}
