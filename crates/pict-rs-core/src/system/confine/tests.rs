//! Every system call is tried from inside, each that ends the process in a process of its own: this
//! test program, started again.

use std::process::{Command, ExitStatus};

use super::calls::{ALLOWED, denied_to_programs, fatal};
use super::*;

/// Tells the program that was started again what to do.
const TRY: &str = "PICTRS_CONFINED_TRY";
/// What it begins with if the program is to be confined as a helper is.
const PROGRAM: &str = "program: ";
/// The highest number that any system call of Linux has, and some room.
const LAST: i64 = 500;

/// Does what the variable says, in the program that was started again; else nothing.
#[test]
fn inside() {
    let Ok(what) = std::env::var(TRY) else {
        return;
    };
    let given_up = match what.strip_prefix(PROGRAM) {
        Some(_) => confine_program(Path::new("/bin/true")),
        None => confine(),
    };
    let missing: Vec<_> = given_up
        .iter()
        .filter(|one| one.missing.is_some())
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    if let Ok(number) = what.parse() {
        let result = call(number, [0; 6]);
        panic!("system call {number} was answered: {result}");
    }
    match what.as_str() {
        "program: calls" => refused_to_programs(),
        "program: files" => files_of_programs(),
        "all" => refused(),
        "files" => {
            // Landlock and the filter both refuse; the filter is asked first.
            for path in ["/etc/passwd", "/proc/self/environ", "/"] {
                let error = std::fs::File::open(path).expect_err("cannot be opened");
                assert_eq!(error.raw_os_error(), Some(libc::EPERM), "{path}");
            }
        }
        "code" => {
            let code = u64::from((libc::PROT_READ | libc::PROT_EXEC).unsigned_abs());
            let anonymous = u64::from((libc::MAP_PRIVATE | libc::MAP_ANONYMOUS).unsigned_abs());
            let asked = [0, 4096, code, anonymous, u64::MAX, 0];
            assert_eq!(call(libc::SYS_mmap, asked), -i64::from(libc::EPERM));
            let page = [0, 4096, code, 0, 0, 0];
            assert_eq!(call(libc::SYS_mprotect, page), -i64::from(libc::EPERM));
        }
        "signals" => {
            let server = std::os::unix::process::parent_id();
            let to = [u64::from(server), u64::from(server), 0, 0, 0, 0];
            assert_eq!(call(libc::SYS_tgkill, to), -i64::from(libc::EPERM));
            assert_eq!(call(libc::SYS_tkill, to), -i64::from(libc::EPERM));
        }
        "descriptors" => {
            // Only looks are allowed, not copies, locks or seals.
            for command in [
                libc::F_DUPFD,
                libc::F_SETFL,
                libc::F_SETLK,
                libc::F_ADD_SEALS,
            ] {
                let asked = [1, u64::from(command.unsigned_abs()), 0, 0, 0, 0];
                assert_eq!(call(libc::SYS_fcntl, asked), -i64::from(libc::EPERM));
            }
        }
        other => panic!("there is no test {other}"),
    }
}

/// Every call that is on neither list.
fn refused() {
    let conditional = [
        libc::SYS_mmap,
        libc::SYS_mprotect,
        libc::SYS_tgkill,
        libc::SYS_tkill,
        libc::SYS_fcntl,
    ];
    let mut tried = 0;
    for number in 0..LAST {
        let is_listed = [ALLOWED, &fatal(), &conditional].concat().contains(&number);
        // Of those two the kernel itself says that no program calls them, before any filter.
        let is_kernels = cfg!(target_arch = "x86_64") && [335, 336].contains(&number);
        if !is_listed && !is_kernels {
            let result = call(number, [0; 6]);
            assert_eq!(result, -i64::from(libc::EPERM), "system call {number}");
            tried += 1;
        }
    }
    assert!(tried > 300, "{tried}");
}

