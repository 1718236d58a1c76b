//! Adds and finds contents and their aliases.

use super::change::Change;
use super::content::{COLUMNS, Original, from_row, lock_in};
use super::fault::{self, again};
use super::pdq::written_frames;
use super::sql::{self, On, Row, composed, sql};
use super::usage::Class;
use super::{
    Owned, PdqMatch, Removal, Repo, StoredPdq, bigint, blocklist, content, garbage, node, outbox,
    owner, quarantine,
};
use crate::{Alias, ContentKey, DeleteToken, Digest, Error, ErrorCode, ObjectKey, Owner, Result};

/// An alias with the content that it names.
#[derive(Clone, Debug)]
pub struct NewUpload {
    /// Its public name.
    pub alias: Alias,
    /// The secret that deletes it.
    pub token: DeleteToken,
    /// The stored file.
    pub original: Original,
    /// Whom the alias belongs to, if that was said.
    pub owned: Option<Owned>,
    /// Its PDQ hash; `None` when it was not computed.
    pub pdq: Option<StoredPdq>,
    /// The entry of the lists that it looks like, if there is one.
    pub listed: Option<PdqMatch>,
    /// The digest of the file as it was sent; `None` when it is no longer needed.
    pub source: Option<Digest>,
}

/// The result of adding an upload.
#[derive(Clone, Debug)]
pub struct Added {
    /// The content that the alias names now; an earlier upload's if it has the same bytes.
    pub original: Original,
    /// Whether the new object is used. If not, an earlier one has the same bytes.
    pub is_new: bool,
}

impl Repo {
    /// The content that `alias` names; `None` also while it is in quarantine.
    ///
    /// # Errors
    /// [`ErrorCode::LostFile`] when the file was lost and restored only for other aliases,
    /// [`ErrorCode::RepoError`].
    pub async fn original(&self, alias: &Alias) -> Result<Option<Original>> {
        let row = composed(format!(
            "SELECT a.lost_at, {COLUMNS} FROM aliases a JOIN hashes h ON h.hash = a.hash \
             WHERE a.alias = $1 \
             AND NOT EXISTS (SELECT 1 FROM quarantine q WHERE q.hash = a.hash)"
        ))
        .bind(alias.as_str())
        .optional(&self.read)
        .await?;
        let Some(row) = row else { return Ok(None) };
        match row.int_or_null("lost_at")? {
            None => from_row(&row).map(Some),
            Some(_) => Err(Error::Internal {
                code: ErrorCode::LostFile,
                message: format!("the file of alias {alias} was lost, and media.heal is \"alias\""),
                source: None,
            }),
        }
    }

    /// The key of the content that `alias` names, whether or not its file was lost.
    ///
    /// # Errors
    /// [`ErrorCode::RepoError`].
    pub async fn content_of(&self, alias: &Alias) -> Result<Option<ContentKey>> {
        let row = sql("SELECT hash FROM aliases WHERE alias = $1")
            .bind(alias.as_str())
            .optional(&self.read)
            .await?;
        row.map(|row| row.content_key("hash")).transpose()
    }

    /// Adds an alias and its content, unless the content exists already. Durable when this returns.
    ///
    /// # Errors
    /// [`ErrorCode::Blocked`], [`ErrorCode::DuplicateAlias`], [`ErrorCode::RepoError`].
    pub async fn add_upload(&self, upload: &NewUpload) -> Result<Added> {
        let added = again(|| async {
            let mut tx = self.begin().await?;
            let added = add_in(&mut tx, upload).await?;
            tx.commit().await?;
            Ok(added)
        });
        match added.await {
            Err(error) if fault::is_uncertain(&error) => match self.committed(upload).await {
                Ok(Some(added)) => Ok(added),
                // Not yet, or it cannot be told at the moment.
                _ => Err(error),
            },
            added => added,
        }
    }

