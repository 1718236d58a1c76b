//! The calls that only Linux has.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, MemfdFlags, Mode, OFlags, SealFlags, fcntl_add_seals, memfd_create,
};
use rustix::io::{ReadWriteFlags, preadv2};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use socket2::SockRef;

use super::ProcessMemory;

/// Open files are linked from here to give them a name.
const OPEN_FILES: &str = "/proc/self/fd";

/// Whether [`set_limit`] has an effect.
pub(crate) const HAS_LIMITS: bool = true;

/// Reads from the start of a file what the system has in memory, and returns the number of bytes.
/// `None` when something is not there, or the file system does not support the call.
pub(crate) fn read_cached(file: &File, bytes: &mut [u8]) -> Option<usize> {
    preadv2(
        file,
        &mut [IoSliceMut::new(bytes)],
        0,
        ReadWriteFlags::NOWAIT,
    )
    .ok()
}

/// An empty file in memory, which no folder lists.
///
/// # Errors
/// When the system has no memory or no descriptor left.
pub(crate) fn memory_file() -> io::Result<File> {
    Ok(memfd_create("pict-rs", MemfdFlags::CLOEXEC)?.into())
}

/// A file in memory that holds these bytes and cannot be changed.
///
/// # Errors
/// When the system has no memory or no descriptor left.
pub(crate) fn sealed_file(bytes: &[u8]) -> io::Result<File> {
    let how = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = File::from(memfd_create("pict-rs", how)?);
    file.write_all_at(bytes, 0)?;
    fcntl_add_seals(
        &file,
        SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL,
    )?;
    Ok(file)
}

/// The same file, opened so that it can only be read. `None` where that is not possible.
pub(crate) fn readable_copy(file: &File) -> Option<File> {
    File::open(format!("{OPEN_FILES}/{}", file.as_raw_fd())).ok()
}

/// The memory of another process, if it can be seen.
pub(crate) fn memory_of(id: Pid) -> Option<ProcessMemory> {
    let text = std::fs::read_to_string(format!("/proc/{}/statm", id.as_raw_nonzero())).ok()?;
    let page = u64::try_from(rustix::param::page_size()).ok()?;
    let mut pages = text.split(' ').map_while(|word| word.parse::<u64>().ok());
    Some(ProcessMemory {
        addresses: pages.next()?.saturating_mul(page),
        resident: pages.next()?.saturating_mul(page),
    })
}

/// Creates a file that can be given a name later, on the same disk as `folder`; `None` where the
/// file system does not support that.
pub(crate) fn nameless_file(folder: &Path) -> Option<File> {
    if !Path::new(OPEN_FILES).is_dir() {
        return None;
    }
    let how = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(0o666);
    rustix::fs::open(folder, how, mode).ok().map(File::from)
}

/// Gives a name to a file of [`nameless_file`].
///
/// # Errors
/// When the name is taken or its folder is missing, on another disk or not writable.
pub(crate) fn name_file(file: &File, to: &Path) -> io::Result<()> {
    let open = format!("{OPEN_FILES}/{}", file.as_raw_fd());
    Ok(rustix::fs::linkat(
        CWD,
        open,
        CWD,
        to,
        AtFlags::SYMLINK_FOLLOW,
    )?)
}

/// The name of this machine, if `/proc` tells it.
pub(crate) fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// Limits what the system takes from us for a socket before it has sent it. A write waits longer then,
/// but shows sooner that the other side takes something.
pub fn limit_unsent(socket: &impl AsFd, bytes: u32) {
    // Without it all works but for very slow clients.
    let _ = SockRef::from(socket).set_tcp_notsent_lowat(bytes);
}

/// Limits another process.
///
/// # Errors
/// When there is no such process, or it is another user's.
pub(crate) fn set_limit(id: Pid, resource: Resource, limit: Rlimit) -> rustix::io::Result<()> {
    prlimit(Some(id), resource, limit).map(drop)
}
