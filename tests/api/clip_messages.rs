//! What cameras and encoders write into the stream of a clip beside its pictures: where they were,
//! how fast, with which settings. None of it is stored.

use crate::support::server::Launch;
use crate::support::{Server, clips};

const MARK: &[u8] = b"LEAKMARK";

fn server(path: &str) -> Server {
    Launch::new().environment("PATH", path).start()
}

fn has(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

/// A digest of each frame.
fn frames(clip: &[u8]) -> Vec<u8> {
    let words = "-i 0 -map 0:v -f framemd5 frames";
    let frames = clips::run(&words.split(' ').collect::<Vec<_>>(), &[clip]);
    // The head names the program, not the frames.
    let lines = frames.split(|byte| *byte == b'\n');
    lines
        .filter(|line| !line.starts_with(b"#"))
        .flatten()
        .copied()
        .collect()
}

/// Uploads a clip with marks, and gives what is stored.
fn stored(server: &Server, clip: &[u8]) -> Vec<u8> {
    assert!(has(clip, MARK), "the test has something to find");
    let stored = server.original(&server.upload(clip).alias);
    assert!(!has(&stored, MARK));
    assert!(frames(&stored) == frames(clip), "no frame has changed");
    let again = server.upload(&stored);
    assert!(
        server.original(&again.alias) == stored,
        "cleaning what is clean"
    );
    stored
}

/// What ffmpeg makes of a stream.
fn remuxed(stream: &[u8], how: &str) -> Vec<u8> {
    clips::run(&how.split(' ').collect::<Vec<_>>(), &[stream])
}

#[test]
fn places_and_settings_in_h264_are_gone_and_every_frame_stays() {
    let Some(path) = clips::path_or_skip("messages in H.264") else {
        return;
    };
    let server = server(&path);
    let stored = stored(&server, include_bytes!("../data/cases/sei-gps.mp4"));
    for word in [&b"x264"[..], b"lat=", b"options: cabac"] {
        assert!(!has(&stored, word));
    }
}

#[test]
fn messages_before_and_behind_a_picture_of_hevc_are_gone() {
    let Some(path) = clips::path_or_skip("messages in HEVC") else {
        return;
    };
    let server = server(&path);
    let words = "-c:v libx265 -pix_fmt yuv420p -x265-params log-level=error clip.hevc";
    let clip = clips::make("64x48", "1", false, &words.split(' ').collect::<Vec<_>>());
    // Messages of 24 bytes: who it is for, then the words.
    let sei = |kind: u8| {
        let words = [&[kind << 1, 1, 5, 24][..], &[0x55; 16], MARK, &[0x80]].concat();
        [&[0, 0, 0, 1][..], &words].concat()
    };
    // Before everything, where the description of the stream takes it up, and at the end.
    let clip = [&sei(39)[..], &clip, &sei(40)].concat();
    let mp4 = remuxed(&clip, "-f hevc -i 0 -c copy -tag:v hvc1 clip.mp4");
    let stored = stored(&server, &mp4);
    assert!(has(&mp4, b"x265") && !has(&stored, b"x265"));
}

#[test]
fn metadata_of_av1_is_gone_in_both_containers() {
    let Some(path) = clips::path_or_skip("messages in AV1") else {
        return;
    };
    let server = server(&path);
    let words = "-c:v libaom-av1 -cpu-used 8 -usage realtime clip.obu";
    let clip = clips::make("64x48", "0.5", false, &words.split(' ').collect::<Vec<_>>());
    // Behind the first delimiter: words of some country's standard, then padding.
    assert_eq!(clip[..2], [0x12, 0]);
    let unit = |kind: u8, content: &[u8]| {
        let length = u8::try_from(content.len()).expect("short");
        [&[kind << 3 | 2, length], content].concat()
    };
    let told = unit(5, &[&[4, 0xb5][..], MARK, &[0x80]].concat());
    let padding = unit(15, &[MARK, &[0x80]].concat());
    let header = usize::from(clip[3]) + 4;
    let clip = [&clip[..header], &told, &padding, &clip[header..]].concat();
    for container in ["clip.mp4", "clip.webm"] {
        let file = remuxed(&clip, &format!("-f obu -i 0 -c copy {container}"));
        stored(&server, &file);
    }
}

#[test]
fn what_is_coded_anew_tells_no_settings() {
    let Some(path) = clips::path_or_skip("settings of encoders") else {
        return;
    };
    let words = "-c:v libvpx -b:v 1M clip.webm";
    let clip = clips::make("64x48", "0.5", false, &words.split(' ').collect::<Vec<_>>());
    for (codec, program) in [("h264", &b"x264 - core"[..]), ("h265", b"x265 (build")] {
        let server = Launch::new()
            .environment("PATH", &path)
            .setting("media.video.video_codec", codec)
            .start();
        let stored = server.original(&server.upload(&clip).alias);
        assert!(!has(&stored, program), "{codec}");
    }
}
