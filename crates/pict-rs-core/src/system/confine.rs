//! What a process gives up before it decodes a stranger's file. Nothing of it can be taken back.

use std::fs;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, Ruleset, RulesetAttr as _, RulesetStatus, Scope,
};
use rustix::process::{Signal, chdir, set_parent_process_death_signal};

use super::Protection;

/// The newest version of Landlock whose rights are given up. A kernel that knows fewer takes those.
const LANDLOCK: ABI = ABI::V6;
/// Added to the score by which the system chooses whom to end when memory runs out, so that it ends
/// this process before the server.
const EXPENDABLE: &str = "500";

/// Gives up files, network, other processes and most system calls, and tells what the kernel enforces.
/// The process has one thread.
pub(crate) fn confine() -> Vec<Protection> {
    let closed = close_others();
    // A process whose parent was killed would finish a job without a reader.
    let dies = set_parent_process_death_signal(Some(Signal::KILL));
    let leaves = chdir("/");
    let expendable = fs::write("/proc/self/oom_score_adj", EXPENDABLE);
    vec![
        Protection::of("no other descriptors", closed),
        Protection::of(
            "end with the server",
            dies.and(leaves).map_err(|e| e.to_string()),
        ),
        Protection::of(
            "first to go without memory",
            expendable.map_err(|e| e.to_string()),
        ),
        Protection::of("no files, no network", give_up_files()),
        Protection::of("few system calls", calls::give_up()),
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
    let restrict = || {
        let ruleset = Ruleset::default()
            .handle_access(AccessFs::from_all(LANDLOCK))?
            .handle_access(AccessNet::from_all(LANDLOCK))?
            .scope(Scope::from_all(LANDLOCK))?;
        ruleset.create()?.restrict_self()
    };
    match restrict() {
        Err(error) => Err(error.to_string()),
        Ok(status) => match status.ruleset {
            RulesetStatus::FullyEnforced => Ok(()),
            // An older kernel has no say about the network, about which no call is left.
            RulesetStatus::PartiallyEnforced if calls::ARE_GIVEN_UP => Ok(()),
            RulesetStatus::PartiallyEnforced => Err(format!("only in part: {:?}", status.landlock)),
            RulesetStatus::NotEnforced => Err(format!("{:?}", status.landlock)),
        },
    }
}

/// Two filters of seccomp, of which the stricter answer counts: what is not on the first list is
/// refused, which code that asks in vain goes on after; what is on the second list no decoder calls,
/// so it ends the process.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod calls {
    use libc::c_long;
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
        SeccompRule, TargetArch, apply_filter,
    };

    pub(super) const ARE_GIVEN_UP: bool = true;

    #[cfg(target_arch = "x86_64")]
    const ARCH: TargetArch = TargetArch::x86_64;
    #[cfg(target_arch = "aarch64")]
    const ARCH: TargetArch = TargetArch::aarch64;

    /// What memory, clocks, panics and the end of a process need, and what moves bytes through
    /// descriptors that are open.
    pub(super) const ALLOWED: &[c_long] = &[
        libc::SYS_brk,
        libc::SYS_clock_getres,
        libc::SYS_clock_gettime,
        libc::SYS_clock_nanosleep,
        libc::SYS_close,
        libc::SYS_exit,
        libc::SYS_exit_group,
        libc::SYS_fstat,
        libc::SYS_futex,
        libc::SYS_getpid,
        libc::SYS_getrandom,
        libc::SYS_gettid,
        libc::SYS_gettimeofday,
        libc::SYS_lseek,
        libc::SYS_madvise,
        libc::SYS_mremap,
        libc::SYS_munmap,
        libc::SYS_nanosleep,
        libc::SYS_ppoll,
        libc::SYS_pread64,
        libc::SYS_pwrite64,
        libc::SYS_read,
        libc::SYS_readv,
        libc::SYS_recvmsg,
        libc::SYS_restart_syscall,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sched_getaffinity,
        libc::SYS_sched_yield,
        libc::SYS_sigaltstack,
        libc::SYS_write,
        libc::SYS_writev,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_poll,
    ];

    /// Other processes, programs, the network, the kernel itself, and ways around a filter.
    pub(super) const FATAL: &[c_long] = &[
        libc::SYS_accept,
        libc::SYS_accept4,
        libc::SYS_add_key,
        libc::SYS_bind,
        libc::SYS_bpf,
        libc::SYS_chroot,
        libc::SYS_clone,
        libc::SYS_clone3,
        libc::SYS_connect,
        libc::SYS_delete_module,
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_finit_module,
        libc::SYS_init_module,
        libc::SYS_io_setup,
        libc::SYS_io_submit,
        libc::SYS_io_uring_enter,
        libc::SYS_io_uring_register,
        libc::SYS_io_uring_setup,
        libc::SYS_kexec_load,
        libc::SYS_keyctl,
        libc::SYS_kill,
        libc::SYS_listen,
        libc::SYS_mount,
        libc::SYS_move_mount,
        libc::SYS_name_to_handle_at,
        libc::SYS_open_by_handle_at,
        libc::SYS_open_tree,
        libc::SYS_perf_event_open,
        libc::SYS_personality,
        libc::SYS_pidfd_getfd,
        libc::SYS_pidfd_open,
        libc::SYS_pidfd_send_signal,
        libc::SYS_pivot_root,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_ptrace,
        libc::SYS_reboot,
        libc::SYS_request_key,
        libc::SYS_rt_sigqueueinfo,
        libc::SYS_rt_tgsigqueueinfo,
        libc::SYS_sendmmsg,
        libc::SYS_sendmsg,
        libc::SYS_sendto,
        libc::SYS_setns,
        libc::SYS_socket,
        libc::SYS_socketpair,
        libc::SYS_umount2,
        libc::SYS_unshare,
        libc::SYS_userfaultfd,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_fork,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_vfork,
    ];

    pub(super) fn give_up() -> Result<(), String> {
        let [fatal, allowed] = filters().map_err(|error| error.to_string())?;
        // The last one does not allow another.
        apply_filter(&fatal).map_err(|error| error.to_string())?;
        apply_filter(&allowed).map_err(|error| error.to_string())
    }

    fn filters() -> Result<[BpfProgram; 2], seccompiler::BackendError> {
        let fatal = FATAL.iter().map(|call| (*call, Vec::new())).collect();
        let fatal = SeccompFilter::new(
            fatal,
            SeccompAction::Allow,
            SeccompAction::KillProcess,
            ARCH,
        )?;
        let mut allowed: std::collections::BTreeMap<_, _> =
            ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
        // Memory is never made executable.
        let executable = u64::from(libc::PROT_EXEC.unsigned_abs());
        let no_code = vec![when(2, SeccompCmpOp::MaskedEq(executable), 0)?];
        allowed.insert(libc::SYS_mmap, no_code.clone());
        allowed.insert(libc::SYS_mprotect, no_code);
        // An abort sends the signal to the process itself, by the one call in glibc, by the other in musl.
        let own = u64::from(std::process::id());
        let to_itself = vec![when(0, SeccompCmpOp::Eq, own)?];
        allowed.insert(libc::SYS_tgkill, to_itself.clone());
        allowed.insert(libc::SYS_tkill, to_itself);
        // The standard library looks whether a descriptor is open.
        let look = u64::from(libc::F_GETFD.unsigned_abs());
        allowed.insert(libc::SYS_fcntl, vec![when(1, SeccompCmpOp::Eq, look)?]);
        let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
        let allowed = SeccompFilter::new(allowed, refused, SeccompAction::Allow, ARCH)?;
        Ok([fatal.try_into()?, allowed.try_into()?])
    }

    /// Matches a call one argument of which compares so.
    fn when(
        argument: u8,
        compares: SeccompCmpOp,
        value: u64,
    ) -> Result<SeccompRule, seccompiler::BackendError> {
        let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, compares, value)?;
        SeccompRule::new(vec![condition])
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod calls {
    pub(super) const ARE_GIVEN_UP: bool = false;

    pub(super) fn give_up() -> Result<(), String> {
        Err("there is no filter for this kind of processor".to_owned())
    }
}

#[cfg(all(test, any(target_arch = "x86_64", target_arch = "aarch64")))]
mod tests;
