//! `GET /openapi.json`: a machine-readable description of the API.
//!
//! Paths are described in [`paths`], JSON schemas in [`schemas`]; both for the internal API are in
//! [`internal`]. A test compares the paths with the route table in both directions. The error codes
//! are taken from the program.

mod internal;
mod lookalikes;
mod owners;
mod paths;
mod schemas;

use std::sync::OnceLock;

use actix_web::HttpResponse;
use serde_json::{Map, Value, json};

use crate::source;

const GET: &[&str] = &["GET"];
const GET_OR_HEAD: &[&str] = &["GET", "HEAD"];
const POST: &[&str] = &["POST"];
const DELETE: &[&str] = &["DELETE"];

/// `GET /openapi.json`
pub async fn serve() -> HttpResponse {
    static DOCUMENT: OnceLock<String> = OnceLock::new();
    let text = DOCUMENT.get_or_init(|| document().to_string());
    HttpResponse::Ok()
        .content_type("application/json")
        .body(text.as_str())
}

fn document() -> Value {
    let mut paths = Map::new();
    for (path, operations) in paths::all() {
        let methods = operations.iter().flat_map(Operation::items);
        paths.insert(path.to_owned(), Value::Object(methods.collect()));
    }
    let mut schemas = schemas::all();
    if let Some(all) = schemas.as_object_mut() {
        all.extend(internal::schemas());
        all.extend(lookalikes::schemas());
        all.extend(owners::schemas());
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "pict-rs",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "A self-hosted image server: stores, cleans, serves and transforms pictures",
            "description": "Every request may carry X-Request-Deadline, Unix time in nanoseconds: \
                            when it has passed, the request is given up with 408.",
            "license": {
                "name": env!("CARGO_PKG_LICENSE"),
                "identifier": env!("CARGO_PKG_LICENSE"),
            },
            "contact": { "name": "Sources of this server", "url": source::URL },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "apiKey": { "type": "apiKey", "in": "header", "name": "X-Api-Token" },
            },
        },
    })
}

/// Answers that any request can get.
const OF_ALL: [(&str, &str); 3] = [
    ("400", "The request is not valid"),
    ("408", "The deadline that the client has set has passed"),
    ("5XX", "A fault of the server, or too busy"),
];

/// The description of one or more methods of a path.
struct Operation {
    methods: &'static [&'static str],
    id: &'static str,
    summary: &'static str,
    parameters: Vec<Value>,
    body: Option<Value>,
    answers: Vec<(u16, Value)>,
    needs_key: bool,
}

impl Operation {
    fn new(methods: &'static [&'static str], id: &'static str, summary: &'static str) -> Self {
        Self {
            methods,
            id,
            summary,
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
            needs_key: false,
        }
    }

    fn parameters(mut self, parameters: impl IntoIterator<Item = Value>) -> Self {
        self.parameters.extend(parameters);
        self
    }

    fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self.refusals([(415, "The body has a Content-Encoding")])
    }

    /// A success with JSON of this schema.
    fn json(mut self, status: u16, schema: &str, description: &str) -> Self {
        let content = json!({ "application/json": { "schema": reference(schema) } });
        let answer = json!({ "description": description, "content": content });
        self.answers.push((status, answer));
        self
    }

    /// The last answer is a page for clients that prefer HTML.
    fn or_page(mut self) -> Self {
        if let Some((_, answer)) = self.answers.last_mut() {
            answer["content"]["text/html"] = json!({ "schema": { "type": "string" } });
        }
        self
    }

    /// The last answer is text, if that is asked for.
    fn or_text(mut self) -> Self {
        if let Some((_, answer)) = self.answers.last_mut() {
            answer["content"]["text/plain"] = json!({ "schema": { "type": "string" } });
        }
        self
    }

    /// A success without a body.
    fn empty(mut self, status: u16, description: &str) -> Self {
        let answer = json!({ "description": description });
        self.answers.push((status, answer));
        self
    }

    /// A success with the bytes of a file.
    fn media(mut self, status: u16, description: &str) -> Self {
        let content = json!({ "image/*": schemas::bytes(), "video/*": schemas::bytes() });
        let answer = json!({ "description": description, "content": content });
        self.answers.push((status, answer));
        self
    }

    /// An error, or the bytes of the placeholder.
    fn media_or_refusal(mut self, status: u16, description: &str) -> Self {
        let mut answer = schemas::error(description);
        answer["content"]["image/*"] = schemas::bytes();
        answer["content"]["video/*"] = schemas::bytes();
        self.answers.push((status, answer));
        self
    }

    /// Possible errors.
    fn refusals(mut self, statuses: impl IntoIterator<Item = (u16, &'static str)>) -> Self {
        for (status, description) in statuses {
            self.answers.push((status, schemas::error(description)));
        }
        self
    }

    /// Requires an API key.
    fn with_key(mut self) -> Self {
        self.needs_key = true;
        self.refusals([(401, "The API key is missing or wrong")])
    }

    /// One entry for each method.
    fn items(&self) -> impl Iterator<Item = (String, Value)> {
        self.methods.iter().map(|method| {
            let is_head = *method == "HEAD";
            let mut responses: Map<_, _> = self
                .answers
                .iter()
                .map(|(status, answer)| (status.to_string(), answer.clone()))
                .collect();
            for (status, description) in OF_ALL {
                let answer = || schemas::error(description);
                responses.entry(status).or_insert_with(answer);
            }
            if is_head {
                // HEAD has the headers of GET and never a body.
                for answer in responses.values_mut().filter_map(Value::as_object_mut) {
                    answer.remove("content");
                }
            }
            let id = match *method {
                method if self.methods[0] == method => self.id.to_owned(),
                method => format!("{}By{method}", self.id),
            };
            let mut item = json!({
                "operationId": id,
                "summary": self.summary,
                "parameters": self.parameters,
                "responses": responses,
            });
            if let Some(body) = &self.body {
                item["requestBody"] = body.clone();
            }
            if self.needs_key {
                item["security"] = json!([{ "apiKey": [] }]);
            }
            (method.to_ascii_lowercase(), item)
        })
    }
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use pict_rs_core::ErrorCode;

    #[test]
    fn every_code_of_errors_is_listed() {
        let document = document();
        let codes = &document["components"]["schemas"]["ErrorCode"]["enum"];
        let codes: Vec<_> = codes.as_array().expect("a list").iter().collect();
        let ours: Vec<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(codes, ours);
    }

    #[test]
    fn every_reference_leads_somewhere_and_names_are_unique() {
        let document = document();
        let mut found = Vec::new();
        walk(&document, &mut found);
        assert!(found.len() > 20);
        for (key, value) in &found {
            if key == "$ref" {
                let path = value.trim_start_matches('#');
                assert!(document.pointer(path).is_some(), "{value}");
            }
        }
        let mut names: Vec<_> = found
            .iter()
            .filter(|(key, _)| key == "operationId")
            .collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all, "two operations have one name");
    }

    fn walk(value: &Value, found: &mut Vec<(String, String)>) {
        match value {
            Value::Object(entries) => {
                for (key, value) in entries {
                    if let Value::String(text) = value {
                        found.push((key.clone(), text.clone()));
                    }
                    walk(value, found);
                }
            }
            Value::Array(values) => values.iter().for_each(|value| walk(value, found)),
            _ => {}
        }
    }
}
