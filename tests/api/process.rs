//! Variants.

use std::collections::HashSet;

use crate::support::client::process_path;
use crate::support::{Server, disk, pictures, pixels};

use super::upload::lose_everything;

fn size(bytes: &[u8]) -> (u32, u32) {
    let image = pixels::decode(bytes);
    (image.width(), image.height())
}

#[test]
fn operations_give_the_sizes_of_the_contract_and_never_enlarge() {
    let server = Server::start();
    let alias = server
        .upload(&pictures::png(&pictures::photo(300, 200)))
        .alias;
    for (operations, expected) in [
        ("", (300, 200)),
        ("identity=true", (300, 200)),
        ("thumbnail=150", (150, 100)),
        ("thumbnail=1", (1, 1)),
        ("thumbnail=0", (1, 1)),
        ("thumbnail=300", (300, 200)),
        ("thumbnail=5000", (300, 200)),
        ("resize=60", (60, 40)),
        ("resize=2000", (300, 200)),
        ("resize=Lanczos.60", (60, 40)),
        ("resize=lanczossharp.60", (60, 40)),
        ("resize=Lanczos2.60", (60, 40)),
        ("resize=LANCZOS2SHARP.60", (60, 40)),
        ("resize=Mitchell.60", (60, 40)),
        ("resize=RobidouxSharp.60", (60, 40)),
        ("resize=NoSuchFilter.60", (60, 40)),
        ("resize=.a15000", (150, 100)),
        ("resize=Mitchell.a15000", (150, 100)),
        ("resize=.a99999999", (300, 200)),
        ("crop=1x1", (200, 200)),
        ("crop=20x1", (300, 15)),
        ("crop=1x20", (10, 200)),
        ("crop=3x2", (300, 200)),
        ("blur=1.5", (300, 200)),
        ("blur=0", (300, 200)),
        // In the order of the query.
        ("crop=1x1&resize=60", (60, 60)),
        ("resize=60&crop=1x1", (40, 40)),
        ("resize=90&resize=60", (60, 40)),
        ("thumbnail=90&blur=2&crop=2x1", (90, 45)),
    ] {
        let made = server.process("png", &alias, operations);
        assert_eq!(size(&made), expected, "{operations}");
    }
}

#[test]
fn the_order_of_operations_shows_in_the_picture() {
    let server = Server::start();
    let alias = server
        .upload(&pictures::png(&pictures::quarters(300, 100)))
        .alias;
    // The middle third, or all of it: both 50 pixels wide.
    let cropped_first = server.process("png", &alias, "crop=1x1&thumbnail=50");
    assert_eq!(size(&cropped_first), (50, 50));
    let resized_first = server.process("png", &alias, "thumbnail=50&crop=1x1");
    assert_eq!(size(&resized_first), (17, 17));
    assert_ne!(cropped_first, resized_first);
}

#[test]
fn a_crop_takes_the_middle_and_moves_no_pixel() {
    let server = Server::start();
    let image = pictures::noise(120, 80, 12);
    let alias = server.upload(&pictures::png(&image)).alias;
    let made = pixels::decode(&server.process("png", &alias, "crop=1x1"));
    pixels::assert_equal(&made, &image.crop_imm(20, 0, 80, 80));
}

#[test]
fn a_smaller_picture_still_shows_the_same() {
    let server = Server::start();
    let alias = server
        .upload(&pictures::png(&pictures::photo(400, 300)))
        .alias;
    let expected = pictures::photo(100, 75);
    for operations in [
        "thumbnail=100",
        "resize=100",
        "resize=Lanczos.100",
        "resize=LanczosSharp.100",
        "resize=Lanczos2Sharp.100",
        "resize=Mitchell.100",
        "resize=RobidouxSharp.100",
    ] {
        for extension in ["png", "jpg", "webp", "gif"] {
            let made = server.process(extension, &alias, operations);
            // A palette costs more than a lossy codec.
            let tolerance = if extension == "gif" { 8.0 } else { 4.0 };
            pixels::assert_similar(&pixels::decode(&made), &expected, tolerance);
        }
    }
}

