//! Clips: what is taken in, what is left of it, and pictures of it. ffmpeg is a real one, but for
//! faults that a real one does not have.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::json;
use tempfile::TempDir;

use crate::support::client::process_path;
use crate::support::server::Launch;
use crate::support::{Server, clips, disk, eventually, pixels};

const H264: [&str; 4] = ["-c:v", "libx264", "-pix_fmt", "yuv420p"];

fn server(path: &str) -> Launch {
    Launch::new().environment("PATH", path)
}

fn h264(size: &str) -> Vec<u8> {
    let mut words = H264.to_vec();
    words.push("clip.mp4");
    clips::make(size, "1", false, &words)
}

#[test]
fn every_codec_is_taken_in_and_told_exactly() {
    let Some(path) = clips::path_or_skip("codecs of videos") else {
        return;
    };
    let server = server(&path).start();
    for (arguments, extension) in [
        ("-c:v libx264 -pix_fmt yuv420p clip.mp4", "mp4"),
        ("-c:v libx264 -pix_fmt yuv420p clip.mov", "mp4"),
        (
            "-c:v libx264 -pix_fmt yuv420p -movflags frag_keyframe+empty_moov -g 3 clip.mp4",
            "mp4",
        ),
        (
            "-c:v libx265 -pix_fmt yuv420p -x265-params log-level=error clip.mp4",
            "mp4",
        ),
        (
            "-c:v libaom-av1 -cpu-used 8 -usage realtime clip.mp4",
            "mp4",
        ),
        (
            "-c:v libaom-av1 -cpu-used 8 -usage realtime clip.webm",
            "webm",
        ),
        ("-c:v libvpx clip.webm", "webm"),
        ("-c:v libvpx-vp9 -cpu-used 8 clip.webm", "webm"),
        ("-c:v libvpx-vp9 -cpu-used 8 -live 1 clip.webm", "webm"),
    ] {
        let words: Vec<_> = arguments.split(' ').collect();
        let uploaded = server.upload(&clips::make("96x64", "1", false, &words));
        let details = &uploaded.details;
        assert!(
            uploaded.alias.ends_with(&format!(".{extension}")),
            "{arguments}"
        );
        assert_eq!(details["content_type"], format!("video/{extension}"));
        assert_eq!(details["format"], "Video");
        assert_eq!(
            (&details["width"], &details["height"], &details["frames"]),
            (&json!(96), &json!(64), &json!(10)),
            "{arguments}"
        );
        let duration = details["duration"].as_f64().expect("a number");
        assert!((0.9..1.2).contains(&duration), "{arguments}: {duration}");
        let stored = server.original(&uploaded.alias);
        assert!(
            clips::probe(&stored).contains("nb_read_frames=10"),
            "{arguments}"
        );
        let frame = pixels::decode(&server.process("png", &uploaded.alias, "thumbnail=48"));
        assert_eq!((frame.width(), frame.height()), (48, 32), "{arguments}");
        let again = server.upload(&stored);
        assert_eq!(
            server.original(&again.alias),
            stored,
            "cleaning what is clean: {arguments}"
        );
    }
}