/// Every call that a helper has no use for, and those that are refused for some of their arguments.
fn refused_to_programs() {
    let refused = -i64::from(libc::EPERM);
    for number in &denied_to_programs() {
        assert_eq!(call(*number, [0; 6]), refused, "system call {number}");
    }
    let server = u64::from(std::os::unix::process::parent_id());
    let own_user = u64::from(libc::CLONE_NEWUSER.cast_unsigned());
    let network = u64::from(libc::CLONE_NEWNET.cast_unsigned()) | 17;
    for (number, arguments) in [
        (libc::SYS_clone, [own_user, 0, 0, 0, 0, 0]),
        (libc::SYS_clone, [network, 0, 0, 0, 0, 0]),
        (libc::SYS_tgkill, [server, server, 0, 0, 0, 0]),
        (libc::SYS_tkill, [server, 0, 0, 0, 0, 0]),
        (libc::SYS_prlimit64, [server, 0, 0, 0, 0, 0]),
    ] {
        assert_eq!(call(number, arguments), refused, "{number} {arguments:?}");
    }
    for number in [libc::SYS_clone3, libc::SYS_openat2] {
        assert_eq!(call(number, [0; 6]), -i64::from(libc::ENOSYS), "{number}");
    }
    // Nothing of this is about itself.
    assert_eq!(call(libc::SYS_prlimit64, [0; 6]), 0);
    let own = u64::from(std::process::id());
    assert_eq!(call(libc::SYS_tkill, [own, 0, 0, 0, 0, 0]), 0);
    std::thread::spawn(|| ())
        .join()
        .expect("threads are possible");
}

/// What a helper may do with files.
fn files_of_programs() {
    use std::fs::File;
    let code = |result: std::io::Result<File>| result.err().and_then(|e| e.raw_os_error());
    for path in ["/etc/passwd", "/", "/tmp", "/proc/1/environ", "/dev/tty"] {
        assert_eq!(code(File::open(path)), Some(libc::EACCES), "{path}");
    }
    for path in ["/bin/sh", "/usr/lib", "/dev/null", "/proc/self/status", "."] {
        assert_eq!(code(File::open(path)), None, "{path}");
    }
    for path in ["../new", "/dev/shm/pict-rs-new", "/dev/zero"] {
        assert_eq!(code(File::create(path)), Some(libc::EACCES), "{path}");
    }
    // Emptied by being opened to be read, which an older Landlock does not see.
    use std::os::unix::fs::OpenOptionsExt as _;
    let empty = File::options()
        .read(true)
        .custom_flags(libc::O_TRUNC)
        .open("own");
    assert_eq!(code(empty), Some(libc::EPERM));
    std::fs::write("own", "abc").expect("in its own folder");
    std::fs::rename("own", "other").expect("there too");
    std::fs::copy("/bin/true", "copy").expect_err("the rights are copied, too");
    let error = Command::new("./copy")
        .status()
        .expect_err("nothing is run there");
    assert_eq!(error.raw_os_error(), Some(libc::EACCES));
    assert!(
        Command::new("/bin/true")
            .status()
            .expect("is run")
            .success()
    );
}

#[expect(
    unsafe_code,
    reason = "only a raw system call tells whether the kernel refuses it"
)]
fn call(number: i64, arguments: [u64; 6]) -> i64 {
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: whatever is tried is refused, or ends the process; a pointer among the arguments is
    // null.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    match result {
        -1 => -i64::from(std::io::Error::last_os_error().raw_os_error().unwrap_or(0)),
        result => result,
    }
}

fn again(what: &str) -> (ExitStatus, String) {
    let own = std::env::current_exe().expect("a running program is a file");
    let folder = tempfile::tempdir().expect("a folder");
    let output = Command::new(own)
        .current_dir(&folder)
        .args(["--exact", "system::confine::tests::inside", "--nocapture"])
        .env(TRY, what)
        .output()
        .expect("it starts");
    let said = [output.stdout, output.stderr].concat();
    (output.status, String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn what_is_on_no_list_is_refused_and_the_process_goes_on() {
    for what in [
        "all",
        "files",
        "code",
        "signals",
        "descriptors",
        "program: calls",
        "program: files",
    ] {
        let (status, said) = again(what);
        assert!(status.success(), "{what}: {said}");
        assert!(said.contains("1 passed"), "{said}");
    }
}

#[test]
fn what_no_decoder_calls_ends_the_process() {
    use std::os::unix::process::ExitStatusExt as _;
    for number in &fatal() {
        let (status, said) = again(&number.to_string());
        assert_eq!(status.signal(), Some(libc::SIGSYS), "{number}: {said}");
    }
}
