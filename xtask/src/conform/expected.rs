//! Differences from the existing pict-rs that are wanted. Each is explained in
//! `docs/compatibility.md`, which a test compares with this list.

/// A wanted difference.
pub struct Expected {
    /// Begins the names of the steps that have it; empty for all.
    step: &'static str,
    /// Begins what of the answer differs.
    aspect: &'static str,
    /// What we say there, if only that is wanted.
    ours: Option<&'static str>,
    /// Stands in `docs/compatibility.md`.
    pub reason: &'static str,
}

const fn row(
    step: &'static str,
    aspect: &'static str,
    ours: Option<&'static str>,
    reason: &'static str,
) -> Expected {
    Expected {
        step,
        aspect,
        ours,
        reason,
    }
}

const SHAPES: &str = "Both shapes of the upload answer are sent";
const EVERY_MSG: &str = "`msg` is in every JSON answer";
const NOT_FOUND: &str = "A missing alias is 404 with a JSON body";
const METHOD: &str = "A wrong method is 405 with `Allow` everywhere";
const ALWAYS_JSON: &str = "Every refusal has a JSON body";
const BAD_QUERY: &str = "A bad operation or query is 400";
const TOO_LARGE: &str = "A file that is too large is 413";
const TAKEN: &str = "An alias that is taken is 400";
const RANGE: &str = "A malformed `Range` is ignored";
const SINCE: &str = "`If-Modified-Since` with the `Last-Modified` just sent answers 304";
const CODES: &str = "Codes that name a helper program are named after what is wrong";
const BACKGROUND: &str = "An upload id that is unknown is 400 at once";
const HEAD: &str = "HEAD works wherever GET does";
const DURATION: &str = "Details of an animation and of a video have their `duration`";
const UPSTREAM: &str = "Faults of an upstream are 502 and 504, not 500";
const NO_URL: &str = "`download-file-error` (400) is a URL that must not be fetched";
const PAGES: &str = "`internal/hashes`: at most 1000 contents a page";
const DETAILS: &str = "`internal/hashes` always has details";
const PLACEHOLDER: &str = "conditions and ranges do not turn a 404 into something else";
const MISSING: &str = "A 404 of media may be cached for up to 5 seconds";
const MORE: &str = "An error says more in `detail`, `limit` and `found`";
const UNITS: &str = "A `Range` in another unit than bytes is ignored";
const EXPORT: &str = "`internal/export` is a copy of the database as of one moment";
const LIMITS: &str = "`internal/limits` has the settings of this version";
const UPGRADE: &str = "`internal/prepare_upgrade` is 410";
const AREA: &str = "`resize=.aN` gives N pixels at most";
const LENGTH: &str = "The placeholder of a 404 has its `Content-Length`";
const FORCED: &str = "`prune_missing?force=true` tells of the run that it begins";
const ETAG: &str = "Each representation has its own ETag";
const CONDITIONS: &str = "Conditional headers are looked at wherever there is one";
const CACHE: &str = "`Cache-Control` has `stale-while-revalidate`";
const NO_MEDIA: &str = "A file that is no media, and a URL that is none, are 400, not 500";
const DEADLINE: &str = "One that has passed is always 408";
const PURGED: &str = "`internal/purge` has removed everything when it answers";
const NO_FILE: &str = "A form without a file is `validate-no-files`";
const FIRST_FRAME: &str = "is its first frame, not all frames in one file";