#[test]
fn no_place_name_or_chapter_stays_and_no_other_track() {
    let Some(path) = clips::path_or_skip("metadata of videos") else {
        return;
    };
    let server = server(&path).start();
    let subtitles = b"1\n00:00:00,000 --> 00:00:00,900\nSECRET subtitle\n";
    let notes = b";FFMETADATA1\ntitle=SECRET title\nlocation=+52.5-013.4/\ncomment=SECRET comment\n\
        creation_time=2024-05-05T05:05:05Z\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=900\ntitle=SECRET chapter\n";
    let mp4 = h264("96x64");
    let dirty = "-i 0 -i 1 -i 2 -map 0:v -map 1 -map_metadata 2 -map_chapters 2 -c copy \
        -c:s mov_text -metadata:s:v title=SECRET -metadata:s:v handler_name=SECRET \
        -timecode 01:02:03:04 -movflags use_metadata_tags clip.mov";
    let words: Vec<_> = dirty.split_whitespace().collect();
    let dirty = clips::run(&words, &[&mp4, subtitles, notes]);
    let before = clips::probe(&dirty);
    assert!(
        before.contains("SECRET") && before.contains("timecode"),
        "{before}"
    );
    let uploaded = server.upload(&dirty);
    let stored = server.original(&uploaded.alias);
    for tell_tale in [&b"SECRET"[..], b"+52.5", b"Lavf", b"2024-05", b"tmcd"] {
        assert!(
            !stored.windows(tell_tale.len()).any(|w| w == tell_tale),
            "{tell_tale:?}"
        );
    }
    let after = clips::probe(&stored);
    assert_eq!(after.matches("[STREAM]").count(), 1, "{after}");
    assert!(!after.contains("CHAPTER"), "{after}");
    // The index comes before the pictures, so that a browser can begin at once.
    let at = |name: &[u8]| stored.windows(4).position(|w| w == name).expect("there");
    assert!(at(b"moov") < at(b"mdat"));
    // The same pictures with other words about them are the same content.
    let other = server.upload(&mp4);
    assert_eq!(server.original(&other.alias), stored);
}

#[test]
fn sound_goes_unless_it_is_allowed() {
    let Some(path) = clips::path_or_skip("sound of videos") else {
        return;
    };
    let silent = server(&path).start();
    let loud = server(&path)
        .setting("media.video.allow_audio", "true")
        .start();
    for (arguments, codec) in [
        (
            "-c:v libx264 -pix_fmt yuv420p -c:a aac -shortest clip.mp4",
            "aac",
        ),
        (
            "-c:v libx264 -pix_fmt yuv420p -c:a pcm_s16le -shortest clip.mov",
            "aac",
        ),
        (
            "-c:v libvpx-vp9 -cpu-used 8 -c:a libopus -shortest clip.webm",
            "opus",
        ),
        ("-c:v libvpx -c:a libvorbis -shortest clip.webm", "vorbis"),
    ] {
        let words: Vec<_> = arguments.split(' ').collect();
        let clip = clips::make("64x64", "1", true, &words);
        assert!(clips::probe(&clip).contains("codec_type=audio"));
        let stored = silent.original(&silent.upload(&clip).alias);
        assert!(
            !clips::probe(&stored).contains("codec_type=audio"),
            "{arguments}"
        );
        let stored = loud.original(&loud.upload(&clip).alias);
        let probed = clips::probe(&stored);
        assert!(
            probed.contains(&format!("codec_name={codec}")),
            "{arguments}: {probed}"
        );
    }
}

#[test]
fn turned_narrow_and_uneven_clips_have_the_size_that_browsers_show() {
    let Some(path) = clips::path_or_skip("sizes of videos") else {
        return;
    };
    let server = server(&path).start();
    let plain = h264("96x64");
    let turned = "-i 0 -c copy -metadata:s:v rotate=90 clip.mp4";
    let turned = clips::run(&turned.split(' ').collect::<Vec<_>>(), &[&plain]);
    let narrow = "-i 0 -vf setsar=2/1 -c:v libx264 clip.mp4";
    let narrow = clips::run(&narrow.split(' ').collect::<Vec<_>>(), &[&plain]);
    let words = [
        "-vf",
        "scale=75:51,setsar=1",
        "-c:v",
        "libvpx-vp9",
        "clip.webm",
    ];
    let uneven = clips::make("96x64", "1", false, &words);
    let words = ["-vf", "setsar=1/2", "-c:v", "libvpx", "clip.webm"];
    let flat = clips::make("96x64", "1", false, &words);
    for (clip, size) in [
        (turned, (64, 96)),
        (narrow, (192, 64)),
        (uneven, (75, 51)),
        (flat, (96, 128)),
    ] {
        let uploaded = server.upload(&clip);
        let details = &uploaded.details;
        assert_eq!(
            (&details["width"], &details["height"]),
            (&json!(size.0), &json!(size.1))
        );
        let frame = pixels::decode(&server.process("png", &uploaded.alias, ""));
        assert_eq!((frame.width(), frame.height()), size);
    }
}

