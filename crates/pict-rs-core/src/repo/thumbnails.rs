//! What a page of thumbnails needs, in one statement.

use std::collections::HashMap;

use super::content::{self, COLUMNS};
use super::sql::composed;
use super::{Original, Repo, Representation};
use crate::{Alias, Result, VariantKey};

/// Aliases that are looked up in one statement.
const AT_ONCE: usize = 64;

/// What an alias names, with some of its variants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginalWithVariants {
    /// The content.
    pub original: Original,
    /// Variants with their names.
    pub variants: Vec<(String, Representation)>,
}

impl Repo {
    /// What these aliases name, as [`Repo::original`] finds it, each with those variants that have one
    /// of two names. What is in quarantine or has lost its file is left out. Takes a statement for
    /// each 64 aliases.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn originals_with_variants(
        &self,
        aliases: &[Alias],
        variants: [&VariantKey; 2],
    ) -> Result<HashMap<Alias, OriginalWithVariants>> {
        let (mut found, mut made) = (HashMap::new(), Vec::new());
        for asked in aliases.chunks(AT_ONCE) {
            let statement = composed(format!(
                "SELECT a.alias, NULL AS variant, {COLUMNS} FROM aliases a JOIN hashes h ON h.hash = a.hash \
                 WHERE a.alias IN ({PARAMETERS}) AND a.lost_at IS NULL \
                 AND NOT EXISTS (SELECT 1 FROM quarantine q WHERE q.hash = a.hash) \
                 UNION ALL SELECT a.alias, v.variant, v.content_key, v.object, v.width, v.height, v.frames, \
                 v.duration_ms, '', NULL, NULL, v.created_at \
                 FROM aliases a JOIN variants v ON v.hash = a.hash AND v.variant IN ($1, $2) \
                 WHERE a.alias IN ({PARAMETERS}) AND a.lost_at IS NULL",
                PARAMETERS = parameters(),
            ));
            let statement = variants
                .iter()
                .fold(statement, |statement, key| statement.bind(key.as_str()));
            // A shorter list is padded with its last one, so that one statement is prepared for all.
            let filled = asked.iter().chain(asked.last().into_iter().cycle());
            let rows = filled
                .take(AT_ONCE)
                .fold(statement, |statement, alias| statement.bind(alias.as_str()))
                .all(&self.read)
                .await?;
            for row in &rows {
                let alias = row.alias("alias")?;
                match row.text_or_null("variant")? {
                    Some(name) => {
                        made.push((alias, name, Representation::from_row(row, "hash")?));
                    }
                    None => {
                        let shown = OriginalWithVariants {
                            original: content::from_row(row)?,
                            variants: Vec::new(),
                        };
                        found.insert(alias, shown);
                    }
                }
            }
        }
        for (alias, name, variant) in made {
            // Without its original it is in quarantine.
            if let Some(shown) = found.get_mut(&alias) {
                shown.variants.push((name, variant));
            }
        }
        Ok(found)
    }
}

/// Placeholders for the aliases; $1 and $2 are the variants.
fn parameters() -> String {
    let numbers = (3..3 + AT_ONCE).map(|number| format!("${number}"));
    numbers.collect::<Vec<_>>().join(", ")
}