#[test]
fn filters_differ_and_blur_blurs() {
    let server = Server::start();
    let alias = server
        .upload(&pictures::png(&pictures::noise(200, 200, 13)))
        .alias;
    let made: HashSet<_> = [
        "Lanczos",
        "LanczosSharp",
        "Lanczos2",
        "Lanczos2Sharp",
        "Mitchell",
        "RobidouxSharp",
    ]
    .map(|filter| server.process("png", &alias, &format!("resize={filter}.90")))
    .into();
    assert_eq!(made.len(), 6);
    let contrast = |bytes: &[u8]| {
        let grey = pixels::decode(bytes).to_luma8();
        let values = grey.pixels().map(|pixel| f64::from(pixel[0]));
        let mean = values.clone().sum::<f64>() / values.clone().count() as f64;
        values.map(|value| (value - mean).powi(2)).sum::<f64>()
    };
    let sharp = contrast(&server.process("png", &alias, ""));
    let soft = contrast(&server.process("png", &alias, "blur=2"));
    let softer = contrast(&server.process("png", &alias, "blur=6"));
    assert!(
        softer < soft / 4.0 && soft < sharp / 8.0,
        "{sharp} {soft} {softer}"
    );
}

#[test]
fn every_spelling_of_one_meaning_is_one_variant() {
    let server = Server::start();
    let alias = server
        .upload(&pictures::png(&pictures::photo(90, 60)))
        .alias;
    for path in [
        process_path("jpg", &alias, "resize=30"),
        process_path("jpeg", &alias, "resize=30"),
        process_path("jpeg", &alias, "resize=Lanczos2.30"),
        process_path("jpg", &alias, "resize=lanczos2.30&identity=x"),
        process_path("jpg", &alias, "resize=030"),
        process_path("jpg", &alias, "utm_source=x&resize=%33%30&foo"),
        format!("/image/process.jpg?resize=30&alias={alias}"),
        format!("/image/process.jpg?alias=other&src={alias}&resize=30&proxy=http://x"),
    ] {
        let answer = server.get(&path).ok();
        assert_eq!(answer.header("content-type"), Some("image/jpeg"), "{path}");
    }
    // The original and one variant.
    assert_eq!(disk::objects(&server.files()).len(), 2);
}

#[test]
fn bad_arguments_and_formats_are_refused_and_explained() {
    let server = Server::start();
    let alias = server
        .upload(&pictures::png(&pictures::photo(30, 30)))
        .alias;
    for operations in [
        "thumbnail=-1",
        "thumbnail=+1",
        "thumbnail=1.5",
        "thumbnail=",
        "thumbnail=99999999999",
        "Thumbnail=32",
        "resize=a100",
        "resize=.a",
        "resize=x",
        "crop=21x9",
        "crop=0x1",
        "crop=1",
        "crop=1x1x1",
        "blur=x",
        "blur=-1",
        "blur=NaN",
        "blur=inf",
    ] {
        let message = server
            .get(&process_path("png", &alias, operations))
            .refused(400, "invalid-process-path");
        let name = operations.split('=').next().unwrap_or_default();
        assert!(message.contains(name), "{operations}: {message}");
    }
    for extension in ["mp4", "webm", "WEBP", "bmp", "x"] {
        let message = server
            .get(&process_path(extension, &alias, "thumbnail=9"))
            .refused(400, "invalid-file-extension");
        assert!(message.contains("webp"), "{message}");
    }
    server
        .get("/image/process.png?thumbnail=9")
        .refused(400, "invalid-query");
    assert_eq!(disk::objects(&server.files()).len(), 1);
}

#[test]
fn operations_that_the_settings_leave_out_are_ignored() {
    let server = Server::with([("media.filters", "thumbnail")]);
    let alias = server
        .upload(&pictures::png(&pictures::photo(90, 60)))
        .alias;
    let plain = server.process("png", &alias, "thumbnail=30");
    assert_eq!(
        server.process("png", &alias, "crop=1x1&thumbnail=30&blur=nonsense"),
        plain
    );
    assert_eq!(disk::objects(&server.files()).len(), 2);
}

