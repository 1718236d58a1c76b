//! Which formats suit a picture and a client, best first. Pure.

use pict_rs_media::operation::{Operation, ResizeTo, centred_crop};
use pict_rs_media::{Format, Kind, OutputFormat};

use crate::accept::Accept;
use crate::repo::Representation;

/// Pictures of at most this many pixels count as drawings when stored losslessly.
const ICON: u64 = 128 * 128;
/// Larger ones count as drawings when they take at most one bit per this many pixels, which no
/// photograph does.
const PIXELS_PER_BIT: u64 = 2;
/// Results of at most this many pixels are made in each format that the client likes best. Which
/// one is smallest depends on the picture, and making all of them takes an instant.
const SMALL: u64 = 640 * 640;
/// The same for drawings, whose best format cannot be predicted.
const SMALL_DRAWING: u64 = 1_500_000;
/// Bytes by which a small lossless picture may be larger. No client notices them.
const SHARPNESS: u64 = 64;
/// Maximum bits per pixel of a PNG or GIF of a drawing; photographs take twice as many.
const DRAWING_BITS: u64 = 5;

/// The facts of a picture that matter for the choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PictureTraits {
    /// Whether there is more than one frame.
    pub animated: bool,
    /// Whether any pixel can be transparent.
    pub transparent: bool,
    /// An icon or a screenshot, which a PNG keeps sharp in few bytes.
    pub drawing: bool,
    /// Whether the original looks like a drawing, regardless of the operations.
    pub drawn: bool,
    /// Pixels of the result.
    pub area: u64,
}

impl PictureTraits {
    /// From the database, which has all but `transparent`; for one frame if `is_frame`.
    pub fn new(stored: &Representation, operations: &[Operation], is_frame: bool) -> Self {
        let format = stored.key.format();
        let area = u64::from(stored.width) * u64::from(stored.height);
        let few_bytes = stored
            .key
            .size()
            .saturating_mul(8)
            .saturating_mul(PIXELS_PER_BIT);
        // Shrinking and blurring turn few colours into many.
        let untouched = operations
            .iter()
            .all(|operation| matches!(operation, Operation::Crop { .. }));
        let bits = stored.key.size().saturating_mul(8);
        let drawn = match format {
            Format::Png | Format::Gif => bits <= area.saturating_mul(DRAWING_BITS),
            Format::Webp => few_bytes <= area,
            _ => false,
        };
        Self {
            animated: stored.kind() == Kind::Animation && stored.frames > 1 && !is_frame,
            transparent: false,
            drawing: format == Format::Png && (area <= ICON || (untouched && few_bytes <= area)),
            drawn,
            area: result_area((stored.width, stored.height), operations),
        }
    }
}

/// Pixels that remain after the operations.
fn result_area(size: (u32, u32), operations: &[Operation]) -> u64 {
    let (width, height) =
        operations
            .iter()
            .fold(size, |(width, height), operation| match *operation {
                Operation::Thumbnail(side) => ResizeTo::Fit(side).size(width, height),
                Operation::Resize { to, .. } => to.size(width, height),
                Operation::Crop {
                    width: across,
                    height: down,
                } => {
                    let cut = centred_crop(width, height, across, down);
                    (cut.width, cut.height)
                }
                Operation::Blur(_) => (width, height),
            });
    u64::from(width) * u64::from(height)
}

/// The formats of `ranked` that are worth trying, because no rule tells which gives the smallest
/// file; empty when a rule does. The client likes all of them as much as the first.
pub(super) fn rivals(
    source: PictureTraits,
    accept: &Accept,
    ranked: &[OutputFormat],
) -> Vec<OutputFormat> {
    let most = if source.drawn { SMALL_DRAWING } else { SMALL };
    if source.animated || source.area > most {
        return Vec::new();
    }
    let Some(first) = ranked.first().map(|first| accept.weight(*first)) else {
        return Vec::new();
    };
    let worth_it = |format: OutputFormat| match format {
        OutputFormat::Avif | OutputFormat::Jxl | OutputFormat::Webp => true,
        OutputFormat::Png => source.drawn,
        _ => false,
    };
    let liked = ranked.iter().copied();
    let mut rivals: Vec<_> = liked
        .take_while(|format| accept.weight(*format) == first)
        .filter(|format| worth_it(*format))
        .collect();
    if rivals.len() < 2 {
        rivals.clear();
    }
    rivals
}

