//! The operations of a process URL: parsed once, canonical, and purely geometric.
//!
//! Start at [`parse`]. Operations with the same meaning are the same text, such as `crop/1x1`, of
//! which the keys of variants consist.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One step of a variant, applied in the order of the query string.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Operation {
    /// Fit into a square of this many pixels; the fast form of resize. 0 counts as 1.
    Thumbnail(u32),
    /// Shrink with a chosen filter.
    Resize {
        /// The resampling filter.
        filter: Filter,
        /// What to shrink to.
        to: ResizeTo,
    },
    /// Cut the largest centred rectangle of this aspect ratio; both sides 1–20.
    Crop {
        /// Horizontal share of the ratio.
        width: u32,
        /// Vertical share of the ratio.
        height: u32,
    },
    /// Gaussian blur with this standard deviation in pixels.
    Blur(f32),
}

/// The target of a resize. Neither form ever enlarges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResizeTo {
    /// Fit into a square of this many pixels. 0 counts as 1.
    Fit(u32),
    /// At most this many pixels in total.
    Area(u64),
}

/// Resampling filters by their ImageMagick names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Filter {
    /// Sinc windowed by sinc, 3 lobes.
    Lanczos,
    /// [`Filter::Lanczos`], slightly sharpened.
    LanczosSharp,
    /// Sinc windowed by sinc, 2 lobes; the default.
    #[default]
    Lanczos2,
    /// [`Filter::Lanczos2`], slightly sharpened.
    Lanczos2Sharp,
    /// Mitchell-Netravali cubic, B = C = 1/3.
    Mitchell,
    /// Robidoux's sharper cubic.
    RobidouxSharp,
}

impl Filter {
    const ALL: [Self; 6] = [
        Self::Lanczos,
        Self::LanczosSharp,
        Self::Lanczos2,
        Self::Lanczos2Sharp,
        Self::Mitchell,
        Self::RobidouxSharp,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Lanczos => "Lanczos",
            Self::LanczosSharp => "LanczosSharp",
            Self::Lanczos2 => "Lanczos2",
            Self::Lanczos2Sharp => "Lanczos2Sharp",
            Self::Mitchell => "Mitchell",
            Self::RobidouxSharp => "RobidouxSharp",
        }
    }
}

/// The names of all operations, as written in a query and in `media.filters`.
pub const NAMES: [&str; 5] = ["blur", "crop", "identity", "resize", "thumbnail"];

/// Why a query pair is not an operation. The message contains key, value and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The key is not one of [`NAMES`] (case matters).
    #[error("'{0}' is not an operation; there are {list}", list = NAMES.join(", "))]
    UnknownOperation(String),
    /// The key is valid, the value is not.
    #[error("{operation}={value} is not valid: {expected}")]
    BadArgument {
        /// The operation's name.
        operation: &'static str,
        /// What was given.
        value: String,
        /// What is allowed.
        expected: &'static str,
    },
}

/// Parses one pair of a query string. `identity` is valid and does nothing: `Ok(None)`.
///
/// # Errors
/// [`ParseError`] when the key is not an operation or the value is invalid for it.
pub fn parse(key: &str, value: &str) -> Result<Option<Operation>, ParseError> {
    let bad = |operation, expected| ParseError::BadArgument {
        operation,
        value: value.to_owned(),
        expected,
    };
    match key {
        "identity" => Ok(None),
        "thumbnail" => match number(value) {
            Some(size) => Ok(Some(Operation::Thumbnail(size))),
            None => Err(bad("thumbnail", "a whole number of pixels")),
        },
        "resize" => match resize(value) {
            Some(operation) => Ok(Some(operation)),
            None => Err(bad(
                "resize",
                "N, FILTER.N, FILTER.aN or .aN with a whole number N",
            )),
        },
        "crop" => match crop(value) {
            Some(operation) => Ok(Some(operation)),
            None => Err(bad("crop", "an aspect ratio WxH, both from 1 to 20")),
        },
        "blur" => match value.parse::<f32>() {
            Ok(sigma) if sigma.is_finite() && sigma >= 0.0 => Ok(blur(sigma)),
            _ => Err(bad("blur", "a standard deviation in pixels, 0 or more")),
        },
        _ => Err(ParseError::UnknownOperation(key.to_owned())),
    }
}

