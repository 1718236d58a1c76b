//! What differs between operating systems, and nothing else: every other module compiles for all of
//! them. Linux has everything; elsewhere each function does the next best, and [`abilities`] tells
//! administrators what that is.
//!
//! The functions of `other` are compiled and tested on Linux too, because no other system runs the
//! tests.

use serde::{Deserialize, Serialize};

#[cfg(target_os = "linux")]
mod confine;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(any(test, not(target_os = "linux")))]
mod other;

#[cfg(target_os = "linux")]
pub(crate) use confine::{confine, confine_program};
#[cfg(target_os = "linux")]
pub(crate) use linux::{
    HAS_LIMITS, host_name, memory_file, memory_of, name_file, nameless_file, read_cached,
    readable_copy, sealed_file, set_limit,
};
#[cfg(not(target_os = "linux"))]
pub(crate) use other::{
    HAS_LIMITS, confine, confine_program, host_name, memory_file, memory_of, name_file,
    nameless_file, read_cached, readable_copy, sealed_file, set_limit,
};

#[cfg(target_os = "linux")]
pub use linux::limit_unsent;
#[cfg(not(target_os = "linux"))]
pub use other::limit_unsent;

/// The file of the running program, also after it was replaced or removed; `None` on systems where
/// programs are not started again to decode files.
#[cfg(target_os = "linux")]
pub const OWN_PROGRAM: Option<&str> = Some("/proc/self/exe");
/// As on Linux.
#[cfg(not(target_os = "linux"))]
pub const OWN_PROGRAM: Option<&str> = None;

/// Something that not every operating system can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ability {
    /// What it is called in reports.
    pub name: &'static str,
    /// Whether this system can do it.
    pub is_there: bool,
    /// What it is for, or what happens without it.
    pub detail: &'static str,
}

/// Something that a process that decodes files has given up, if the kernel supports that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protection {
    /// What it is called in reports.
    pub name: String,
    /// Why the kernel does not enforce it, or only in part; `None` if it does.
    pub missing: Option<String>,
}

impl Protection {
    fn of(name: &str, given_up: Result<(), String>) -> Self {
        Self {
            name: name.to_owned(),
            missing: given_up.err(),
        }
    }
}

/// Memory of another process, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProcessMemory {
    /// Its address space, which a limit counts.
    pub(crate) addresses: u64,
    /// What it really has.
    pub(crate) resident: u64,
}

