//! The migrations of the database, and upgrading an older database.

use std::path::Path;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::PgConnection;
use sqlx::{Row as _, SqlStr, SqlitePool};

use super::fault::{code, repo_error};
use crate::{Error, ErrorCode, Result};

/// Creates or migrates the database in `folder`.
pub(super) async fn run(database: &SqlitePool, folder: &Path) -> Result<()> {
    let all = all();
    let newest = all.iter().map(|migration| migration.version).max();
    // Fails in a new database, whose migration takes no time.
    let version: Option<i64> = sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations")
        .fetch_one(database)
        .await
        .unwrap_or_default();
    if version.is_some() && version < newest {
        tracing::info!(
            "the database is brought up to date, which takes up to half a minute for a million media"
        );
    }
    let migrated = all.run(database).await;
    migrated.map_err(|error| unmigrated(error, &folder.display().to_string()))
}

/// Refuses a database of SQLite that has not been brought up to date, and changes nothing.
pub(super) async fn refuse_unless_current(database: &SqlitePool, folder: &Path) -> Result<()> {
    let newest = all().iter().map(|migration| migration.version).max();
    let version: Option<i64> = sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations")
        .fetch_one(database)
        .await
        .map_err(repo_error)?;
    let place = folder.display().to_string();
    match version {
        version if version == newest => Ok(()),
        Some(version) if Some(version) > newest => Err(newer(version, &place)),
        _ => Err(Error::user(
            ErrorCode::ConfigInvalid,
            format!(
                "the database in {place} is of an older version of pict-rs. Start the server on it once, \
                 which brings it up to date"
            ),
        )),
    }
}

/// Refuses a copy of a database of SQLite that is newer than this program.
pub(super) async fn refuse_newer(database: &SqlitePool, file: &Path) -> Result<()> {
    let newest = all().iter().map(|migration| migration.version).max();
    let version: i64 = sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations")
        .fetch_one(database)
        .await
        .map_err(repo_error)?;
    match Some(version) > newest {
        true => Err(newer(version, &file.display().to_string())),
        false => Ok(()),
    }
}

/// Whether a PostgreSQL database has our tables, whatever their version. Those of another program
/// are refused.
pub(super) async fn has_tables_on_server(
    connection: &mut PgConnection,
    place: &str,
) -> Result<bool> {
    let has_tables = applied(connection).await?.is_some();
    if !has_tables {
        refuse_foreign_tables(connection, place).await?;
    }
    Ok(has_tables)
}

/// Of PostgreSQL, where other programs may have tables beside ours.
const TABLE: &str = "pict_rs_migrations";

/// Creates or migrates the tables of a PostgreSQL database; `place` is its name for people. Several
/// starts at once take turns.
pub(super) async fn run_on_server(
    connection: &mut PgConnection,
    place: &str,
    is_read_only: bool,
) -> Result<()> {
    let all = all_of_postgres();
    let found = applied(connection).await?;
    if let Some(version) = found
        .iter()
        .flatten()
        .find(|version| !all.version_exists(**version))
    {
        return Err(newer(*version, place));
    }
    let is_current = |found: &Vec<i64>| all.iter().all(|own| found.contains(&own.version));
    if found.as_ref().is_some_and(is_current) {
        return Ok(());
    }
    if is_read_only {
        return Err(Error::user(
            ErrorCode::ConfigInvalid,
            format!(
                "the tables of the database {place} are not there or not up to date, and a read-only \
                 server changes nothing. Start one without server.read_only first"
            ),
        ));
    }
    if found.is_none() {
        refuse_foreign_tables(connection, place).await?;
    }
    tracing::info!(database = place, "the tables are brought up to date");
    let migrated = all.run_direct(None, connection, false).await;
    migrated.map_err(|error| unmigrated(error, place))
}

/// The versions of the migrations that were applied; `None` in a database without our tables.
async fn applied(connection: &mut PgConnection) -> Result<Option<Vec<i64>>> {
    if !has_table(connection, TABLE).await? {
        return Ok(None);
    }
    let rows = sqlx::query(sqlx::AssertSqlSafe(format!("SELECT version FROM {TABLE}")))
        .fetch_all(connection)
        .await
        .map_err(repo_error)?;
    let versions = rows.iter().map(|row| row.try_get("version"));
    Ok(Some(
        versions.collect::<sqlx::Result<_>>().map_err(repo_error)?,
    ))
}

