//! Query plans: no statement of this folder may scan a table that grows with the number of media.
//! The exceptions, which are rare and must count, are listed below.

use std::fs;
use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection as _, Row as _};

use super::content::COLUMNS;
use super::sql::sqlite_text;
use super::{FILE, Location, Repo, Server, ServerSettings};

/// Tables that stay small: bounded by a setting, or nearly empty.
const SMALL: [&str; 9] = [
    "garbage",
    "growth",
    "jobs",
    "leases",
    "maintenance",
    "nodes",
    "takeover",
    "usage",
    "usage_deltas",
];

/// On PostgreSQL, the pages of uploads that wait to be claimed; their number is small too.
const COUNTED: [&str; 1] = ["uploads"];

/// Run once for hours of work, to report how much there is to do, or when all of it is done.
const RARE: [&str; 2] = [
    "SELECT COUNT(*) AS things FROM {table}",
    "DELETE FROM tombstones",
];

/// Statements on tables that only PostgreSQL has.
const SHARED: &str = "node.rs";

/// The statements of these files but `left_out`, with values for their placeholders.
fn statements(left_out: &[&str]) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/repo");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        // What opens a database asks about small tables of the engine, and what copies one composes
        // its statements from a list of tables and reads all rows.
        let others = [
            "plans.rs",
            "sql.rs",
            "migrations.rs",
            "postgres.rs",
            "transfer.rs",
        ];
        let mut others = others.iter().chain(left_out);
        if path.is_dir() || others.any(|name| path.ends_with(name)) {
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
                let mut literal = literal.replace("{}", "1");
                if literal.starts_with("UPDATE jobs") && !literal.contains(" W") {
                    literal += " WHERE key = $1 AND lease = $2";
                }
                found.push(literal);
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
    let statements = statements(&[SHARED]);
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

/// The steps of PostgreSQL's plan, for values that it does not know, as JSON. Sequential scans are so
/// dear that it takes one only where no index helps, as if the tables were large.
async fn postgres_plan(
    database: &testkit::postgres::Database,
    statement: &str,
) -> serde_json::Value {
    let statement = statement.replace('\'', "''");
    let text = database.run(&format!(
        "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_sort = on; \
         DO $$ DECLARE plan JSON; parameters TEXT; BEGIN \
         EXECUTE 'PREPARE asked AS {statement}'; \
         SELECT string_agg('NULL', ', ') INTO parameters \
         FROM pg_prepared_statements, unnest(parameter_types) WHERE name = 'asked'; \
         EXECUTE 'EXPLAIN (FORMAT JSON, COSTS OFF) EXECUTE asked' \
         || COALESCE('(' || parameters || ')', '') INTO plan; \
         PERFORM set_config('test.plan', plan::TEXT, false); END $$; \
         SELECT current_setting('test.plan')"
    ));
    let plan: serde_json::Value = serde_json::from_str(&text).expect("a plan");
    plan[0]["Plan"].clone()
}

/// The tables that a plan reads whole: without a condition of an index, and not in the order of an
/// index until a limit is reached.
fn read_whole(step: &serde_json::Value, is_limited: bool, found: &mut Vec<String>) {
    let kind = step["Node Type"].as_str().unwrap_or_default();
    let is_limited = match kind {
        "Limit" => true,
        // What is sorted or counted is read to its end.
        "Sort" | "Aggregate" | "Hash" => false,
        _ => is_limited,
    };
    let table = step["Relation Name"].as_str();
    let is_scan = match kind {
        "Seq Scan" => true,
        "Index Scan" | "Index Only Scan" => step.get("Index Cond").is_none() && !is_limited,
        _ => false,
    };
    found.extend(table.filter(|_| is_scan).map(str::to_owned));
    for step in step["Plans"].as_array().into_iter().flatten() {
        read_whole(step, is_limited, found);
    }
}

async fn postgres_database(test: &str) -> Option<testkit::postgres::Database> {
    let database = testkit::postgres::Cluster::shared_or_skip(test)?.database();
    let settings = ServerSettings {
        key: "repo.url",
        url: &database.url(),
        use_tls: false,
        certificate_file: None,
        max_connections: 2,
        patience: std::time::Duration::ZERO,
    };
    let location = Location::Server(Server::new(&settings).expect("valid").into());
    let repo = Repo::open_at(&location, false).await.expect("opened");
    repo.close().await;
    Some(database)
}

#[tokio::test]
async fn no_statement_on_postgresql_looks_at_all_rows_of_a_large_table() {
    let test = "no_statement_on_postgresql_looks_at_all_rows_of_a_large_table";
    let Some(database) = postgres_database(test).await else {
        return;
    };
    let mut bad = Vec::new();
    for statement in statements(&[]) {
        let plan = postgres_plan(&database, &statement).await;
        let mut whole = Vec::new();
        read_whole(&plan, false, &mut whole);
        whole
            .retain(|table| !SMALL.contains(&table.as_str()) && !COUNTED.contains(&table.as_str()));
        if !whole.is_empty() {
            bad.push(format!("{statement}\n    {whole:?}"));
        }
    }
    assert!(bad.is_empty(), "these scan:\n{}", bad.join("\n"));
}

#[tokio::test]
async fn a_scan_of_postgresql_would_be_noticed() {
    let Some(database) = postgres_database("a_scan_of_postgresql_would_be_noticed").await else {
        return;
    };
    let check = async |statement: &str, expected: &[&str]| {
        let mut whole = Vec::new();
        let plan = postgres_plan(&database, statement).await;
        read_whole(&plan, false, &mut whole);
        assert_eq!(whole, expected, "{statement}: {plan}");
    };
    check("SELECT alias FROM aliases WHERE token = $1", &["aliases"]).await;
    check("SELECT hash FROM aliases WHERE alias = $1", &[]).await;
    check("SELECT alias FROM aliases ORDER BY alias LIMIT $1", &[]).await;
    check(
        "SELECT alias FROM aliases ORDER BY token LIMIT $1",
        &["aliases"],
    )
    .await;
    check("SELECT alias FROM proxies WHERE url = $1", &[]).await;
}
