//! The takeover of a running server: how far it is, what it adds, and what was deleted meanwhile.

use super::change::Change;
use super::content::{self, Original};
use super::fault::again;
use super::sql::{self, Row, sql};
use super::{Removal, Repo, bigint, blocklist, hash, node, uses};
use crate::{Alias, ContentKey, DeleteToken, Result};

/// The name of the only row.
const NAME: &str = "takeover";
/// Aliases without a token are counted up to this number.
const COUNTED: u32 = 100_000;

/// How far a takeover is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakeoverRun {
    /// The server that is taken over.
    pub url: String,
    /// Where the next page of this pass begins; `None` is the first page.
    pub position: Option<String>,
    /// How many times the list of contents was begun.
    pub pass: u64,
    /// What this pass has found so far.
    pub found: Step,
    /// Contents copied by all passes.
    pub copied: u64,
    /// Aliases added by all passes.
    pub aliases: u64,
    /// Bytes copied by all passes.
    pub bytes: u64,
    /// Unix time in milliseconds.
    pub started_at: i64,
    /// When everything was here.
    pub finished_at: Option<i64>,
}

/// What a page, or all pages of a pass so far, have brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Contents on the page.
    pub contents: u64,
    /// Of these, not complete here before.
    pub changed: u64,
    /// Of these, with other bytes than the other server has recorded.
    pub altered: u64,
    /// Of these, whose file the other server has lost.
    pub lost: u64,
    /// Of these, to be tried again.
    pub failed: u64,
    /// Contents whose file was copied.
    pub copied: u64,
    /// Aliases that were added.
    pub aliases: u64,
    /// Bytes that were copied.
    pub bytes: u64,
}

impl Step {
    /// Adds up two of them.
    pub fn add(&mut self, other: &Self) {
        self.contents += other.contents;
        self.changed += other.changed;
        self.altered += other.altered;
        self.lost += other.lost;
        self.failed += other.failed;
        self.copied += other.copied;
        self.aliases += other.aliases;
        self.bytes += other.bytes;
    }
}

/// Where a run goes on after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Onward<'a> {
    /// With this page.
    Page(&'a str),
    /// With another pass.
    Again,
    /// It has ended.
    Finished,
}