async fn has_table(connection: &mut PgConnection, name: &str) -> Result<bool> {
    let row = sqlx::query("SELECT to_regclass($1) IS NOT NULL AS found")
        .bind(name)
        .fetch_one(connection)
        .await
        .map_err(repo_error)?;
    row.try_get("found").map_err(repo_error)
}

/// Tables of another program, most likely of the existing pict-rs, are neither used nor changed.
async fn refuse_foreign_tables(connection: &mut PgConnection, place: &str) -> Result<()> {
    // Its migrations are noted in the first one.
    let is_existing = has_table(connection, "refinery_schema_history").await?;
    if !is_existing && !has_table(connection, "hashes").await? {
        return Ok(());
    }
    let (whose, advice) = match is_existing {
        true => (
            "the existing pict-rs",
            ", and 'pict-rs migrate --from' with the URL of this one takes over what it has",
        ),
        false => ("another program", ""),
    };
    Err(Error::user(
        ErrorCode::ConfigInvalid,
        format!(
            "the database {place} holds tables of {whose}. Nothing was changed. To begin without them, \
             make another database and name it in repo.url{advice}"
        ),
    ))
}

/// All migrations of PostgreSQL. The first has the tables of SQLite's with the same number.
fn all_of_postgres() -> Migrator {
    const FILES: [(i64, &str, &str); 14] = [
        (
            8,
            "tables",
            include_str!("../../migrations/postgres/0008_tables.sql"),
        ),
        (
            9,
            "intents",
            include_str!("../../migrations/postgres/0009_intents.sql"),
        ),
        (
            10,
            "nodes",
            include_str!("../../migrations/postgres/0010_nodes.sql"),
        ),
        (
            11,
            "takeover",
            include_str!("../../migrations/postgres/0011_takeover.sql"),
        ),
        (
            12,
            "node_facts",
            include_str!("../../migrations/postgres/0012_node_facts.sql"),
        ),
        (
            13,
            "pdq",
            include_str!("../../migrations/postgres/0013_pdq.sql"),
        ),
        (
            14,
            "growth",
            include_str!("../../migrations/postgres/0014_growth.sql"),
        ),
        (
            15,
            "events",
            include_str!("../../migrations/postgres/0015_events.sql"),
        ),
        (
            16,
            "released",
            include_str!("../../migrations/postgres/0016_released.sql"),
        ),
        (
            17,
            "hints",
            include_str!("../../migrations/postgres/0017_hints.sql"),
        ),
        (
            18,
            "owners",
            include_str!("../../migrations/postgres/0018_owners.sql"),
        ),
        (
            19,
            "key_names",
            include_str!("../../migrations/postgres/0019_key_names.sql"),
        ),
        (
            20,
            "uses",
            include_str!("../../migrations/postgres/0020_uses.sql"),
        ),
        (
            21,
            "frames",
            include_str!("../../migrations/postgres/0021_frames.sql"),
        ),
    ];
    let mut all = migrator(&FILES);
    // Fine in a database that never had another.
    all.dangerous_set_table_name(TABLE);
    all
}

fn migrator(files: &[(i64, &'static str, &'static str)]) -> Migrator {
    let migrations = files.iter().map(|(version, name, sql)| {
        Migration::new(
            *version,
            (*name).into(),
            MigrationType::Simple,
            SqlStr::from_static(sql),
            false,
        )
    });
    Migrator::with_migrations(migrations.collect())
}