#[test]
fn frames_keep_the_times_that_they_had() {
    let Some(path) = clips::path_or_skip("variable frame rate") else {
        return;
    };
    // Every frame of the first half, every fourth one of the second.
    let words = "-vf select='lt(n,10)+not(mod(n,4))' -fps_mode passthrough -c:v libx264 -pix_fmt \
        yuv420p clip.mp4";
    let words: Vec<_> = words.split_whitespace().collect();
    let clip = clips::make("64x64", "2", false, &words);
    for codec in ["", "vp9"] {
        let mut launch = server(&path);
        if !codec.is_empty() {
            launch = launch.setting("media.video.video_codec", codec);
        }
        let server = launch.start();
        let uploaded = server.upload(&clip);
        assert_eq!(uploaded.details["frames"], 12, "{codec}");
        let probed = clips::probe(&server.original(&uploaded.alias));
        assert!(probed.contains("nb_read_frames=12"), "{probed}");
    }
}

#[test]
fn another_codec_is_written_when_the_settings_want_it() {
    let Some(path) = clips::path_or_skip("transcoding") else {
        return;
    };
    let words =
        "-vf scale=75:51 -c:v libvpx-vp9 -cpu-used 8 -pix_fmt yuva420p -auto-alt-ref 0 clip.webm";
    let words: Vec<_> = words.split(' ').collect();
    let odd = clips::make("75x51", "0.5", false, &words);
    for (codec, extension, name) in [
        ("h264", "mp4", "h264"),
        ("h265", "mp4", "hevc"),
        ("vp8", "webm", "vp8"),
        ("av1", "webm", "av1"),
    ] {
        let server = server(&path)
            .setting("media.video.video_codec", codec)
            .start();
        let uploaded = server.upload(&odd);
        assert!(uploaded.alias.ends_with(extension), "{codec}");
        assert_eq!(uploaded.details["width"], 74, "{codec}");
        assert_eq!(uploaded.details["height"], 50, "{codec}");
        let probed = clips::probe(&server.original(&uploaded.alias));
        assert!(probed.contains(&format!("codec_name={name}")), "{probed}");
        let frame = pixels::decode(&server.process("png", &uploaded.alias, ""));
        assert_eq!(frame.color().has_alpha(), codec == "vp8", "{codec}");
    }
}

#[test]
fn the_picture_of_a_clip_is_no_black_opening_and_time_asks_for_another() {
    let Some(path) = clips::path_or_skip("frames of videos") else {
        return;
    };
    let server = server(&path).start();
    let words = "-f lavfi -i color=black:s=64x64:r=10:d=0.3 -f lavfi -i color=red:s=64x64:r=10:d=1.2 \
        -f lavfi -i color=blue:s=64x64:r=10:d=2 -filter_complex [0][1][2]concat=n=3 -c:v libx264 \
        -pix_fmt yuv420p clip.mp4";
    let clip = clips::run(&words.split_whitespace().collect::<Vec<_>>(), &[]);
    let alias = server.upload(&clip).alias;
    let colour = |operations: &str| {
        let frame = pixels::decode(&server.process("png", &alias, operations)).to_rgb8();
        frame.get_pixel(frame.width() / 2, frame.height() / 2).0
    };
    let [red, _, blue] = colour("thumbnail=32");
    assert!(red.max(blue) > 200, "not black");
    assert!(colour("time=0")[0] < 40);
    assert!(colour("time=1&thumbnail=16")[0] > 200);
    assert!(colour("time=3")[2] > 200);
    assert!(
        colour("time=3.5")[2] > 200,
        "the last frame is shown to the end"
    );
    let path = process_path("png", &alias, "time=4");
    let message = server.get(&path).refused(400, "invalid-process-path");
    assert!(message.contains("3.500 seconds"), "{message}");
    for wrong in ["time=x", "frame=1"] {
        server
            .get(&process_path("png", &alias, wrong))
            .refused(400, "invalid-process-path");
    }
    // A picture of a clip is a still in whatever can move.
    for extension in ["webp", "gif", "jpg"] {
        let made = server.process(extension, &alias, "thumbnail=16");
        assert_eq!(pixels::decode(&made).width(), 16, "{extension}");
    }
}