#[test]
fn every_variant_has_its_own_etag_and_is_revalidated_by_it() {
    let server = Server::start();
    let alias = server
        .upload(&pictures::png(&pictures::photo(300, 200)))
        .alias;
    let paths = [
        format!("/image/original/{alias}"),
        process_path("png", &alias, ""),
        process_path("png", &alias, "thumbnail=30"),
        process_path("jpg", &alias, "thumbnail=30"),
        process_path("webp", &alias, "thumbnail=30"),
    ];
    let mut etags = HashSet::new();
    for path in &paths {
        let answer = server.get(path).ok();
        let etag = answer.header("etag").expect("a tag").to_owned();
        assert!(etag.starts_with('"'), "{etag}");
        server
            .get_with(path, &[("if-none-match", &etag)])
            .status(304);
        let range = [("range", "bytes=2-5"), ("if-range", &*etag)];
        let part = server.get_with(path, &range).status(206);
        assert_eq!(part.body, answer.body[2..6]);
        assert!(answer.header("cache-control").is_some());
        etags.insert(etag);
    }
    assert_eq!(etags.len(), paths.len());
}

#[test]
fn head_and_details_never_make_a_variant_but_know_it_afterwards() {
    let server = Server::start();
    let uploaded = server.upload(&pictures::png(&pictures::photo(300, 200)));
    let path = process_path("webp", &uploaded.alias, "thumbnail=30");
    let details = path.replace("/process", "/details/process");
    assert_eq!(server.head(&path).status, 404);
    server.get(&details).refused(404, "alias-not-found");
    assert_eq!(disk::objects(&server.files()).len(), 1);

    let made = server.get(&path).ok();
    let head = server.head(&path).ok();
    assert_eq!(head.header("etag"), made.header("etag"));
    assert_eq!(head.header("content-length"), made.header("content-length"));
    let json = server.get(&details).ok().json();
    assert_eq!(json["msg"], "ok");
    assert_eq!(json["width"], 30);
    assert_eq!(json["height"], 20);
    assert_eq!(json["content_type"], "image/webp");
    assert_eq!(json["format"], "Image");
    assert_eq!(json["frames"], serde_json::Value::Null);
    assert_eq!(json["blurhash"], uploaded.details["blurhash"]);
}

#[test]
fn a_variant_of_one_alias_serves_all_of_the_same_content() {
    let server = Server::start();
    let bytes = pictures::png(&pictures::photo(90, 60));
    let (one, other) = (server.upload(&bytes), server.upload(&bytes));
    let made = server.process("webp", &one.alias, "thumbnail=30");
    server
        .head(&process_path("webp", &other.alias, "thumbnail=30"))
        .ok();
    assert_eq!(server.process("webp", &other.alias, "thumbnail=30"), made);
    assert_eq!(disk::objects(&server.files()).len(), 2);
}

#[test]
fn a_lost_variant_is_made_again() {
    let server = Server::with([("media.heal", "all")]);
    let bytes = pictures::png(&pictures::photo(90, 60));
    let alias = server.upload(&bytes).alias;
    let first = server.process("png", &alias, "thumbnail=30");
    lose_everything(&server);
    // Heals the original; the variant is still lost.
    server.upload(&bytes);
    assert_eq!(disk::objects(&server.files()).len(), 1);
    assert_eq!(server.process("png", &alias, "thumbnail=30"), first);
    assert_eq!(disk::objects(&server.files()).len(), 2);
    // Without a body to make, it just is not there.
    lose_everything(&server);
    let path = process_path("png", &alias, "thumbnail=30");
    server.head(&path).status(404);
    server.upload(&bytes);
    assert_eq!(server.get(&path).ok().body, first);
}

#[test]
fn a_lost_variant_is_forgotten_under_all_names_of_its_original() {
    let server = Server::start();
    let bytes = pictures::png(&pictures::photo(90, 60));
    let aliases = [(); 2].map(|()| server.upload(&bytes).alias);
    let original = disk::objects(&server.files());
    let [first, second] = aliases.each_ref().map(|alias| {
        server.process("png", alias, "thumbnail=30");
        process_path("png", alias, "thumbnail=30")
    });
    for name in disk::objects(&server.files()).into_keys() {
        if !original.contains_key(&name) {
            std::fs::remove_file(server.files().join(name)).expect("removed");
        }
    }
    // It is made again for the first name, and there for the other.
    server.get(&first).ok();
    server.head(&second).status(200);
}