/// All migrations of SQLite, oldest first.
pub(super) fn all() -> Migrator {
    const FILES: [(i64, &str, &str); 19] = [
        (
            1,
            "media",
            include_str!("../../migrations/sqlite/0001_media.sql"),
        ),
        (
            2,
            "background",
            include_str!("../../migrations/sqlite/0002_background.sql"),
        ),
        (
            3,
            "proxy",
            include_str!("../../migrations/sqlite/0003_proxy.sql"),
        ),
        (
            4,
            "internal",
            include_str!("../../migrations/sqlite/0004_internal.sql"),
        ),
        (
            5,
            "access",
            include_str!("../../migrations/sqlite/0005_access.sql"),
        ),
        (
            6,
            "guards",
            include_str!("../../migrations/sqlite/0006_guards.sql"),
        ),
        (
            7,
            "deaths",
            include_str!("../../migrations/sqlite/0007_deaths.sql"),
        ),
        (
            8,
            "columns",
            include_str!("../../migrations/sqlite/0008_columns.sql"),
        ),
        (
            9,
            "intents",
            include_str!("../../migrations/sqlite/0009_intents.sql"),
        ),
        (
            10,
            "takeover",
            include_str!("../../migrations/sqlite/0010_takeover.sql"),
        ),
        (
            11,
            "pdq",
            include_str!("../../migrations/sqlite/0011_pdq.sql"),
        ),
        (
            12,
            "growth",
            include_str!("../../migrations/sqlite/0012_growth.sql"),
        ),
        (
            13,
            "events",
            include_str!("../../migrations/sqlite/0013_events.sql"),
        ),
        (
            14,
            "released",
            include_str!("../../migrations/sqlite/0014_released.sql"),
        ),
        (
            15,
            "hints",
            include_str!("../../migrations/sqlite/0015_hints.sql"),
        ),
        (
            16,
            "owners",
            include_str!("../../migrations/sqlite/0016_owners.sql"),
        ),
        (
            17,
            "key_names",
            include_str!("../../migrations/sqlite/0017_key_names.sql"),
        ),
        (
            18,
            "uses",
            include_str!("../../migrations/sqlite/0018_uses.sql"),
        ),
        (
            19,
            "frames",
            include_str!("../../migrations/sqlite/0019_frames.sql"),
        ),
    ];
    migrator(&FILES)
}

fn unmigrated(error: MigrateError, place: &str) -> Error {
    match error {
        MigrateError::VersionMissing(version) => newer(version, place),
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)
            if code(&error) == "42501" =>
        {
            Error::user(
                ErrorCode::ConfigInvalid,
                format!(
                    "the tables of the database {place} cannot be made: {error}. Make its user the owner \
                     of the database: ALTER DATABASE … OWNER TO …"
                ),
            )
        }
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            repo_error(error)
        }
        error => repo_error(error),
    }
}

fn newer(version: i64, place: &str) -> Error {
    Error::user(
        ErrorCode::ConfigInvalid,
        format!(
            "the database in {place} was changed by a newer version of pict-rs (its change {version} is \
             not known here). Nothing was changed now. Start that version or a newer one, or restore a \
             copy of the database that was made before the update"
        ),
    )
}

#[cfg(test)]
mod tests {
    use sqlx::AssertSqlSafe;
    use sqlx::sqlite::SqliteConnectOptions;

    use super::*;
    use crate::Alias;
    use crate::repo::audit::{Actor, AuditFilter, Cause};
    use crate::repo::{FILE, Repo, Total};

    /// A database as of the first `migrations` migrations, filled with `rows`.
    async fn older(folder: &Path, migrations: usize, rows: &str) -> SqlitePool {
        let database = connect(folder).await;
        let mut older = all();
        older.migrations.to_mut().truncate(migrations);
        older.run(&database).await.expect("migrated");
        sqlx::raw_sql(AssertSqlSafe(rows.to_owned()))
            .execute(&database)
            .await
            .expect("filled");
        database
    }

    async fn connect(folder: &Path) -> SqlitePool {
        let options = SqliteConnectOptions::new()
            .filename(folder.join(FILE))
            .create_if_missing(true);
        SqlitePool::connect_with(options).await.expect("opened")
    }

