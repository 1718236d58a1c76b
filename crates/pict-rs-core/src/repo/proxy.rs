//! Proxied URLs: which alias holds the content of a URL, and when the URL is checked again.

use super::change::Change;
use super::fault::again;
use super::outbox::{self, EventKind};
use super::sql::sql;
use super::usage::Class;
use super::{Added, NewUpload, Removal, Repo, bigint, content, hash, node, removal, takeover};
use crate::{Alias, ContentKey, Result};

/// The row of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// The alias of the fetched content.
    pub alias: Alias,
    /// Unix time in milliseconds; updated coarsely.
    pub accessed_at: i64,
    /// Of the upstream's answer.
    pub etag: Option<String>,
    /// Of the upstream's answer.
    pub last_modified: Option<String>,
    /// Unix time in milliseconds after which the upstream is asked again.
    pub fresh_until: i64,
}

/// The row to write for a URL.
#[derive(Clone, Debug)]
pub struct NewProxy {
    /// Key of the row.
    pub url: String,
    /// Of the upstream's answer.
    pub etag: Option<String>,
    /// Of the upstream's answer.
    pub last_modified: Option<String>,
    /// Unix time in milliseconds.
    pub fresh_until: i64,
    /// The alias that the URL must currently have; `None` for a new URL.
    pub replaces: Option<Alias>,
}

/// The result of adding fetched content.
#[derive(Clone, Debug)]
pub struct Proxied {
    /// As for an upload.
    pub added: Added,
    /// The alias of the URL from now on; unchanged if the content is.
    pub alias: Alias,
    /// What was removed with the older copy, if there was one.
    pub removal: Removal,
}

