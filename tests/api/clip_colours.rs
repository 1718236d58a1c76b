//! Frames of clips have the colours that browsers show.

use image::{DynamicImage, Rgb, RgbImage};

use crate::support::server::Launch;
use crate::support::{Server, clips, pictures, pixels};

fn server(path: &str) -> Server {
    Launch::new().environment("PATH", path).start()
}

/// Plain squares of 32 pixels.
const COLOURS: [[u8; 3]; 6] = [
    [255, 255, 255],
    [128, 128, 128],
    [200, 120, 60],
    [60, 120, 200],
    [120, 200, 60],
    [20, 40, 30],
];

fn squares(scale: u32) -> DynamicImage {
    let side = 32 * scale;
    let colour = |x: u32, _| Rgb(COLOURS[(x / side) as usize]);
    DynamicImage::ImageRgb8(RgbImage::from_fn(6 * side, 4 * side, colour))
}

/// A clip of the squares. `matrix` and `range` say how they become brightness and differences,
/// `words` how that is written.
fn clip(scale: u32, matrix: &str, range: &str, words: &str) -> Vec<u8> {
    let filter = format!(
        "scale=out_color_matrix={matrix}:out_range={range}:flags=accurate_rnd+full_chroma_int"
    );
    let mut all = vec![
        "-loop", "1", "-t", "0.3", "-r", "10", "-f", "png_pipe", "-i", "0",
    ];
    all.extend(["-vf", &filter]);
    all.extend(words.split(' '));
    clips::run(&all, &[&pictures::png(&squares(scale))])
}

/// The middle of each square of the frame that the server shows.
fn shown(server: &Server, clip: &[u8]) -> Vec<[u8; 3]> {
    let alias = server.upload(clip).alias;
    let frame = pixels::decode(&server.process("png", &alias, "")).to_rgb8();
    let side = frame.width() / 6;
    (0..6)
        .map(|n| frame.get_pixel(n * side + side / 2, side / 2).0)
        .collect()
}

fn assert_near(found: &[[u8; 3]], expected: &[[u8; 3]], off: u8, what: &str) {
    let is_near = |(found, expected): (&[u8; 3], &[u8; 3])| {
        found
            .iter()
            .zip(expected)
            .all(|(a, b)| a.abs_diff(*b) <= off)
    };
    let all = found.iter().zip(expected).all(is_near);
    assert!(
        all && found.len() == expected.len(),
        "{what}: {found:?}, {expected:?}"
    );
}

const H264: &str = "-pix_fmt yuv420p -c:v libx264 -crf 6 clip.mp4";
const VP9: &str = "-pix_fmt yuv420p -c:v libvpx-vp9 -crf 6 -b:v 0 -cpu-used 8 clip.webm";

fn tags(matrix: &str, primaries: &str, transfer: &str, range: &str) -> String {
    format!(
        "-colorspace {matrix} -color_primaries {primaries} -color_trc {transfer} -color_range {range}"
    )
}

#[test]
fn named_colours_come_back_as_they_were() {
    let Some(path) = clips::path_or_skip("colours of videos") else {
        return;
    };
    let server = server(&path);
    for (matrix, range, tags) in [
        ("bt709", "tv", tags("bt709", "bt709", "bt709", "tv")),
        ("bt709", "pc", tags("bt709", "bt709", "iec61966-2-1", "pc")),
        // Browsers do not tell the primaries of American television from those of sRGB.
        (
            "smpte170m",
            "tv",
            tags("smpte170m", "smpte170m", "smpte170m", "tv"),
        ),
    ] {
        for written in [H264, VP9] {
            let clip = clip(1, matrix, range, &format!("{tags} {written}"));
            assert_near(
                &shown(&server, &clip),
                &COLOURS,
                4,
                &format!("{tags} {written}"),
            );
        }
    }
    let alias = server
        .upload(include_bytes!("../data/cases/bt709-tagged.mp4"))
        .alias;
    let frame = pixels::decode(&server.process("png", &alias, ""));
    // As Chromium plays it.
    pixels::assert_colour(&frame, 10, 12, [230, 21, 23], 6);
    pixels::assert_colour(&frame, 74, 12, [146, 181, 60], 6);
}

#[test]
fn a_clip_without_names_is_taken_for_what_its_size_suggests() {
    let Some(path) = clips::path_or_skip("colours of videos without names") else {
        return;
    };
    let server = server(&path);
    let small = clip(1, "smpte170m", "tv", H264);
    assert_near(&shown(&server, &small), &COLOURS, 4, "small");
    let large = clip(6, "bt709", "tv", H264);
    assert_near(&shown(&server, &large), &COLOURS, 4, "768 rows");
}

#[test]
fn wide_colours_become_those_of_screens() {
    let Some(path) = clips::path_or_skip("wide colours of videos") else {
        return;
    };
    let server = server(&path);
    // What Chromium 150 shows of the squares.
    let p3 = [
        [255; 3],
        [128; 3],
        [214, 115, 50],
        [27, 122, 201],
        [90, 201, 27],
    ];
    let bt2020 = [
        [255; 3],
        [128; 3],
        [235, 105, 48],
        [0, 124, 202],
        [0, 209, 2],
    ];
    for (matrix, tags, expected) in [
        ("bt709", tags("bt709", "smpte432", "bt709", "tv"), p3),
        (
            "bt2020",
            tags("bt2020nc", "bt2020", "bt2020-10", "tv"),
            bt2020,
        ),
    ] {
        let clip = clip(1, matrix, "tv", &format!("{tags} {H264}"));
        let found = shown(&server, &clip);
        assert_near(&found[..3], &expected[..3], 10, &tags);
        // What no screen can show is cut off in other ways.
        assert_near(&found[3..5], &expected[3..], 40, &tags);
    }
}

#[test]
fn hdr_clips_are_shown_as_hdr_stills_are() {
    let Some(path) = clips::path_or_skip("HDR videos") else {
        return;
    };
    let server = server(&path);
    let ten_bits =
        "-pix_fmt yuv420p10le -c:v libaom-av1 -crf 6 -cpu-used 8 -usage realtime clip.mp4";
    for transfer in ["arib-std-b67", "smpte2084"] {
        let tags = tags("bt2020nc", "bt2020", transfer, "tv");
        let clip = clip(1, "bt2020", "tv", &format!("{tags} {ten_bits}"));
        let found = shown(&server, &clip);
        // The same squares as a still with the same names.
        let png = pictures::png(&squares(1));
        let code = if transfer == "smpte2084" { 16 } else { 18 };
        let chunk = pictures::png_chunk(b"cICP", &[9, code, 0, 1]);
        let still = [&png[..33], &chunk, &png[33..]].concat();
        let still = pixels::decode(&server.process("png", &server.upload(&still).alias, ""));
        let still = still.to_rgb8();
        let expected: Vec<_> = (0..6).map(|n| still.get_pixel(n * 32 + 16, 16).0).collect();
        assert_near(&found, &expected, 10, transfer);
    }
    // What is not converted is grey and flat.
    let alias = server.upload(include_bytes!("../data/cases/hlg.mp4")).alias;
    let frame = pixels::decode(&server.process("png", &alias, "")).to_luma8();
    let levels = frame.pixels().map(|pixel| pixel.0[0]);
    let (darkest, brightest) = (levels.clone().min(), levels.max());
    let spread = brightest.zip(darkest).map(|(high, low)| high - low);
    assert!(spread > Some(120), "{darkest:?} to {brightest:?}");
}
