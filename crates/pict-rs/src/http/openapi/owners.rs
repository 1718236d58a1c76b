//! The internal API: owners of uploads.

use serde_json::{Map, Value, json};

use super::internal::call;
use super::schemas::{list, needed, number, object, ok, subject, text};
use super::{DELETE, GET_OR_HEAD, Operation, POST};

/// Their paths.
pub(super) fn paths() -> Vec<(&'static str, Vec<Operation>)> {
    let owner = || needed(text("owner", "Whom it belongs to"));
    vec![
        (
            "/internal/owners",
            vec![
                call(GET_OR_HEAD, "owners", "Who has something, and how much")
                    .parameters([
                        text("after", "What the page before has as next"),
                        number("limit", "Owners of a page, up to 100"),
                    ])
                    .json(200, "Owners", "A page"),
            ],
        ),
        (
            "/internal/owner",
            vec![
                call(GET_OR_HEAD, "owner", "What an owner has, newest first")
                    .parameters([
                        owner(),
                        text("before", "What the page before has as next"),
                        number("limit", "Aliases of a page, up to 1000"),
                    ])
                    .json(200, "OwnerPage", "A page"),
                call(POST, "setOwner", "Give an alias another owner")
                    .parameters([owner()])
                    .parameters(subject())
                    .json(200, "Ok", "It belongs to this owner")
                    .refusals([(404, "There is no such media")]),
                call(DELETE, "unsetOwner", "Take the owner of an alias away")
                    .parameters(subject())
                    .empty(204, "It has no owner")
                    .refusals([(404, "There is no such media")]),
            ],
        ),
    ]
}

/// Their schemas, with names.
pub(super) fn schemas() -> Map<String, Value> {
    let number = json!({ "type": "integer", "minimum": 0 });
    let quota = json!({ "type": ["integer", "null"], "description": "Bytes; null for any number" });
    let text = json!({ "type": "string" });
    let maybe_text = json!({ "type": ["string", "null"] });
    let time = json!({ "type": "string", "format": "date-time" });
    let all = [
        (
            "OwnerUsage",
            object(
                json!({ "owner": text, "aliases": number, "contents": number, "bytes": number }),
                &["owner", "aliases", "contents", "bytes"],
            ),
        ),
        (
            "Owners",
            object(
                json!({ "msg": ok(), "quota": quota, "owners": list("OwnerUsage"), "next": maybe_text }),
                &["msg", "quota", "owners", "next"],
            ),
        ),
        (
            "OwnedAlias",
            object(
                json!({ "alias": text, "created_at": time }),
                &["alias", "created_at"],
            ),
        ),
        (
            "OwnerPage",
            object(
                json!({
                    "msg": ok(),
                    "owner": text,
                    "contents": number,
                    "bytes": number,
                    "quota": quota,
                    "total": number,
                    "aliases": list("OwnedAlias"),
                    "next": maybe_text,
                }),
                &[
                    "msg", "owner", "contents", "bytes", "quota", "total", "aliases", "next",
                ],
            ),
        ),
    ];
    all.into_iter()
        .map(|(name, schema)| (name.to_owned(), schema))
        .collect()
}