/// Digits only: `u32::from_str` would also take a leading plus sign.
fn number<N: std::str::FromStr>(value: &str) -> Option<N> {
    value
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| value.parse().ok())?
}

fn resize(value: &str) -> Option<Operation> {
    let (filter, size) = match value.rsplit_once('.') {
        None => (Filter::default(), ResizeTo::Fit(number(value)?)),
        Some((name, size)) => {
            // An unknown filter name selects the default filter; clients rely on that.
            let filter = Filter::ALL
                .into_iter()
                .find(|filter| filter.name().eq_ignore_ascii_case(name))
                .unwrap_or_default();
            let to = match size.strip_prefix('a') {
                Some(area) => ResizeTo::Area(number(area)?),
                None => ResizeTo::Fit(number(size)?),
            };
            (filter, to)
        }
    };
    Some(Operation::Resize { filter, to: size })
}

/// Below this deviation, in pixels, no sample changes.
const LEAST_BLUR: f32 = 0.2;
/// Above this deviation even the widest picture becomes a single colour.
const MOST_BLUR: f32 = 65_535.0;

/// Rounds to three digits, which is finer than any visible difference. With more digits, one
/// picture could have any number of variants that look the same.
fn blur(sigma: f32) -> Option<Operation> {
    if sigma < LEAST_BLUR {
        return None;
    }
    let sigma = sigma.min(MOST_BLUR);
    let rounded = format!("{sigma:.2e}").parse().unwrap_or(sigma);
    Some(Operation::Blur(rounded))
}

fn crop(value: &str) -> Option<Operation> {
    let (width, height) = value.split_once('x')?;
    let (width, height) = (number(width)?, number(height)?);
    let range = 1..=20;
    (range.contains(&width) && range.contains(&height)).then_some(Operation::Crop { width, height })
}

impl fmt::Display for Operation {
    /// The operation's part of a variant key, `name/argument`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Thumbnail(size) => write!(f, "thumbnail/{size}"),
            Self::Resize { filter, to } => {
                f.write_str("resize/")?;
                if filter != Filter::default() {
                    write!(f, "{}.", filter.name())?;
                }
                match to {
                    ResizeTo::Fit(size) => write!(f, "{size}"),
                    ResizeTo::Area(area) if filter == Filter::default() => write!(f, ".a{area}"),
                    ResizeTo::Area(area) => write!(f, "a{area}"),
                }
            }
            Self::Crop { width, height } => write!(f, "crop/{width}x{height}"),
            Self::Blur(sigma) => write!(f, "blur/{sigma}"),
        }
    }
}

/// A rectangle in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rect {
    /// Left edge.
    pub x: u32,
    /// Top edge.
    pub y: u32,
    /// Width, at least 1.
    pub width: u32,
    /// Height, at least 1.
    pub height: u32,
}

impl ResizeTo {
    /// The size to which a picture of `width` × `height` pixels is shrunk; the same size if it
    /// already fits. Never 0, never larger.
    pub fn size(self, width: u32, height: u32) -> (u32, u32) {
        let (w, h) = (f64::from(width), f64::from(height));
        let scaled = match self {
            Self::Fit(size) => {
                let size = size.max(1);
                if width <= size && height <= size {
                    return (width, height);
                }
                let scale = f64::from(size) / w.max(h);
                ((w * scale).round(), (h * scale).round())
            }
            Self::Area(area) => {
                return within_area(width, height, area.max(1));
            }
        };
        // Both values are between 0 and the original sides.
        (
            (scaled.0 as u32).clamp(1, width),
            (scaled.1 as u32).clamp(1, height),
        )
    }
}

