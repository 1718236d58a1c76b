//! The tables of the PostgreSQL database of versions 0.5 and 0.6.
//!
//! Its connections refuse to write. Columns that only some versions have are read as fields of the
//! row's JSON, where a column that is missing is null.

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::TryStreamExt as _;
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row as _};
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, sleep};

use super::{Details, Files, LegacyContent, Name, broken, file_inside, hash_of, names};
use crate::repo::{self, Server};
use crate::{Alias, ContentKey, DeleteToken, Error, ErrorCode, Result};

/// Contents that are read at a time. Each time all proxied URLs are read too, which have no index by
/// alias.
const PAGE: i64 = 2000;

/// How long connections of programs that have just ended, and of this one, may still be there.
const PATIENCE: Duration = Duration::from_secs(5);

/// What every version has, `hashes` and `aliases` being names of ours as well.
const IS_ONE: &str = "SELECT to_regclass('refinery_schema_history') IS NOT NULL \
     AND to_regclass('hashes') IS NOT NULL AND to_regclass('aliases') IS NOT NULL \
     AND to_regclass('proxies') IS NOT NULL AND to_regclass('variants') IS NOT NULL";

/// A page of contents, oldest first, after a time and a hash.
const CONTENTS: &str = "SELECT h.hash, h.identifier, h.created_at::text AS position, \
     CAST(FLOOR(EXTRACT(EPOCH FROM h.created_at) * 1000) AS BIGINT) AS created_at, \
     to_jsonb(h) ->> 'blurhash' AS blurhash, CAST(d.json AS TEXT) AS details \
     FROM hashes h LEFT JOIN details d ON d.identifier = h.identifier \
     WHERE (h.created_at, h.hash) > (CAST(CAST($1 AS TEXT) AS TIMESTAMP), $2) \
     ORDER BY h.created_at, h.hash LIMIT $3";

/// The aliases of contents.
const ALIASES: &str = "SELECT a.hash, a.alias, a.token, p.url FROM aliases a \
     LEFT JOIN proxies p ON p.alias = a.alias WHERE a.hash = ANY($1) ORDER BY a.alias, p.url";

/// Aliases by their names.
const NAMES: &str = "SELECT a.alias, a.token, p.url FROM aliases a \
     LEFT JOIN proxies p ON p.alias = a.alias WHERE a.alias = ANY($1)";

/// Every file, of contents and of variants.
const FILES: &str = "SELECT identifier FROM hashes UNION ALL SELECT identifier FROM variants \
     UNION ALL SELECT motion_identifier FROM hashes WHERE motion_identifier IS NOT NULL";

/// Who else is connected to the database. Processes of the server itself have no user.
const OTHERS: &str = "SELECT DISTINCT CONCAT(usename, ' ', NULLIF(application_name, '')) AS who \
     FROM pg_stat_activity WHERE datname = current_database() AND application_name <> $1 \
     AND usename IS NOT NULL AND COALESCE(backend_type, 'client backend') = 'client backend' \
     ORDER BY who";

/// Connections to the database.
#[derive(Debug)]
pub(super) struct Tables {
    pool: PgPool,
    place: String,
}

impl Tables {
    pub(super) async fn open(server: &Server) -> Result<Self> {
        let place = server.to_string();
        let pool = repo::open_foreign(server).await?;
        let is_one: bool = sqlx::query_scalar(IS_ONE)
            .fetch_one(&pool)
            .await
            .map_err(failed)?;
        if !is_one {
            return Err(Error::user(
                ErrorCode::ConfigInvalid,
                format!("{place} holds no database of pict-rs 0.5 or 0.6"),
            ));
        }
        Ok(Self { pool, place })
    }

    /// Without looking at it: it may be away.
    pub(super) fn at(server: &Server) -> Self {
        Self {
            pool: repo::foreign(server),
            place: server.to_string(),
        }
    }

    /// Those of these aliases that it knows.
    pub(super) async fn find(&self, aliases: &[Alias]) -> Result<Vec<Name>> {
        let aliases: Vec<_> = aliases.iter().map(Alias::to_string).collect();
        let rows = sqlx::query(NAMES)
            .bind(&aliases)
            .fetch_all(&self.pool)
            .await
            .map_err(failed)?;
        rows.iter()
            .map(|row| name(&text(row, "alias")?, row))
            .collect()
    }

