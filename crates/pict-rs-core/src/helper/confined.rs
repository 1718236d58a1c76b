//! This program in place of a helper program: it gives up what that has no use for, then becomes it.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use crate::system::confine_program;

/// The hidden command that makes this program another one.
pub const COMMAND: &str = "helper";

/// The exit code when the other program is not there any more. ffmpeg and ImageMagick end with others.
pub(super) const MISSING: u8 = 117;
/// The exit code when it cannot be run.
pub(super) const FAILED: u8 = 118;

/// Becomes the program whose path is the first word, with the others as arguments. Called before
/// anything else, in a process of one thread, in the only folder that the program may write to.
/// Returns the exit code if that fails.
pub fn become_program(words: impl IntoIterator<Item = OsString>) -> (u8, io::Error) {
    let mut words = words.into_iter();
    let Some(program) = words.next() else {
        return (FAILED, io::Error::other("no program is named"));
    };
    // What the kernel does not enforce was told when the server was started.
    let _ = confine_program(Path::new(&program));
    let error = Command::new(program).args(words).exec();
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => (MISSING, error),
        _ => (FAILED, error),
    }
}