/// Factors for file sizes, in hundredths, before they are compared: the default qualities of
/// formats do not give the same score, least of all in small pictures, and the smallest file would
/// often be the worst picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Weights {
    avif: u64,
    jxl: u64,
}

/// For results of at most this many pixels; the last row applies to all others. Measured by `cargo
/// xtask bench --only weights`, with 32 pictures at six sizes.
type Table = [(u64, Weights); 4];

const PHOTOGRAPHS: Table = [
    (8_192, Weights::new(102, 135)),
    (32_768, Weights::new(117, 121)),
    (204_800, Weights::new(106, 103)),
    (u64::MAX, Weights::new(95, 96)),
];
/// Drawings differ too much for a weight above 32,768 pixels.
const DRAWINGS: Table = [
    (8_192, Weights::new(101, 110)),
    (32_768, Weights::new(112, 114)),
    (204_800, Weights::new(100, 100)),
    (u64::MAX, Weights::new(100, 100)),
];

impl Weights {
    const fn new(avif: u64, jxl: u64) -> Self {
        Self { avif, jxl }
    }

    /// The factors for variants of `source`.
    pub(super) fn of(source: PictureTraits) -> Self {
        let table = if source.drawn { DRAWINGS } else { PHOTOGRAPHS };
        let row = table.into_iter().find(|(most, _)| source.area <= *most);
        row.map_or(Self::new(100, 100), |(_, weights)| weights)
    }

    /// The size to compare, times 100. A lossless picture may be a little larger.
    pub(super) fn counted(self, format: Format, bytes: u64) -> u64 {
        match format {
            Format::Avif => bytes.saturating_mul(self.avif),
            Format::Jxl => bytes.saturating_mul(self.jxl),
            Format::Png => (bytes - bytes / 16)
                .saturating_sub(SHARPNESS)
                .saturating_mul(100),
            _ => bytes.saturating_mul(100),
        }
    }
}

/// The formats of `formats` that `source` can be answered in, best first: by the client's
/// preference, then by the order of `formats`. Never empty if `formats` contains JPEG.
pub(super) fn ranked(
    source: PictureTraits,
    accept: &Accept,
    formats: &[OutputFormat],
) -> Vec<OutputFormat> {
    let mut ranked = acceptable(accept, formats);
    if ranked.is_empty() {
        // A picture that the client did not ask for helps it more than an error.
        ranked = acceptable(&Accept::anything(), formats);
    }
    prefer(&mut ranked, |format| {
        !source.animated || format.keeps_animation()
    });
    prefer(&mut ranked, |format| {
        !source.transparent || format != OutputFormat::Jpeg
    });
    let suits = |format| source.drawing && !source.animated && format == OutputFormat::Png;
    // The sort is stable, so the order of the list is kept.
    ranked.sort_by_key(|&format| (std::cmp::Reverse(accept.weight(format)), !suits(format)));
    ranked
}

fn acceptable(accept: &Accept, formats: &[OutputFormat]) -> Vec<OutputFormat> {
    let formats = formats.iter().copied();
    formats.filter(|&f| accept.weight(f) > 0).collect()
}

