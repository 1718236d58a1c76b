//! The internal API: paths and JSON schemas that require an API key.

use serde_json::{Map, Value, json};

use super::schemas::{
    form, formatted, json_body, list, needed, number, object, ok, subject, switch,
};
use super::schemas::{text, texts, upload_query};
use super::{DELETE, GET_OR_HEAD, Operation, POST, reference};

/// Every path below `/internal`.
pub(super) fn paths() -> Vec<(&'static str, Vec<Operation>)> {
    let mut all = about_one_media();
    all.extend(about_all_media());
    all.extend(about_the_server());
    all.extend(moderation());
    all
}

pub(super) fn call(
    methods: &'static [&'static str],
    id: &'static str,
    summary: &'static str,
) -> Operation {
    Operation::new(methods, id, summary)
        .refusals([(400, "The request is not valid, or the server is read-only")])
        .with_key()
}

/// The reason for the audit log.
pub(super) fn reason() -> Value {
    text("reason", "Why, for the audit log: up to 1000 bytes")
}

pub(super) fn page() -> [Value; 2] {
    [
        text("before", "What the page before has as next"),
        number("limit", "Entries of a page, up to 1000"),
    ]
}

fn about_one_media() -> Vec<(&'static str, Vec<Operation>)> {
    let about_one = |methods, id, summary, schema| {
        call(methods, id, summary)
            .parameters(subject())
            .json(200, schema, "Done")
            .refusals([(404, "There is no such media")])
    };
    vec![
        (
            "/internal/import",
            vec![
                call(POST, "import", "Take files in under their own names")
                    .parameters(upload_query())
                    .body(form())
                    .json(201, "Uploads", "All files are stored")
                    .refusals([(413, "A file has too many bytes")]),
            ],
        ),
        (
            "/internal/purge",
            vec![
                about_one(
                    POST,
                    "purge",
                    "Remove a content with all its aliases",
                    "Purged",
                )
                .parameters([
                    text("owner", "Whose media, in place of alias and proxy"),
                    switch("block", "True keeps it out for ever"),
                    switch("near", "With block: true keeps out what looks like it, too"),
                    reason(),
                ]),
            ],
        ),
        (
            "/internal/delete",
            vec![about_one(POST, "deleteAlias", "Remove one alias", "Ok").parameters([reason()])],
        ),
        (
            "/internal/aliases",
            vec![
                about_one(
                    GET_OR_HEAD,
                    "aliases",
                    "All aliases of the same content",
                    "Aliases",
                )
                .parameters([text(
                    "hash",
                    "SHA-256 of a stored file, in place of alias and proxy",
                )]),
            ],
        ),
        (
            "/internal/identifier",
            vec![about_one(
                GET_OR_HEAD,
                "identifier",
                "Where the file lies under the store's root",
                "Identifier",
            )],
        ),
        (
            "/internal/content",
            vec![about_one(
                GET_OR_HEAD,
                "content",
                "Everything about a content, and its variants",
                "ContentAnswer",
            )],
        ),
        (
            "/internal/set_not_found",
            vec![
                call(
                    POST,
                    "setNotFound",
                    "Choose what stands in for missing media",
                )
                .body(json_body("SetNotFound"))
                .json(201, "Ok", "It does from now on")
                .json(200, "Ok", "Nothing does any more")
                .refusals([(404, "There is no such media")]),
            ],
        ),
    ]
}

