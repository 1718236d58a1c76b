//! Formats that browsers do not show: stored converted, and nothing is lost by that unless a
//! format is configured.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat};

use crate::support::{Server, pictures, pixels};

fn written(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    image.write_to(&mut file, format).expect("written");
    file.into_inner()
}

/// Name, file, and what it is stored as.
fn files() -> Vec<(&'static str, Vec<u8>, DynamicImage, &'static str)> {
    let (photo, fading) = (pictures::photo(60, 40), pictures::fading(60, 40));
    let deep = pictures::deep_ramp(60, 40);
    let row = |name, image: &DynamicImage, format, stored| {
        (name, written(image, format), image.clone(), stored)
    };
    vec![
        row("BMP", &photo, ImageFormat::Bmp, "webp"),
        row("BMP with alpha", &fading, ImageFormat::Bmp, "webp"),
        row("QOI", &photo, ImageFormat::Qoi, "webp"),
        row("QOI with alpha", &fading, ImageFormat::Qoi, "webp"),
        row("PNM", &photo, ImageFormat::Pnm, "webp"),
        row("PNM with alpha", &fading, ImageFormat::Pnm, "webp"),
        row("ICO", &fading, ImageFormat::Ico, "webp"),
        row("TIFF", &photo, ImageFormat::Tiff, "webp"),
        row("TIFF with alpha", &fading, ImageFormat::Tiff, "webp"),
        row("deep TIFF", &deep, ImageFormat::Tiff, "png"),
    ]
}

#[test]
fn each_is_stored_without_loss_in_a_format_that_browsers_show() {
    let server = Server::start();
    for (name, file, image, stored) in files() {
        let uploaded = server.upload(&file);
        let details = &uploaded.details;
        assert_eq!(details["content_type"], format!("image/{stored}"), "{name}");
        assert_eq!(details["format"], "Image", "{name}");
        assert_eq!(
            (&details["width"], &details["height"]),
            (&60.into(), &40.into())
        );
        assert!(uploaded.alias.ends_with(stored), "{name}");
        let original = pixels::decode(&server.original(&uploaded.alias));
        if stored == "png" {
            pixels::assert_equal(&original, &image);
        } else {
            // What cannot be seen may have another colour.
            assert_eq!(pixels::difference(&original, &image), 0.0, "{name}");
        }
        let made = pixels::decode(&server.process("jpg", &uploaded.alias, "resize=30"));
        assert_eq!((made.width(), made.height()), (30, 20), "{name}");
    }
}

#[test]
fn each_is_stored_in_the_format_that_is_configured() {
    let server = Server::with([("media.image.format", "jpeg")]);
    for (name, file, image, _) in files() {
        let uploaded = server.upload(&file);
        assert_eq!(uploaded.details["content_type"], "image/jpeg", "{name}");
        if !image.color().has_alpha() {
            let original = pixels::decode(&server.original(&uploaded.alias));
            pixels::assert_similar(&original, &image, 6.0);
        }
    }
}

#[test]
fn damage_and_sizes_over_the_limit_are_refused_before_anything_is_stored() {
    let server = Server::with([("media.image.max_width", "50")]);
    for (name, file, _, _) in files() {
        let told = server.upload_refused("", &file, 400, "validate-width");
        assert!(told.contains("60") && told.contains("50"), "{name}: {told}");
    }
    let server = Server::start();
    for (_, file, _, _) in files() {
        server.upload_refused("", &file[..file.len() / 2], 400, "media-damaged");
    }
}
