//! Variants: pictures made from a content.

use super::change::Change;
use super::fault::again;
use super::garbage::{discard_in, fulfil_in};
use super::sql::{On, Row, sql};
use super::usage::Class;
use super::{Removal, Repo, Representation, bigint, content, node};
use crate::{ContentKey, ObjectKey, Result, VariantKey};

/// A variant, and where its bytes are.
#[derive(Clone, Debug)]
pub struct StoredVariant {
    /// The content that it was made from.
    pub hash: ContentKey,
    /// Its name.
    pub variant: String,
    /// The key of its own bytes.
    pub key: ContentKey,
    /// The key of its bytes in the store.
    pub object: ObjectKey,
}

/// A variant in the list of its content.
#[derive(Clone, Debug)]
pub struct ListedVariant {
    /// Its name.
    pub name: String,
    /// The variant.
    pub made: Representation,
    /// When its last recorded use was, in unix milliseconds.
    pub used_at: i64,
}

impl Repo {
    /// Up to `limit` variants after the one with this content and name, in their order.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn variants_after(
        &self,
        cursor: Option<&(ContentKey, String)>,
        limit: u32,
    ) -> Result<Vec<StoredVariant>> {
        let (hash, variant) = match cursor {
            Some((hash, variant)) => (hash.as_bytes(), variant.as_str()),
            None => (&[][..], ""),
        };
        let rows = sql("SELECT hash, variant, content_key, object FROM variants \
             WHERE (hash, variant) > ($1, $2) ORDER BY hash, variant LIMIT $3")
        .bind(hash)
        .bind(variant)
        .bind(i64::from(limit))
        .all(&self.read)
        .await?;
        let read = |row: &Row| {
            Ok(StoredVariant {
                hash: row.content_key("hash")?,
                variant: row.text("variant")?,
                key: row.content_key("content_key")?,
                object: row.object("object")?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// The row of a variant, if it exists.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn variant(
        &self,
        hash: &ContentKey,
        variant: &VariantKey,
    ) -> Result<Option<Representation>> {
        find_in(&self.read, hash, variant).await
    }

    /// Up to `limit` variants of a content, sorted by name.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn variants_of(&self, hash: &ContentKey, limit: u32) -> Result<Vec<ListedVariant>> {
        let rows = sql(
            "SELECT variant, content_key, object, width, height, frames, duration_ms, created_at, \
             accessed_at FROM variants WHERE hash = $1 ORDER BY variant LIMIT $2",
        )
        .bind(hash.as_bytes())
        .bind(i64::from(limit))
        .all(&self.read)
        .await?;
        let read = |row: &Row| {
            Ok(ListedVariant {
                name: row.text("variant")?,
                made: Representation::from_row(row, "content_key")?,
                used_at: row.int("accessed_at")?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// Whether a content has variants.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn has_variants(&self, hash: &ContentKey) -> Result<bool> {
        let row = sql("SELECT 1 AS found FROM variants WHERE hash = $1 LIMIT 1")
            .bind(hash.as_bytes())
            .optional(&self.read)
            .await?;
        Ok(row.is_some())
    }

    /// Adds a variant. Returns the one to serve: an earlier one if it exists, `None` if the content
    /// was removed meanwhile.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn add_variant(
        &self,
        hash: &ContentKey,
        variant: &VariantKey,
        made: &Representation,
    ) -> Result<Option<Representation>> {
        again(|| async {
            let mut tx = self.begin().await?;
            if content::lock_in(&mut tx, hash).await?.is_none() {
                return Ok(None);
            }
            let inserted = sql(
                "INSERT INTO variants (hash, variant, content_key, object, width, height, frames, duration_ms, created_at, accessed_at, size, format) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10, $11) ON CONFLICT (hash, variant) DO NOTHING",
            )
            .bind(hash.as_bytes())
            .bind(variant.as_str())
            .bind(made.key.as_bytes())
            .bind(made.object.as_str())
            .bind(i64::from(made.width))
            .bind(i64::from(made.height))
            .bind(i64::from(made.frames))
            .bind(made.duration_ms.map(bigint))
            .bind(made.created_at)
            .bind(bigint(made.key.size()))
            .bind(i64::from(made.key.format().byte()))
            .run(&mut tx)
            .await?;
            if inserted == 0 {
                return find_in(&mut tx, hash, variant).await;
            }
            fulfil_in(&mut tx, &made.object).await?;
            tx.count(Class::Variants, 1);
            tx.add_file(Class::Variants, made.key.size());
            tx.commit().await?;
            Ok(Some(made.clone()))
        })
        .await
    }

    /// Removes a variant whose object was lost or damaged, so that it can be made again. Remains of
    /// the object become garbage. The removal is empty if the variant was removed before.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn forget_variant(&self, lost: &ObjectKey) -> Result<Removal> {
        let mut tx = self.begin_removal().await?;
        let rows = sql("DELETE FROM variants WHERE object = $1 RETURNING hash, size")
            .bind(lost.as_str())
            .all(&mut tx)
            .await?;
        discount(&mut tx, &rows)?;
        let mut removal = Removal::default();
        for row in &rows {
            removal.contents.push(row.content_key("hash")?);
            removal.objects.push(lost.clone());
        }
        discard_in(&mut tx, &removal.objects).await?;
        node::announce_in(&mut tx, &removal).await?;
        tx.commit().await?;
        Ok(removal)
    }
}

/// Removes a variant by its object. Returns its size in bytes; `None` when it does not exist.
pub(super) async fn drop_in(tx: &mut Change, object: &ObjectKey) -> Result<Option<u64>> {
    let row = sql("DELETE FROM variants WHERE object = $1 RETURNING size")
        .bind(object.as_str())
        .optional(&mut *tx)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let size = row.number("size")?;
    discount(tx, &[row])?;
    Ok(Some(size))
}

/// Subtracts removed variants from the sums.
pub(super) fn discount(tx: &mut Change, rows: &[Row]) -> Result<()> {
    for row in rows {
        tx.count(Class::Variants, -1);
        tx.take_file(Class::Variants, row.number("size")?);
    }
    Ok(())
}

async fn find_in<'a>(
    on: impl Into<On<'a>>,
    hash: &ContentKey,
    variant: &VariantKey,
) -> Result<Option<Representation>> {
    let row = sql(
        "SELECT content_key, object, width, height, frames, duration_ms, created_at \
         FROM variants WHERE hash = $1 AND variant = $2",
    )
    .bind(hash.as_bytes())
    .bind(variant.as_str())
    .optional(on)
    .await?;
    row.map(|row| Representation::from_row(&row, "content_key"))
        .transpose()
}
