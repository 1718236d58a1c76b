//! The `Accept` header of a request for a picture (RFC 9110, section 12.5.1). Pure.

use pict_rs_media::OutputFormat;

/// Media ranges beyond this many are ignored; browsers send fewer than ten.
const MAX_RANGES: usize = 64;
/// The weight of a range without `q`, in thousandths.
const FULL: u16 = 1000;

/// Which formats a client accepts, and how much it prefers each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accept(Vec<Range>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Range {
    /// In lower case, without parameters.
    name: String,
    /// In thousandths.
    weight: u16,
}

impl Accept {
    /// Parses the header's value; several headers must be joined with a comma first. No header and
    /// an empty one mean `*/*`. Invalid ranges are skipped.
    pub fn parse(header: &str) -> Self {
        let ranges = header.split(',').take(MAX_RANGES).filter_map(Range::parse);
        let ranges: Vec<_> = ranges.collect();
        if ranges.is_empty() {
            return Self::anything();
        }
        Self(ranges)
    }

    /// `*/*`
    pub fn anything() -> Self {
        Self(vec![Range {
            name: "*/*".to_owned(),
            weight: FULL,
        }])
    }

    /// How much the client prefers `format`, in thousandths; 0 means it is not accepted. The most
    /// specific range counts. Wildcards match only formats that every client can show, JPEG, PNG
    /// and GIF: a client that sends only `*/*` may be twenty years old.
    pub fn weight(&self, format: OutputFormat) -> u16 {
        let named = |name: &str| {
            let range = self.0.iter().find(|range| range.name == name);
            range.map(|range| range.weight)
        };
        let wildcard = || match format {
            OutputFormat::Jpeg | OutputFormat::Png | OutputFormat::Gif => {
                named("image/*").or_else(|| named("*/*"))
            }
            _ => None,
        };
        named(format.file_format(false).mime())
            .or_else(wildcard)
            .unwrap_or(0)
    }
}

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';');
        let name = parts.next()?.trim().to_ascii_lowercase();
        let (kind, subkind) = name.split_once('/')?;
        if kind.is_empty() || subkind.is_empty() || (kind == "*" && subkind != "*") {
            return None;
        }
        let weight = parts
            .filter_map(|parameter| parameter.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("q"))
            .map_or(Some(FULL), |(_, weight)| thousandths(weight.trim()))?;
        Some(Self { name, weight })
    }
}

/// `0`, `1`, `0.5`, `1.000`: at most three digits after the point.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if part.len() > 3 || !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part: u16 = format!("{part:0<3}").parse().ok()?;
    match (whole, part) {
        ("0", part) => Some(part),
        ("1", 0) => Some(FULL),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use OutputFormat::{Apng, Avif, Gif, Jpeg, Jxl, Png, Webp};

    fn check(header: &str, expected: &[(OutputFormat, u16)]) {
        let accept = Accept::parse(header);
        for (format, weight) in expected {
            assert_eq!(accept.weight(*format), *weight, "{header}: {format:?}");
        }
    }

    #[test]
    fn the_most_specific_range_counts() {
        check(
            "image/*;q=0.8, image/png;q=0.1, */*;q=0.5",
            &[(Png, 100), (Jpeg, 800), (Gif, 800)],
        );
        check("text/html, */*;q=0.5", &[(Png, 500), (Jpeg, 500)]);
        check("image/jpeg;q=0, image/*", &[(Jpeg, 0), (Png, 1000)]);
    }

    #[test]
    fn wildcards_stand_for_what_everybody_can_show() {
        for header in ["", " ", "*/*", "image/*", "garbage", "*/png, ;q=1"] {
            check(header, &[(Jpeg, 1000), (Png, 1000), (Gif, 1000)]);
            check(header, &[(Webp, 0), (Avif, 0), (Jxl, 0), (Apng, 0)]);
        }
    }

    #[test]
    fn weights_are_read_as_they_are_written() {
        check("image/webp;q=0.123", &[(Webp, 123)]);
        check("image/webp ; Q=1.000", &[(Webp, 1000)]);
        check("image/webp;q=0.5;x=y", &[(Webp, 500)]);
        check("image/webp;x=y;q=.5, image/png", &[(Webp, 0), (Png, 1000)]);
        for weight in ["2", "1.001", "0.1234", "-1", "a", ""] {
            check(
                &format!("image/webp;q={weight}, image/png"),
                &[(Webp, 0), (Png, 1000)],
            );
        }
        check("IMAGE/WebP", &[(Webp, 1000), (Png, 0)]);
    }

    #[test]
    fn browsers_are_understood() {
        // Chromium, Firefox 128 and Safari 17, for pictures.
        check(
            "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8",
            &[
                (Avif, 1000),
                (Webp, 1000),
                (Apng, 1000),
                (Jpeg, 1000),
                (Jxl, 0),
            ],
        );
        check(
            "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5",
            &[
                (Avif, 1000),
                (Webp, 1000),
                (Png, 1000),
                (Jpeg, 800),
                (Jxl, 0),
            ],
        );
        check(
            "image/webp,image/avif,image/jxl,image/heic,image/heic-sequence,video/*;q=0.8,\
             image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5",
            &[(Avif, 1000), (Jxl, 1000), (Webp, 1000), (Gif, 800)],
        );
    }
}