/// A content from the other server.
#[derive(Clone, Copy, Debug)]
pub enum Brought<'a> {
    /// With an object of its own, which is used unless the content exists.
    New(&'a Original),
    /// It exists here, or nothing is added.
    Known(&'a ContentKey),
}

/// The result of adding aliases of the other server.
#[derive(Clone, Debug)]
pub struct BroughtIn {
    /// The content that they name, and whether the new object is used.
    pub added: hash::Added,
    /// How many were added.
    pub aliases: u64,
    /// To be forgotten by the caches.
    pub removal: Removal,
}

impl Repo {
    /// Begins the takeover from `url`, or resumes it.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn begin_takeover(&self, url: &str, now: i64) -> Result<TakeoverRun> {
        if let Some(run) = self.takeover().await?
            && run.url == url
        {
            return Ok(run);
        }
        // A full disk must not keep the server from starting.
        let mut tx = self.begin_removal().await?;
        // Another URL may be another server, so its list is walked from the beginning.
        let row = sql(
            "INSERT INTO takeover (name, url, pass, contents, changed, altered, lost, failed, \
             copied, aliases, bytes, started_at) VALUES ($1, $2, 1, 0, 0, 0, 0, 0, 0, 0, 0, $3) \
             ON CONFLICT (name) DO UPDATE SET url = excluded.url, position = NULL, \
             finished_at = NULL RETURNING url, position, pass, contents, changed, altered, lost, \
             failed, copied, aliases, bytes, started_at, finished_at",
        )
        .bind(NAME)
        .bind(url)
        .bind(now)
        .one(&mut tx)
        .await?;
        let run = from_row(&row)?;
        uses::record_since(now).run(&mut tx).await?;
        tx.commit().await?;
        Ok(run)
    }

    /// Ends the takeover, finished or not. Returns how far it was, if there was one.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn end_takeover(&self) -> Result<Option<TakeoverRun>> {
        let Some(run) = self.takeover().await? else {
            return Ok(None);
        };
        let mut tx = self.begin_removal().await?;
        sql("DELETE FROM tombstones").run(&mut tx).await?;
        sql("DELETE FROM takeover").run(&mut tx).await?;
        tx.commit().await?;
        Ok(Some(run))
    }

    /// How far the takeover is, if there is one.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn takeover(&self) -> Result<Option<TakeoverRun>> {
        let row = sql(
            "SELECT url, position, pass, contents, changed, altered, lost, failed, copied, \
             aliases, bytes, started_at, finished_at FROM takeover WHERE name = $1",
        )
        .bind(NAME)
        .optional(&self.read)
        .await?;
        row.map(|row| from_row(&row)).transpose()
    }

    /// Adds up a step of `run` and moves its cursor.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn advance_takeover(
        &self,
        run: &TakeoverRun,
        step: Step,
        onward: Onward<'_>,
        now: i64,
    ) -> Result<()> {
        // The counts of a pass begin with its first page.
        let keep = i64::from(run.position.is_some());
        let mut tx = self.begin().await?;
        sql(
            "UPDATE takeover SET position = $2, pass = pass + $3, contents = contents * $4 + $5, \
             changed = changed * $4 + $6, altered = altered * $4 + $7, lost = lost * $4 + $8, \
             failed = failed * $4 + $9, copied = copied + $10, aliases = aliases + $11, \
             bytes = bytes + $12, finished_at = $13 WHERE name = $1",
        )
        .bind(NAME)
        .bind(match onward {
            Onward::Page(slug) => Some(slug.to_owned()),
            Onward::Again | Onward::Finished => None,
        })
        .bind(i64::from(onward == Onward::Again))
        .bind(keep)
        .bind(bigint(step.contents))
        .bind(bigint(step.changed))
        .bind(bigint(step.altered))
        .bind(bigint(step.lost))
        .bind(bigint(step.failed))
        .bind(bigint(step.copied))
        .bind(bigint(step.aliases))
        .bind(bigint(step.bytes))
        .bind((onward == Onward::Finished).then_some(now))
        .run(&mut tx)
        .await?;
        if onward == Onward::Finished {
            uses::record_since(now).run(&mut tx).await?;
        }
        tx.commit().await
    }

    /// Adds aliases of the other server, whose tokens are not known. Aliases that exist, or were
    /// deleted here, are left out. `None`, and nothing is changed, when none is left, or when a
    /// content that should exist does not. Durable when this returns.
    ///
    /// # Errors
    /// [`crate::ErrorCode::Blocked`], [`crate::ErrorCode::RepoError`].
    pub async fn bring_in(
        &self,
        brought: Brought<'_>,
        aliases: &[Alias],
        created_at: i64,
    ) -> Result<Option<BroughtIn>> {
        again(|| async {
            let mut tx = self.begin().await?;
            let added = match brought {
                Brought::New(original) => hash::add_content_in(&mut tx, original, None).await?,
                Brought::Known(key) => match content::lock_in(&mut tx, key).await? {
                    Some(original) => hash::Added {
                        original,
                        is_new: false,
                    },
                    None => return Ok(None),
                },
            };
            let key = *added.original.hash();
            blocklist::check_in(&mut tx, &key, None).await?;
            // A deletion takes the same lock, so one of the two sees the other.
            if lock_in(&mut tx).await? != Some(TakeoverState::Unfinished) {
                return Ok(None);
            }
            let mut count = 0;
            for alias in aliases {
                let is_deleted = sql("SELECT 1 FROM tombstones WHERE alias = $1")
                    .bind(alias.as_str())
                    .any(&mut tx)
                    .await?;
                let token = DeleteToken::unknown();
                if !is_deleted
                    && hash::name_in(&mut tx, alias, &key, &token, None, created_at).await?
                {
                    count += 1;
                }
            }
            if count == 0 {
                return Ok(None);
            }
            let mut removal = Removal::default();
            if !added.is_new {
                content::share_in(&mut tx, &key).await?;
                // A content has the time of its first upload.
                let is_older =
                    sql("UPDATE hashes SET created_at = $2 WHERE hash = $1 AND created_at > $2")
                        .bind(key.as_bytes())
                        .bind(created_at)
                        .run(&mut tx)
                        .await?;
                if is_older == 1 {
                    removal.contents.push(key);
                }
            }
            node::announce_in(&mut tx, &removal).await?;
            tx.commit().await?;
            Ok(Some(BroughtIn {
                added,
                aliases: count,
                removal,
            }))
        })
        .await
    }

    /// Whether the alias was deleted here during the takeover.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn is_buried(&self, alias: &Alias) -> Result<bool> {
        sql("SELECT 1 FROM tombstones WHERE alias = $1")
            .bind(alias.as_str())
            .any(&self.read)
            .await
    }

    /// Keeps an alias that is not here from being brought. `untold`: the other server is to delete
    /// it.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn bury(&self, alias: &Alias, untold: bool, now: i64) -> Result<()> {
        let mut tx = self.begin_removal().await?;
        bury_in(&mut tx, std::slice::from_ref(alias), untold, now).await?;
        tx.commit().await
    }

    /// Up to `limit` deleted aliases that the other server is still to delete.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn untold(&self, limit: u32) -> Result<Vec<Alias>> {
        let rows = sql("SELECT alias FROM tombstones WHERE untold = 1 ORDER BY alias LIMIT $1")
            .bind(i64::from(limit))
            .all(&self.read)
            .await?;
        sql::aliases(&rows)
    }

    /// The other server has deleted it.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn told(&self, alias: &Alias) -> Result<()> {
        sql("UPDATE tombstones SET untold = 0 WHERE alias = $1")
            .bind(alias.as_str())
            .run(&self.write)
            .await
            .map(drop)
    }

    /// Remembers the token of an alias that had none. Returns whether there is such an alias.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn learn_token(&self, alias: &Alias, token: &DeleteToken) -> Result<bool> {
        let learnt = self.learn_tokens(&[(alias, token)]).await?;
        Ok(learnt == 1)
    }

    /// As [`Repo::learn_token`], for several aliases. Returns how many had none.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn learn_tokens(&self, tokens: &[(&Alias, &DeleteToken)]) -> Result<u64> {
        // In one order for all transactions.
        let mut tokens = tokens.to_vec();
        tokens.sort_unstable_by_key(|(alias, _)| alias.as_str());
        again(|| async {
            let mut tx = self.begin().await?;
            let mut learnt = 0;
            for (alias, token) in &tokens {
                learnt += sql("UPDATE aliases SET token = $2 WHERE alias = $1 AND token = ''")
                    .bind(alias.as_str())
                    .bind(token.expose())
                    .run(&mut tx)
                    .await?;
            }
            tx.commit().await?;
            Ok(learnt)
        })
        .await
    }

    /// Whether there is such an alias, and its token is not known.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn lacks_token(&self, alias: &Alias) -> Result<bool> {
        sql("SELECT 1 FROM aliases WHERE alias = $1 AND token = ''")
            .bind(alias.as_str())
            .any(&self.read)
            .await
    }

    /// Up to `limit` aliases whose tokens are not known, in their order, after one of them.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn without_token(&self, after: Option<&Alias>, limit: u32) -> Result<Vec<Alias>> {
        let rows = sql(
            "SELECT alias FROM aliases WHERE token = '' AND alias > $1 ORDER BY alias LIMIT $2",
        )
        .bind(after.map_or("", Alias::as_str))
        .bind(i64::from(limit))
        .all(&self.read)
        .await?;
        sql::aliases(&rows)
    }

    /// How many aliases have tokens that are not known here, up to a hundred thousand.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn unknown_tokens(&self) -> Result<u64> {
        sql(
            "SELECT COUNT(*) AS things FROM (SELECT alias FROM aliases WHERE token = '' \
             ORDER BY alias LIMIT $1) AS unknown",
        )
        .bind(i64::from(COUNTED))
        .one(&self.read)
        .await?
        .number("things")
    }

    /// The content with this key.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`].
    pub async fn content(&self, key: &ContentKey) -> Result<Option<Original>> {
        let row = sql::composed(format!(
            "SELECT {} FROM hashes h WHERE h.hash = $1",
            content::COLUMNS
        ))
        .bind(key.as_bytes())
        .optional(&self.read)
        .await?;
        row.map(|row| content::from_row(&row)).transpose()
    }
}