/// The size of at most `area` pixels whose ratio is nearest to that of `width` × `height` pixels.
/// The exact size has fractions of pixels; each side is rounded up or down, to the one of the four
/// results that fits and keeps the ratio best. Of two equally good ones the larger is chosen.
fn within_area(width: u32, height: u32, area: u64) -> (u32, u32) {
    if u64::from(width) * u64::from(height) <= area {
        return (width, height);
    }
    let (w, h) = (f64::from(width), f64::from(height));
    let scale = (area as f64 / (w * h)).sqrt();
    // Both are between 0 and the original sides.
    let (exact_w, exact_h) = (w * scale, h * scale);
    let sides = |exact: f64, most: u32| {
        [exact.floor(), exact.ceil()].map(|side| (side as u32).clamp(1, most))
    };
    let pixels = |(w, h): (u32, u32)| u64::from(w) * u64::from(h);
    // The factor by which the ratio changes, up or down.
    let change =
        |(to_w, to_h): (u32, u32)| (f64::from(to_w) * h / (f64::from(to_h) * w)).ln().abs();
    let candidates = sides(exact_w, width)
        .into_iter()
        .flat_map(|to_w| sides(exact_h, height).map(|to_h| (to_w, to_h)));
    let fitting = candidates.filter(|size| pixels(*size) <= area);
    let best = fitting.min_by(|a, b| {
        let by_change = change(*a).total_cmp(&change(*b));
        by_change.then(pixels(*b).cmp(&pixels(*a)))
    });
    // A picture so narrow that one pixel is too wide is as long as the area allows.
    let longest = |side: u32| u32::try_from(area).unwrap_or(u32::MAX).min(side);
    best.unwrap_or(if width < height {
        (1, longest(height))
    } else {
        (longest(width), 1)
    })
}