/// The first that fits counts.
pub const EXPECTED: &[Expected] = &[
    row("original, its etag known", "", None, CONDITIONS),
    row("original, any etag known", "", None, CONDITIONS),
    row("original, if it is another", "", None, CONDITIONS),
    row("original, if it is old", "", None, CONDITIONS),
    row("original, range if another", "", None, CONDITIONS),
    row("", "etag", Some("strong"), ETAG),
    row(
        "",
        "cache-control",
        Some("immutable max-age public stale-while-revalidate"),
        CACHE,
    ),
    row("a deadline that has passed", "", None, DEADLINE),
    row("purge again", "", None, PURGED),
    row("upload text", "status", Some("400"), NO_MEDIA),
    row("import text", "status", Some("400"), NO_MEDIA),
    row("download of text", "status", Some("400"), NO_MEDIA),
    row("download of no URL", "status", Some("400"), NO_MEDIA),
    row("proxied text", "status", Some("400"), NO_MEDIA),
    row(
        "upload nothing",
        "json.code",
        Some("\"validate-no-files\""),
        NO_FILE,
    ),
    row(
        "import nothing",
        "json.code",
        Some("\"validate-no-files\""),
        NO_FILE,
    ),
    row("upload", "json.uploads", None, SHAPES),
    row("claim", "json.uploads", None, SHAPES),
    row("import", "json.uploads", None, SHAPES),
    row("download", "json.uploads", None, SHAPES),
    row("upload", "json.files[].alias", None, SHAPES),
    row("claim", "json.files[].alias", None, SHAPES),
    row("import", "json.files[].alias", None, SHAPES),
    row("download", "json.files[].alias", None, SHAPES),
    row("", "json.files[].details.duration", None, DURATION),
    row("details", "json.duration", None, DURATION),
    row(
        "hashes",
        "json.page.hashes[].details.duration",
        None,
        DURATION,
    ),
    row("hashes", "json.page.hashes[].details", None, DETAILS),
    row("hashes, very many", "json.page.limit", Some("1000"), PAGES),
    row("limits", "", None, LIMITS),
    row("export", "", None, EXPORT),
    row("prepare_upgrade", "", None, UPGRADE),
    row("upload too much", "", None, TOO_LARGE),
    row("download of too much", "", None, TOO_LARGE),
    row("proxied too much", "", None, TOO_LARGE),
    row("download of what is not there", "", None, UPSTREAM),
    row("proxied what is not there", "", None, UPSTREAM),
    row(
        "download of no URL",
        "json.code",
        Some("\"invalid-query\""),
        NO_URL,
    ),
    row("proxied variant of a new URL", "picture", None, FIRST_FRAME),
    row(
        "import text",
        "json.code",
        Some("\"discover-error\""),
        CODES,
    ),
    row(
        "download of text",
        "json.code",
        Some("\"discover-error\""),
        CODES,
    ),
    row(
        "proxied text",
        "json.code",
        Some("\"discover-error\""),
        CODES,
    ),
    row(
        "upload text",
        "json.code",
        Some("\"discover-error\""),
        CODES,
    ),
    row("upload a cut file", "", Some("\"media-damaged\""), CODES),
    row("upload a cut file", "status", Some("400"), CODES),
    row(
        "claim a failure",
        "json.code",
        Some("\"discover-error\""),
        CODES,
    ),
    row("upload with", "status", Some("400"), BAD_QUERY),
    row("download with", "status", Some("400"), BAD_QUERY),
    row("a bad operation", "status", Some("400"), BAD_QUERY),
    row("import again", "status", Some("400"), TAKEN),
    row("health by HEAD", "", None, HEAD),
    row("health by POST", "", None, METHOD),
    row("upload by GET", "", None, METHOD),
    row("original by POST", "", None, METHOD),
    row("purge by GET", "", None, METHOD),
    row("prune_missing by GET", "", None, METHOD),
    row("variants by POST", "", None, METHOD),
    row("no such", "", None, ALWAYS_JSON),
    row(
        "original by HEAD, absent",
        "content-type",
        None,
        ALWAYS_JSON,
    ),
    row(
        "variant by HEAD, not made",
        "content-type",
        None,
        ALWAYS_JSON,
    ),
    row(
        "proxied variant by HEAD, not made",
        "content-type",
        None,
        ALWAYS_JSON,
    ),
    row("placeholder by HEAD", "content-type", None, ALWAYS_JSON),
    row("resize by area", "picture", None, AREA),
    row("placeholder for", "content-length", Some("true"), LENGTH),
    row(
        "prune_missing by force",
        "json.complete",
        Some("false"),
        FORCED,
    ),
    row("prune_missing by a bad switch", "", None, BAD_QUERY),
    row("original, no range at all", "", None, RANGE),
    row("original, its time known", "", None, SINCE),
    row("original, two ranges", "", None, ALWAYS_JSON),
    row("original, beyond the end", "", None, ALWAYS_JSON),
    row("original, other units", "", None, UNITS),
    row("original, absent", "", None, NOT_FOUND),
    row("original, deleted", "", None, NOT_FOUND),
    row("original, purged", "", None, NOT_FOUND),
    row("variant, absent", "", None, NOT_FOUND),
    row("variant in the background, absent", "", None, NOT_FOUND),
    row("variant in the background, proxied", "", None, NOT_FOUND),
    row("placeholder, its etag known", "", None, PLACEHOLDER),
    row("placeholder, a range of it", "", None, PLACEHOLDER),
    row(
        "placeholder",
        "cache-control",
        Some("max-age public"),
        MISSING,
    ),
    row("", "json.detail", None, MORE),
    row("", "json.limit", None, MORE),
    row("", "json.found", None, MORE),
    row("", "json.code", Some("\"alias-not-found\""), NOT_FOUND),
    row("", "json.code", Some("\"proxy-not-found\""), NOT_FOUND),
    row("claim what never was", "", None, BACKGROUND),
    row("claim again", "", None, BACKGROUND),
    row("details", "json.msg", Some("ok"), EVERY_MSG),
    row("proxied details", "json.msg", Some("ok"), EVERY_MSG),
    row("proxied variant details", "json.msg", Some("ok"), EVERY_MSG),
    row("prune_missing", "json.msg", Some("ok"), EVERY_MSG),
    row(
        "variant in the background",
        "json.msg",
        Some("ok"),
        EVERY_MSG,
    ),
    row(
        "variant in the background",
        "json",
        Some("object"),
        EVERY_MSG,
    ),
    row("variant in the background", "content-type", None, EVERY_MSG),
    row("variant in the background", "body", None, EVERY_MSG),
];

/// Why a difference is wanted, if it is.
pub fn reason(step: &str, aspect: &str, ours: &str) -> Option<&'static str> {
    let fits = |row: &&Expected| {
        step.starts_with(row.step)
            && aspect.starts_with(row.aspect)
            && row.ours.is_none_or(|wanted| wanted == ours)
    };
    EXPECTED.iter().find(fits).map(|row| row.reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wanted_difference_is_documented() {
        let docs = include_str!("../../../docs/compatibility.md");
        // Lines are broken there where they are full.
        let docs = docs
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .to_lowercase();
        for row in EXPECTED {
            let reason = row.reason.to_lowercase();
            assert!(
                docs.contains(&reason),
                "docs/compatibility.md lacks: {}",
                row.reason
            );
        }
    }

    #[test]
    fn what_nobody_wants_has_no_reason() {
        assert_eq!(reason("original", "status", "200"), None);
        assert_eq!(
            reason("upload jpeg", "json.files[].alias", "string"),
            Some(SHAPES)
        );
    }
}