/// Keeps only formats that satisfy `is_better`, if there are any.
fn prefer(formats: &mut Vec<OutputFormat>, is_better: impl Fn(OutputFormat) -> bool) {
    if formats.iter().any(|&format| is_better(format)) {
        formats.retain(|&format| is_better(format));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ContentKey, ObjectKey};
    use OutputFormat::{Avif, Gif, Jpeg, Jxl, Png, Webp};

    const ALL: [OutputFormat; 6] = [Avif, Jxl, Webp, Jpeg, Png, Gif];
    const CHROMIUM: &str = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8";
    const FIREFOX: &str = "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5";
    const SAFARI: &str = "image/webp,image/avif,image/jxl,image/heic,image/heic-sequence,\
                          video/*;q=0.8,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5";

    const PHOTO: PictureTraits = PictureTraits {
        animated: false,
        transparent: false,
        drawing: false,
        drawn: false,
        area: 1_000_000,
    };
    const LOGO: PictureTraits = PictureTraits {
        transparent: true,
        ..PHOTO
    };
    const ICON: PictureTraits = PictureTraits {
        drawing: true,
        ..PHOTO
    };
    const FILM: PictureTraits = PictureTraits {
        animated: true,
        ..PHOTO
    };

    fn best(source: PictureTraits, accept: &str) -> OutputFormat {
        ranked(source, &Accept::parse(accept), &ALL)[0]
    }

    #[test]
    fn browsers_get_what_they_like_best() {
        for browser in [CHROMIUM, FIREFOX, SAFARI] {
            assert_eq!(best(PHOTO, browser), Avif);
            assert_eq!(best(LOGO, browser), Avif);
            assert_eq!(best(ICON, browser), Png);
        }
        assert_eq!(best(PHOTO, "image/webp,*/*;q=0.8"), Webp);
        assert_eq!(best(PHOTO, "image/webp;q=0.5,image/png;q=0.9"), Png);
        assert_eq!(best(ICON, "image/webp,*/*;q=0.8"), Webp);
    }

    #[test]
    fn jxl_goes_to_whoever_prefers_it_or_by_the_order_of_the_list() {
        assert_eq!(best(PHOTO, "image/jxl,image/avif;q=0.9,*/*;q=0.1"), Jxl);
        assert_eq!(best(PHOTO, "image/jxl,image/webp"), Jxl);
        let first = [Jxl, Avif, Webp, Jpeg];
        assert_eq!(ranked(PHOTO, &Accept::parse(SAFARI), &first)[0], Jxl);
        assert_eq!(ranked(PHOTO, &Accept::parse(CHROMIUM), &first)[0], Avif);
    }

    #[test]
    fn wildcards_alone_get_what_everybody_can_show() {
        for accept in ["", "*/*", "image/*", "text/html", "image/heic"] {
            assert_eq!(best(PHOTO, accept), Jpeg, "{accept}");
            assert_eq!(best(LOGO, accept), Png, "{accept}");
            assert_eq!(best(ICON, accept), Png, "{accept}");
            assert_eq!(best(FILM, accept), Gif, "{accept}");
        }
    }

    #[test]
    fn what_moves_goes_on_moving_and_what_is_transparent_stays_so() {
        assert!(best(FILM, CHROMIUM).keeps_animation());
        assert_eq!(best(FILM, "image/webp,*/*"), Webp);
        assert_eq!(best(FILM, "image/jpeg,image/gif;q=0.1"), Gif);
        assert_eq!(best(LOGO, "image/jpeg,image/png;q=0.1"), Png);
        // The client can show nothing else.
        assert_eq!(best(FILM, "image/jpeg"), Jpeg);
        assert_eq!(best(LOGO, "image/jpeg"), Jpeg);
    }

    #[test]
    fn small_pictures_and_drawings_are_tried_in_each_format_that_is_liked_best() {
        let tried = |source, accept: &str| {
            let accept = Accept::parse(accept);
            rivals(source, &accept, &ranked(source, &accept, &ALL))
        };
        let thumbnail = PictureTraits {
            area: 128 * 96,
            ..PHOTO
        };
        assert_eq!(tried(thumbnail, CHROMIUM), [Avif, Webp]);
        assert_eq!(tried(thumbnail, SAFARI), [Avif, Jxl, Webp]);
        let larger = PictureTraits {
            area: 640 * 480,
            ..PHOTO
        };
        assert_eq!(tried(larger, CHROMIUM), [Avif, Webp]);
        assert_eq!(tried(PHOTO, SAFARI), []);
        let drawn = PictureTraits {
            drawn: true,
            ..PHOTO
        };
        assert_eq!(tried(drawn, FIREFOX), [Avif, Webp, Png]);
        // Only formats that are liked as much as the best, and none without an alternative.
        assert_eq!(tried(thumbnail, "image/webp,image/avif;q=0.9"), []);
        assert_eq!(tried(thumbnail, "image/webp,*/*;q=0.8"), []);
        assert_eq!(tried(thumbnail, "*/*"), []);
        let film = PictureTraits {
            animated: true,
            ..thumbnail
        };
        assert_eq!(tried(film, CHROMIUM), []);
    }

    #[test]
    fn the_size_of_the_result_counts() {
        let operations: Vec<_> = [("crop", "1x1"), ("resize", "64"), ("blur", "2")]
            .into_iter()
            .filter_map(|(key, value)| pict_rs_media::operation::parse(key, value).ok()?)
            .collect();
        assert_eq!(operations.len(), 3);
        let photo = stored(Format::Jpeg, 200_000, (1000, 600));
        assert_eq!(PictureTraits::new(&photo, &operations, false).area, 64 * 64);
        assert_eq!(PictureTraits::new(&photo, &[], false).area, 600_000);
    }

    #[test]
    fn files_are_compared_by_what_they_show() {
        let smaller = |source: PictureTraits, (format, bytes), other: (Format, u64)| {
            let weights = Weights::of(source);
            weights.counted(format, bytes) < weights.counted(other.0, other.1)
        };
        let side = |side: u64| PictureTraits {
            area: side * side,
            ..PHOTO
        };
        let webp = (Format::Webp, 1_000);
        // By default, a JPEG XL of 64 pixels is worse than a WebP, and an AVIF of 640 is better.
        assert!(!smaller(side(64), (Format::Jxl, 800), webp));
        assert!(smaller(side(64), (Format::Jxl, 700), webp));
        assert!(!smaller(side(128), (Format::Avif, 900), webp));
        assert!(smaller(side(640), (Format::Avif, 1_040), webp));
        let drawing = PictureTraits {
            drawn: true,
            ..side(640)
        };
        assert!(!smaller(drawing, (Format::Avif, 1_000), webp));
        assert!(smaller(
            PHOTO,
            (Format::Png, 16_000),
            (Format::Webp, 15_000)
        ));
        assert!(!smaller(
            PHOTO,
            (Format::Png, 16_000),
            (Format::Webp, 14_700)
        ));
    }

    #[test]
    fn the_next_best_stand_behind() {
        let ranked = |source| ranked(source, &Accept::parse(FIREFOX), &ALL);
        assert_eq!(ranked(PHOTO), [Avif, Webp, Png, Jpeg, Gif]);
        assert_eq!(ranked(LOGO), [Avif, Webp, Png, Gif]);
    }

    fn stored(format: Format, size: u64, (width, height): (u32, u32)) -> Representation {
        Representation {
            object: ObjectKey::generate(format),
            key: ContentKey::new([1; 32], size, format),
            width,
            height,
            frames: 1,
            duration_ms: None,
            created_at: 0,
        }
    }

    #[test]
    fn drawings_are_told_by_size_and_bytes() {
        let drawing = |stored: &Representation, operations: &[Operation]| {
            PictureTraits::new(stored, operations, false).drawing
        };
        let icon = stored(Format::Png, 30_000, (128, 128));
        let screenshot = stored(Format::Png, 60_000, (1000, 1000));
        let photo = stored(Format::Png, 2_000_000, (1000, 1000));
        let resize = pict_rs_media::operation::parse("resize", "500").expect("valid");
        let resize: Vec<_> = resize.into_iter().collect();
        assert!(drawing(&icon, &[]) && drawing(&icon, &resize));
        assert!(drawing(&screenshot, &[]) && !drawing(&screenshot, &resize));
        assert!(!drawing(&photo, &[]));
        assert!(!drawing(&stored(Format::Jpeg, 900, (64, 64)), &[]));
    }

    #[test]
    fn only_what_is_shown_as_an_animation_counts_as_one() {
        let animated = |format, frames, is_frame| {
            let stored = Representation {
                frames,
                ..stored(format, 900, (64, 64))
            };
            PictureTraits::new(&stored, &[], is_frame).animated
        };
        for format in [Format::Gif, Format::WebpAnimation, Format::Jxl] {
            assert!(animated(format, 3, false), "{format}");
            assert!(!animated(format, 3, true), "{format}");
            assert!(!animated(format, 1, false), "{format}");
        }
        assert!(!animated(Format::Mp4, 3, false));
    }
}