/// The largest centred rectangle with the ratio `ratio_w : ratio_h` inside
/// `width` × `height` pixels.
pub fn centred_crop(width: u32, height: u32, ratio_w: u32, ratio_h: u32) -> Rect {
    let (w, h) = (u64::from(width), u64::from(height));
    let (rw, rh) = (u64::from(ratio_w.max(1)), u64::from(ratio_h.max(1)));
    let rounded = |product: u64, by: u64| ((product + by / 2) / by).max(1);
    let (cut_w, cut_h) = if w * rh > h * rw {
        (rounded(h * rw, rh).min(w), h)
    } else {
        (w, rounded(w * rh, rw).min(h))
    };
    // Both are at most the original sides, so they fit.
    let (cut_w, cut_h) = (cut_w as u32, cut_h as u32);
    Rect {
        x: (width - cut_w) / 2,
        y: (height - cut_h) / 2,
        width: cut_w,
        height: cut_h,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(pairs: &[(&str, &str)]) -> Result<String, ParseError> {
        let mut operations = Vec::new();
        for (key, value) in pairs {
            operations.extend(parse(key, value)?);
        }
        let words = operations.iter().map(Operation::to_string);
        Ok(words.collect::<Vec<_>>().join("/"))
    }

    #[test]
    fn same_meaning_gives_the_same_key() {
        let check = |pairs: &[(&str, &str)], expected: &str| {
            assert_eq!(key(pairs).as_deref(), Ok(expected), "{pairs:?}");
        };
        check(&[], "");
        check(&[("identity", "x")], "");
        check(&[("thumbnail", "256")], "thumbnail/256");
        check(&[("thumbnail", "0256")], "thumbnail/256");
        check(&[("resize", "200")], "resize/200");
        check(&[("resize", "Lanczos2.200")], "resize/200");
        check(&[("resize", "lanczos.200")], "resize/Lanczos.200");
        check(&[("resize", "nonsense.200")], "resize/200");
        check(&[("resize", ".a10000")], "resize/.a10000");
        check(&[("resize", "Mitchell.a10000")], "resize/Mitchell.a10000");
        check(&[("crop", "1x1"), ("resize", "64")], "crop/1x1/resize/64");
        check(&[("resize", "64"), ("crop", "1x1")], "resize/64/crop/1x1");
        check(&[("blur", "1.50")], "blur/1.5");
        check(&[("blur", "1.5001")], "blur/1.5");
        check(&[("blur", "123.4")], "blur/123");
        for nothing in ["0", "-0", "0.0000001", "0.1"] {
            check(&[("blur", nothing)], "");
        }
        for far in ["1e30", "65535", "70000"] {
            check(&[("blur", far)], "blur/65500");
        }
    }

    #[test]
    fn bad_arguments_are_refused_with_what_was_expected() {
        for (name, value) in [
            ("thumbnail", "-1"),
            ("thumbnail", "+1"),
            ("thumbnail", ""),
            ("thumbnail", "4294967296"),
            ("resize", "a100"),
            ("resize", "Lanczos."),
            ("resize", ".a"),
            ("crop", "21x9"),
            ("crop", "0x1"),
            ("crop", "16:9"),
            ("blur", "x"),
            ("blur", "-1"),
            ("blur", "inf"),
            ("blur", "NaN"),
        ] {
            assert!(
                matches!(parse(name, value), Err(ParseError::BadArgument { .. })),
                "{name}={value}"
            );
        }
        assert!(matches!(
            parse("Thumbnail", "32"),
            Err(ParseError::UnknownOperation(_))
        ));
    }

    #[test]
    fn a_resize_never_enlarges_and_never_vanishes() {
        assert_eq!(ResizeTo::Fit(100).size(4000, 3000), (100, 75));
        assert_eq!(ResizeTo::Fit(2000).size(1200, 800), (1200, 800));
        assert_eq!(ResizeTo::Fit(0).size(400, 300), (1, 1));
        assert_eq!(ResizeTo::Fit(10).size(10_000, 1), (10, 1));
        assert_eq!(ResizeTo::Area(10_000).size(400, 100), (200, 50));
        assert_eq!(ResizeTo::Area(40_000).size(400, 100), (400, 100));
        let (w, h) = ResizeTo::Area(10_000).size(4032, 3024);
        assert!(w * h <= 10_000, "{w}x{h}");
        assert_eq!(ResizeTo::Area(0).size(400, 100), (1, 1));
    }

    #[test]
    fn an_area_is_filled_by_the_size_whose_ratio_is_nearest() {
        // Rounding both sides down would give 23 and 26, whose ratio is further off.
        assert_eq!(ResizeTo::Area(625).size(349, 386), (24, 26));
        assert_eq!(ResizeTo::Area(625).size(386, 349), (26, 24));
        assert_eq!(ResizeTo::Area(10).size(1000, 1), (10, 1));
        assert_eq!(ResizeTo::Area(10).size(1, 1000), (1, 10));
        assert_eq!(ResizeTo::Area(1).size(3, 2), (1, 1));
        assert_eq!(ResizeTo::Area(u64::MAX).size(3, 2), (3, 2));
        for area in [7_u32, 100, 625, 999, 4096, 123_456] {
            for (width, height) in [(349, 386), (4032, 3024), (1000, 37), (5, 900), (640, 640)] {
                let (w, h) = ResizeTo::Area(area.into()).size(width, height);
                assert!(w * h <= area.max(1) && w <= width && h <= height, "{w}x{h}");
                assert!(w > 0 && h > 0);
            }
        }
    }

    #[test]
    fn a_crop_is_centred_and_inside() {
        let rect = |x, y, width, height| Rect {
            x,
            y,
            width,
            height,
        };
        assert_eq!(centred_crop(400, 300, 1, 1), rect(50, 0, 300, 300));
        assert_eq!(centred_crop(300, 400, 1, 1), rect(0, 50, 300, 300));
        assert_eq!(centred_crop(400, 300, 16, 9), rect(0, 37, 400, 225));
        assert_eq!(centred_crop(1, 1, 20, 1), rect(0, 0, 1, 1));
    }
}