#[test]
fn time_gives_the_frame_that_is_shown_then_and_not_the_next_one() {
    let Some(path) = clips::path_or_skip("frames that are shown for long") else {
        return;
    };
    let server = server(&path).start();
    // Red for 1.8 seconds, in a single frame; then blue.
    let words = "-f lavfi -i color=red:s=64x64:r=10:d=0.1 -f lavfi -i color=blue:s=64x64:r=10:d=0.5 \
        -filter_complex [0][1]concat=n=2,setpts='if(eq(N,0),0,PTS+1.8/TB)' -fps_mode passthrough";
    for ending in [
        "-c:v libx264 -pix_fmt yuv420p clip.mp4",
        "-c:v libvpx clip.webm",
    ] {
        let words = words.split_whitespace().chain(ending.split_whitespace());
        let clip = clips::run(&words.collect::<Vec<_>>(), &[]);
        let alias = server.upload(&clip).alias;
        let colour = |time: &str| {
            let frame = pixels::decode(&server.process("png", &alias, &format!("time={time}")));
            frame.to_rgb8().get_pixel(32, 32).0
        };
        for time in ["0", "0.5", "1.79"] {
            let [red, _, blue] = colour(time);
            assert!(red > 200 && blue < 40, "{time} of {ending}");
        }
        for time in ["1.8", "1.85", "2.2"] {
            let [red, _, blue] = colour(time);
            assert!(blue > 200 && red < 40, "{time} of {ending}");
        }
    }
}

#[test]
fn a_browser_can_seek_in_a_clip() {
    let Some(path) = clips::path_or_skip("ranges of videos") else {
        return;
    };
    let server = server(&path).start();
    let alias = server.upload(&h264("96x64")).alias;
    let whole = server.original(&alias);
    let url = format!("/image/original/{alias}");
    let part = server
        .get_with(&url, &[("range", "bytes=100-199")])
        .status(206);
    assert_eq!(part.body, whole[100..200]);
    assert_eq!(part.header("content-type"), Some("video/mp4"));
}

#[test]
fn limits_and_switches_of_videos_count() {
    let Some(path) = clips::path_or_skip("limits of videos") else {
        return;
    };
    let clip = h264("96x64");
    for (key, value, code) in [
        ("max_width", "95", "validate-width"),
        ("max_height", "63", "validate-height"),
        ("max_area", "6143", "validate-area"),
        ("max_frame_count", "9", "validate-frames"),
        ("enable", "false", "video-disabled"),
    ] {
        let server = server(&path)
            .setting(&format!("media.video.{key}"), value)
            .start();
        server.upload_refused("", &clip, 400, code);
        disk::assert_nothing_stored(&server);
    }
    let server = server(&path).start();
    server.upload_refused("allow_video=false", &clip, 400, "media-disallowed");
    server.upload_refused("max_frame_count=5", &clip, 400, "validate-frames");
    disk::assert_nothing_stored(&server);
}

#[test]
fn what_browsers_do_not_play_is_refused_by_name() {
    let Some(path) = clips::path_or_skip("refused videos") else {
        return;
    };
    let server = server(&path).start();
    for (arguments, word) in [
        ("-c:v mpeg4 clip.mp4", "mp4v"),
        ("-c:v libx264 clip.mkv", "V_MPEG4/ISO/AVC"),
        ("-c:v mjpeg clip.mov", "jpeg"),
    ] {
        let clip = clips::make(
            "64x64",
            "1",
            false,
            &arguments.split(' ').collect::<Vec<_>>(),
        );
        let message = server.upload_refused("", &clip, 400, "discover-error");
        assert!(message.contains(word), "{message}");
    }
    let mut cut = h264("96x64");
    cut.truncate(cut.len() / 2);
    server.upload_refused("", &cut, 400, "media-damaged");
    disk::assert_nothing_stored(&server);
}