/// Keeps removed aliases from being brought again, while a takeover lasts. `untold`: the other
/// server is to delete them as well, also when everything is here. To be called with the row of their content locked.
pub(super) async fn bury_in(
    tx: &mut Change,
    aliases: &[Alias],
    untold: bool,
    now: i64,
) -> Result<()> {
    if aliases.is_empty() {
        return Ok(());
    }
    // When everything is here nothing is brought any more, but the other server may still run.
    let is_needed = match lock_in(tx).await? {
        None => false,
        Some(TakeoverState::Unfinished) => true,
        Some(TakeoverState::Finished) => untold,
    };
    if !is_needed {
        return Ok(());
    }
    for alias in aliases {
        sql(
            "INSERT INTO tombstones (alias, untold, created_at) VALUES ($1, $2, $3) \
             ON CONFLICT (alias) DO UPDATE SET untold = excluded.untold",
        )
        .bind(alias.as_str())
        .bind(i64::from(untold))
        .bind(now)
        .run(&mut *tx)
        .await?;
    }
    Ok(())
}

/// Whether there is more to bring.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TakeoverState {
    Unfinished,
    Finished,
}

/// Locks the takeover, if there is one, after the row of a content.
async fn lock_in(tx: &mut Change) -> Result<Option<TakeoverState>> {
    let row = sql("SELECT finished_at FROM takeover WHERE name = $1 FOR UPDATE")
        .bind(NAME)
        .optional(tx)
        .await?;
    row.map(|row| {
        let finished_at = row.int_or_null("finished_at")?;
        Ok(finished_at.map_or(TakeoverState::Unfinished, |_| TakeoverState::Finished))
    })
    .transpose()
}