    /// An upload whose commit took effect. Its token, which only this upload has, tells it from another
    /// one under the same name.
    async fn committed(&self, upload: &NewUpload) -> Result<Option<Added>> {
        let found = find_in(&self.read, upload.alias.clone()).await?;
        let found = found.filter(|found| found.token.matches(&upload.token));
        Ok(found.map(|NewUpload { original, .. }| Added {
            is_new: original.representation.object == upload.original.representation.object,
            original,
        }))
    }

    /// Points a content whose object was lost to another copy of its bytes. Remains of the lost
    /// object become garbage. `None` when the content is gone or points elsewhere by now.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn replace_object(
        &self,
        hash: &ContentKey,
        lost: &ObjectKey,
        found: &ObjectKey,
    ) -> Result<Option<Removal>> {
        let mut tx = self.begin().await?;
        lock_in(&mut tx, hash).await?;
        let removal = replace_in(&mut tx, hash, lost, found).await?;
        find_all_again_in(&mut tx, hash).await?;
        if let Some(removal) = &removal {
            node::announce_in(&mut tx, removal).await?;
        }
        tx.commit().await?;
        Ok(removal)
    }

    /// Points a content at another object with the same bytes; the old one becomes garbage. Aliases
    /// that lost the content do not get it back. `None` when the content is gone or points elsewhere
    /// by now.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn exchange_object(
        &self,
        hash: &ContentKey,
        known: &ObjectKey,
        found: &ObjectKey,
    ) -> Result<Option<Removal>> {
        again(|| async {
            let mut tx = self.begin().await?;
            lock_in(&mut tx, hash).await?;
            let removal = replace_in(&mut tx, hash, known, found).await?;
            tx.commit().await?;
            Ok(removal)
        })
        .await
    }

    /// Restores a content for aliases that had lost it.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn restore_aliases(&self, hash: &ContentKey) -> Result<()> {
        let is_lost = sql("SELECT 1 FROM aliases WHERE hash = $1 AND lost_at IS NOT NULL LIMIT 1")
            .bind(hash.as_bytes())
            .any(&self.read)
            .await?;
        if !is_lost {
            return Ok(());
        }
        let mut tx = self.begin().await?;
        lock_in(&mut tx, hash).await?;
        find_all_again_in(&mut tx, hash).await?;
        tx.commit().await
    }

    /// As [`Repo::replace_object`], for one alias only: for the others the file stays lost.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn replace_object_for(
        &self,
        alias: &Alias,
        hash: &ContentKey,
        lost: &ObjectKey,
        found: &ObjectKey,
        now: i64,
    ) -> Result<Option<Removal>> {
        let mut tx = self.begin().await?;
        lock_in(&mut tx, hash).await?;
        let removal = replace_in(&mut tx, hash, lost, found).await?;
        if removal.is_some() {
            sql("UPDATE aliases SET lost_at = $3 \
                 WHERE hash = $1 AND alias <> $2 AND lost_at IS NULL")
            .bind(hash.as_bytes())
            .bind(alias.as_str())
            .bind(now)
            .run(&mut tx)
            .await?;
        }
        // Another upload may have just replaced it and marked this alias as lost.
        find_again_in(&mut tx, alias).await?;
        if let Some(removal) = &removal {
            node::announce_in(&mut tx, removal).await?;
        }
        tx.commit().await?;
        Ok(removal)
    }

    /// The secret that deletes `alias`.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn delete_token(&self, alias: &Alias) -> Result<Option<DeleteToken>> {
        let row = sql("SELECT token FROM aliases WHERE alias = $1")
            .bind(alias.as_str())
            .optional(&self.read)
            .await?;
        row.map(|row| token(&row)).transpose()
    }

    /// Whether the alias exists.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn has_alias(&self, alias: &Alias) -> Result<bool> {
        Ok(self.delete_token(alias).await?.is_some())
    }

    /// Up to `limit` aliases whose stored bytes have this digest, sorted.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn aliases_of_digest(&self, digest: &Digest, limit: u32) -> Result<Vec<Alias>> {
        // Keys of contents begin with the digest.
        let rest = ContentKey::BYTES - Digest::BYTES;
        let [first, last] =
            [0x00, 0xff].map(|byte| [digest.as_bytes(), &vec![byte; rest]].concat());
        // Sorted outside, so that the index of hashes is used and not that of aliases.
        let rows = sql("SELECT alias FROM (SELECT alias FROM aliases \
             WHERE hash >= $1 AND hash <= $2 LIMIT $3) AS found ORDER BY alias")
        .bind(first.as_slice())
        .bind(last.as_slice())
        .bind(i64::from(limit))
        .all(&self.read)
        .await?;
        sql::aliases(&rows)
    }

    /// All aliases of a content, sorted.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn aliases(&self, hash: &ContentKey) -> Result<Vec<Alias>> {
        let rows = sql("SELECT alias FROM aliases WHERE hash = $1 ORDER BY alias")
            .bind(hash.as_bytes())
            .all(&self.read)
            .await?;
        sql::aliases(&rows)
    }
}

