//! Small files that want much: limits hold on what headers say, and work that takes too long ends.

use std::fs;
use std::io::Write as _;

use crate::support::client::{Client, process_path};
use crate::support::{
    File, Launch, Server, database, disk, eventually, pictures, programs, server,
};

/// Made for this: each costs much more than its bytes.
fn hostile(name: &str) -> Vec<u8> {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/data/cases/hostile"
    );
    fs::read(format!("{folder}/{name}")).expect("it is there")
}

/// Writes `count` bits of a number, the lowest first, as JPEG XL has them.
fn set_bits(bytes: &mut [u8], at: usize, count: usize, value: usize) {
    for bit in 0..count {
        let (byte, place) = ((at + bit) / 8, (at + bit) % 8);
        let set = u8::from(value >> bit & 1 == 1);
        bytes[byte] = bytes[byte] & !(1 << place) | set << place;
    }
}

/// A JPEG XL of 1920 × 1080 pixels that shows two frames behind as many hidden ones, each of
/// 1056 × 1056 pixels.
fn hiding(frames: usize) -> Vec<u8> {
    const HEADER: usize = 10;
    const FRAME: usize = 11;
    const SHOWN: usize = 20;
    let file = hostile("hidden-fullhd.jxl");
    let (rest, shown) = file.split_at(file.len() - SHOWN);
    let hidden = rest[HEADER..].chunks_exact(FRAME).cycle().take(frames);
    let hidden = hidden.flat_map(|frame| {
        let mut frame = frame.to_vec();
        // Both sides less 256, behind how they are written.
        set_bits(&mut frame, 14, 11, 800);
        set_bits(&mut frame, 27, 11, 800);
        frame
    });
    let hidden: Vec<u8> = hidden.collect();
    [&rest[..HEADER], &hidden, shown].concat()
}

/// A server that has one processor for media work and has no queue.
fn single() -> Launch {
    Launch::new()
        .setting("media.concurrency", 1)
        .setting("media.queue_length", 0)
}

/// Whether the processor is free: a small picture is taken in at once.
fn is_free(server: &Server) -> bool {
    let bytes = pictures::png(&pictures::photo(9, 7));
    server.upload_form("", &[File::new(&bytes)]).status == 201
}

fn patched(mut bytes: Vec<u8>, at: usize, value: &[u8]) -> Vec<u8> {
    bytes[at..at + value.len()].copy_from_slice(value);
    bytes
}

/// As large as a PNG can say that it is; the checksum is right.
fn vast_png(bytes: &[u8]) -> Vec<u8> {
    let side = 0x7fff_ffff_u32.to_be_bytes();
    let header = [&side[..], &side, &bytes[24..29]].concat();
    let chunk = pictures::png_chunk(b"IHDR", &header);
    [&bytes[..8], &chunk, &bytes[33..]].concat()
}

fn vast_tiff() -> Vec<u8> {
    let mut file = b"II*\0\x08\0\0\0".to_vec();
    let entries: [(u16, u32); 9] = [
        (256, u32::MAX),
        (257, u32::MAX),
        (258, 8),
        (259, 1),
        (262, 1),
        (273, 8),
        (277, 1),
        (278, u32::MAX),
        (279, 64),
    ];
    file.extend(9u16.to_le_bytes());
    for (tag, value) in entries {
        file.extend(tag.to_le_bytes());
        file.extend([4, 0, 1, 0, 0, 0]);
        file.extend(value.to_le_bytes());
    }
    file.extend([0; 68]);
    file
}

/// A bitmap with a palette, and the same as an icon.
fn vast_bitmap(width: u32, height: u32) -> [Vec<u8>; 2] {
    let mut header = 40u32.to_le_bytes().to_vec();
    header.extend(width.to_le_bytes());
    header.extend(height.to_le_bytes());
    header.extend([1, 0, 8, 0]);
    header.extend([0; 24]);
    let pixels = [0; 1200];
    let bmp = [&b"BM\0\0\0\0\0\0\0\0\x36\x04\0\0"[..], &header, &pixels].concat();
    let length = u32::try_from(header.len() + pixels.len()).expect("small");
    let directory = [
        &[0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 1, 0, 8, 0][..],
        &length.to_le_bytes(),
        &22u32.to_le_bytes(),
    ];
    let ico = [&directory.concat()[..], &header, &pixels].concat();
    [bmp, ico]
}