/// What this operating system can and cannot do for the server.
pub fn abilities() -> [Ability; 4] {
    let linux = cfg!(target_os = "linux");
    let of = |name, is_there, with, without| Ability {
        name,
        is_there,
        detail: if is_there { with } else { without },
    };
    [
        of(
            "program limits",
            HAS_LIMITS,
            "the system limits memory, processor time and files of helper programs",
            "the memory of helper programs is not limited; their time and files are, by pict-rs",
        ),
        of(
            "nameless files",
            linux,
            "an unfinished file vanishes by itself, also after a crash",
            "an unfinished file has a name; the next start removes what a crash has left",
        ),
        of(
            "reads from cache",
            linux,
            "a small file that is in memory is sent without waiting for a thread",
            "every file is read on another thread, which makes small ones slower",
        ),
        of(
            "process metrics",
            std::path::Path::new("/proc/self/stat").exists(),
            "the metrics tell memory, threads and descriptors of the server",
            "the metrics tell nothing about memory, threads and descriptors of the server",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::{Read as _, Seek as _, Write as _};
    use std::os::unix::fs::FileExt as _;

    use rustix::process::{Resource, Rlimit, getpid, getrlimit};

    use super::*;

    /// Both kinds of file hold what is written, and are in no folder that anybody lists.
    #[test]
    fn a_file_in_memory_is_read_back() {
        for make in [linux::memory_file, other::memory_file] {
            let mut file = make().expect("made");
            file.write_all(b"abc").expect("written");
            file.rewind().expect("rewound");
            let mut text = String::new();
            file.read_to_string(&mut text).expect("read");
            assert_eq!(text, "abc");
        }
    }

    /// Another process reads what it is given, and cannot change it.
    #[test]
    fn a_file_for_another_process_is_only_read() {
        let read = |file: &File| {
            let mut bytes = vec![0; 3];
            file.read_exact_at(&mut bytes, 0).expect("read");
            bytes
        };
        let sealed = linux::sealed_file(b"abc").expect("made");
        assert_eq!(read(&sealed), b"abc");
        sealed.write_at(b"x", 0).expect_err("cannot be changed");
        assert_eq!(read(&other::sealed_file(b"abc").expect("made")), b"abc");
        let copy = linux::readable_copy(&sealed).expect("opened again");
        assert_eq!(read(&copy), b"abc");
        copy.write_at(b"x", 0).expect_err("cannot be written to");
        assert!(other::readable_copy(&sealed).is_none());
    }

    #[test]
    fn elsewhere_nothing_is_known_of_a_process_and_nothing_given_up() {
        let own = linux::memory_of(getpid()).expect("it runs");
        assert!(own.addresses > own.resident && own.resident > 0, "{own:?}");
        assert!(other::memory_of(getpid()).is_none());
        let program = std::path::Path::new("/bin/true");
        let given_up = [other::confine(), other::confine_program(program)].concat();
        assert!(given_up.iter().all(|one| one.missing.is_some()));
    }

    #[test]
    fn a_nameless_file_is_named_where_that_is_possible() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(other::nameless_file(folder.path()).is_none());
        // Some file systems cannot.
        let Some(mut file) = linux::nameless_file(folder.path()) else {
            return;
        };
        file.write_all(b"abc").expect("written");
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 0);
        let place = folder.path().join("place");
        let error = other::name_file(&file, &place).expect_err("never");
        assert_eq!(error.kind(), std::io::ErrorKind::CrossesDevices);
        linux::name_file(&file, &place).expect("named");
        assert_eq!(fs::read(place).expect("there"), b"abc");
    }

    #[test]
    fn a_read_from_cache_gives_all_bytes_or_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("x");
        fs::write(&place, b"abc").expect("written");
        let file = File::open(&place).expect("open");
        let mut bytes = [0; 4];
        assert_eq!(other::read_cached(&file, &mut bytes), None);
        // What was just written is cached, except on file systems without the call.
        if let Some(read) = linux::read_cached(&file, &mut bytes) {
            assert_eq!((read, &bytes[..3]), (3, b"abc".as_slice()));
        }
    }

    #[test]
    fn only_linux_limits_another_process() {
        assert_eq!([linux::HAS_LIMITS, other::HAS_LIMITS], [true, false]);
        let before = getrlimit(Resource::Core);
        let none = Rlimit {
            current: Some(0),
            maximum: before.maximum,
        };
        other::set_limit(getpid(), Resource::Core, none).expect("ignored");
        assert_eq!(getrlimit(Resource::Core), before);
        linux::set_limit(getpid(), Resource::Core, none).expect("our own process");
        assert_eq!(getrlimit(Resource::Core), none);
    }

    #[test]
    fn only_linux_takes_little_that_it_has_not_sent() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        let unsent = || socket2::SockRef::from(&socket).tcp_notsent_lowat();
        linux::limit_unsent(&socket, 4711);
        assert_eq!(unsent().expect("known"), 4711);
        other::limit_unsent(&socket, 1);
        assert_eq!(unsent().expect("known"), 4711);
    }

    #[test]
    fn linux_tells_the_name_of_the_machine() {
        let name = linux::host_name().expect("a name");
        assert!(!name.is_empty() && !name.contains(char::is_whitespace));
        assert_eq!(other::host_name(), None);
    }

    #[test]
    fn linux_can_do_everything() {
        for ability in abilities() {
            assert!(ability.is_there, "{}", ability.name);
        }
    }
}