#[test]
fn an_unknown_source_is_not_found() {
    let server = Server::start();
    let path = process_path("webp", "absent.png", "thumbnail=30");
    server.get(&path).refused(404, "alias-not-found");
    assert_eq!(server.head(&path).status, 404);
}

#[test]
fn quality_is_a_setting() {
    let image = pictures::png(&pictures::noise(200, 200, 14));
    let size_at = |quality: &str| {
        let server = Server::with([
            ("media.image.quality.jpeg", quality),
            ("media.image.quality.webp", quality),
        ]);
        let alias = server.upload(&image).alias;
        ["jpg", "webp"].map(|extension| server.process(extension, &alias, "").len())
    };
    let (low, high) = (size_at("20"), size_at("95"));
    assert!(
        low[0] * 2 < high[0] && low[1] * 2 < high[1],
        "{low:?} {high:?}"
    );
}

#[test]
fn one_picture_is_one_variant_whatever_frame_or_time_is_said() {
    let server = Server::start();
    let still = server
        .upload(&pictures::png(&pictures::photo(60, 40)))
        .alias;
    let film = pictures::gif(&pictures::film(40, 30, 4));
    let film = server.upload(&film).alias;
    for (alias, extension, more) in [
        (&still, "webp", "time=2"),
        (&still, "webp", "frame=1"),
        (&still, "apng", "frame=1&time=0"),
        (&film, "webp", "time=1"),
        // What keeps no animation is of the first frame already.
        (&film, "jpg", "frame=1"),
        (&film, "png", "frame=1&time=9"),
    ] {
        let same = process_path(extension, alias, &format!("thumbnail=9&{more}"));
        let plain = process_path(extension, alias, "thumbnail=9");
        let first = server.get(&plain).ok();
        let stored = disk::objects(&server.files()).len();
        server.head(&same).ok();
        let second = server.get(&same).ok();
        assert_eq!(
            first.header("etag"),
            second.header("etag"),
            "{extension} {more}"
        );
        assert_eq!(disk::objects(&server.files()).len(), stored);
        let ahead = same.replace("/process.", "/process_backgrounded.");
        server.get(&ahead).status(202);
    }
    assert_eq!(disk::objects(&server.files()).len(), 2 + 5);
    let moving = server.process("gif", &film, "thumbnail=9");
    let frame = server.process("gif", &film, "thumbnail=9&frame=1");
    assert_eq!(
        (pixels::frames(&moving).len(), pixels::frames(&frame).len()),
        (4, 1)
    );
    let beyond = process_path("webp", &still, "frame=2");
    server.get(&beyond).refused(400, "invalid-process-path");
}

#[test]
fn with_strict_operations_a_key_that_means_nothing_is_refused() {
    let server = Server::with([
        ("media.strict_operations", "true"),
        ("media.filters", "resize,thumbnail"),
    ]);
    let alias = server
        .upload(&pictures::png(&pictures::photo(60, 40)))
        .alias;
    server
        .get(&process_path("webp", &alias, "thumbnail=20"))
        .ok();
    server
        .get(&process_path("auto", &alias, "resize=20&frame=1"))
        .ok();
    for operations in [
        "width=20",
        "thumbnail=20&utm_source=x",
        "Thumbnail=20",
        // Known, but not allowed here.
        "blur=2",
    ] {
        for extension in ["webp", "auto"] {
            let path = process_path(extension, &alias, operations);
            let message = server.get(&path).refused(400, "invalid-process-path");
            assert!(message.contains("thumbnail"), "{message}");
            let later = path.replace("/process.", "/process_backgrounded.");
            server.get(&later).refused(400, "invalid-process-path");
            let details = path.replace("/image/", "/image/details/");
            server.get(&details).refused(400, "invalid-process-path");
        }
    }
    // Without the setting they are ignored, as by the existing pict-rs.
    let server = Server::start();
    let alias = server
        .upload(&pictures::png(&pictures::photo(60, 40)))
        .alias;
    server.get(&process_path("webp", &alias, "width=20")).ok();
}
