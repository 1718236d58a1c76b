//! The requests, in order. `<alias>` and the like stand for what the same server has answered
//! before, `<upstream>` for the server that both fetch from. To ask one thing more, add a line.

/// One request.
pub struct Step {
    /// Said in the table.
    pub name: &'static str,
    pub method: &'static str,
    pub path: &'static str,
    pub headers: &'static [(&'static str, &'static str)],
    pub body: Body,
    /// What later steps need: its name there, and a JSON pointer or `header NAME`.
    pub keep: &'static [(&'static str, &'static str)],
}

/// What a request carries.
pub enum Body {
    None,
    /// Content type and text.
    Text(&'static str, &'static str),
    /// The name of the fields, and files of [`super::pictures`].
    Form(&'static str, &'static [&'static str]),
}

const FIELD: &str = "images[]";
const KEY: (&str, &str) = ("x-api-token", "<key>");

const fn get(name: &'static str, path: &'static str) -> Step {
    send("GET", name, path)
}

const fn head(name: &'static str, path: &'static str) -> Step {
    send("HEAD", name, path)
}

const fn send(method: &'static str, name: &'static str, path: &'static str) -> Step {
    Step {
        name,
        method,
        path,
        headers: &[],
        body: Body::None,
        keep: &[],
    }
}

const fn upload(name: &'static str, path: &'static str, files: &'static [&'static str]) -> Step {
    let body = Body::Form(FIELD, files);
    Step {
        name,
        method: "POST",
        path,
        headers: &[],
        body,
        keep: &[],
    }
}

/// With the API key.
const fn internal(method: &'static str, name: &'static str, path: &'static str) -> Step {
    send(method, name, path).with(&[KEY])
}

impl Step {
    const fn with(mut self, headers: &'static [(&'static str, &'static str)]) -> Self {
        self.headers = headers;
        self
    }

    const fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }

    const fn keep(mut self, keep: &'static [(&'static str, &'static str)]) -> Self {
        self.keep = keep;
        self
    }
}

