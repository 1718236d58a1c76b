//! The run over all contents that computes missing PDQ hashes, and holds all against the lists.

use super::content::{COLUMNS, Original, from_row};
use super::fault::again;
use super::maintenance::advance_in;
use super::sql::{composed, sql};
use super::{PdqMatch, Removal, Repo, Run, StoredPdq, content, node, quarantine};
use crate::{ContentKey, Result};

/// A content that a run looks at.
#[derive(Clone, Debug)]
pub struct ToScan {
    /// The content.
    pub original: Original,
    /// Its hash; `None` when it was not computed yet.
    pub pdq: Option<StoredPdq>,
}

/// Something found by a run.
#[derive(Clone, Debug)]
pub struct Scanned {
    /// The content.
    pub key: ContentKey,
    /// Its hash, if it was computed just now.
    pub computed: Option<StoredPdq>,
    /// The entry that it looks like.
    pub listed: Option<PdqMatch>,
}

impl Repo {
    /// Up to `limit` contents after the content `after`, in the order of their keys.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn to_scan(&self, after: Option<&ContentKey>, limit: u32) -> Result<Vec<ToScan>> {
        let rows = composed(format!(
            "SELECT {COLUMNS}, h.pdq, h.pdq_quality FROM hashes h \
             WHERE h.hash > $1 ORDER BY h.hash LIMIT $2"
        ))
        .bind(after.map_or(&[][..], ContentKey::as_bytes))
        .bind(i64::from(limit))
        .all(&self.read)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(ToScan {
                    original: from_row(row)?,
                    pdq: StoredPdq::from_row(row)?,
                })
            })
            .collect()
    }

    /// A step of [`super::Task::Scan`]: records computed hashes, and puts contents into quarantine.
    /// `cursor` is the last content that was looked at; without a cursor the run has ended. Returns
    /// what is no longer served; `None` when the run was started over.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn note_scanned(
        &self,
        run: &Run,
        cursor: Option<&ContentKey>,
        scanned: &[Scanned],
        now: i64,
    ) -> Result<Option<Removal>> {
        again(|| async {
            let mut tx = self.begin_removal().await?;
            let mut hidden = Removal::default();
            for Scanned {
                key,
                computed,
                listed,
            } in scanned
            {
                if content::lock_in(&mut tx, key).await?.is_none() {
                    continue;
                }
                if let Some(pdq) = computed {
                    sql("UPDATE hashes SET pdq = $2, pdq_quality = $3 WHERE hash = $1")
                        .bind(key.as_bytes())
                        .bind(pdq.as_bytes())
                        .bind(i64::from(pdq.quality))
                        .run(&mut tx)
                        .await?;
                }
                if let Some(listed) = listed
                    && quarantine::match_in(&mut tx, key, listed, now).await?
                {
                    hidden.contents.push(*key);
                }
            }
            let end = cursor.is_none().then_some(now);
            if !advance_in(&mut tx, run, cursor, scanned.len(), end).await? {
                return Ok(None);
            }
            node::announce_in(&mut tx, &hidden).await?;
            tx.commit().await?;
            Ok(Some(hidden))
        })
        .await
    }
}
