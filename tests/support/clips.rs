//! Clips, written by a real ffmpeg.

use std::path::Path;
use std::process::Command;

use super::programs;

/// The folder with ffmpeg, as a PATH for the server; or a line that says what was not tested.
pub fn path_or_skip(test: &str) -> Option<String> {
    let program = programs::find_or_skip("ffmpeg", test)?;
    programs::find_or_skip("ffprobe", test)?;
    Some(program.parent()?.to_str()?.to_owned())
}

/// A clip of `seconds` with a moving picture, and sound if `has_sound`. `arguments` say how it is
/// written; the last one is the name of the file.
pub fn make(size: &str, seconds: &str, has_sound: bool, arguments: &[&str]) -> Vec<u8> {
    let picture = format!("testsrc2=size={size}:rate=10:duration={seconds}");
    let sound = format!("sine=frequency=440:duration={seconds}");
    let mut words = vec!["-f", "lavfi", "-i", &picture];
    if has_sound {
        words.extend(["-f", "lavfi", "-i", &sound]);
    }
    words.extend(arguments);
    run(&words, &[])
}

/// What ffmpeg makes of `files`, which are called `0`, `1`, …
pub fn run(arguments: &[&str], files: &[&[u8]]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    for (number, bytes) in files.iter().enumerate() {
        std::fs::write(folder.path().join(number.to_string()), bytes).expect("written");
    }
    let program = programs::find("ffmpeg").expect("found before");
    let output = Command::new(program)
        .args(["-nostdin", "-loglevel", "error", "-y"])
        .args(arguments)
        .current_dir(&folder)
        .output()
        .expect("ffmpeg runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    let name = arguments.last().expect("a name");
    std::fs::read(folder.path().join(name)).expect("ffmpeg wrote it")
}

/// What ffprobe says of a file, as text.
pub fn probe(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("clip");
    std::fs::write(&file, bytes).expect("written");
    let ask = |file: &Path| {
        Command::new(programs::find("ffprobe").expect("found before"))
            .args(["-loglevel", "error", "-count_frames", "-show_entries"])
            .args(["stream:format:chapter:stream_tags:format_tags:stream_side_data"])
            .arg(file)
            .output()
            .expect("ffprobe runs")
    };
    String::from_utf8(ask(&file).stdout).expect("text")
}