/// All of them.
pub const STEPS: &[Step] = &[
    // Health, and paths that lead nowhere.
    get("health", "/healthz"),
    head("health by HEAD", "/healthz"),
    send("POST", "health by POST", "/healthz"),
    get("no such path", "/absent"),
    get("upload by GET", "/image"),
    send("POST", "original by POST", "/image/original/a.png"),
    // Uploads.
    upload("upload jpeg", "/image", &["photo.jpg"]).keep(&[
        ("alias", "/files/0/file"),
        ("token", "/files/0/delete_token"),
    ]),
    upload("upload png", "/image", &["photo.png"]).keep(&[
        ("png", "/files/0/file"),
        ("png_token", "/files/0/delete_token"),
    ]),
    upload("upload webp", "/image", &["photo.webp"]).keep(&[("webp", "/files/0/file")]),
    upload("upload gif", "/image", &["moving.gif"]).keep(&[("gif", "/files/0/file")]),
    upload("upload the same again", "/image", &["photo.png"]).keep(&[("twin", "/files/0/file")]),
    upload("upload with operations", "/image?resize=64", &["photo.jpg"])
        .keep(&[("small", "/files/0/file")]),
    upload(
        "upload two where one is allowed",
        "/image",
        &["photo.jpg", "photo.png"],
    ),
    upload("upload nothing", "/image", &[]),
    upload("upload an empty file", "/image", &["empty"]),
    upload("upload text", "/image", &["text.txt"]),
    upload("upload a cut file", "/image", &["cut.png"]),
    upload("upload too much", "/image", &["huge"]),
    upload("upload too wide", "/image?max_width=100", &["photo.jpg"]),
    upload("upload too tall", "/image?max_height=100", &["photo.jpg"]),
    upload(
        "upload too many pixels",
        "/image?max_area=100",
        &["photo.jpg"],
    ),
    upload(
        "upload too many frames",
        "/image?max_frame_count=2",
        &["moving.gif"],
    ),
    upload(
        "upload a forbidden kind",
        "/image?allow_image=false",
        &["photo.jpg"],
    ),
    upload(
        "upload with a bad limit",
        "/image?max_width=x",
        &["photo.jpg"],
    ),
    upload(
        "upload with a bad switch",
        "/image?allow_image=1",
        &["photo.jpg"],
    ),
    upload(
        "upload with an unknown key",
        "/image?colour=blue",
        &["photo.jpg"],
    ),
    upload(
        "upload with a bad operation",
        "/image?crop=21x9",
        &["photo.jpg"],
    ),
    upload("upload in another field", "/image", &[]).body(Body::Form("file", &["photo.jpg"])),
    send("POST", "upload JSON", "/image").body(Body::Text("application/json", "[]")),
    // Originals.
    get("original", "/image/original/<alias>")
        .keep(&[("etag", "header etag"), ("time", "header last-modified")]),
    head("original by HEAD", "/image/original/<alias>"),
    get("original by query", "/image/original?alias=<alias>"),
    get(
        "original with a leaked key",
        "/image/original?alias=<alias>&foo=bar",
    ),
    get("original of png", "/image/original/<png>"),
    get("original of gif", "/image/original/<gif>"),
    get("original made small", "/image/original/<small>"),
    get("original, absent", "/image/original/absent.png"),
    head("original by HEAD, absent", "/image/original/absent.png"),
    get("original without a name", "/image/original"),
    get("original by src", "/image/original?src=<alias>"),
    get("original, a range", "/image/original/<alias>").with(&[("range", "bytes=0-9")]),
    get("original, an open range", "/image/original/<alias>").with(&[("range", "bytes=10-")]),
    get("original, the end", "/image/original/<alias>").with(&[("range", "bytes=-10")]),
    get("original, two ranges", "/image/original/<alias>").with(&[("range", "bytes=0-1,4-5")]),
    get("original, beyond the end", "/image/original/<alias>")
        .with(&[("range", "bytes=99999999-")]),
    get("original, other units", "/image/original/<alias>").with(&[("range", "lines=0-1")]),
    get("original, no range at all", "/image/original/<alias>").with(&[("range", "garbage")]),
    head("original by HEAD, a range", "/image/original/<alias>").with(&[("range", "bytes=0-9")]),
    get("original, its etag known", "/image/original/<alias>").with(&[("if-none-match", "<etag>")]),
    get("original, any etag known", "/image/original/<alias>").with(&[("if-none-match", "*")]),
    get("original, another etag known", "/image/original/<alias>")
        .with(&[("if-none-match", "\"other\"")]),
    get("original, its time known", "/image/original/<alias>")
        .with(&[("if-modified-since", "<time>")]),
    get("original, if it is another", "/image/original/<alias>").with(&[("if-match", "\"other\"")]),
    get("original, if it is old", "/image/original/<alias>")
        .with(&[("if-unmodified-since", "Thu, 01 Jan 1970 00:00:00 GMT")]),
    get("original, range if another", "/image/original/<alias>")
        .with(&[("range", "bytes=0-9"), ("if-range", "\"other\"")]),
    // Details.
    get("details", "/image/details/original/<alias>"),
    get("details by query", "/image/details/original?alias=<alias>"),
    get("details of gif", "/image/details/original/<gif>"),
    get("details, absent", "/image/details/original/absent.png"),
    get("details without a name", "/image/details/original"),
    get("blurhash", "/image/blurhash?alias=<alias>"),
    get("blurhash, absent", "/image/blurhash?alias=absent.png"),
    // Variants.
    head(
        "variant by HEAD, not made",
        "/image/process.webp?src=<alias>&thumbnail=64",
    ),
    get(
        "details of a variant, not made",
        "/image/details/process.webp?src=<alias>&thumbnail=64",
    ),
    get("thumbnail", "/image/process.webp?src=<alias>&thumbnail=64"),
    head(
        "variant by HEAD, made",
        "/image/process.webp?src=<alias>&thumbnail=64",
    ),
    get(
        "details of a variant, made",
        "/image/details/process.webp?src=<alias>&thumbnail=64",
    ),
    get("resize to png", "/image/process.png?src=<alias>&resize=100"),
    get(
        "resize by alias",
        "/image/process.jpg?alias=<alias>&resize=100",
    ),
    get(
        "resize to jpeg",
        "/image/process.jpeg?src=<alias>&resize=100",
    ),
    get(
        "resize by filter",
        "/image/process.png?src=<alias>&resize=Mitchell.50",
    ),
    get(
        "resize by area",
        "/image/process.png?src=<alias>&resize=.a1000",
    ),
    get("never larger", "/image/process.png?src=<alias>&resize=2000"),
    get(
        "crop to a square",
        "/image/process.png?src=<alias>&crop=1x1",
    ),
    get(
        "crop, then resize",
        "/image/process.png?src=<alias>&crop=1x1&resize=50",
    ),
    get(
        "resize, then crop",
        "/image/process.png?src=<alias>&resize=50&crop=1x1",
    ),
    get("blur", "/image/process.png?src=<alias>&blur=2.5"),
    get("identity", "/image/process.png?src=<alias>&identity=true"),
    get(
        "an unknown operation",
        "/image/process.png?src=<alias>&utm_source=x",
    ),
    get(
        "a variant of a range",
        "/image/process.webp?src=<alias>&thumbnail=64",
    )
    .with(&[("range", "bytes=0-9")]),
    get(
        "animation to webp",
        "/image/process.webp?src=<gif>&resize=32",
    ),
    get("animation to gif", "/image/process.gif?src=<gif>&resize=32"),
    get("variant as mp4", "/image/process.mp4?src=<alias>"),
    get("variant as WEBP", "/image/process.WEBP?src=<alias>"),
    get("variant, absent", "/image/process.webp?src=absent.png"),
    get("variant of nothing", "/image/process.webp?thumbnail=64"),
    get(
        "a bad operation: blur=x",
        "/image/process.webp?src=<alias>&blur=x",
    ),
    get(
        "a bad operation: thumbnail=-1",
        "/image/process.webp?src=<alias>&thumbnail=-1",
    ),
    get(
        "a bad operation: crop=21x9",
        "/image/process.webp?src=<alias>&crop=21x9",
    ),
    get(
        "a bad operation: resize=a100",
        "/image/process.webp?src=<alias>&resize=a100",
    ),
    get(
        "a bad operation: Thumbnail=32",
        "/image/process.webp?src=<alias>&Thumbnail=32",
    ),
    // Background.
    upload(
        "upload in the background",
        "/image/backgrounded",
        &["photo.jpg"],
    )
    .keep(&[("upload", "/uploads/0/upload_id")]),
    get("claim", "/image/backgrounded/claim?upload_id=<upload>"),
    get(
        "claim again",
        "/image/backgrounded/claim?upload_id=<upload>",
    ),
    upload(
        "upload text in the background",
        "/image/backgrounded",
        &["text.txt"],
    )
    .keep(&[("bad", "/uploads/0/upload_id")]),
    get(
        "claim a failure",
        "/image/backgrounded/claim?upload_id=<bad>",
    ),
    get(
        "claim what never was",
        "/image/backgrounded/claim?upload_id=00000000-0000-4000-8000-000000000000",
    ),
    get("claim by no id", "/image/backgrounded/claim?upload_id=x"),
    get("claim without an id", "/image/backgrounded/claim"),
    get(
        "variant in the background",
        "/image/process_backgrounded.webp?src=<alias>&resize=30",
    ),
    get(
        "variant in the background, absent",
        "/image/process_backgrounded.webp?src=absent.png",
    ),
    // Downloads.
    get(
        "download",
        "/image/download?url=<encoded upstream>%2Fphoto.png",
    )
    .keep(&[
        ("downloaded", "/files/0/file"),
        ("downloaded_token", "/files/0/delete_token"),
    ]),
    get("original, downloaded", "/image/original/<downloaded>"),
    get(
        "download through a redirect",
        "/image/download?url=<encoded upstream>%2Fto%2Fmoving.gif",
    ),
    get(
        "download with operations",
        "/image/download?url=<encoded upstream>%2Fphoto.jpg&resize=48",
    ),
    get(
        "download too wide",
        "/image/download?url=<encoded upstream>%2Fphoto.jpg&max_width=100",
    ),
    get(
        "download with a bad operation",
        "/image/download?url=<encoded upstream>%2Fphoto.jpg&crop=21x9",
    ),
    get(
        "download with an unknown key",
        "/image/download?url=<encoded upstream>%2Fphoto.jpg&colour=blue",
    ),
    get(
        "later download",
        "/image/download?url=<encoded upstream>%2Fphoto.jpg&backgrounded=true",
    )
    .keep(&[("later", "/uploads/0/upload_id")]),
    get(
        "claim a download",
        "/image/backgrounded/claim?upload_id=<later>",
    ),
    get(
        "download of text",
        "/image/download?url=<encoded upstream>%2Ftext.txt",
    ),
    get(
        "download of too much",
        "/image/download?url=<encoded upstream>%2Fhuge",
    ),
    get(
        "download of what is not there",
        "/image/download?url=<encoded upstream>%2Fabsent.png",
    ),
    get("download without a URL", "/image/download"),
    get("download of no URL", "/image/download?url=nowhere"),
    send(
        "DELETE",
        "delete what was downloaded",
        "/image/delete/<downloaded_token>/<downloaded>",
    ),
    // Proxied media; the purge must not take what was uploaded.
    head(
        "proxied by HEAD, unknown",
        "/image/original?proxy=<encoded upstream>%2Falone.webp",
    ),
    get(
        "proxied details, unknown",
        "/image/details/original?proxy=<encoded upstream>%2Falone.webp",
    ),
    get(
        "variant in the background, proxied, unknown",
        "/image/process_backgrounded.webp?proxy=<encoded upstream>%2Falone.webp",
    ),
    internal(
        "GET",
        "aliases, proxied, unknown",
        "/internal/aliases?proxy=<encoded upstream>%2Falone.webp",
    ),
    get(
        "proxied",
        "/image/original?proxy=<encoded upstream>%2Falone.webp",
    ),
    head(
        "proxied by HEAD",
        "/image/original?proxy=<encoded upstream>%2Falone.webp",
    ),
    get(
        "proxied, a range",
        "/image/original?proxy=<encoded upstream>%2Falone.webp",
    )
    .with(&[("range", "bytes=0-9")]),
    get(
        "proxied details",
        "/image/details/original?proxy=<encoded upstream>%2Falone.webp",
    ),
    get(
        "proxied blurhash",
        "/image/blurhash?proxy=<encoded upstream>%2Falone.webp",
    ),
    head(
        "proxied variant by HEAD, not made",
        "/image/process.jpg?proxy=<encoded upstream>%2Falone.webp&thumbnail=20",
    ),
    get(
        "proxied variant",
        "/image/process.jpg?proxy=<encoded upstream>%2Falone.webp&thumbnail=20",
    ),
    get(
        "proxied variant details",
        "/image/details/process.jpg?proxy=<encoded upstream>%2Falone.webp&thumbnail=20",
    ),
    get(
        "proxied variant of a new URL",
        "/image/process.png?proxy=<encoded upstream>%2Fmoving.gif&resize=16",
    ),
    get(
        "proxied, its URL not encoded",
        "/image/original?proxy=<upstream>/photo.jpg?a=b&c=d",
    ),
    get(
        "proxied variant, its URL not encoded",
        "/image/process.webp?proxy=<upstream>/photo.jpg?a=b&c=d&thumbnail=32",
    ),
    get(
        "proxy and alias",
        "/image/original?alias=absent.png&proxy=<encoded upstream>%2Falone.webp",
    ),
    get(
        "src and proxy",
        "/image/process.png?src=<alias>&proxy=<encoded upstream>%2Falone.webp",
    ),
    get(
        "proxied through a redirect",
        "/image/original?proxy=<encoded upstream>%2Fto%2Fphoto.png",
    ),
    get(
        "proxied text",
        "/image/original?proxy=<encoded upstream>%2Ftext.txt",
    ),
    get(
        "proxied too much",
        "/image/original?proxy=<encoded upstream>%2Fhuge",
    ),
    get(
        "proxied what is not there",
        "/image/original?proxy=<encoded upstream>%2Fabsent.png",
    ),
    get("proxied without a URL", "/image/original?proxy=nowhere"),
    internal(
        "GET",
        "aliases of proxied",
        "/internal/aliases?proxy=<encoded upstream>%2Falone.webp",
    ),
    internal(
        "GET",
        "identifier of proxied",
        "/internal/identifier?proxy=<encoded upstream>%2Falone.webp",
    ),
    internal(
        "POST",
        "internal delete of proxied",
        "/internal/delete?proxy=<encoded upstream>%2Fmoving.gif",
    ),
    internal(
        "POST",
        "purge of proxied",
        "/internal/purge?proxy=<encoded upstream>%2Falone.webp",
    ),
    internal(
        "POST",
        "purge of what was never proxied",
        "/internal/purge?proxy=<encoded upstream>%2Fabsent.webp",
    ),
    // The deadline.
    get("a deadline that has passed", "/healthz").with(&[("x-request-deadline", "1000000000")]),
    get("a deadline that is none", "/healthz")
        .with(&[("x-request-deadline", "2040-01-01T00:00:00Z")]),
    get("a deadline to come", "/image/original/<alias>")
        .with(&[("x-request-deadline", "9000000000000000000")]),
    // The internal API.
    send(
        "POST",
        "purge without a key",
        "/internal/purge?alias=<alias>",
    ),
    send(
        "GET",
        "aliases without a key",
        "/internal/aliases?alias=<alias>",
    ),
    send(
        "GET",
        "identifier without a key",
        "/internal/identifier?alias=<alias>",
    ),
    send(
        "POST",
        "delete without a key",
        "/internal/delete?alias=<alias>",
    ),
    send(
        "GET",
        "aliases with a wrong key",
        "/internal/aliases?alias=<alias>",
    )
    .with(&[("x-api-token", "wrong")]),
    send("POST", "no key: import", "/internal/import"),
    send("DELETE", "no key: variants", "/internal/variants"),
    send("POST", "no key: set_not_found", "/internal/set_not_found"),
    send("GET", "no key: hashes", "/internal/hashes"),
    send("POST", "no key: prune_missing", "/internal/prune_missing"),
    send("POST", "no key: export", "/internal/export"),
    send("GET", "no key: limits", "/internal/limits"),
    send("GET", "no key: absent", "/internal/absent"),
    internal("GET", "aliases", "/internal/aliases?alias=<png>"),
    internal(
        "GET",
        "aliases, absent",
        "/internal/aliases?alias=absent.png",
    ),
    internal("GET", "aliases of nothing", "/internal/aliases"),
    internal("GET", "identifier", "/internal/identifier?alias=<alias>"),
    internal(
        "GET",
        "identifier, absent",
        "/internal/identifier?alias=absent.png",
    ),
    internal("GET", "purge by GET", "/internal/purge?alias=<alias>"),
    internal("GET", "no such internal path", "/internal/absent"),
    internal("GET", "hashes", "/internal/hashes?limit=1"),
    internal("GET", "hashes, the first page", "/internal/hashes?limit=2")
        .keep(&[("page", "/page/next")]),
    internal(
        "GET",
        "hashes, the second page",
        "/internal/hashes?limit=2&slug=<page>",
    )
    .keep(&[("third", "/page/next"), ("first", "/page/prev")]),
    internal(
        "GET",
        "hashes, the third page",
        "/internal/hashes?limit=2&slug=<third>",
    ),
    internal(
        "GET",
        "hashes, back to the first",
        "/internal/hashes?limit=2&slug=<first>",
    ),
    internal("GET", "hashes, all", "/internal/hashes"),
    internal("GET", "hashes, very many", "/internal/hashes?limit=5000"),
    internal(
        "GET",
        "hashes of the past",
        "/internal/hashes?timestamp=2000-01-01T00%3A00%3A00Z",
    ),
    internal(
        "GET",
        "hashes until some day",
        "/internal/hashes?limit=2&timestamp=2100-01-01T00%3A00%3A00Z",
    ),
    internal("GET", "hashes, none", "/internal/hashes?limit=0"),
    internal("GET", "hashes by a bad limit", "/internal/hashes?limit=x"),
    internal(
        "GET",
        "hashes by a bad time",
        "/internal/hashes?timestamp=yesterday",
    ),
    internal(
        "GET",
        "hashes from a bad slug",
        "/internal/hashes?limit=1&slug=x",
    ),
    internal("GET", "limits", "/internal/limits"),
    upload("import", "/internal/import", &["photo.webp"]).with(&[KEY]),
    upload("import again", "/internal/import", &["photo.webp"]).with(&[KEY]),
    get("original, imported", "/image/original/photo.webp"),
    get(
        "thumbnail, imported",
        "/image/process.png?src=photo.webp&thumbnail=32",
    ),
    upload(
        "import too wide",
        "/internal/import?max_width=100",
        &["photo.jpg"],
    )
    .with(&[KEY]),
    upload(
        "import with operations",
        "/internal/import?resize=40",
        &["photo.png"],
    )
    .with(&[KEY]),
    upload("import text", "/internal/import", &["text.txt"]).with(&[KEY]),
    upload("import nothing", "/internal/import", &[]).with(&[KEY]),
    internal("POST", "set_not_found", "/internal/set_not_found")
        .body(Body::Text("application/json", "{\"alias\":\"<webp>\"}")),
    get("placeholder, itself", "/image/original/<webp>")
        .keep(&[("placeholder_etag", "header etag")]),
    get("placeholder for an original", "/image/original/absent.png"),
    get(
        "placeholder for an original by query",
        "/image/original?alias=absent.png",
    ),
    get(
        "placeholder for a variant",
        "/image/process.webp?src=absent.png&thumbnail=8",
    ),
    get("placeholder, a range of it", "/image/original/absent.png").with(&[("range", "bytes=0-9")]),
    get("placeholder, its etag known", "/image/original/absent.png")
        .with(&[("if-none-match", "<placeholder_etag>")]),
    head("placeholder by HEAD", "/image/original/absent.png"),
    get(
        "placeholder for details",
        "/image/details/original/absent.png",
    ),
    internal(
        "POST",
        "set_not_found to nothing",
        "/internal/set_not_found",
    )
    .body(Body::Text("application/json", "{\"alias\":\"absent.png\"}")),
    internal(
        "POST",
        "set_not_found to a proxy",
        "/internal/set_not_found",
    )
    .body(Body::Text("application/json", "{\"proxy\":\"http://a/b\"}")),
    internal(
        "POST",
        "set_not_found by bad JSON",
        "/internal/set_not_found",
    )
    .body(Body::Text("application/json", "[")),
    internal("POST", "prune_missing", "/internal/prune_missing"),
    internal(
        "POST",
        "prune_missing by force",
        "/internal/prune_missing?force=true",
    ),
    internal(
        "POST",
        "prune_missing by a bad switch",
        "/internal/prune_missing?force=1",
    ),
    internal("GET", "prune_missing by GET", "/internal/prune_missing"),
    internal("POST", "export", "/internal/export"),
    internal("DELETE", "variants", "/internal/variants"),
    internal("POST", "variants by POST", "/internal/variants"),
    get(
        "thumbnail, made again",
        "/image/process.webp?src=<alias>&thumbnail=64",
    ),
    internal("POST", "prepare_upgrade", "/internal/prepare_upgrade"),
    // Removal.
    send(
        "DELETE",
        "delete by a wrong token",
        "/image/delete/wrong/<alias>",
    ),
    send(
        "DELETE",
        "delete what never was",
        "/image/delete/wrong/absent.png",
    ),
    send("DELETE", "delete", "/image/delete/<token>/<alias>"),
    send("DELETE", "delete again", "/image/delete/<token>/<alias>"),
    get("original, deleted", "/image/original/<alias>"),
    get("delete by GET", "/image/delete/<png_token>/<png>"),
    get("original of the twin", "/image/original/<twin>"),
    internal("POST", "purge", "/internal/purge?alias=<twin>"),
    internal("POST", "purge again", "/internal/purge?alias=<twin>"),
    get("original, purged", "/image/original/<twin>"),
    internal("POST", "internal delete", "/internal/delete?alias=<gif>"),
    internal(
        "POST",
        "internal delete, absent",
        "/internal/delete?alias=absent.png",
    ),
];