fn about_all_media() -> Vec<(&'static str, Vec<Operation>)> {
    vec![
        (
            "/internal/hashes",
            vec![
                call(GET_OR_HEAD, "hashes", "All contents, newest first")
                    .parameters([
                        text("slug", "The content that the page begins with"),
                        formatted(
                            text("timestamp", "RFC 3339: no content that is younger"),
                            "date-time",
                        ),
                        number("limit", "Contents of a page, up to 1000"),
                        text("kind", "Only image, animation or video"),
                        text("format", "Only this extension, such as jpeg"),
                        number("min_bytes", "Only files of so many bytes, or more"),
                        number("max_bytes", "Only files of so many bytes, or less"),
                        text("origin", "Only uploaded, or proxied"),
                        text(
                            "last_used",
                            "Only what was never used, or not for a time such as 30d",
                        ),
                    ])
                    .json(200, "Hashes", "A page"),
            ],
        ),
        (
            "/internal/variants",
            vec![
                call(DELETE, "dropVariants", "Remove all variants")
                    .parameters([reason()])
                    .empty(204, "It is sure to be done"),
            ],
        ),
        (
            "/internal/prune_missing",
            vec![
                call(POST, "pruneMissing", "Purge contents whose file is missing")
                    .parameters([
                        switch("force", "True starts over, and purges however much is lost"),
                        switch("block", "True blocks what is purged"),
                        reason(),
                    ])
                    .json(200, "Progress", "How far that is"),
            ],
        ),
        (
            "/internal/usage",
            vec![call(GET_OR_HEAD, "usage", "How much is stored").json(200, "Usage", "So much")],
        ),
        (
            "/internal/growth",
            vec![
                call(GET_OR_HEAD, "growth", "How fast the store grows").json(
                    200,
                    "Growth",
                    "Day by day",
                ),
            ],
        ),
        (
            "/internal/retention",
            vec![
                call(GET_OR_HEAD, "retention", "What other limits would drop")
                    .parameters([
                        text("disk", "A value of media.disk: 40 GiB"),
                        text("unused", "A value of media.retention: 30d"),
                    ])
                    .json(200, "Previewed", "So much, now"),
            ],
        ),
        (
            "/internal/jobs",
            vec![
                call(GET_OR_HEAD, "jobs", "What is done in the background")
                    .parameters([number("limit", "Jobs that are listed, up to 1000")])
                    .json(200, "Jobs", "Jobs and long runs"),
            ],
        ),
        (
            "/internal/collect",
            vec![
                call(POST, "collect", "Find or remove files that nothing names")
                    .parameters([
                        switch("dry_run", "False removes them"),
                        text("min_age", "Younger files are not judged: 30m, 6h, 7d"),
                        switch("force", "True removes them however many they are"),
                    ])
                    .json(200, "Collected", "What was found"),
            ],
        ),
    ]
}

fn about_the_server() -> Vec<(&'static str, Vec<Operation>)> {
    vec![
        (
            "/internal/export",
            vec![call(POST, "export", "Write a copy of the database").json(
                201,
                "Exported",
                "It is on the server's disk",
            )],
        ),
        (
            "/internal/limits",
            vec![
                call(GET_OR_HEAD, "limits", "The section media of the settings").json(
                    200,
                    "Any",
                    "As they count",
                ),
            ],
        ),
        (
            "/internal/health",
            vec![
                call(GET_OR_HEAD, "deepHealth", "How each part is")
                    .json(200, "Health", "All is well")
                    .json(503, "Health", "Something is broken"),
            ],
        ),
        (
            "/internal/prepare_upgrade",
            vec![
                call(
                    POST,
                    "prepareUpgrade",
                    "Nothing; for tools of older versions",
                )
                .refusals([(410, "There is nothing to prepare")]),
            ],
        ),
    ]
}

