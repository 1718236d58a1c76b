//! The JSON in answers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use pict_rs_core::repo::{Original, Representation};
use pict_rs_core::service::pending_upload::Uploaded;
use pict_rs_core::{Digest, UploadId};
use pict_rs_media::Kind;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The details object.
#[derive(Debug, Serialize)]
pub struct Details {
    width: u32,
    height: u32,
    frames: Option<u32>,
    content_type: &'static str,
    created_at: String,
    blurhash: String,
    thumbhash: Option<String>,
    colour: Option<String>,
    format: &'static str,
    /// Duration of one run of an animation, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<f64>,
}

impl Details {
    /// Details of `shown`, which is `original` itself or a variant of it.
    pub fn new(original: &Original, shown: &Representation) -> Self {
        let format = shown.key.format();
        let kind = kind(original, shown);
        Self {
            width: shown.width,
            height: shown.height,
            frames: (shown.frames > 1).then_some(shown.frames),
            content_type: format.mime(),
            created_at: rfc3339(shown.created_at),
            blurhash: original.hints.blurhash.clone(),
            thumbhash: original
                .hints
                .thumbhash
                .as_ref()
                .map(|hash| BASE64.encode(hash)),
            colour: original.hints.colour.map(hex_colour),
            format: kind.name(),
            duration: shown
                .duration_ms
                .filter(|_| kind != Kind::Image)
                .map(|ms| ms as f64 / 1000.0),
        }
    }
}

/// As in CSS.
pub fn hex_colour([r, g, b]: [u8; 3]) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// A GIF or an APNG counts as an animation even with one frame, unless we made it from a still or
/// from one frame of an animation.
fn kind(original: &Original, shown: &Representation) -> Kind {
    let source = &original.representation;
    let is_still = source.key.format().kind_of(source.frames) == Kind::Image || source.frames > 1;
    if shown.frames == 1 && is_still {
        Kind::Image
    } else {
        shown.key.format().kind_of(shown.frames)
    }
}

/// The details as an answer.
#[derive(Debug, Serialize)]
pub struct DetailsAnswer {
    msg: &'static str,
    #[serde(flatten)]
    details: Details,
}

impl From<Details> for DetailsAnswer {
    fn from(details: Details) -> Self {
        Self { msg: "ok", details }
    }
}

#[derive(Debug, Serialize)]
struct File<'a> {
    file: &'a str,
    alias: &'a str,
    delete_token: &'a str,
    details: Details,
}

/// The answer to an upload: once as `files` (pict-rs 0.5), once as `uploads` (0.6).
pub fn uploads(uploaded: &[Uploaded]) -> serde_json::Value {
    let files: Vec<_> = uploaded
        .iter()
        .map(|uploaded| File {
            file: uploaded.alias.as_str(),
            alias: uploaded.alias.as_str(),
            delete_token: uploaded.token.expose(),
            details: Details::new(&uploaded.original, &uploaded.original.representation),
        })
        .collect();
    serde_json::json!({ "msg": "ok", "files": files, "uploads": files })
}

/// The answer to a backgrounded upload, in the order of its files.
pub fn upload_ids(ids: &[UploadId]) -> serde_json::Value {
    let uploads: Vec<_> = ids
        .iter()
        .map(|id| serde_json::json!({ "upload_id": id.expose() }))
        .collect();
    serde_json::json!({ "msg": "ok", "uploads": uploads })
}

/// In hexadecimal digits.
pub fn digests(digests: &[Digest]) -> serde_json::Value {
    digests.iter().map(Digest::to_hex).collect()
}

/// Unix milliseconds as RFC 3339.
pub fn rfc3339(unix_ms: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_ms) * 1_000_000);
    // Only years beyond 9999 cannot be formatted, and no clock shows one.
    time.ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| "1970-01-01T00:00:00Z".to_owned())
}

/// A day of UTC, such as `2026-12-01`, from days since 1970.
pub fn date(day: i64) -> String {
    let mut text = rfc3339(day.saturating_mul(24 * 60 * 60 * 1000));
    text.truncate("2026-12-01".len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339_and_pass_2038() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(1_795_000_000_917), "2026-11-18T11:06:40.917Z");
        assert_eq!(rfc3339(2_208_988_800_000), "2040-01-01T00:00:00Z");
    }
}