#[test]
fn without_ffmpeg_a_clip_is_answered_with_its_name_and_the_rest_works() {
    if clips::path_or_skip("videos without ffmpeg").is_none() {
        return;
    }
    let server = Server::start();
    let message = server.upload_refused("", &h264("64x64"), 501, "program-missing");
    assert!(message.contains("ffmpeg"), "{message}");
    disk::assert_nothing_stored(&server);
    server.upload(&crate::support::pictures::png(
        &crate::support::pictures::photo(9, 9),
    ));
}

/// A PATH with a program that is called ffmpeg.
fn fake(script: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ffmpeg");
    std::fs::write(&file, format!("#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")).expect("written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("set");
    folder
}

/// Where programs are not confined, so that it can leave notes in other folders.
fn faked(folder: &TempDir) -> Launch {
    server(folder.path().to_str().expect("text")).setting("media.isolation", "thread")
}

fn is_running(id: &Path) -> bool {
    let id = std::fs::read_to_string(id).expect("the program wrote its id");
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", id.trim()));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn a_program_that_hangs_floods_or_fails_leaves_nothing() {
    if clips::path_or_skip("faults of ffmpeg").is_none() {
        return;
    }
    let clip = h264("64x64");
    let note = tempfile::tempdir().expect("a folder");
    let id = note.path().join("id");
    let hang = format!("echo $$ > {}; exec sleep 1000", id.display());
    let folder = fake(&hang);
    let server = faked(&folder).setting("media.process_timeout", "1").start();
    server.upload_refused("", &clip, 400, "process-timeout");
    eventually("its end", || (!is_running(&id)).then_some(()));
    eventually("an empty folder", || {
        disk::unfinished(&server.files()).is_empty().then_some(())
    });
    disk::assert_nothing_stored(&server);

    let folder = fake("exec cat /dev/zero > written");
    let server = faked(&folder)
        .setting("media.video.max_file_size", "1")
        .start();
    server.upload_refused("", &clip, 413, "validate-file-size");
    disk::assert_nothing_stored(&server);

    let folder = fake("echo 'moov atom not found' >&2; exit 1");
    let server = faked(&folder).start();
    let message = server.upload_refused("", &clip, 400, "media-damaged");
    assert!(message.contains("moov atom not found"), "{message}");
    disk::assert_nothing_stored(&server);
}

#[test]
fn the_program_ends_when_its_client_goes_away() {
    use std::io::Write as _;
    if clips::path_or_skip("clients that go away").is_none() {
        return;
    }
    let clip = h264("64x64");
    let note = tempfile::tempdir().expect("a folder");
    let id = note.path().join("id");
    let folder = fake(&format!(
        "echo $$ > {0}.new; mv {0}.new {0}; exec sleep 1000",
        id.display()
    ));
    let server = faked(&folder)
        .setting("media.process_timeout", "600")
        .start();
    let body = crate::support::client::multipart(&[crate::support::client::File::new(&clip)]);
    let head = format!(
        "POST /image HTTP/1.1\r\nhost: a\r\ncontent-type: {}\r\ncontent-length: {}\r\n\r\n",
        crate::support::client::content_type(),
        body.len()
    );
    let mut connection = server.connect();
    connection.write_all(head.as_bytes()).expect("sent");
    connection.write_all(&body).expect("sent");
    eventually("its start", || id.exists().then_some(()));
    drop(connection);
    eventually("its end", || (!is_running(&id)).then_some(()));
    eventually("an empty folder", || {
        disk::unfinished(&server.files()).is_empty().then_some(())
    });
    disk::assert_nothing_stored(&server);
}

#[test]
fn a_transparent_clip_is_shown_in_a_format_that_keeps_that() {
    let Some(path) = clips::path_or_skip("transparent videos") else {
        return;
    };
    let server = server(&path).start();
    let words = "-c:v libvpx-vp9 -cpu-used 8 -pix_fmt yuva420p -auto-alt-ref 0 clip.webm";
    let words: Vec<_> = words.split(' ').collect();
    let alias = server
        .upload(&clips::make("64x64", "0.5", false, &words))
        .alias;
    let ask = |accept| {
        let path = process_path("auto", &alias, "");
        server.get_with(&path, &[("Accept", accept)]).ok()
    };
    // It survives cleaning.
    let again = server.upload(&server.original(&alias)).alias;
    assert_eq!(server.original(&again), server.original(&alias));
    let shown = ask("*/*");
    assert_eq!(shown.header("content-type"), Some("image/png"));
    assert!(pixels::decode(&shown.body).color().has_alpha());
    let opaque = server.upload(&h264("64x64")).alias;
    let path = process_path("auto", &opaque, "");
    let shown = server.get_with(&path, &[("Accept", "*/*")]).ok();
    assert_eq!(shown.header("content-type"), Some("image/jpeg"));
}

#[test]
fn a_stored_clip_that_was_damaged_is_our_fault() {
    let Some(path) = clips::path_or_skip("damaged stored videos") else {
        return;
    };
    let server = server(&path).start();
    // Its container, then only its pictures.
    for (size, whole) in [("96x64", true), ("64x64", false)] {
        let alias = server.upload(&h264(size)).alias;
        for name in disk::objects(&server.files()).into_keys() {
            let file = server.files().join(name);
            let mut bytes = std::fs::read(&file).expect("there");
            let pictures = bytes.windows(4).position(|w| w == b"mdat");
            let from = pictures.filter(|_| !whole).map_or(8, |at| at + 4);
            bytes[from..].fill(0);
            std::fs::write(&file, bytes).expect("written");
        }
        for operations in ["thumbnail=16", "time=0.5"] {
            server
                .get(&process_path("png", &alias, operations))
                .refused(500, "media-failed");
        }
    }
}

#[test]
fn a_frame_is_shown_until_the_next_one_however_long_that_is() {
    let Some(path) = clips::path_or_skip("slow videos") else {
        return;
    };
    let server = server(&path).start();
    let words = "-f lavfi -i color=red:s=64x64:r=1/4:d=8 -f lavfi -i color=blue:s=64x64:r=1/4:d=8 \
        -filter_complex [0][1]concat=n=2 -fps_mode passthrough";
    for written in [
        "-c:v libx264 -pix_fmt yuv420p clip.mp4",
        "-c:v libvpx-vp9 -cpu-used 8 clip.webm",
    ] {
        let words: Vec<_> = words.split_whitespace().chain(written.split(' ')).collect();
        let clip = clips::run(&words, &[]);
        let uploaded = server.upload(&clip);
        let duration = uploaded.details["duration"].as_f64().expect("a number");
        for time in [
            "15.5".to_owned(),
            format!("{duration:.3}"),
            "12.1".to_owned(),
        ] {
            let operations = format!("time={time}");
            let path = process_path("png", &uploaded.alias, &operations);
            if time.parse::<f64>().expect("a number") > duration {
                continue;
            }
            let frame = pixels::decode(&server.get(&path).ok().body).to_rgb8();
            assert!(
                frame.get_pixel(32, 32).0[2] > 200,
                "{written} {time} of {duration}"
            );
        }
    }
}

#[test]
fn what_ffmpeg_has_written_is_held_to_the_limits() {
    if clips::path_or_skip("videos that grow").is_none() {
        return;
    }
    let note = tempfile::tempdir().expect("a folder");
    let large = note.path().join("large.mp4");
    std::fs::write(&large, h264("128x64")).expect("written");
    let folder = fake(&format!("cp {} written", large.display()));
    let server = faked(&folder)
        .setting("media.video.max_width", "100")
        .start();
    let message = server.upload_refused("", &h264("64x64"), 400, "validate-width");
    assert!(message.contains("128"), "{message}");
    disk::assert_nothing_stored(&server);
}
