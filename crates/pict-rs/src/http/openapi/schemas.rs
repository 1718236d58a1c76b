//! JSON schemas, and parameters that several paths share.

use pict_rs_core::ErrorCode;
use pict_rs_media::OutputFormat;
use serde_json::{Value, json};

use super::reference;
use crate::http::requested_variant::AUTO;

/// `components.schemas`.
pub fn all() -> Value {
    let codes: Vec<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
    let details = json!({
        "width": { "type": "integer", "minimum": 0, "maximum": 65535 },
        "height": { "type": "integer", "minimum": 0, "maximum": 65535 },
        "frames": { "type": ["integer", "null"], "description": "Null for a still" },
        "content_type": { "type": "string" },
        "created_at": { "type": "string", "format": "date-time" },
        "blurhash": { "type": "string" },
        "thumbhash": { "type": ["string", "null"], "description": "In base64; null when it was not computed" },
        "colour": { "type": ["string", "null"], "description": "The dominant colour, such as #14c8d2" },
        "format": { "enum": ["Image", "Animation", "Video"] },
        "duration": { "type": "number", "description": "Seconds of one run of an animation" },
    });
    let of_details = [
        "width",
        "height",
        "frames",
        "content_type",
        "created_at",
        "format",
    ];
    let mut answer = details.clone();
    answer["msg"] = ok();
    let mut of_answer = of_details.to_vec();
    of_answer.push("msg");
    json!({
        "ErrorCode": { "type": "string", "enum": codes },
        "Error": object(
            json!({
                "msg": { "type": "string", "description": "A short sentence for people" },
                "code": reference("ErrorCode"),
                "detail": { "type": "string", "description": "What exactly was wrong" },
                "limit": { "type": "integer", "description": "The limit that was exceeded" },
                "found": { "type": "integer", "description": "What was found, in its unit" },
            }),
            &["msg", "code"],
        ),
        "Index": object(
            json!({
                "msg": ok(),
                "name": { "type": "string" },
                "version": { "type": "string" },
                "license": { "type": "string", "description": "An expression of SPDX" },
                "source": { "type": "string", "format": "uri" },
            }),
            &["msg", "name", "version", "license", "source"],
        ),
        "Ok": object(json!({ "msg": ok() }), &["msg"]),
        "Details": object(details, &of_details),
        "DetailsAnswer": object(answer, &of_answer),
        "Blurhash": object(json!({ "msg": ok(), "blurhash": { "type": "string" } }), &["msg", "blurhash"]),
        "Upload": object(
            json!({
                "file": { "type": "string", "description": "The alias" },
                "alias": { "type": "string" },
                "delete_token": { "type": "string", "format": "uuid" },
                "details": reference("Details"),
            }),
            &["file", "alias", "delete_token", "details"],
        ),
        "Uploads": object(
            json!({ "msg": ok(), "files": list("Upload"), "uploads": list("Upload") }),
            &["msg", "files", "uploads"],
        ),
        "UploadId": object(
            json!({ "upload_id": { "type": "string", "format": "uuid" } }),
            &["upload_id"],
        ),
        "UploadIds": object(json!({ "msg": ok(), "uploads": list("UploadId") }), &["msg", "uploads"]),
        "Aliases": object(
            json!({ "msg": ok(), "aliases": texts() }),
            &["msg", "aliases"],
        ),
        "Purged": json!({ "oneOf": [reference("PurgedContent"), reference("PurgedOwner")] }),
        "PurgedContent": object(
            json!({
                "msg": ok(),
                "aliases": texts(),
                "blocked": texts(),
                "listed": { "type": ["string", "null"] },
                "listed_frames": { "type": ["array", "null"], "items": { "type": "string" } },
            }),
            &["msg", "aliases"],
        ),
        "PurgedOwner": object(
            json!({ "msg": ok(), "owner": { "type": "string" }, "removed": { "type": "integer" }, "blocked": { "type": "integer" } }),
            &["msg", "owner", "removed", "blocked"],
        ),
        "Identifier": object(
            json!({ "msg": ok(), "identifier": { "type": "string" } }),
            &["msg", "identifier"],
        ),
        "Accepted": object(
            json!({
                "msg": ok(),
                "max_file_count": { "type": "integer" },
                "max_file_size": { "type": "integer", "description": "Bytes" },
                "upload_timeout": { "type": "integer", "description": "Seconds" },
                "read_only": { "type": "boolean" },
                "image": { "type": "object" },
                "animation": { "type": "object" },
                "video": { "type": "object" },
                "process": { "type": "object" },
            }),
            &["msg", "max_file_count", "max_file_size", "image", "animation", "video", "process"],
        ),
        "Any": { "type": "object" },
    })
}

/// An error answer.
pub fn error(description: &str) -> Value {
    let content = json!({ "application/json": { "schema": reference("Error") } });
    json!({ "description": description, "content": content })
}