/// A file of each format that is read, with headers that claim the largest size that fits there.
fn claims() -> Vec<(&'static str, Vec<u8>)> {
    let formats = |name: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/formats");
        fs::read(format!("{folder}/{name}")).expect("it is there")
    };
    let jpeg = |bytes: Vec<u8>, marker: u8| {
        let at = pictures::find(&bytes, &[0xff, marker]) + 5;
        patched(bytes, at, &[0xff; 4])
    };
    let sized = |name: &str, side: u32| {
        let bytes = formats(name);
        let at = pictures::find(&bytes, b"ispe") + 8;
        patched(
            bytes,
            at,
            &[side.to_be_bytes(), side.to_be_bytes()].concat(),
        )
    };
    let photo = pictures::photo(16, 16);
    let film = pictures::film(16, 16, 3);
    let progressive = include_bytes!("../../fuzz/seeds/jpeg/progressive.jpg").to_vec();
    let interlaced = include_bytes!("../../fuzz/seeds/png/interlaced.png");
    let lossless = include_bytes!("../../fuzz/seeds/webp/lossless.webp").to_vec();
    let lossy = include_bytes!("../../fuzz/seeds/webp/lossy.webp").to_vec();
    let moving = pictures::animated_webp(&film);
    let [bmp, ico] = vast_bitmap(0x7fff_ffff, 0x7fff_ffff);
    let [wide_bmp, wide_ico] = vast_bitmap(65_535, 65_534);
    let lossless_at = pictures::find(&lossless, b"VP8L") + 9;
    let lossy_at = pictures::find(&lossy, &[0x9d, 0x01, 0x2a]) + 3;
    let moving_at = pictures::find(&moving, b"VP8X") + 12;
    let gif_file = pictures::gif(&film);
    let mut claims = vec![
        ("jpeg", jpeg(pictures::jpeg(&photo), 0xc0)),
        ("progressive jpeg", jpeg(progressive, 0xc2)),
        ("png", vast_png(&pictures::png(&photo))),
        ("interlaced png", vast_png(interlaced)),
        ("apng", vast_png(&pictures::apng(&film))),
        ("gif", patched(gif_file, 6, &[0xff; 4])),
        ("webp", patched(lossy, lossy_at, &[0xff, 0x3f, 0xff, 0x3f])),
        (
            "lossless webp",
            patched(lossless, lossless_at, &[0xff, 0xff, 0xff, 0x0f]),
        ),
        ("animated webp", patched(moving, moving_at, &[0xff; 6])),
        ("avif", sized("still.avif", u32::MAX)),
        ("wide avif", sized("still.avif", 65_535)),
        ("tiff", vast_tiff()),
        ("bmp", bmp),
        ("wide bmp", wide_bmp),
        ("ico", ico),
        ("wide ico", wide_ico),
        ("qoi", patched(formats("still.qoi"), 4, &[0xff; 8])),
        ("pnm", b"P6 4294967295 4294967295 255\n".to_vec()),
        ("wide pnm", b"P5 4294967295 1 255\n".to_vec()),
        (
            "svg",
            b"<svg xmlns='http://www.w3.org/2000/svg' width='1e9' height='1e9'/>".to_vec(),
        ),
    ];
    for name in ["hidden-4.jxl", "hidden-20.jxl", "hidden-600.jxl"] {
        claims.push((name, hostile(name)));
    }
    claims
}

#[test]
fn headers_that_claim_the_largest_sizes_cost_no_memory() {
    let server = single().setting("media.svg.enable", true).start();
    assert!(is_free(&server));
    server.forget_peak_memory();
    let before = server.peak_memory_kib();
    for (name, bytes) in claims() {
        let answer = server.upload_form("", &[File::new(&bytes)]);
        assert_eq!(answer.status, 400, "{name}: {}", answer.text());
        assert!(is_free(&server), "{name}");
        if server::is_emulated() {
            continue;
        }
        let grown = server.peak_memory_kib().saturating_sub(before);
        assert!(grown < 24 * 1024, "{name}: the peak grew by {grown} KiB");
    }
    if server::is_emulated() {
        programs::skip("memory", "claims cost no memory", "the program is emulated");
    }
}

#[test]
fn what_a_still_hides_is_not_larger_than_itself() {
    let server = single().start();
    for name in ["hidden-still-4.jxl", "hidden-still-30.jxl"] {
        let message = server.upload_refused("", &hostile(name), 400, "discover-error");
        assert!(message.contains("7050"), "{message}");
        assert!(is_free(&server));
    }
}

#[test]
fn frames_that_are_never_shown_count_as_frames() {
    let server = Server::with([("media.animation.max_frame_count", "7")]);
    let message = server.upload_refused("", &hiding(9), 400, "validate-frames");
    assert!(message.contains('7'), "{message}");
    let uploaded = server.upload(&hiding(5));
    assert_eq!(uploaded.details["frames"], 2);
}

