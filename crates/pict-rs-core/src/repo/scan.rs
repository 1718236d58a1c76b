//! The run over all contents that computes missing PDQ hashes, and holds all against the lists.

use super::content::{COLUMNS, Original, from_row};
use super::fault::again;
use super::maintenance::advance_in;
use super::pdq::{FramePdq, note_frames_in};
use super::sql::{composed, sql};
use super::{LoadingHints, PdqMatch, Removal, Repo, Run, StoredPdq, content, node, quarantine};
use crate::{ContentKey, Result};

/// A content that a run looks at.
#[derive(Clone, Debug)]
pub struct ToScan {
    /// The content.
    pub original: Original,
    /// Its hashes; `None` when they, or its ThumbHash, were not computed yet.
    pub pdq: Option<StoredPdq>,
}

/// Something found by a run.
#[derive(Clone, Debug)]
pub struct Scanned {
    /// The content.
    pub key: ContentKey,
    /// Its hashes, if they were computed just now.
    pub computed: Option<(StoredPdq, LoadingHints)>,
    /// Those of further frames, if they were computed just now.
    pub frames: Option<Vec<FramePdq>>,
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
            "SELECT {COLUMNS}, h.pdq, h.pdq_quality, h.frame_pdq FROM hashes h \
             WHERE h.hash > $1 ORDER BY h.hash LIMIT $2"
        ))
        .bind(after.map_or(&[][..], ContentKey::as_bytes))
        .bind(i64::from(limit))
        .all(&self.read)
        .await?;
        rows.iter()
            .map(|row| {
                let original = from_row(row)?;
                let pdq = StoredPdq::from_row(row)?;
                // Versions before 0.7 computed none; what cannot be decoded has neither.
                let is_known =
                    |pdq: &StoredPdq| pdq.hash.is_none() || original.hints.thumbhash.is_some();
                Ok(ToScan {
                    pdq: pdq.filter(is_known),
                    original,
                })
            })
            .collect()
    }

    /// A step of [`super::Task::Scan`]: records computed hashes, and puts contents into quarantine.
    /// `cursor` is the last content that was looked at; without a cursor the run has ended. Returns
    /// what caches must forget, and how many contents are no longer served; `None` when the run was
    /// started over.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn note_scanned(
        &self,
        run: &Run,
        cursor: Option<&ContentKey>,
        scanned: &[Scanned],
        now: i64,
    ) -> Result<Option<(Removal, usize)>> {
        again(|| async {
            let mut tx = self.begin_removal().await?;
            let (mut changed, mut hidden) = (Removal::default(), 0);
            for Scanned {
                key,
                computed,
                frames,
                listed,
            } in scanned
            {
                if content::lock_in(&mut tx, key).await?.is_none() {
                    continue;
                }
                if let Some((pdq, hints)) = computed {
                    sql(
                        "UPDATE hashes SET pdq = $2, pdq_quality = $3, thumbhash = $4, colour = $5 \
                         WHERE hash = $1",
                    )
                    .bind(key.as_bytes())
                    .bind(pdq.as_bytes())
                    .bind(i64::from(pdq.quality))
                    .bind(hints.thumbhash.as_deref())
                    .bind(hints.colour_number())
                    .run(&mut tx)
                    .await?;
                    changed.contents.push(*key);
                }
                if let Some(frames) = frames {
                    note_frames_in(&mut tx, key, frames).await?;
                }
                if let Some(listed) = listed
                    && quarantine::match_in(&mut tx, key, listed, now).await?
                {
                    changed.contents.push(*key);
                    hidden += 1;
                }
            }
            let end = cursor.is_none().then_some(now);
            if !advance_in(&mut tx, run, cursor, scanned.len(), end).await? {
                return Ok(None);
            }
            node::announce_in(&mut tx, &changed).await?;
            tx.commit().await?;
            Ok(Some((changed, hidden)))
        })
        .await
    }
}
