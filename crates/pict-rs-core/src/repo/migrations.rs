//! The changes that the database went through, and how one of an older version is brought up to date.

use std::path::Path;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{SqlStr, SqlitePool};

use super::sql::repo_error;
use crate::{Error, ErrorCode, Result};

/// Makes or migrates the database, which lies in `folder`.
pub(super) async fn run(database: &SqlitePool, folder: &Path) -> Result<()> {
    let migrated = all().run(database).await;
    migrated.map_err(|error| unmigrated(error, folder))
}

/// All of them, oldest first.
pub(super) fn all() -> Migrator {
    const FILES: [(i64, &str, &str); 7] = [
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
    ];
    let migrations = FILES.map(|(version, name, sql)| {
        Migration::new(
            version,
            name.into(),
            MigrationType::Simple,
            SqlStr::from_static(sql),
            false,
        )
    });
    Migrator::with_migrations(migrations.into())
}

fn unmigrated(error: MigrateError, folder: &Path) -> Error {
    let MigrateError::VersionMissing(version) = error else {
        return repo_error(error);
    };
    Error::user(
        ErrorCode::ConfigInvalid,
        format!(
            "the database in {} was changed by a newer version of pict-rs (its change {version} is not \
             known here). Nothing was changed now. Start that version or a newer one, or restore a \
             copy of the database that was made before the update",
            folder.display()
        ),
    )
}
