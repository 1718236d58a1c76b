//! The next best on systems other than Linux: what POSIX has.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::process::{Pid, Resource, Rlimit};

/// Only a process itself can set its limits, and code between fork and exec would be unsafe.
pub(crate) const HAS_LIMITS: bool = false;

/// There is no read that never waits.
pub(crate) fn read_cached(_file: &File, _bytes: &mut [u8]) -> Option<usize> {
    None
}

/// An empty file in the folder for temporary files, which does not list it.
///
/// # Errors
/// When that folder cannot be written to.
pub(crate) fn memory_file() -> io::Result<File> {
    tempfile::tempfile()
}

/// A file cannot be given a name later.
pub(crate) fn nameless_file(_folder: &Path) -> Option<File> {
    None
}

/// Refused, because there is no file of [`nameless_file`]; the caller copies the bytes instead.
///
/// # Errors
/// Always [`io::ErrorKind::CrossesDevices`].
pub(crate) fn name_file(_file: &File, _to: &Path) -> io::Result<()> {
    Err(io::ErrorKind::CrossesDevices.into())
}

/// There is no file that tells it.
pub(crate) fn host_name() -> Option<String> {
    None
}

/// Does nothing: see [`HAS_LIMITS`].
///
/// # Errors
/// Never.
pub(crate) fn set_limit(_id: Pid, _resource: Resource, _limit: Rlimit) -> rustix::io::Result<()> {
    Ok(())
}
