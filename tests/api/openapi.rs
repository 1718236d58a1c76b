//! The description of the API, compared with the API.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::client::{content_type, multipart};
use crate::support::upstream::Upstream;
use crate::support::{File, Launch, Server, pictures};

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
    let table = table.replace("reading(", "resource(");
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

/// What of an answer the schema does not have, or has as needed and the answer lacks, by its path.
fn differences(document: &Value, schema: &Value, answer: &Value, path: &str) -> Vec<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let schema = document.pointer(reference.trim_start_matches('#'));
        return differences(document, schema.expect("a schema"), answer, path);
    }
    let (Some(properties), Some(entries)) = (schema["properties"].as_object(), answer.as_object())
    else {
        let items = answer.as_array().into_iter().flatten();
        return items
            .flat_map(|item| differences(document, &schema["items"], item, path))
            .collect();
    };
    let needed = schema["required"].as_array().into_iter().flatten();
    let needed = needed.map(|name| name.as_str().expect("a name"));
    let mut found: Vec<_> = needed
        .filter(|name| !entries.contains_key(*name))
        .map(|name| format!("{path}.{name} is lacking"))
        .collect();
    for (name, value) in entries {
        match properties.get(name) {
            None => found.push(format!("{path}.{name} is not described")),
            Some(schema) => {
                let path = format!("{path}.{name}");
                found.extend(differences(document, schema, value, &path));
            }
        }
    }
    found
}

#[test]
fn answers_have_the_keys_that_are_described_and_no_others() {
    let upstream = Upstream::serving(&pictures::png(&pictures::photo(20, 20)));
    let server = Launch::new()
        .setting("server.api_key", KEY.1)
        .setting("client.allow_local_connections", true)
        .start();
    let document = document(&server);
    let film = pictures::gif(&pictures::film(30, 20, 2));
    let alias = server.upload(&film).alias;
    let still = pictures::png(&pictures::photo(40, 30));
    let doomed = server.upload(&still).alias;
    let waiting = server.background(&pictures::jpeg(&pictures::photo(41, 30)));
    server.claim(&waiting).claimed();
    server.process("webp", &alias, "resize=10");
    let later = server.background(&pictures::jpeg(&pictures::photo(42, 30)));
    let url = upstream
        .url("/a.png")
        .replace(':', "%3A")
        .replace('/', "%2F");
    let form = multipart(&[File::new(&pictures::png(&pictures::photo(43, 30)))]);
    let kind = content_type();
    let mut failed = Vec::new();
    let mut ask = |method: &str, path: &str, described: &str, body: Option<&[u8]>| {
        let kind = (
            "content-type",
            if path.contains("not_found") {
                "application/json"
            } else {
                &kind
            },
        );
        let headers = if body.is_some() {
            vec![KEY, kind]
        } else {
            vec![KEY]
        };
        let answer = server.send(method, path, &headers, body);
        let operation = &document["paths"][described][method.to_lowercase()];
        let response = &operation["responses"][answer.status.to_string()];
        let schema = &response["content"]["application/json"]["schema"];
        assert!(
            answer.status < 300 && schema.is_object(),
            "{method} {path}: {}",
            answer.text()
        );
        let what = format!("{method} {described}");
        failed.extend(differences(&document, schema, &answer.json(), &what));
    };
    ask("POST", "/image", "/image", Some(&form));
    ask(
        "POST",
        "/image/backgrounded",
        "/image/backgrounded",
        Some(&form),
    );
    let claim = "/image/backgrounded/claim";
    ask("GET", &format!("{claim}?upload_id={later}"), claim, None);
    for (query, described) in [
        (format!("/image/download?url={url}"), "/image/download"),
        (
            format!("/image/download?url={url}&backgrounded=true"),
            "/image/download",
        ),
        ("/".to_owned(), "/"),
        ("/image/limits".to_owned(), "/image/limits"),
        (
            format!("/image/details/original/{alias}"),
            "/image/details/original/{alias}",
        ),
        (
            format!("/image/details/original?alias={doomed}"),
            "/image/details/original",
        ),
        (
            format!("/image/details/process.webp?src={alias}&resize=10"),
            "/image/details/process.{ext}",
        ),
        (
            format!("/image/process_backgrounded.png?src={alias}"),
            "/image/process_backgrounded.{ext}",
        ),
        (format!("/image/blurhash?alias={alias}"), "/image/blurhash"),
    ] {
        ask("GET", &query, described, None);
    }
    let json = format!("{{\"alias\":\"{alias}\"}}");
    ask(
        "POST",
        "/internal/set_not_found",
        "/internal/set_not_found",
        Some(json.as_bytes()),
    );
    let mut call = |method: &str, name: &str, query: &str| {
        let described = format!("/internal/{name}");
        ask(method, &format!("{described}{query}"), &described, None);
    };
    let about = format!("?alias={doomed}");
    call("GET", "aliases", &about);
    call("GET", "identifier", &about);
    call("GET", "content", &about);
    call("GET", "hashes", "?limit=2");
    call("POST", "purge", &format!("{about}&block=true&reason=why"));
    call("POST", "blocklist", &format!("?alias={alias}"));
    for name in ["audit", "blocklist", "usage", "limits", "health"] {
        call("GET", name, "");
    }
    call("GET", "pdq", "");
    call("GET", "similar", &format!("?alias={alias}"));
    call("POST", "quarantine", &format!("?alias={alias}"));
    call("GET", "quarantine", "");
    call("POST", "pdq/scan", "");
    call("GET", "pdq/list", "");
    for name in ["prune_missing", "collect", "export"] {
        call("POST", name, "");
    }
    call("POST", "delete", &format!("?alias={alias}"));
    assert!(failed.is_empty(), "{failed:#?}");
}
