//! The description of the API, compared with the API.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::Server;

const KEY: (&str, &str) = ("X-Api-Token", "the-key");

fn document(server: &Server) -> Value {
    let answer = server.get("/openapi.json").ok();
    assert_eq!(answer.header("content-type"), Some("application/json"));
    answer.json()
}

/// The methods of each path that the document has.
fn described(document: &Value) -> Vec<(String, BTreeSet<String>)> {
    let paths = document["paths"].as_object().expect("paths");
    let methods = |item: &Value| {
        let item = item.as_object().expect("methods");
        item.keys().map(|method| method.to_uppercase()).collect()
    };
    paths
        .iter()
        .map(|(path, item)| (path.clone(), methods(item)))
        .collect()
}

#[test]
fn every_described_path_has_exactly_the_described_methods() {
    let server = Server::with([("server.api_key", KEY.1)]);
    let document = document(&server);
    assert_eq!(document["openapi"], "3.1.0");
    for (path, methods) in described(&document) {
        let filled = path.replace("{ext}", "webp").replace(['{', '}'], "");
        // A method that no path has: the answer names those that this one has.
        let answer = server.send("PATCH", &filled, &[KEY], None);
        let allow = answer.header("allow").unwrap_or_default();
        assert_eq!(
            answer.status, 405,
            "openapi.json describes {path}, which is no route"
        );
        let allowed: BTreeSet<_> = allow.split(", ").map(str::to_owned).collect();
        assert_eq!(allowed, methods, "{path}: the route table has the first");
    }
}

/// The paths of the route table, as it is written.
fn routes() -> Vec<String> {
    let table = include_str!("../../crates/pict-rs/src/http.rs");
    let table = table.split_once("fn routes(").expect("a route table").1;
    let table = table.split_once("\nfn ").expect("more functions").0;
    let mut found = Vec::new();
    for piece in table.split("resource(").skip(1) {
        let path = piece.split('"').nth(1).expect("a path");
        found.push(path.replace(":.+}", "}").replace("{extension}", "{ext}"));
    }
    assert!(found.len() >= 16, "{found:?}");
    found
}

#[test]
fn texts_of_a_known_form_and_bytes_say_what_they_are() {
    let document = document(&Server::start());
    let format = |path: &str, name: &str| {
        let parameters = document["paths"][path]["get"]["parameters"].as_array();
        let mut parameters = parameters.expect("parameters").iter();
        let found = parameters.find(|parameter| parameter["name"] == name);
        found.expect(name)["schema"]["format"].clone()
    };
    assert_eq!(format("/image/backgrounded/claim", "upload_id"), "uuid");
    assert_eq!(format("/image/download", "url"), "uri");
    assert_eq!(format("/image/original", "proxy"), "uri");
    assert_eq!(format("/image/process.{ext}", "proxy"), "uri");
    assert_eq!(format("/internal/hashes", "timestamp"), "date-time");
    let body = &document["paths"]["/image"]["post"]["requestBody"]["content"];
    let file = &body["multipart/form-data"]["schema"]["properties"]["images[]"]["items"];
    assert_eq!(file["format"], "binary");
    let original = &document["paths"]["/image/original"]["get"]["responses"];
    for status in ["200", "206", "404"] {
        let content = &original[status]["content"]["image/*"];
        assert_eq!(content["schema"]["format"], "binary", "{status}");
    }
    let schemas = &document["components"]["schemas"];
    let upload = &schemas["Upload"]["properties"];
    assert_eq!(upload["delete_token"]["format"], "uuid");
    for field in ["msg", "code", "detail", "limit", "found"] {
        assert!(
            schemas["Error"]["properties"].get(field).is_some(),
            "{field}"
        );
    }
}

#[test]
fn every_route_is_described() {
    let server = Server::start();
    let described = described(&document(&server));
    let routes = routes();
    for route in &routes {
        // In the table the paths of a scope stand without its prefix.
        let is_described = described.iter().any(|(path, _)| {
            let rest = path.strip_suffix(route.as_str());
            rest.is_some_and(|rest| matches!(rest, "" | "/image" | "/internal"))
        });
        assert!(
            is_described,
            "openapi.json lacks {route}: see http/openapi/paths.rs"
        );
    }
    assert_eq!(described.len(), routes.len(), "{described:?}");
}
