//! The internal API: lists of PDQ hashes, search by picture, and quarantine.

use serde_json::{Map, Value, json};

use super::internal::{call, page, reason};
use super::schemas::{form, list, number, object, ok, subject, switch, text, text_body, texts};
use super::{DELETE, GET_OR_HEAD, Operation, POST, reference};

/// Their paths.
pub(super) fn paths() -> Vec<(&'static str, Vec<Operation>)> {
    let distance = || number("distance", "Bits of 256 that may differ: 31, up to 128");
    let limit = || number("limit", "Pictures that are returned, up to 100");
    let pdq = |description| text("hash", description);
    vec![
        (
            "/internal/pdq",
            vec![
                call(
                    GET_OR_HEAD,
                    "pdq",
                    "The lists of PDQ hashes, subscriptions, and the last scan",
                )
                .json(200, "Pdq", "All lists"),
            ],
        ),
        (
            "/internal/pdq/scan",
            vec![
                call(
                    POST,
                    "scan",
                    "Hold everything that is stored against the lists",
                )
                .parameters([reason()])
                .json(202, "ScanBegun", "It has begun"),
            ],
        ),
        (
            "/internal/pdq/list",
            vec![
                call(
                    GET_OR_HEAD,
                    "listedPdq",
                    "The hashes of all lists, or of one",
                )
                .parameters([
                    text("after", "What the page before has as next"),
                    number("limit", "Entries of a page, up to 1000"),
                    switch("plain", "True answers with the hashes of a list as text"),
                    text(
                        "list",
                        "Only this list; with plain, without it: that of administrators",
                    ),
                ])
                .json(200, "ListedPdq", "A page")
                .or_text()
                .refusals([(404, "There is no such list")]),
                call(POST, "listPdq", "Add hashes to a list")
                    .parameters([text("list", "Its name"), reason()])
                    .body(text_body("A hash a line, or CSV"))
                    .json(201, "PdqImport", "They are in")
                    .refusals([(413, "The list has too many bytes")]),
                call(DELETE, "unlistPdq", "Remove a hash, or a list")
                    .parameters([pdq("The hash"), text("list", "The list"), reason()])
                    .json(200, "PdqRemoved", "They are off")
                    .refusals([(404, "There is no such hash or list")]),
            ],
        ),
        (
            "/internal/similar",
            vec![
                call(GET_OR_HEAD, "similar", "Stored pictures like a stored one")
                    .parameters([pdq("A PDQ hash, in place of alias and proxy")])
                    .parameters(subject())
                    .parameters([distance(), limit()])
                    .json(200, "Similar", "The nearest first")
                    .refusals([(404, "There is no such media")]),
                call(
                    POST,
                    "similarToFile",
                    "Stored pictures like one that is sent",
                )
                .parameters([distance(), limit()])
                .body(form())
                .json(200, "Similar", "The nearest first")
                .refusals([(413, "The file has too many bytes")]),
            ],
        ),
        (
            "/internal/quarantine",
            vec![
                call(GET_OR_HEAD, "quarantined", "What only administrators see")
                    .parameters(page())
                    .json(200, "Quarantine", "A page"),
                call(POST, "quarantine", "Hide a content from clients")
                    .parameters(subject())
                    .parameters([reason()])
                    .json(201, "Ok", "It is hidden")
                    .refusals([(404, "There is no such media")]),
                call(DELETE, "release", "Serve a content again")
                    .parameters(subject())
                    .parameters([reason()])
                    .empty(204, "It is served")
                    .refusals([(404, "It is not in quarantine")]),
            ],
        ),
    ]
}

/// Their schemas, with names.
pub(super) fn schemas() -> Map<String, Value> {
    let number = json!({ "type": "integer", "minimum": 0 });
    let truth = json!({ "type": "boolean" });
    let text = json!({ "type": "string" });
    let maybe_text = json!({ "type": ["string", "null"] });
    let time = json!({ "type": "string", "format": "date-time" });
    let maybe_time = json!({ "type": ["string", "null"], "format": "date-time" });
    let all = [
        (
            "Pdq",
            object(
                json!({ "msg": ok(), "lists": list("PdqList"), "subscriptions": list("PdqSubscription"), "scan": json!({ "oneOf": [reference("Scan"), { "type": "null" }] }) }),
                &["msg", "lists", "subscriptions", "scan"],
            ),
        ),
        (
            "PdqList",
            object(
                json!({ "list": text, "hashes": number }),
                &["list", "hashes"],
            ),
        ),
        (
            "PdqSubscription",
            object(
                json!({
                    "list": text,
                    "signed_at": maybe_time,
                    "changed_at": maybe_time,
                    "checked_at": maybe_time,
                    "error": maybe_text,
                }),
                &["list", "signed_at", "changed_at", "checked_at", "error"],
            ),
        ),
        (
            "Scan",
            object(
                json!({ "complete": truth, "progress": number, "total": number, "started_at": time }),
                &["complete", "progress", "total", "started_at"],
            ),
        ),
        (
            "ScanBegun",
            object(
                json!({ "msg": ok(), "scan": reference("Scan") }),
                &["msg", "scan"],
            ),
        ),
        (
            "PdqEntry",
            object(
                json!({ "hash": text, "list": text, "reason": maybe_text, "created_at": time }),
                &["hash", "list", "reason", "created_at"],
            ),
        ),
        (
            "ListedPdq",
            object(
                json!({ "msg": ok(), "hashes": list("PdqEntry"), "next": maybe_text }),
                &["msg", "hashes", "next"],
            ),
        ),
        (
            "PdqImport",
            object(
                json!({ "msg": ok(), "added": number, "total": number }),
                &["msg", "added", "total"],
            ),
        ),
        (
            "PdqRemoved",
            object(
                json!({ "msg": ok(), "removed": number }),
                &["msg", "removed"],
            ),
        ),
        (
            "SimilarContent",
            object(
                json!({
                    "distance": number,
                    "hex": text,
                    "aliases": texts(),
                    "quarantined": truth,
                    "details": reference("Details"),
                }),
                &["distance", "hex", "aliases", "quarantined", "details"],
            ),
        ),
        (
            "Similar",
            object(
                json!({ "msg": ok(), "similar": list("SimilarContent") }),
                &["msg", "similar"],
            ),
        ),
        (
            "Quarantined",
            object(
                json!({
                    "hex": text,
                    "aliases": texts(),
                    "details": reference("Details"),
                    "matched": json!({ "type": ["object", "null"] }),
                    "reason": maybe_text,
                    "created_at": time,
                }),
                &[
                    "hex",
                    "aliases",
                    "details",
                    "matched",
                    "reason",
                    "created_at",
                ],
            ),
        ),
        (
            "Quarantine",
            object(
                json!({ "msg": ok(), "quarantine": list("Quarantined"), "next": maybe_text }),
                &["msg", "quarantine", "next"],
            ),
        ),
    ];
    all.into_iter()
        .map(|(name, schema)| (name.to_owned(), schema))
        .collect()
}