/// A JSON body.
pub fn json_body(schema: &str) -> Value {
    json!({ "required": true, "content": { "application/json": { "schema": reference(schema) } } })
}

/// A body of lines.
pub fn text_body(description: &str) -> Value {
    let schema = json!({ "type": "string" });
    json!({ "required": true, "description": description, "content": { "text/plain": { "schema": schema } } })
}

/// The multipart form of uploads.
pub fn form() -> Value {
    let file = json!({
        "type": "string",
        "format": "binary",
        "contentMediaType": "application/octet-stream",
    });
    let images = json!({ "type": "array", "items": file, "minItems": 1 });
    let schema = json!({
        "type": "object",
        "properties": { "images[]": images },
        "required": ["images[]"],
        "additionalProperties": false,
    });
    json!({ "required": true, "content": { "multipart/form-data": { "schema": schema } } })
}

/// The bytes of a file.
pub fn bytes() -> Value {
    json!({ "schema": { "type": "string", "format": "binary" } })
}

/// A path parameter.
pub fn in_path(name: &str, description: &str) -> Value {
    parameter(
        name,
        "path",
        json!({ "type": "string", "minLength": 1 }),
        description,
    )
}

/// A text parameter in the query.
pub fn text(name: &str, description: &str) -> Value {
    parameter(name, "query", json!({ "type": "string" }), description)
}

/// The parameter with a format that JSON Schema or OpenAPI defines.
pub fn formatted(mut parameter: Value, format: &str) -> Value {
    parameter["schema"]["format"] = format.into();
    parameter
}

/// The parameter, but required.
pub fn needed(mut parameter: Value) -> Value {
    parameter["required"] = true.into();
    parameter
}

/// A number in the query.
pub fn number(name: &str, description: &str) -> Value {
    let schema = json!({ "type": "integer", "minimum": 0 });
    parameter(name, "query", schema, description)
}

/// A boolean in the query.
pub fn switch(name: &str, description: &str) -> Value {
    parameter(name, "query", json!({ "type": "boolean" }), description)
}

/// The possible extensions of variants.
fn extension() -> Value {
    let mut known = OutputFormat::ALL.map(OutputFormat::extension).to_vec();
    known.extend([AUTO, "jpg"]);
    known.sort_unstable();
    let description = "What to write; auto is the best that the header Accept allows";
    parameter("ext", "path", json!({ "enum": known }), description)
}

/// The parameters that select media.
pub fn subject() -> [Value; 2] {
    [
        text("alias", "The alias; one of alias and proxy is needed"),
        formatted(
            text("proxy", "The URL that was proxied; wins over alias"),
            "uri",
        ),
    ]
}

/// The same for variants, including the operations.
pub fn process() -> Vec<Value> {
    let mut all = vec![
        extension(),
        text("src", "The alias; one of src, alias and proxy is needed"),
    ];
    all.extend(subject());
    all.extend(operations());
    all.push(text(
        "frame",
        "N: that frame of an animation as a still, counted from 1",
    ));
    all.push(text("time", "Of a video: the frame at this many seconds"));
    all
}

/// Operations, which are applied in the order of the query.
fn operations() -> [Value; 5] {
    [
        text("resize", "N, FILTER.N, .aN or FILTER.aN"),
        text("thumbnail", "N: fit into N × N pixels"),
        text("crop", "WxH, each 1 to 20: an aspect ratio"),
        text("blur", "The sigma of a gaussian blur"),
        text("identity", "Nothing"),
    ]
}

/// The parameters of an upload: stricter limits, and operations.
pub fn upload_query() -> Vec<Value> {
    let kind = |name| switch(name, "False refuses this kind of media");
    let mut all = vec![
        number("max_width", "Pixels"),
        number("max_height", "Pixels"),
        number("max_area", "Pixels"),
        number("max_frame_count", "Frames"),
        number("max_file_size", "MiB"),
        kind("allow_image"),
        kind("allow_animation"),
        kind("allow_video"),
        text("owner", "Whom it belongs to. Needs the API key"),
    ];
    all.extend(operations());
    all
}

/// Any parameter.
fn parameter(name: &str, place: &str, schema: Value, description: &str) -> Value {
    json!({
        "name": name,
        "in": place,
        "required": place == "path",
        "schema": schema,
        "description": description,
    })
}

/// The message of every success.
pub fn ok() -> Value {
    json!({ "const": "ok" })
}

/// A list of strings.
pub fn texts() -> Value {
    json!({ "type": "array", "items": { "type": "string" } })
}

/// A list of objects of a schema.
pub fn list(of: &str) -> Value {
    json!({ "type": "array", "items": reference(of) })
}

/// An object that may have further properties.
pub fn object(properties: Value, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": properties, "required": required })
}