fn moderation() -> Vec<(&'static str, Vec<Operation>)> {
    let hash = |description| text("hash", description);
    vec![
        (
            "/internal/audit",
            vec![
                call(GET_OR_HEAD, "audit", "The log of removals, newest first")
                    .parameters(page())
                    .parameters([
                        text("action", "Only what was done so, such as purge"),
                        text("actor", "Only by token, admin or server"),
                        text("key", "Only with the API key of this name"),
                        text("since", "A day or RFC 3339: nothing older"),
                        text("until", "A day or RFC 3339: nothing younger"),
                        text("format", "With csv everything as text/csv, without limit"),
                    ])
                    .json(200, "Audit", "A page"),
            ],
        ),
        (
            "/internal/blocklist",
            vec![
                call(GET_OR_HEAD, "blocklist", "What is not taken in again")
                    .parameters(page())
                    .json(200, "Blocklist", "A page"),
                call(POST, "block", "Enter into the list without removing")
                    .parameters([hash(
                        "SHA-256 of a file; one of hash, alias, proxy is needed",
                    )])
                    .parameters(subject())
                    .parameters([reason()])
                    .json(201, "Blocked", "It is in")
                    .refusals([(404, "There is no such media")]),
                call(DELETE, "unblock", "Take off the list")
                    .parameters([needed(hash("SHA-256 of a file")), reason()])
                    .empty(204, "It is off")
                    .refusals([(404, "It is not on the list")]),
            ],
        ),
    ]
}