#[test]
fn inspection_stops_at_the_time_limit_and_frees_its_processor() {
    let server = single().setting("media.process_timeout", 1).start();
    server.upload_refused("", &hiding(890), 400, "process-timeout");
    eventually("the processor is free again", || {
        is_free(&server).then_some(())
    });
}

#[test]
fn inspection_stops_when_its_client_has_gone() {
    let server = single()
        .setting("media.process_timeout", 600)
        .setting("server.api_key", "key")
        .start();
    // Another upload would race for the only processor.
    let running = || {
        let answer = server.get_with("/internal/health", &[("X-Api-Token", "key")]);
        answer.ok().json()["media"]["running"].as_u64()
    };
    let bytes = hiding(890);
    let boundary = "b";
    let body = [
        b"--b\r\ncontent-disposition: form-data; name=\"images[]\"; filename=\"a.jxl\"\r\n\r\n",
        &bytes[..],
        b"\r\n--b--\r\n",
    ]
    .concat();
    let head = format!(
        "POST /image HTTP/1.1\r\nhost: x\r\ncontent-type: multipart/form-data; \
         boundary={boundary}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = server.connect();
    stream.write_all(head.as_bytes()).expect("sent");
    stream.write_all(&body).expect("sent");
    eventually("it is being inspected", || {
        (running() == Some(1)).then_some(())
    });
    drop(stream);
    eventually("the processor is free again", || {
        is_free(&server).then_some(())
    });
}

#[test]
fn style_sheets_that_are_too_much_work_are_refused() {
    let server = single()
        .setting("media.svg.enable", true)
        .setting("media.process_timeout", 5)
        .start();
    let file = hostile("descendant-selectors.svg");
    let message = server.upload_refused("", &file, 400, "discover-error");
    assert!(message.contains("matches of styles"), "{message}");
    assert!(is_free(&server));
}

#[test]
fn one_picture_has_no_more_variants_than_the_settings_say() {
    let server = Server::with([("media.variants_per_original", "3")]);
    let alias = server
        .upload(&pictures::png(&pictures::photo(90, 60)))
        .alias;
    let other = server
        .upload(&pictures::png(&pictures::photo(91, 60)))
        .alias;
    server.process("png", &other, "thumbnail=20");
    let kept = || database::texts(&server.data(), "SELECT variant FROM variants");
    for size in 20..30 {
        let made = server.process("png", &alias, &format!("thumbnail={size}"));
        assert_eq!(
            server.process("png", &alias, &format!("thumbnail={size}")),
            made
        );
        assert!(kept().len() <= 4, "{:?}", kept());
    }
    assert!(kept().contains(&"thumbnail/29/png".to_owned()));
    eventually("their files are gone", || {
        (disk::objects(&server.files()).len() == 6).then_some(())
    });
    // What was dropped is made again.
    server.process("png", &alias, "thumbnail=20");
}

#[test]
fn a_tiny_file_cannot_fill_the_disk_with_variants() {
    let server = Server::start();
    // Noise that a few bytes ask for, which no PNG makes small.
    let alias = server.upload(&hostile("film-grain-25MP.avif")).alias;
    for size in [2400, 2500, 2600, 2700] {
        server.process("png", &alias, &format!("thumbnail={size}"));
    }
    let sizes = database::texts(&server.data(), "SELECT CAST(size AS TEXT) FROM variants");
    let bytes: u64 = sizes
        .iter()
        .map(|size| size.parse::<u64>().expect("a number"))
        .sum();
    assert!(bytes <= 32 << 20, "{sizes:?}");
    assert!(sizes.len() < 4, "{sizes:?}");
}

#[test]
fn blurs_that_look_alike_are_one_variant() {
    let server = Server::start();
    let alias = server
        .upload(&pictures::png(&pictures::photo(40, 30)))
        .alias;
    for operations in ["", "blur=0", "blur=0.0000001", "blur=0.00000011"] {
        server.process("png", &alias, operations);
    }
    for operations in ["blur=1e30", "blur=1e31", "blur=99999"] {
        server.process("png", &alias, operations);
    }
    let kept = database::texts(&server.data(), "SELECT variant FROM variants");
    assert_eq!(kept.len(), 2, "{kept:?}");
    // The server answers as long as anybody asks.
    Client::new(server.address)
        .get(&process_path("png", &alias, "blur=2"))
        .ok();
}
