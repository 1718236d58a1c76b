//! What a process gives up before it works on a stranger's file: one that decodes it itself nearly
//! everything ([`confine`]), a helper program what it has no use for ([`confine_program`]). Nothing of
//! it can be taken back.

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "arm"))]
mod calls;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "arm"))]
mod filter;

/// For other processors there are no filters.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "arm")))]
mod calls {
    pub(super) const ARE_FILTERED: bool = false;

    pub(super) fn keep_few() -> Result<(), String> {
        Err("there is no filter for this kind of processor".to_owned())
    }

    pub(super) fn keep_most() -> Result<(), String> {
        keep_few()
    }
}

use std::fs;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, RestrictionStatus, Ruleset, RulesetAttr as _,
    RulesetCreated, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
    path_beneath_rules,
};
use rustix::process::{Signal, chdir, set_parent_process_death_signal};

use super::Protection;

/// The newest version of Landlock whose rights are given up. A kernel that knows fewer takes those.
const LANDLOCK: ABI = ABI::V6;
/// Added to the score by which the system chooses whom to end when memory runs out, so that it ends
/// this process before the server.
const EXPENDABLE: &str = "500";
/// Where a system has programs, their libraries and what those read, and package managers whole
/// programs.
const ROOTS: [&str; 3] = ["/", "/usr", "/usr/local"];
/// The folders there.
const LIBRARIES: [&str; 5] = ["lib", "lib32", "lib64", "libexec", "share"];
const STORES: [&str; 2] = ["/nix/store", "/gnu/store"];
/// Beside those, what the loader of programs, C libraries, ImageMagick and libraries for fonts and for
/// many processors read.
const READ: [&str; 20] = [
    "/dev/random",
    "/dev/urandom",
    "/dev/zero",
    "/etc/ImageMagick-6",
    "/etc/ImageMagick-7",
    "/etc/fonts",
    "/etc/ld-musl-aarch64.path",
    "/etc/ld-musl-armhf.path",
    "/etc/ld-musl-x86_64.path",
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/etc/localtime",
    "/proc/cpuinfo",
    "/proc/filesystems",
    "/proc/meminfo",
    "/proc/self",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
    "/usr/local/etc/ImageMagick-7",
    "/var/cache/fontconfig",
];

/// Gives up files, network, other processes and most system calls, and tells what the kernel enforces.
/// The process has one thread.
pub(crate) fn confine() -> Vec<Protection> {
    let mut all = give_up_the_server();
    all.push(Protection::of("no files, no network", give_up_files()));
    all.push(Protection::of("few system calls", calls::keep_few()));
    all
}

/// Gives up what a helper program has no use for, before this process becomes `program`: all files but
/// those of programs and libraries, the network, other processes, and system calls for such things. It
/// writes only in the current folder. Tells what the kernel enforces. The process has one thread.
pub(crate) fn confine_program(program: &Path) -> Vec<Protection> {
    let mut all = give_up_the_server();
    let own = Path::new(".");
    let given_up = judge(keep_files_of(program, own));
    all.push(Protection::of("few files, no network", given_up));
    all.push(Protection::of(
        "no system calls for others",
        calls::keep_most(),
    ));
    all
}

/// What the server is to the process.
fn give_up_the_server() -> Vec<Protection> {
    let closed = close_others();
    // A process whose parent was killed would finish its work without a reader.
    let dies = set_parent_process_death_signal(Some(Signal::KILL));
    let expendable = fs::write("/proc/self/oom_score_adj", EXPENDABLE);
    vec![
        Protection::of("no other descriptors", closed),
        Protection::of("end with the server", dies.map_err(|e| e.to_string())),
        Protection::of(
            "first to go without memory",
            expendable.map_err(|e| e.to_string()),
        ),
    ]
}

/// Closes what was open when the server was started and came down to us. What the server opens itself
/// is closed by the start of another program.
#[expect(
    unsafe_code,
    reason = "there is no safe call that closes descriptors which nothing here owns"
)]
fn close_others() -> Result<(), String> {
    // SAFETY: called first, when nothing in this process has opened a descriptor, so none of those that
    // are closed belongs to a value.
    match unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error().to_string()),
    }
}

/// Denies everything that Landlock knows, with no exception. Files that are open stay usable.
fn give_up_files() -> Result<(), String> {
    // No folder that could be unmounted is held.
    chdir("/").map_err(|error| error.to_string())?;
    judge(everything().and_then(RulesetCreated::restrict_self))
}

/// The rights that Landlock knows; they are given up unless a rule is added.
fn everything() -> Result<RulesetCreated, RulesetError> {
    Ruleset::default()
        .handle_access(AccessFs::from_all(LANDLOCK))?
        .handle_access(AccessNet::from_all(LANDLOCK))?
        .scope(Scope::from_all(LANDLOCK))?
        .create()
}

fn keep_files_of(program: &Path, folder: &Path) -> Result<RestrictionStatus, RulesetError> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let run = read | AccessFs::Execute;
    // Links that lead out of the folder, devices and sockets are of no use there.
    let write = read
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::MakeDir
        | AccessFs::RemoveFile
        | AccessFs::RemoveDir;
    let libraries = |root: &Path| LIBRARIES.map(|name| root.join(name));
    let mut programs: Vec<PathBuf> = STORES.iter().map(PathBuf::from).collect();
    for root in ROOTS {
        programs.push(Path::new(root).join("bin"));
        programs.extend(libraries(Path::new(root)));
    }
    // One that lies elsewhere has its libraries beside its folder.
    let place = fs::canonicalize(program).unwrap_or_else(|_| program.to_owned());
    let root = place.parent().filter(|folder| folder.ends_with("bin"));
    programs.extend(root.and_then(Path::parent).into_iter().flat_map(libraries));
    programs.push(place);
    everything()?
        .add_rules(path_beneath_rules(programs, run))?
        .add_rules(path_beneath_rules(READ, read))?
        .add_rules(path_beneath_rules(
            ["/dev/null"],
            read | AccessFs::WriteFile,
        ))?
        .add_rules(path_beneath_rules([folder], write))?
        .restrict_self()
}

fn judge(given_up: Result<RestrictionStatus, RulesetError>) -> Result<(), String> {
    match given_up {
        Err(error) => Err(error.to_string()),
        Ok(status) => match status.ruleset {
            RulesetStatus::FullyEnforced => Ok(()),
            // An older kernel has no say about the network, about which no call is left.
            RulesetStatus::PartiallyEnforced if calls::ARE_FILTERED => Ok(()),
            RulesetStatus::PartiallyEnforced => Err(format!("only in part: {:?}", status.landlock)),
            RulesetStatus::NotEnforced => Err(format!("{:?}", status.landlock)),
        },
    }
}

#[cfg(all(test, any(target_arch = "x86_64", target_arch = "aarch64")))]
mod tests;