    /// The first column of a query.
    async fn texts(database: &SqlitePool, query: &str) -> Vec<String> {
        let rows = sqlx::query(AssertSqlSafe(query.to_owned()))
            .fetch_all(database)
            .await
            .unwrap_or_else(|error| panic!("{query}: {error}"));
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// The database after the first two migrations, with one content, two aliases and a variant.
    const OLD: &str = "
        INSERT INTO hashes VALUES (X'00000000000000000000000000000000000000000000000000000000000000000123456789ab01',
            'a', 1, 1, 1, NULL, '', 5);
        INSERT INTO aliases VALUES ('x.png', X'00000000000000000000000000000000000000000000000000000000000000000123456789ab01', 't', 5);
        INSERT INTO aliases VALUES ('y.png', X'00000000000000000000000000000000000000000000000000000000000000000123456789ab01', 't', 5);
        INSERT INTO variants VALUES (X'00000000000000000000000000000000000000000000000000000000000000000123456789ab01', 'webp',
            X'000000000000000000000000000000000000000000000000000000000000000000000000fffe03', 'b', 1, 1, 1, NULL, 5);";

    #[tokio::test]
    async fn nothing_is_claimed_of_uses_before_they_were_recorded() {
        let folder = tempfile::tempdir().expect("a folder");
        let before = crate::clock::now() - 1000;
        older(folder.path(), 2, OLD).await.close().await;
        let repo = Repo::open(folder.path()).await.expect("migrated");
        let since = repo.uses_since().await.expect("asked");
        assert!((before..=crate::clock::now()).contains(&since), "{since}");
        let fresh = tempfile::tempdir().expect("a folder");
        let repo = Repo::open(fresh.path()).await.expect("made");
        assert_eq!(repo.uses_since().await.expect("asked"), 0);
    }

    #[tokio::test]
    async fn an_older_database_is_counted_when_it_is_migrated_and_nothing_in_it_is_old() {
        let folder = tempfile::tempdir().expect("a folder");
        older(folder.path(), 2, OLD).await.close().await;

        let repo = Repo::open(folder.path()).await.expect("opened");
        let usage = repo.usage().await.expect("counted");
        let total = |count, bytes, allocated| Total {
            count,
            bytes,
            allocated,
        };
        assert_eq!(usage.aliases, 2);
        let original = total(1, 0x0123_4567_89ab, 0x0123_4567_9000 + 512);
        assert_eq!(usage.originals, original);
        assert_eq!(usage.variants, total(1, 0xfffe, 0x1_0000 + 512));
        assert!(
            usage
                .oldest_variant
                .is_some_and(|time| time > 1_700_000_000_000)
        );
    }

    /// The database of version 0.7, before migration 8, with rows in every table. The first content
    /// is an upload, the second is proxied, the third is both, the fourth was lost.
    const FULL: &str = "
        INSERT INTO hashes (hash, object, width, height, frames, duration_ms, blurhash, created_at) VALUES
            (X'01000000000000000000000000000000000000000000000000000000000000000123456789ab01', 'one', 1, 2, 3, 4, 'b', 5),
            (X'02000000000000000000000000000000000000000000000000000000000000000000000012340a', 'two', 1, 2, 1, NULL, '', 6),
            (X'03000000000000000000000000000000000000000000000000000000000000000000000fffff07', 'three', 1, 2, 1, NULL, '', 7),
            (X'04000000000000000000000000000000000000000000000000000000000000000000000000ff08', 'four', 1, 2, 1, NULL, '', 8);
        INSERT INTO aliases (alias, hash, token, created_at, lost_at)
            SELECT object || '.png', hash, 'token of ' || object, created_at,
            CASE object WHEN 'four' THEN 9 END FROM hashes;
        INSERT INTO aliases (alias, hash, token, created_at)
            SELECT 'again.png', hash, 't', 7 FROM hashes WHERE object = 'three';
        INSERT INTO proxies VALUES ('https://a.example/2', 'two.png', 1, 2, 'e', 'm', 3),
            ('https://a.example/3', 'three.png', 1, 2, NULL, NULL, 3);
        INSERT INTO variants (hash, variant, content_key, object, width, height, frames, duration_ms, created_at, accessed_at)
            SELECT hash, 'thumbnail/9/webp',
            X'05000000000000000000000000000000000000000000000000000000000000000000000000fe08',
            'of ' || object, 9, 8, 1, NULL, 10, 11 FROM hashes WHERE object IN ('one', 'two');
        INSERT INTO sources SELECT hash, X'07' FROM hashes;
        INSERT INTO blocklist VALUES (X'08', 'because', 12);
        INSERT INTO audit VALUES (4, 'delete', 'admin', '[]', NULL, NULL, NULL, NULL, 13),
            (7, 'evict', 'server', '[]', NULL, 3, 'r', 'id', 14);
        INSERT INTO garbage VALUES ('old');
        INSERT INTO uploads VALUES ('u', 'resize=9', 'one.png', NULL, NULL, 15);
        INSERT INTO jobs (key, kind, subject, detail, attempts, lease, due_at, created_at, deaths)
            VALUES ('k', 'variant', 'one.png', 'thumbnail/8/png', 1, 'l', 16, 17, 1);
        INSERT INTO settings VALUES ('store-id', 'x');
        INSERT INTO maintenance (task, progress, total, started_at, allowed) VALUES ('prune', 1, 2, 18, 100);";

    /// Everything that both versions store, as text.
    async fn facts(database: &SqlitePool) -> Vec<String> {
        const TABLES: [(&str, &str); 12] = [
            (
                "hashes",
                "hash, object, width, height, frames, duration_ms, blurhash, created_at, size",
            ),
            ("aliases", "alias, hash, token, created_at, lost_at"),
            (
                "variants",
                "hash, variant, content_key, object, width, height, frames, duration_ms, created_at, \
                 accessed_at, size",
            ),
            (
                "proxies",
                "url, alias, created_at, accessed_at, etag, last_modified, fresh_until",
            ),
            ("proxied", "hash"),
            ("sources", "hash, digest"),
            ("blocklist", "digest, reason, created_at"),
            (
                "audit",
                "number, action, actor, aliases, hash, amount, reason, request_id, created_at",
            ),
            ("garbage", "object"),
            ("usage", "class, count, bytes, allocated"),
            (
                "jobs",
                "key, kind, subject, detail, attempts, lease, due_at, created_at, begun, deaths",
            ),
            (
                "maintenance",
                "task, cursor, progress, total, reason, request_id, started_at, finished_at, allowed, \
                 lost, counted, stopped, block",
            ),
        ];
        let mut facts = Vec::new();
        for (table, columns) in TABLES {
            let quoted: Vec<_> = columns
                .split(", ")
                .map(|name| format!("quote({name})"))
                .collect();
            let query = format!(
                "SELECT '{table} ' || {} FROM {table} ORDER BY 1",
                quoted.join(" || ' ' || ")
            );
            let rows = texts(database, &query).await;
            assert!(!rows.is_empty(), "{table}");
            facts.extend(rows);
        }
        facts
    }

    #[tokio::test]
    async fn a_database_of_the_version_before_keeps_every_fact() {
        let folder = tempfile::tempdir().expect("a folder");
        let database = older(folder.path(), 7, FULL).await;
        let before = facts(&database).await;
        database.close().await;

        let repo = Repo::open(folder.path()).await.expect("migrated");
        let usage = repo.usage().await.expect("counted");
        assert_eq!((usage.aliases, usage.originals.count), (5, 4));
        assert_eq!(usage.proxied.count, 2);
        assert_eq!(
            usage.proxied.bytes, 0x1234,
            "the other one is an upload as well"
        );
        let alias = Alias::parse("one.png").expect("valid");
        let original = repo.original(&alias).await.expect("asked").expect("there");
        assert_eq!(original.hash().size(), 0x0123_4567_89ab);
        // Numbers are never reused.
        let cause = Cause::new(Actor::Admin);
        repo.block(&original.hash().digest(), &cause, 20)
            .await
            .expect("blocked");
        let entries = repo
            .audit(&AuditFilter::default(), None, 1)
            .await
            .expect("asked");
        assert_eq!(entries[0].number, 8);
        repo.unblock(&original.hash().digest(), &cause, 20)
            .await
            .expect("unblocked");
        assert_eq!(repo.forget_audit(21, 9).await.expect("forgotten"), 4);
        repo.close().await;
        drop(repo);

        let database = connect(folder.path()).await;
        sqlx::raw_sql(
            "INSERT INTO audit (number, action, actor, aliases, created_at)
                SELECT 4, 'delete', 'admin', '[]', 13;
             INSERT INTO audit (number, action, actor, aliases, amount, reason, request_id, created_at)
                SELECT 7, 'evict', 'server', '[]', 3, 'r', 'id', 14;",
        )
        .execute(&database)
        .await
        .expect("put back");
        assert_eq!(facts(&database).await, before);
        let formats = "SELECT hex(substr(hash, 39)) || ' ' || format FROM hashes ORDER BY hash";
        assert_eq!(
            texts(&database, formats).await,
            ["01 1", "0A 10", "07 7", "08 8"]
        );
        let formats = "SELECT DISTINCT format || '' FROM variants";
        assert_eq!(texts(&database, formats).await, ["8"]);
        database.close().await;
    }

    /// In-place changes must give the same schema as a new database.
    #[tokio::test]
    async fn a_migrated_database_is_sound_and_as_a_new_one() {
        let old = tempfile::tempdir().expect("a folder");
        older(old.path(), 7, FULL).await.close().await;
        let new = tempfile::tempdir().expect("a folder");
        let mut schemas = Vec::new();
        for folder in [&old, &new] {
            let repo = Repo::open(folder.path()).await.expect("opened");
            repo.close().await;
            drop(repo);
            let database = connect(folder.path()).await;
            assert_eq!(texts(&database, "PRAGMA integrity_check").await, ["ok"]);
            assert!(
                texts(&database, "PRAGMA foreign_key_check")
                    .await
                    .is_empty()
            );
            let query = "SELECT type || ' ' || name || ' ' || COALESCE(sql, '') FROM sqlite_schema ORDER BY 1";
            schemas.push(texts(&database, query).await);
            let triggers = "SELECT name FROM sqlite_schema WHERE type = 'trigger'";
            assert!(texts(&database, triggers).await.is_empty());
            let computed = "SELECT x.name FROM sqlite_schema s, pragma_table_xinfo(s.name) x \
                            WHERE s.type = 'table' AND x.hidden <> 0";
            assert!(texts(&database, computed).await.is_empty());
            let keys = "SELECT s.name || ' ' || f.\"from\" || ' ' || f.\"table\" \
                        FROM sqlite_schema s, pragma_foreign_key_list(s.name) f \
                        WHERE s.type = 'table' ORDER BY 1";
            let expected = [
                "aliases hash hashes",
                "proxied hash hashes",
                "proxies alias aliases",
                "quarantine hash hashes",
                "sources hash hashes",
                "variants hash hashes",
            ];
            assert_eq!(texts(&database, keys).await, expected);
            database.close().await;
        }
        assert_eq!(schemas[0], schemas[1]);
    }

    #[tokio::test]
    async fn rows_that_name_nothing_go_and_their_objects_are_garbage() {
        let folder = tempfile::tempdir().expect("a folder");
        // Inconsistent in a way that no version leaves.
        let torn = format!(
            "{FULL} DELETE FROM hashes WHERE object = 'one'; DELETE FROM aliases WHERE alias = 'two.png';"
        );
        older(folder.path(), 7, &torn).await.close().await;
        let repo = Repo::open(folder.path()).await.expect("migrated");
        let one = Alias::parse("one.png").expect("valid");
        assert!(!repo.has_alias(&one).await.expect("asked"));
        let garbage = repo.garbage().await.expect("asked");
        let mut garbage: Vec<_> = garbage.iter().map(|object| object.as_str()).collect();
        garbage.sort_unstable();
        assert_eq!(garbage, ["of one", "old"]);
        assert!(
            repo.proxy("https://a.example/2")
                .await
                .expect("asked")
                .is_none()
        );
        let usage = repo.usage().await.expect("counted");
        assert_eq!(
            (usage.aliases, usage.originals.count, usage.variants.count),
            (3, 3, 1)
        );
        assert_eq!(usage.proxied.count, 1);
    }
}
