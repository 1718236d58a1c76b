//! The description of each path of the route table.

use super::schemas::{
    form, formatted, in_path, needed, process, subject, switch, text, upload_query,
};
use super::{GET, GET_OR_HEAD, Operation, POST, internal, lookalikes, owners};

/// Every path with its methods.
pub(super) fn all() -> Vec<(&'static str, Vec<Operation>)> {
    let mut all = images();
    all.extend(details());
    all.extend(internal::paths());
    all.extend(lookalikes::paths());
    all.extend(owners::paths());
    all.extend([
        (
            "/",
            vec![
                Operation::new(
                    GET_OR_HEAD,
                    "index",
                    "What is this, and where are its sources?",
                )
                .json(200, "Index", "Always")
                .or_page(),
            ],
        ),
        (
            "/healthz",
            vec![
                Operation::new(GET_OR_HEAD, "health", "Can what is stored be served?")
                    .empty(200, "Yes")
                    .refusals([(503, "No: database or files cannot be read")]),
            ],
        ),
        (
            "/readyz",
            vec![
                Operation::new(GET_OR_HEAD, "ready", "Can more be stored?")
                    .empty(200, "Yes")
                    .refusals([(503, "No: the disk is full, or something is broken")]),
            ],
        ),
        (
            "/openapi.json",
            vec![
                Operation::new(GET_OR_HEAD, "openapi", "This document").json(
                    200,
                    "Any",
                    "OpenAPI 3.1",
                ),
            ],
        ),
    ]);
    all
}

fn images() -> Vec<(&'static str, Vec<Operation>)> {
    let upload = |id, summary| {
        Operation::new(POST, id, summary)
            .parameters(upload_query())
            .body(form())
            .refusals([
                (400, "The form, the query or a file is not acceptable"),
                (401, "owner= came without the API key"),
                (413, "A file has too many bytes, or its owner would have"),
            ])
    };
    let serve = |id, summary| {
        Operation::new(GET_OR_HEAD, id, summary)
            .media(200, "The file")
            .media(206, "The range that was asked for")
            .empty(303, "The file is at Location, where files are in a bucket")
            .empty(304, "As If-None-Match or If-Modified-Since know it")
            .empty(412, "If-Match or If-Unmodified-Since do not hold")
            .refusals([
                (400, "The query is not valid"),
                (416, "The range cannot be had"),
            ])
            .media_or_refusal(
                404,
                "There is no such media; the placeholder, if there is one",
            )
    };
    vec![
        (
            "/image",
            vec![upload("upload", "Take files in").json(201, "Uploads", "All files are stored")],
        ),
        (
            "/image/backgrounded",
            vec![upload("uploadInBackground", "Take files in later").json(
                202,
                "UploadIds",
                "All files wait",
            )],
        ),
        (
            "/image/backgrounded/claim",
            vec![
                Operation::new(GET, "claim", "What became of such a file, once")
                    .parameters([needed(formatted(
                        text("upload_id", "As the upload answered"),
                        "uuid",
                    ))])
                    .json(200, "Uploads", "It was taken in")
                    .empty(204, "Not yet")
                    .refusals([
                        (400, "Nothing waits under this id"),
                        (422, "It was refused"),
                    ]),
            ],
        ),
        (
            "/image/download",
            vec![
                Operation::new(GET, "download", "Take in what another server has")
                    .parameters([
                        needed(formatted(text("url", "Absolute, percent-encoded"), "uri")),
                        switch("backgrounded", "True answers with an upload id"),
                    ])
                    .parameters(upload_query())
                    .json(201, "Uploads", "It is stored")
                    .json(202, "UploadIds", "It was fetched and waits")
                    .refusals([
                        (400, "The URL, the query or the file is not acceptable"),
                        (401, "owner= came without the API key"),
                    ])
                    .refusals(of_fetch()),
            ],
        ),
        (
            "/image/limits",
            vec![
                Operation::new(GET_OR_HEAD, "acceptedMedia", "What is accepted").json(
                    200,
                    "Accepted",
                    "Limits and formats, to be told before an upload",
                ),
            ],
        ),
        (
            "/image/original/{alias}",
            vec![
                serve("original", "A file as it is stored")
                    .parameters([in_path("alias", "As the upload answered")]),
            ],
        ),
        (
            "/image/original",
            vec![
                serve(
                    "originalByQuery",
                    "A file as it is stored; GET fetches what is proxied",
                )
                .parameters(subject())
                .refusals(of_fetch()),
            ],
        ),
        (
            "/image/process.{ext}",
            vec![
                serve("process", "A variant; GET makes it, HEAD never does")
                    .parameters(process())
                    .refusals(of_fetch()),
            ],
        ),
        (
            "/image/process_backgrounded.{ext}",
            vec![
                Operation::new(GET, "processInBackground", "Have a variant made later")
                    .parameters(process())
                    .json(202, "Ok", "It is made, or will be")
                    .refusals([
                        (400, "The query is not valid"),
                        (404, "There is no such media"),
                    ]),
            ],
        ),
        (
            "/image/delete/{token}/{alias}",
            vec![
                Operation::new(&["DELETE", "GET"], "delete", "Remove an alias")
                    .parameters([
                        in_path("token", "As the upload answered"),
                        in_path("alias", "As the upload answered"),
                    ])
                    .empty(204, "It is gone, or never was")
                    .refusals([
                        (400, "The server is read-only"),
                        (403, "The token is wrong"),
                    ]),
            ],
        ),
    ]
}

/// Errors of fetching from another server.
fn of_fetch() -> [(u16, &'static str); 3] {
    [
        (413, "The other server's file has too many bytes"),
        (502, "The other server did not deliver it"),
        (504, "The other server did not deliver it in time"),
    ]
}

fn details() -> Vec<(&'static str, Vec<Operation>)> {
    let look = |id, summary, schema| {
        Operation::new(GET_OR_HEAD, id, summary)
            .json(200, schema, "It is known")
            .refusals([
                (400, "The query is not valid"),
                (404, "There is no such media, or no such variant yet"),
            ])
    };
    vec![
        (
            "/image/details/original/{alias}",
            vec![
                look("details", "Facts of a file", "DetailsAnswer")
                    .parameters([in_path("alias", "As the upload answered")]),
            ],
        ),
        (
            "/image/details/original",
            vec![look("detailsByQuery", "Facts of a file", "DetailsAnswer").parameters(subject())],
        ),
        (
            "/image/details/process.{ext}",
            vec![
                look(
                    "detailsOfVariant",
                    "Facts of a variant that was made",
                    "DetailsAnswer",
                )
                .parameters(process()),
            ],
        ),
        (
            "/image/blurhash",
            vec![
                look("blurhash", "The blurhash of a file", "Blurhash")
                    .parameters(subject())
                    .refusals(of_fetch()),
            ],
        ),
    ]
}
