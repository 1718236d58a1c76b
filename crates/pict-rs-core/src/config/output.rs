//! Output options from the settings.

use pict_rs_media::{Output, OutputFormat, Speed};

use super::MediaConfig;

/// The output options that the settings give for `format`.
pub(crate) fn output(media: &MediaConfig, format: OutputFormat, animated: bool) -> Output {
    let (image, animation) = (&media.image.quality, &media.animation.quality);
    let quality = match (format, animated && format.keeps_animation()) {
        (OutputFormat::Avif, false) => image.avif,
        (OutputFormat::Avif, true) => animation.avif,
        (OutputFormat::Webp, false) => image.webp,
        (OutputFormat::Webp, true) => animation.webp,
        (OutputFormat::Apng, _) => animation.apng,
        (OutputFormat::Jpeg, _) => image.jpeg,
        (OutputFormat::Jxl, _) => image.jxl,
        (OutputFormat::Png, _) => image.png,
        (OutputFormat::Gif, _) => None,
    };
    Output {
        format,
        quality,
        lossless: false,
        speed: if media.fast {
            Speed::Fast
        } else {
            Speed::Quality
        },
    }
}