impl Repo {
    /// The row of a URL.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn proxy(&self, url: &str) -> Result<Option<Proxy>> {
        let row = sql(
            "SELECT alias, accessed_at, etag, last_modified, fresh_until FROM proxies WHERE url = $1",
        )
        .bind(url)
        .optional(&self.read).await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Proxy {
            alias: row.alias("alias")?,
            accessed_at: row.int("accessed_at")?,
            etag: row.text_or_null("etag")?,
            last_modified: row.text_or_null("last_modified")?,
            fresh_until: row.int("fresh_until")?,
        }))
    }

    /// The URLs that a content was fetched from, sorted.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn urls_of(&self, hash: &ContentKey) -> Result<Vec<String>> {
        let rows = sql(
            "SELECT p.url FROM aliases a JOIN proxies p ON p.alias = a.alias WHERE a.hash = $1 \
             ORDER BY p.url",
        )
        .bind(hash.as_bytes())
        .all(&self.read)
        .await?;
        rows.iter().map(|row| row.text("url")).collect()
    }

    /// Adds the content fetched from a URL and removes the previous one, in one transaction.
    /// Returns `None`, and changes nothing, when the alias of the URL is no longer
    /// [`NewProxy::replaces`]. Durable when this returns.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn add_proxied(
        &self,
        upload: &NewUpload,
        proxy: &NewProxy,
        now: i64,
    ) -> Result<Option<Proxied>> {
        again(|| async {
            let mut tx = self.begin().await?;
            if !is_replaceable(&mut tx, proxy, "SELECT alias FROM proxies WHERE url = $1").await? {
                return Ok(None);
            }
            let old = match &proxy.replaces {
                None => None,
                Some(alias) => hash::find_in(&mut tx, alias.clone()).await?,
            };
            let hash = upload.original.hash();
            let other = old.as_ref().map(|old| *old.original.hash());
            let other = other.filter(|other| other != hash);
            // Contents are locked before anything else, in the order of their keys.
            if let Some(other) = other.filter(|other| other < hash) {
                content::lock_in(&mut tx, &other).await?;
            }
            let (added, alias) = match &old {
                Some(old) if other.is_none() => {
                    let Some(original) = content::lock_in(&mut tx, hash).await? else {
                        return Ok(None);
                    };
                    let is_new = false;
                    (Added { original, is_new }, old.alias.clone())
                }
                _ => (hash::add_in(&mut tx, upload).await?, upload.alias.clone()),
            };
            if let Some(other) = other.filter(|other| other > hash) {
                content::lock_in(&mut tx, &other).await?;
            }
            let locked = "SELECT alias FROM proxies WHERE url = $1 FOR UPDATE";
            if !is_replaceable(&mut tx, proxy, locked).await? {
                return Ok(None);
            }
            if !put(&mut tx, proxy, &alias, now).await? {
                return Ok(None);
            }
            content::settle_in(&mut tx, hash).await?;
            hash::find_again_in(&mut tx, &alias).await?;
            let mut proxied = Proxied {
                added,
                alias,
                removal: Removal::default(),
            };
            if let Some(old) = old.filter(|_| other.is_some()) {
                // Not in the audit log: the upstream replaced its content, it was not removed.
                let removed = removal::remove_in(&mut tx, &old.alias).await?;
                let kind = EventKind::Removed;
                outbox::removed_in(&mut tx, kind, "replace", &removed, (None, None)).await?;
                proxied.removal = removed.removal;
                takeover::bury_in(&mut tx, &proxied.removal.aliases, false, now).await?;
            }
            node::announce_in(&mut tx, &proxied.removal).await?;
            tx.commit().await?;
            Ok(Some(proxied))
        })
        .await
    }

    /// Sets the alias of a URL that has none, to one that exists. Returns false, and changes
    /// nothing, when the URL has an alias or that alias is gone.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn name_url(&self, proxy: &NewProxy, alias: &Alias, now: i64) -> Result<bool> {
        again(|| async {
            let mut tx = self.begin().await?;
            let Some(named) = hash::find_in(&mut tx, alias.clone()).await? else {
                return Ok(false);
            };
            let content = named.original.hash();
            content::lock_in(&mut tx, content).await?;
            // It may have gone before the lock was taken.
            let is_there = hash::find_in(&mut tx, alias.clone()).await?.is_some();
            if !is_there || !put(&mut tx, proxy, alias, now).await? {
                return Ok(false);
            }
            content::settle_in(&mut tx, content).await?;
            tx.commit().await?;
            Ok(true)
        })
        .await
    }

    /// Called when the upstream says that nothing has changed. Returns false, and changes nothing,
    /// when the URL has another alias by now.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn refresh_proxy(&self, proxy: &NewProxy) -> Result<bool> {
        let updated = sql(
            "UPDATE proxies SET etag = $3, last_modified = $4, fresh_until = $5 \
             WHERE url = $1 AND alias = $2",
        )
        .bind(&proxy.url)
        .bind(proxy.replaces.as_ref().map(Alias::as_str))
        .bind(&proxy.etag)
        .bind(&proxy.last_modified)
        .bind(proxy.fresh_until)
        .run(&self.write)
        .await?;
        Ok(updated == 1)
    }

    /// Records when URLs were last requested.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn touch_proxies(&self, accesses: &[(String, i64)]) -> Result<()> {
        // In one order for all transactions.
        let mut accesses: Vec<_> = accesses.iter().collect();
        accesses.sort_unstable();
        again(|| async {
            let mut tx = self.begin().await?;
            for (url, at) in &accesses {
                sql("UPDATE proxies SET accessed_at = $2 WHERE url = $1 AND accessed_at < $2")
                    .bind(url)
                    .bind(*at)
                    .run(&mut tx)
                    .await?;
            }
            tx.commit().await
        })
        .await
    }
}

/// Whether the alias of the URL is still [`NewProxy::replaces`].
async fn is_replaceable(tx: &mut Change, proxy: &NewProxy, query: &'static str) -> Result<bool> {
    let row = sql(query).bind(&proxy.url).optional(tx).await?;
    let alias = row.map(|row| row.text("alias")).transpose()?;
    Ok(alias.as_deref() == proxy.replaces.as_ref().map(Alias::as_str))
}

/// Sets the alias of a URL. Returns false when its alias is no longer [`NewProxy::replaces`].
async fn put(tx: &mut Change, proxy: &NewProxy, alias: &Alias, now: i64) -> Result<bool> {
    let statement = match proxy.replaces {
        None => sql(
            "INSERT INTO proxies (url, alias, created_at, accessed_at, etag, last_modified, fresh_until) \
             VALUES ($1, $2, $3, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        ),
        Some(_) => sql(
            "UPDATE proxies SET alias = $2, accessed_at = $3, etag = $4, last_modified = $5, \
             fresh_until = $6 WHERE url = $1",
        ),
    };
    let written = statement
        .bind(&proxy.url)
        .bind(alias.as_str())
        .bind(now)
        .bind(&proxy.etag)
        .bind(&proxy.last_modified)
        .bind(proxy.fresh_until)
        .run(&mut *tx)
        .await?;
    if proxy.replaces.is_none() {
        tx.count(Class::Proxied, bigint(written));
    }
    Ok(written == 1)
}
