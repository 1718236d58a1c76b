//! The next best on systems other than Linux: what POSIX has.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd;
use std::path::Path;

use rustix::process::{Pid, Resource, Rlimit};

use super::{ProcessMemory, Protection};

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

/// The name is not read here.
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

/// The system decides alone.
pub fn limit_unsent(_socket: &impl AsFd, _bytes: u32) {}

/// A file that holds these bytes. It is not sealed: those who have it must not change it.
///
/// # Errors
/// As [`memory_file`].
pub(crate) fn sealed_file(bytes: &[u8]) -> io::Result<File> {
    let mut file = memory_file()?;
    file.write_all(bytes)?;
    Ok(file)
}

/// An open file cannot be opened again.
pub(crate) fn readable_copy(_file: &File) -> Option<File> {
    None
}

/// Not known.
pub(crate) fn memory_of(_id: Pid) -> Option<ProcessMemory> {
    None
}

/// Gives up nothing.
pub(crate) fn confine() -> Vec<Protection> {
    let nothing = Err("only Linux can do this".to_owned());
    vec![Protection::of("no files, no network", nothing)]
}

/// Gives up nothing.
pub(crate) fn confine_program(_program: &Path) -> Vec<Protection> {
    confine()
}