fn from_row(row: &Row) -> Result<TakeoverRun> {
    Ok(TakeoverRun {
        url: row.text("url")?,
        position: row.text_or_null("position")?,
        pass: row.number("pass")?,
        found: Step {
            contents: row.number("contents")?,
            changed: row.number("changed")?,
            altered: row.number("altered")?,
            lost: row.number("lost")?,
            failed: row.number("failed")?,
            ..Step::default()
        },
        copied: row.number("copied")?,
        aliases: row.number("aliases")?,
        bytes: row.number("bytes")?,
        started_at: row.int("started_at")?,
        finished_at: row.int_or_null("finished_at")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::audit::{Actor, Cause};
    use crate::repo::{LoadingHints, Representation};
    use crate::{ErrorCode, ObjectKey};
    use pict_rs_media::Format;

    fn alias(name: &str) -> Alias {
        Alias::parse(name).expect("valid")
    }

    /// The same bytes, made at another time.
    fn original(created_at: i64) -> Original {
        Original {
            representation: Representation {
                object: ObjectKey::generate(Format::Png),
                key: ContentKey::new([1; 32], 100, Format::Png),
                width: 1,
                height: 1,
                frames: 1,
                duration_ms: None,
                created_at,
            },
            hints: LoadingHints::default(),
        }
    }

    async fn added(repo: &Repo, brought: Brought<'_>, names: &[&str], time: i64) -> Option<u64> {
        let names: Vec<_> = names.iter().map(|name| alias(name)).collect();
        let brought = repo.bring_in(brought, &names, time).await.expect("asked");
        brought.map(|brought| brought.aliases)
    }

    async fn delete(repo: &Repo, name: &str) {
        let cause = Cause::new(Actor::Admin);
        let removed = repo.remove_alias(&alias(name), Some(&cause), 9).await;
        assert_eq!(removed.expect("removed").aliases.len(), 1);
    }

    #[tokio::test]
    async fn only_a_takeover_that_lasts_brings_aliases_and_keeps_deleted_ones_away() {
        let folder = tempfile::tempdir().expect("a folder");
        let repo = Repo::open(folder.path()).await.expect("opened");
        let (content, key) = (original(5), *original(5).hash());
        let new = Brought::New(&content);
        let known = Brought::Known(&key);
        assert_eq!(added(&repo, new, &["a"], 5).await, None, "there is none");
        repo.begin_takeover("http://old/", 1).await.expect("begun");
        assert_eq!(added(&repo, known, &["a"], 5).await, None, "not here");
        assert_eq!(added(&repo, new, &["a", "b"], 5).await, Some(2));
        assert_eq!(added(&repo, known, &["a", "b"], 5).await, None);
        assert_eq!(added(&repo, known, &["b", "c"], 3).await, Some(1));
        let found = repo.original(&alias("a")).await.expect("asked");
        let created_at = found.map(|found| found.representation.created_at);
        assert_eq!(created_at, Some(3), "of the first upload");
        let usage = repo.usage().await.expect("counted");
        assert_eq!((usage.aliases, usage.originals.count), (3, 1));

        assert_eq!(repo.unknown_tokens().await.expect("counted"), 3);
        let token = DeleteToken::generate();
        let learn = async |name| repo.learn_token(&alias(name), &token).await.expect("asked");
        assert!(learn("c").await);
        assert!(!learn("c").await && !learn("absent").await);
        let lacks = async |name| repo.lacks_token(&alias(name)).await.expect("asked");
        assert!(lacks("a").await && !lacks("c").await && !lacks("absent").await);
        let unknown = async |after| repo.without_token(after, 9).await.expect("asked");
        assert_eq!(unknown(None).await, [alias("a"), alias("b")]);
        assert_eq!(unknown(Some(&alias("a"))).await, [alias("b")]);
        assert_eq!(repo.unknown_tokens().await.expect("counted"), 2);

        for name in ["a", "b", "c"] {
            delete(&repo, name).await;
        }
        repo.bury(&alias("d"), false, 9).await.expect("buried");
        assert_eq!(
            repo.untold(2).await.expect("asked"),
            [alias("a"), alias("b")]
        );
        repo.told(&alias("a")).await.expect("told");
        assert_eq!(
            repo.untold(9).await.expect("asked"),
            [alias("b"), alias("c")]
        );
        assert_eq!(added(&repo, new, &["a", "b", "c", "d"], 5).await, None);
        let usage = repo.usage().await.expect("counted");
        assert_eq!((usage.aliases, usage.originals.count), (0, 0));
        assert_eq!(added(&repo, new, &["a", "e"], 5).await, Some(1));

        let cause = Cause::new(Actor::Admin);
        repo.block(&key.digest(), &cause, 9).await.expect("blocked");
        let refused = repo.bring_in(known, &[alias("f")], 5).await;
        assert_eq!(refused.expect_err("blocked").code(), ErrorCode::Blocked);

        let run = repo.takeover().await.expect("asked").expect("one");
        let step = Step::default();
        let finished = repo.advance_takeover(&run, step, Onward::Finished, 7);
        finished.await.expect("finished");
        repo.unblock(&key.digest(), &cause, 9)
            .await
            .expect("unblocked");
        assert_eq!(added(&repo, known, &["f"], 5).await, None, "it is over");
        // The other server may still run.
        delete(&repo, "e").await;
        assert!(repo.is_buried(&alias("e")).await.expect("asked"));
        let ended = repo.end_takeover().await.expect("ended");
        assert_eq!(ended.expect("one").finished_at, Some(7));
        assert!(!repo.is_buried(&alias("e")).await.expect("asked"));
        assert_eq!(repo.takeover().await.expect("asked"), None);
    }

    #[tokio::test]
    async fn a_run_counts_each_pass_alone_and_begins_again_with_another_server() {
        let folder = tempfile::tempdir().expect("a folder");
        let repo = Repo::open(folder.path()).await.expect("opened");
        let begin = async |url| repo.begin_takeover(url, 1).await.expect("begun");
        let go = async |onward| {
            let run = repo.takeover().await.expect("asked").expect("one");
            let step = Step {
                contents: 20,
                changed: 3,
                copied: 2,
                aliases: 4,
                bytes: 100,
                ..Step::default()
            };
            let advanced = repo.advance_takeover(&run, step, onward, 8).await;
            advanced.expect("advanced");
            repo.takeover().await.expect("asked").expect("one")
        };
        begin("http://old/").await;
        go(Onward::Page("x")).await;
        let run = go(Onward::Again).await;
        assert_eq!((run.pass, run.position.as_deref()), (2, None));
        assert_eq!((run.found.contents, run.copied, run.bytes), (40, 4, 200));
        let run = go(Onward::Page("y")).await;
        assert_eq!((run.found.contents, run.found.changed), (20, 3));
        assert_eq!((run.copied, run.aliases), (6, 12));
        assert_eq!(begin("http://old/").await, run, "as after a restart");
        let run = go(Onward::Finished).await;
        assert_eq!((run.finished_at, run.found.contents), (Some(8), 40));
        assert_eq!(begin("http://old/").await.finished_at, Some(8));
        let run = begin("http://other/").await;
        assert_eq!((run.finished_at, run.position), (None, None));
        assert_eq!(run.url, "http://other/");
    }
}
