//! Query plans: no statement of this folder may scan a table that grows with the number of media.
//! The exceptions, which are rare and must count, are listed below.

use std::fs;
use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection as _, Row as _};

use super::content::COLUMNS;
use super::sql::sqlite_text;
use super::{FILE, Repo};

/// Tables that stay small: bounded by a setting, or nearly empty.
const SMALL: [&str; 5] = ["garbage", "jobs", "maintenance", "usage", "usage_deltas"];

/// Run once for hours of work, to report how much there is to do.
const RARE: [&str; 1] = ["SELECT COUNT(*) AS things FROM {table}"];

/// The statements of these files, with values for their placeholders.
fn statements() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/repo");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.ends_with("plans.rs") || path.ends_with("sql.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("readable");
        let (text, _) = text.split_once("#[cfg(test)]").unwrap_or((&text, ""));
        let own = literal_after(text, "const COLUMNS: &str =");
        let columns = own.as_deref().unwrap_or(COLUMNS);
        for (at, _) in text.match_indices('"') {
            let Some(literal) = literal_after(&text[at..], "") else {
                continue;
            };
            let verb = literal.split(' ').next().unwrap_or_default();
            let is_statement = matches!(verb, "SELECT" | "UPDATE" | "DELETE" | "INSERT");
            if is_statement && !RARE.contains(&literal.as_str()) {
                // Renamed columns do not change the query plan.
                let literal = literal.replace("{COLUMNS}", columns);
                let literal = literal.replace("{PARAMETERS}", "$1, $2");
                found.push(literal.replace("{}", "1"));
            }
        }
    }
    found
}

/// The next string literal after `mark`, with its continued lines joined.
fn literal_after(text: &str, mark: &str) -> Option<String> {
    let (_, rest) = text.split_once(mark)?;
    let (_, rest) = rest.split_once('"')?;
    let (literal, _) = rest.split_once('"')?;
    let lines: Vec<_> = literal.split("\\\n").map(str::trim_start).collect();
    Some(lines.concat())
}

/// An empty database, and its folder.
async fn empty() -> (SqliteConnection, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    Repo::open(folder.path())
        .await
        .expect("opened")
        .close()
        .await;
    let options = SqliteConnectOptions::new().filename(folder.path().join(FILE));
    let database = SqliteConnection::connect_with(&options)
        .await
        .expect("opened");
    (database, folder)
}

async fn plan(database: &mut SqliteConnection, statement: &str) -> Vec<String> {
    let statement = sqlite_text(statement.to_owned().into());
    let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
    sqlx::query(explain)
        .fetch_all(database)
        .await
        .unwrap_or_else(|error| panic!("{statement}: {error}"))
        .iter()
        .map(|row| row.get("detail"))
        .collect()
}

#[tokio::test]
async fn no_statement_looks_at_all_rows_of_a_large_table() {
    let (mut database, _folder) = empty().await;
    let statements = statements();
    assert!(statements.len() > 30, "{}", statements.len());
    let mut bad = Vec::new();
    for statement in &statements {
        for step in plan(&mut database, statement).await {
            let Some(scan) = step.strip_prefix("SCAN ") else {
                continue;
            };
            let table = scan.split(' ').next().unwrap_or_default();
            // In index order, the scan ends with the limit.
            let is_bounded = scan.contains(" INDEX ") && statement.contains(" LIMIT ");
            // The rows of a subquery are limited by its own plan.
            let is_seen = statement.contains(&format!(") AS {table}"));
            if !is_seen && !SMALL.contains(&table) && table != "CONSTANT" && !is_bounded {
                bad.push(format!("{statement}\n    {step}"));
            }
        }
    }
    assert!(bad.is_empty(), "these scan:\n{}", bad.join("\n"));
}

#[tokio::test]
async fn a_scan_would_be_noticed() {
    let (mut database, _folder) = empty().await;
    let scan = plan(&mut database, "SELECT alias FROM aliases WHERE token = $1").await;
    assert!(scan[0].starts_with("SCAN aliases"), "{scan:?}");
    let search = plan(&mut database, "SELECT hash FROM aliases WHERE alias = $1").await;
    assert!(search[0].starts_with("SEARCH aliases"), "{search:?}");
}