    /// Refuses a database that has other connections.
    pub(super) async fn refuse_if_in_use(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let others = loop {
            let others: Vec<String> = sqlx::query_scalar(OTHERS)
                .bind(repo::FOREIGN_READER)
                .fetch_all(&self.pool)
                .await
                .map_err(failed)?;
            if others.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                break others;
            }
            sleep(PATIENCE / 20).await;
        };
        Err(Error::user(
            ErrorCode::AlreadyRunning,
            format!(
                "the database {} is in use, by {}: the existing pict-rs must not run meanwhile, and other \
                 programs that are connected to it have to end too",
                self.place,
                others.join(", ")
            ),
        ))
    }

    pub(super) async fn count(&self) -> Result<u64> {
        let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM hashes")
            .fetch_one(&self.pool)
            .await
            .map_err(failed)?;
        Ok(count.unsigned_abs())
    }

    /// Sends all contents, until there is no receiver.
    pub(super) async fn send_contents(
        &self,
        contents: &Sender<Result<LegacyContent>>,
    ) -> Result<()> {
        let mut after = ("-infinity".to_owned(), String::new());
        loop {
            let rows = sqlx::query(CONTENTS)
                .bind(&after.0)
                .bind(&after.1)
                .bind(PAGE)
                .fetch_all(&self.pool)
                .await
                .map_err(failed)?;
            let Some(last) = rows.last() else {
                return Ok(());
            };
            after = (text(last, "position")?, text(last, "hash")?);
            let mut names = self.names(&rows).await?;
            for row in &rows {
                let hash = text(row, "hash")?;
                let names = names.remove(&hash).unwrap_or_default();
                if contents.send(content(&hash, row, names)).await.is_err() {
                    return Ok(());
                }
            }
        }
    }

    /// The aliases of these contents, by their hashes.
    async fn names(&self, contents: &[PgRow]) -> Result<HashMap<String, Vec<Result<Name>>>> {
        let hashes = contents.iter().map(|row| text(row, "hash"));
        let hashes: Vec<String> = hashes.collect::<Result<_>>()?;
        let rows = sqlx::query(ALIASES)
            .bind(&hashes)
            .fetch_all(&self.pool)
            .await
            .map_err(failed)?;
        let mut names: HashMap<_, Vec<_>> = HashMap::new();
        let mut last = None;
        for row in &rows {
            let alias = text(row, "alias")?;
            // Of an alias with two URLs one is enough.
            if last.as_ref() != Some(&alias) {
                let of_content = names.entry(text(row, "hash")?).or_default();
                of_content.push(name(&alias, row));
                last = Some(alias);
            }
        }
        Ok(names)
    }

    pub(super) async fn files(&self) -> Result<Files> {
        let mut rows = sqlx::query_scalar::<_, String>(FILES).fetch(&self.pool);
        let mut files = Vec::new();
        while let Some(file) = rows.try_next().await.map_err(failed)? {
            files.push(hash_of(file.as_bytes()));
        }
        Ok(Files::new(files))
    }

    pub(super) async fn not_found_alias(&self) -> Result<Option<Alias>> {
        let found: Option<String> =
            sqlx::query_scalar("SELECT value FROM settings WHERE key = '404-alias'")
                .fetch_optional(&self.pool)
                .await
                .map_err(failed)?;
        let bytes = found.map(hex::decode).transpose();
        let bytes = bytes.map_err(|_| broken("the alias of the placeholder is not hexadecimal"))?;
        bytes.map(|bytes| names::alias(&bytes)).transpose()
    }
}

fn content(hash: &str, row: &PgRow, names: Vec<Result<Name>>) -> Result<LegacyContent> {
    let key = STANDARD.decode(hash).ok();
    let key = key.and_then(|bytes| ContentKey::from_bytes(&bytes));
    let key = key.ok_or_else(|| {
        broken(format!(
            "the content '{hash}' has no digest, size and format"
        ))
    })?;
    let details = row
        .try_get::<Option<String>, _>("details")
        .map_err(failed)?;
    Ok(LegacyContent {
        key,
        file: file_inside(&text(row, "identifier")?)?,
        created_at: row.try_get("created_at").map_err(failed)?,
        blurhash: row.try_get("blurhash").map_err(failed)?,
        // The engine reads details again, so they are rarely needed.
        details: details.and_then(|json| serde_json::from_str::<Details>(&json).ok()),
        names: names.into_iter().collect::<Result<_>>()?,
    })
}

fn name(alias: &str, row: &PgRow) -> Result<Name> {
    Ok(Name {
        alias: Alias::parse(alias).map_err(|_| broken("an alias is empty, or far too long"))?,
        token: DeleteToken::new(text(row, "token")?),
        url: row.try_get("url").map_err(failed)?,
    })
}

fn text(row: &PgRow, column: &str) -> Result<String> {
    row.try_get(column).map_err(failed)
}

fn failed(error: sqlx::Error) -> Error {
    Error::internal(
        ErrorCode::RepoError,
        "cannot read the existing database",
        error,
    )
}
