//! All tables with their columns, as both engines have them, for what copies a whole database.
//!
//! A test compares this list with the schemas, so that a new column cannot be forgotten.

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ColumnType {
    Int,
    Text,
    Blob,
}

/// A table.
#[derive(Debug)]
pub(super) struct CopiedTable {
    pub(super) name: &'static str,
    /// Columns of the key by which its rows are listed.
    pub(super) key: usize,
    /// The columns of the key first. Both engines sort them alike.
    pub(super) columns: &'static [(&'static str, ColumnType)],
    /// Whether the database numbers its rows, in a column `number`, and uses no number twice.
    pub(super) is_numbered: bool,
    /// Whether a server writes rows before it has media. They are no reason to refuse a database
    /// that something is copied to.
    pub(super) is_of_server: bool,
}

impl CopiedTable {
    /// The columns, for a statement.
    pub(super) fn names(&self) -> String {
        names(self.columns)
    }

    /// The columns of the key, for a statement.
    pub(super) fn key_names(&self) -> String {
        names(&self.columns[..self.key])
    }
}

fn names(columns: &[(&'static str, ColumnType)]) -> String {
    let names: Vec<_> = columns.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

use ColumnType::{Blob, Int, Text};

const fn table(
    name: &'static str,
    key: usize,
    columns: &'static [(&'static str, ColumnType)],
) -> CopiedTable {
    CopiedTable {
        name,
        key,
        columns,
        is_numbered: false,
        is_of_server: false,
    }
}

/// A row comes after the rows that it refers to.
pub(super) const TABLES: [CopiedTable; 22] = [
    table(
        "hashes",
        1,
        &[
            ("hash", Blob),
            ("object", Text),
            ("width", Int),
            ("height", Int),
            ("frames", Int),
            ("duration_ms", Int),
            ("blurhash", Text),
            ("thumbhash", Blob),
            ("colour", Int),
            ("created_at", Int),
            ("size", Int),
            ("format", Int),
            ("pdq", Blob),
            ("pdq_quality", Int),
            ("frame_pdq", Blob),
            ("used_at", Int),
        ],
    ),
    table(
        "aliases",
        1,
        &[
            ("alias", Text),
            ("hash", Blob),
            ("token", Text),
            ("created_at", Int),
            ("lost_at", Int),
            ("owner", Text),
        ],
    ),
    table(
        "variants",
        2,
        &[
            ("hash", Blob),
            ("variant", Text),
            ("content_key", Blob),
            ("object", Text),
            ("width", Int),
            ("height", Int),
            ("frames", Int),
            ("duration_ms", Int),
            ("created_at", Int),
            ("accessed_at", Int),
            ("size", Int),
            ("format", Int),
        ],
    ),
    // Not by URL, which PostgreSQL does not sort by an index.
    table(
        "proxies",
        1,
        &[
            ("alias", Text),
            ("url", Text),
            ("created_at", Int),
            ("accessed_at", Int),
            ("etag", Text),
            ("last_modified", Text),
            ("fresh_until", Int),
        ],
    ),
    table("proxied", 1, &[("hash", Blob)]),
    table("sources", 2, &[("hash", Blob), ("digest", Blob)]),
    table("garbage", 1, &[("object", Text), ("not_before", Int)]),
    table(
        "uploads",
        1,
        &[
            ("upload_id", Text),
            ("query", Text),
            ("alias", Text),
            ("code", Text),
            ("message", Text),
            ("finished_at", Int),
        ],
    ),
    table(
        "jobs",
        1,
        &[
            ("key", Text),
            ("kind", Text),
            ("subject", Text),
            ("detail", Text),
            ("attempts", Int),
            ("lease", Text),
            ("due_at", Int),
            ("created_at", Int),
            ("begun", Int),
            ("deaths", Int),
        ],
    ),
    table(
        "blocklist",
        1,
        &[("digest", Blob), ("reason", Text), ("created_at", Int)],
    ),
    table(
        "listed_pdq",
        2,
        &[
            ("list", Text),
            ("pdq", Blob),
            ("reason", Text),
            ("created_at", Int),
        ],
    ),
    table(
        "quarantine",
        1,
        &[
            ("hash", Blob),
            ("list", Text),
            ("pdq", Blob),
            ("distance", Int),
            ("reason", Text),
            ("created_at", Int),
        ],
    ),
    table("released", 1, &[("hash", Blob), ("created_at", Int)]),
    CopiedTable {
        is_numbered: true,
        ..table(
            "audit",
            1,
            &[
                ("number", Int),
                ("action", Text),
                ("actor", Text),
                ("key_name", Text),
                ("aliases", Text),
                ("hash", Text),
                ("amount", Int),
                ("reason", Text),
                ("request_id", Text),
                ("created_at", Int),
                ("variants", Int),
                ("bytes", Int),
                ("caches", Text),
            ],
        )
    },
    CopiedTable {
        is_numbered: true,
        ..table(
            "outbox",
            1,
            &[
                ("number", Int),
                ("target", Text),
                ("subjects", Text),
                ("body", Text),
                ("entry", Int),
                ("stage", Int),
                ("attempts", Int),
                ("error", Text),
                ("due_at", Int),
                ("created_at", Int),
            ],
        )
    },
    CopiedTable {
        is_of_server: true,
        ..table("settings", 1, &[("name", Text), ("value", Text)])
    },
    CopiedTable {
        is_of_server: true,
        ..table(
            "maintenance",
            1,
            &[
                ("task", Text),
                ("cursor", Blob),
                ("progress", Int),
                ("total", Int),
                ("key_name", Text),
                ("reason", Text),
                ("request_id", Text),
                ("started_at", Int),
                ("finished_at", Int),
                ("allowed", Int),
                ("lost", Int),
                ("counted", Int),
                ("stopped", Int),
                ("block", Int),
            ],
        )
    },
    CopiedTable {
        is_of_server: true,
        ..table(
            "usage",
            1,
            &[
                ("class", Text),
                ("count", Int),
                ("bytes", Int),
                ("allocated", Int),
            ],
        )
    },
    CopiedTable {
        is_numbered: true,
        is_of_server: true,
        ..table(
            "usage_deltas",
            1,
            &[
                ("number", Int),
                ("class", Text),
                ("count", Int),
                ("bytes", Int),
                ("allocated", Int),
            ],
        )
    },
    CopiedTable {
        is_of_server: true,
        ..table(
            "growth",
            2,
            &[
                ("day", Int),
                ("class", Text),
                ("count", Int),
                ("bytes", Int),
                ("allocated", Int),
            ],
        )
    },
    CopiedTable {
        is_of_server: true,
        ..table(
            "takeover",
            1,
            &[
                ("name", Text),
                ("url", Text),
                ("position", Text),
                ("pass", Int),
                ("contents", Int),
                ("changed", Int),
                ("altered", Int),
                ("lost", Int),
                ("failed", Int),
                ("copied", Int),
                ("aliases", Int),
                ("bytes", Int),
                ("started_at", Int),
                ("finished_at", Int),
            ],
        )
    },
    table(
        "tombstones",
        1,
        &[("alias", Text), ("untold", Int), ("created_at", Int)],
    ),
];

/// Tables that only PostgreSQL has: what running servers tell each other.
#[cfg(test)]
const OF_RUNNING_SERVERS: [&str; 3] = ["leases", "nodes", "removals"];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use testkit::postgres::Cluster;

    use super::*;
    use crate::repo::sql::sql;
    use crate::repo::{Location, Repo, Server, ServerSettings};

    /// Columns with their types, for each table.
    type Schema = BTreeMap<String, BTreeMap<String, String>>;

    fn listed(word: impl Fn(ColumnType) -> &'static str) -> Schema {
        let columns = |table: &CopiedTable| {
            let columns = table.columns.iter();
            columns
                .map(|(name, r#type)| ((*name).to_owned(), word(*r#type).to_owned()))
                .collect()
        };
        TABLES
            .iter()
            .map(|table| (table.name.to_owned(), columns(table)))
            .collect()
    }

    async fn found(repo: &Repo, query: &'static str) -> Schema {
        let mut schema = Schema::new();
        for row in sql(query).all(&repo.read).await.expect("asked") {
            let text = |column| row.text(column).expect("a text");
            schema
                .entry(text("table_name"))
                .or_default()
                .insert(text("column_name"), text("type_name"));
        }
        schema
    }

    #[tokio::test]
    async fn the_list_has_every_column_of_sqlite() {
        let folder = tempfile::tempdir().expect("a folder");
        let repo = Repo::open(folder.path()).await.expect("opened");
        let query = "SELECT s.name AS table_name, x.name AS column_name, \
             CASE x.type WHEN 'INTEGER' THEN 'BIGINT' ELSE x.type END AS type_name \
             FROM sqlite_schema s, pragma_table_info(s.name) x \
             WHERE s.type = 'table' AND s.name NOT LIKE '\\_sqlx%' ESCAPE '\\' \
             AND s.name NOT LIKE 'sqlite%'";
        let expected = listed(|r#type| match r#type {
            Int => "BIGINT",
            Text => "TEXT",
            Blob => "BLOB",
        });
        assert_eq!(found(&repo, query).await, expected);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_list_has_every_column_of_postgres() {
        let Some(cluster) = Cluster::shared_or_skip("the_list_has_every_column_of_postgres") else {
            return;
        };
        let database = cluster.database();
        let server = Server::new(&ServerSettings {
            key: "repo.url",
            url: &database.url(),
            use_tls: false,
            certificate_file: None,
            max_connections: 2,
            patience: std::time::Duration::ZERO,
        });
        let location = Location::Server(server.expect("valid").into());
        let repo = Repo::open_at(&location, false).await.expect("opened");
        let query = "SELECT table_name::text AS table_name, column_name::text AS column_name, \
             data_type::text AS type_name FROM information_schema.columns \
             WHERE table_schema = 'public' AND table_name <> 'pict_rs_migrations'";
        let expected = listed(|r#type| match r#type {
            Int => "bigint",
            Text => "text",
            Blob => "bytea",
        });
        let mut found = found(&repo, query).await;
        for table in OF_RUNNING_SERVERS {
            assert!(found.remove(table).is_some(), "{table}");
        }
        assert_eq!(found, expected);
        repo.close().await;
    }
}