async fn replace_in(
    tx: &mut Change,
    hash: &ContentKey,
    lost: &ObjectKey,
    found: &ObjectKey,
) -> Result<Option<Removal>> {
    let updated = sql("UPDATE hashes SET object = $3 WHERE hash = $1 AND object = $2")
        .bind(hash.as_bytes())
        .bind(lost.as_str())
        .bind(found.as_str())
        .run(&mut *tx)
        .await?;
    if updated == 0 {
        return Ok(None);
    }
    garbage::fulfil_in(tx, found).await?;
    // The object may exist but be damaged.
    let objects = vec![lost.clone()];
    garbage::discard_in(tx, &objects).await?;
    Ok(Some(Removal {
        aliases: Vec::new(),
        contents: vec![*hash],
        objects,
    }))
}

async fn find_all_again_in(tx: &mut Change, hash: &ContentKey) -> Result<()> {
    sql("UPDATE aliases SET lost_at = NULL WHERE hash = $1 AND lost_at IS NOT NULL")
        .bind(hash.as_bytes())
        .run(tx)
        .await
        .map(drop)
}

/// Restores an alias whose bytes were uploaded again under it.
pub(super) async fn find_again_in(tx: &mut Change, alias: &Alias) -> Result<()> {
    sql("UPDATE aliases SET lost_at = NULL WHERE alias = $1 AND lost_at IS NOT NULL")
        .bind(alias.as_str())
        .run(tx)
        .await
        .map(drop)
}

/// Retries when a content row appears and disappears concurrently.
const ATTEMPTS: u32 = 10;

/// Adds a content unless it exists, and locks its row.
pub(super) async fn add_content_in(
    tx: &mut Change,
    original: &Original,
    pdq: Option<&StoredPdq>,
) -> Result<Added> {
    for _ in 0..ATTEMPTS {
        if insert_in(tx, original, pdq).await? {
            return Ok(Added {
                original: original.clone(),
                is_new: true,
            });
        }
        // On engines with concurrent writers it may be removed between the two statements.
        if let Some(known) = lock_in(tx, original.hash()).await? {
            return Ok(Added {
                original: known,
                is_new: false,
            });
        }
    }
    Err(fault::repo_error("a content comes and goes"))
}

/// Returns false when the content exists.
async fn insert_in(tx: &mut Change, original: &Original, pdq: Option<&StoredPdq>) -> Result<bool> {
    let stored = &original.representation;
    let inserted = sql(
        "INSERT INTO hashes (hash, object, width, height, frames, duration_ms, blurhash, created_at, size, format, \
         pdq, pdq_quality, thumbhash, colour, frame_pdq) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) ON CONFLICT (hash) DO NOTHING",
    )
    .bind(stored.key.as_bytes())
    .bind(stored.object.as_str())
    .bind(i64::from(stored.width))
    .bind(i64::from(stored.height))
    .bind(i64::from(stored.frames))
    .bind(stored.duration_ms.map(bigint))
    .bind(&original.hints.blurhash)
    .bind(stored.created_at)
    .bind(bigint(stored.key.size()))
    .bind(i64::from(stored.key.format().byte()))
    .bind(pdq.map(StoredPdq::as_bytes))
    .bind(pdq.map(|pdq| i64::from(pdq.quality)))
    .bind(original.hints.thumbhash.as_deref())
    .bind(original.hints.colour_number())
    .bind(pdq.and_then(|pdq| pdq.frames.as_deref()).map(written_frames))
    .run(&mut *tx)
    .await?;
    if inserted == 0 {
        return Ok(false);
    }
    garbage::fulfil_in(tx, &stored.object).await?;
    tx.count(Class::Originals, 1);
    tx.add_file(Class::Originals, stored.key.size());
    Ok(true)
}

