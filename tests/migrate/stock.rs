//! What an existing pict-rs had in the eyes of its clients, and whether it is all here.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::support::client::Client;
use crate::support::{Server, Uploaded};

/// Everything that a server had.
pub struct Stock {
    /// What was uploaded.
    pub known: Vec<Known>,
    /// A URL that it had fetched, and the digest of what was there.
    pub proxied: (String, String),
    /// An alias that was deleted.
    pub deleted: String,
    /// The digest of the placeholder.
    pub placeholder: String,
}

/// An alias.
pub struct Known {
    /// Its name.
    pub alias: String,
    token: String,
    /// The digest of its bytes.
    pub digest: String,
    /// Without the time.
    details: Value,
    created_at: OffsetDateTime,
}

/// The existing pict-rs has two times of an upload, of the content and of its details. Between them it
/// asks its database.
const BETWEEN: Duration = Duration::from_secs(1);

impl Known {
    /// As the server shows it now.
    pub fn of(server: &Client, one: &Uploaded) -> Self {
        let (details, created_at) = details(server, &one.alias);
        Self {
            digest: digest(&original(server, &one.alias)),
            details,
            created_at,
            alias: one.alias.clone(),
            token: one.token.clone(),
        }
    }
}

/// The digest of some bytes, as text.
pub fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn path_of(alias: &str) -> String {
    alias.replace(' ', "%20")
}

/// The bytes of an alias.
pub fn original(server: &Client, alias: &str) -> Vec<u8> {
    let path = format!("/image/original/{}", path_of(alias));
    server.get(&path).ok().body
}

/// What a client is told of a file, but for what only one version tells, and when it came.
fn details(server: &Client, alias: &str) -> (Value, OffsetDateTime) {
    let path = format!("/image/details/original/{}", path_of(alias));
    let mut details = server.get(&path).ok().json();
    let fields = details.as_object_mut().expect("an object");
    fields.remove("duration");
    fields.remove("msg");
    // The existing pict-rs has none.
    fields.remove("thumbhash");
    fields.remove("colour");
    let created_at = fields.remove("created_at").expect("a time");
    (details, time_of(&created_at))
}

fn time_of(value: &Value) -> OffsetDateTime {
    OffsetDateTime::parse(value.as_str().expect("text"), &Rfc3339).expect("a time")
}

impl Stock {
    /// Aliases that a takeover brings, the proxied one included.
    pub fn aliases(&self) -> usize {
        self.known.len() + 1
    }

    /// Reads what [`Stock::write`] has written.
    pub fn read(file: &Path) -> Self {
        let text = std::fs::read(file).expect("there");
        let all: Value = serde_json::from_slice(&text).expect("JSON");
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let known = all["known"].as_array().expect("a list").iter();
        Self {
            known: known
                .map(|one| Known {
                    alias: text(&one["alias"]),
                    token: text(&one["token"]),
                    digest: text(&one["sha256"]),
                    details: one["details"].clone(),
                    created_at: time_of(&one["created_at"]),
                })
                .collect(),
            proxied: (
                text(&all["proxied"]["url"]),
                text(&all["proxied"]["sha256"]),
            ),
            deleted: text(&all["deleted"]),
            placeholder: text(&all["placeholder"]),
        }
    }

    /// Writes it down.
    pub fn write(&self, file: &Path) {
        let known = self.known.iter().map(|one| {
            let created_at = one.created_at.format(&Rfc3339).expect("a time");
            json!({
                "alias": one.alias,
                "token": one.token,
                "sha256": one.digest,
                "details": one.details,
                "created_at": created_at,
            })
        });
        let all = json!({
            "known": known.collect::<Vec<_>>(),
            "proxied": { "url": self.proxied.0, "sha256": self.proxied.1 },
            "deleted": self.deleted,
            "placeholder": self.placeholder,
        });
        let text = serde_json::to_string_pretty(&all).expect("JSON");
        std::fs::write(file, text + "\n").expect("written");
    }

    /// Checks that everything is here, and deletes it.
    pub fn check(&self, place: &str, new: &Server) {
        for known in &self.known {
            let alias = &known.alias;
            let found = digest(&original(new, alias));
            assert_eq!(found, known.digest, "{place}: {alias}");
            let (details, created_at) = details(new, alias);
            assert_eq!(details, known.details, "{place}: {alias}");
            let between = (created_at - known.created_at).unsigned_abs();
            assert!(between < BETWEEN, "{place}: {alias}: {between:?}");
        }
        new.process("webp", &self.known[2].alias, "thumbnail=8");
        // It is here, whatever became of its upstream.
        let (url, expected) = &self.proxied;
        new.get(&format!("/image/details/original?proxy={url}"))
            .ok();
        let proxied = new.get(&format!("/image/original?proxy={url}")).ok();
        assert_eq!(digest(&proxied.body), *expected, "{place}");
        let path = format!("/image/original/{}", self.deleted);
        let missing = new.get(&path).status(404);
        assert_eq!(digest(&missing.body), self.placeholder, "{place}");
        for (index, known) in self.known.iter().enumerate() {
            let alias = path_of(&known.alias);
            let other = &self.known[(index + 1) % self.known.len()].token;
            new.delete(&format!("/image/delete/{other}/{alias}"))
                .refused(403, "invalid-delete-token");
            new.delete(&format!("/image/delete/{}/{alias}", known.token))
                .status(204);
            let path = format!("/image/details/original/{alias}");
            new.get(&path).refused(404, "alias-not-found");
        }
    }
}