/// The entries for `components.schemas`.
pub(super) fn schemas() -> Map<String, Value> {
    let number = json!({ "type": "integer", "minimum": 0 });
    let truth = json!({ "type": "boolean" });
    let text = json!({ "type": "string" });
    let maybe_text = json!({ "type": ["string", "null"] });
    let maybe_number = json!({ "type": ["integer", "null"] });
    let time = json!({ "type": "string", "format": "date-time" });
    let maybe_time = json!({ "type": ["string", "null"], "format": "date-time" });
    let any = json!({ "type": "object" });
    let maybe_any = json!({ "type": ["object", "null"] });
    let slug = json!({ "type": "string", "description": "Left out where there is none" });
    let all = [
        (
            "SetNotFound",
            object(json!({ "alias": maybe_text }), &["alias"]),
        ),
        (
            "ContentAnswer",
            object(
                json!({ "msg": ok(), "content": reference("InspectedContent") }),
                &["msg", "content"],
            ),
        ),
        (
            "InspectedContent",
            object(
                json!({
                    "hex": text,
                    "size": number,
                    "identifier": text,
                    "details": reference("Details"),
                    "aliases": list("AliasWithOwner"),
                    "urls": texts(),
                    "pdq": maybe_any,
                    "used_at": maybe_time,
                    "uses_since": maybe_time,
                    "quarantined": json!({ "oneOf": [reference("Quarantined"), { "type": "null" }] }),
                    "variants": list("ListedVariant"),
                }),
                &[
                    "hex",
                    "size",
                    "identifier",
                    "details",
                    "aliases",
                    "urls",
                    "pdq",
                    "used_at",
                    "uses_since",
                    "quarantined",
                    "variants",
                ],
            ),
        ),
        (
            "AliasWithOwner",
            object(
                json!({ "alias": text, "owner": maybe_text }),
                &["alias", "owner"],
            ),
        ),
        (
            "ListedVariant",
            object(
                json!({
                    "variant": text,
                    "content_type": text,
                    "width": number,
                    "height": number,
                    "size": number,
                    "created_at": time,
                    "used_at": time,
                }),
                &[
                    "variant",
                    "content_type",
                    "width",
                    "height",
                    "size",
                    "created_at",
                    "used_at",
                ],
            ),
        ),
        (
            "Content",
            object(
                json!({ "hex": text, "aliases": texts(), "details": reference("Details") }),
                &["hex", "aliases", "details"],
            ),
        ),
        (
            "Page",
            object(
                json!({
                    "limit": number,
                    "hashes": list("Content"),
                    "current": slug,
                    "prev": slug,
                    "next": slug,
                }),
                &["limit", "hashes"],
            ),
        ),
        (
            "Hashes",
            object(
                json!({ "msg": ok(), "page": reference("Page") }),
                &["msg", "page"],
            ),
        ),
        (
            "Progress",
            object(
                json!({ "msg": ok(), "complete": truth, "progress": number, "total": number }),
                &["msg", "complete", "progress", "total"],
            ),
        ),
        (
            "Usage",
            object(
                json!({
                    "msg": ok(),
                    "aliases": any,
                    "originals": any,
                    "variants": any,
                    "proxied": any,
                    "disk": maybe_any,
                    "garbage": any,
                    "uploads": any,
                }),
                &[
                    "msg",
                    "aliases",
                    "originals",
                    "variants",
                    "proxied",
                    "disk",
                    "garbage",
                    "uploads",
                ],
            ),
        ),
        (
            "Growth",
            object(
                json!({
                    "msg": ok(),
                    "days": { "type": "array", "items": any },
                    "bytes_per_day": maybe_any,
                    "full": maybe_any,
                }),
                &["msg", "days", "bytes_per_day", "full"],
            ),
        ),
        (
            "Previewed",
            object(
                json!({ "msg": ok(), "disk": maybe_any, "unused": maybe_any }),
                &["msg", "disk", "unused"],
            ),
        ),
        (
            "Jobs",
            object(
                json!({
                    "msg": ok(),
                    "queue": any,
                    "jobs": { "type": "array", "items": any },
                    "runs": { "type": "array", "items": any },
                }),
                &["msg", "queue", "jobs", "runs"],
            ),
        ),
        (
            "Collected",
            object(
                json!({
                    "msg": ok(),
                    "dry_run": truth,
                    "complete": truth,
                    "files": number,
                    "orphans": any,
                    "removed": number,
                    "young": number,
                    "strangers": number,
                }),
                &["msg", "dry_run", "complete", "files", "orphans", "removed"],
            ),
        ),
        (
            "Exported",
            object(
                json!({ "msg": ok(), "path": text, "size": number }),
                &["msg", "path", "size"],
            ),
        ),
        (
            "Health",
            object(
                json!({
                    "msg": text,
                    "broken": texts(),
                    "version": text,
                    "read_only": truth,
                    "repo": any,
                    "store": any,
                    "programs": any,
                    "jobs": any,
                    "media": any,
                    "nodes": list("Node"),
                    "takeover": any,
                    "store_move": any,
                    "events": reference("Deliveries"),
                    "caches": reference("Deliveries"),
                }),
                &["msg", "broken", "version", "repo", "store"],
            ),
        ),
        (
            "Node",
            object(
                json!({
                    "id": text,
                    "this": truth,
                    "host": text,
                    "version": text,
                    "started_at": time,
                    "seen_at": time,
                    "silent_ms": number,
                }),
                &[
                    "id",
                    "this",
                    "host",
                    "version",
                    "started_at",
                    "seen_at",
                    "silent_ms",
                ],
            ),
        ),
        (
            "Deliveries",
            object(
                json!({ "waiting": number, "oldest": maybe_text, "error": maybe_text }),
                &["waiting", "oldest", "error"],
            ),
        ),
        (
            "Removal",
            object(
                json!({
                    "number": number,
                    "time": time,
                    "action": text,
                    "actor": text,
                    "key": maybe_text,
                    "aliases": texts(),
                    "hash": maybe_text,
                    "amount": maybe_number,
                    "reason": maybe_text,
                    "request_id": maybe_text,
                    "receipt": { "type": ["object", "null"] },
                }),
                &["number", "time", "action", "actor", "aliases"],
            ),
        ),
        (
            "Audit",
            object(
                json!({ "msg": ok(), "audit": list("Removal"), "next": maybe_number }),
                &["msg", "audit", "next"],
            ),
        ),
        (
            "Block",
            object(
                json!({ "hash": text, "reason": maybe_text, "created_at": time }),
                &["hash", "reason", "created_at"],
            ),
        ),
        (
            "Blocklist",
            object(
                json!({ "msg": ok(), "blocklist": list("Block"), "next": maybe_text }),
                &["msg", "blocklist", "next"],
            ),
        ),
        (
            "Blocked",
            object(
                json!({ "msg": ok(), "blocked": texts() }),
                &["msg", "blocked"],
            ),
        ),
    ];
    all.into_iter()
        .map(|(name, schema)| (name.to_owned(), schema))
        .collect()
}