/// Adds an alias and, unless it exists, its content.
pub(super) async fn add_in(tx: &mut Change, upload: &NewUpload) -> Result<Added> {
    let NewUpload {
        alias,
        token,
        original,
        owned,
        pdq,
        listed,
        source,
    } = upload;
    let stored = &original.representation;
    let added = add_content_in(tx, original, pdq.as_ref()).await?;
    // Only with the row locked, because blocking a content locks it too.
    blocklist::check_in(tx, &stored.key, source.as_ref()).await?;
    // What is known was let in before, or is in quarantine.
    let mut listed = listed.as_ref().filter(|_| added.is_new);
    if listed.is_some() && quarantine::is_released_in(&mut *tx, &stored.key).await? {
        listed = None;
    }
    if listed.is_some_and(|listed| listed.is_refused) {
        return Err(blocklist::blocked());
    }
    let owner = owned.as_ref().map(|owned| &owned.owner);
    if !name_in(tx, alias, &stored.key, token, owner, stored.created_at).await? {
        return Err(duplicate(alias));
    }
    if let Some(owned) = owned {
        owner::check_quota_in(tx, owned).await?;
    }
    if let Some(listed) = listed {
        quarantine::match_in(tx, &stored.key, listed, stored.created_at).await?;
    }
    if !added.is_new {
        // At this point the new alias is not proxied.
        content::share_in(tx, &stored.key).await?;
    }
    if let Some(source) = source {
        blocklist::add_source(tx, &stored.key, source).await?;
    }
    Ok(added)
}

/// Adds an alias to a content whose row is locked. Returns false when the alias exists.
pub(super) async fn name_in(
    tx: &mut Change,
    alias: &Alias,
    content: &ContentKey,
    token: &DeleteToken,
    owner: Option<&Owner>,
    created_at: i64,
) -> Result<bool> {
    let named = sql(
        "INSERT INTO aliases (alias, hash, token, owner, created_at) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (alias) DO NOTHING",
    )
    .bind(alias.as_str())
    .bind(content.as_bytes())
    .bind(token.expose())
    .bind(owner.map(Owner::as_str))
    .bind(created_at)
    .run(&mut *tx)
    .await?;
    if named == 1 {
        tx.count(Class::Aliases, 1);
        outbox::added_in(tx, alias, content, owner).await?;
    }
    Ok(named == 1)
}

/// Only caller-chosen aliases can collide.
pub(crate) fn duplicate(alias: &Alias) -> Error {
    Error::user(
        ErrorCode::DuplicateAlias,
        format!("There is an alias '{alias}' already"),
    )
}

/// The content that `alias` names, with the token that deletes the alias.
pub(super) async fn find_in<'a>(on: impl Into<On<'a>>, alias: Alias) -> Result<Option<NewUpload>> {
    let row = composed(format!(
        "SELECT a.token, {COLUMNS} FROM aliases a JOIN hashes h ON h.hash = a.hash WHERE a.alias = $1"
    ))
    .bind(alias.as_str())
    .optional(on).await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(NewUpload {
        alias,
        token: token(&row)?,
        original: from_row(&row)?,
        owned: None,
        pdq: None,
        listed: None,
        source: None,
    }))
}

fn token(row: &Row) -> Result<DeleteToken> {
    row.text("token").map(DeleteToken::new)
}
