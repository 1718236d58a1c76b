//! Which system calls are given up: by a process that decodes files all but a few, by a helper program
//! those that it has no use for.

use libc::c_long;

use super::filter::{Rule, Ruling, apply, filter, test};

/// Whether there are filters for this kind of processor.
pub(super) const ARE_FILTERED: bool = true;

/// The ruling that lets code go on which asks for more than it needs.
const REFUSED: Ruling = Ruling::Fail(libc::EPERM);

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
    #[cfg(not(target_arch = "aarch64"))]
    libc::SYS_poll,
    // What a 32-bit processor has beside or instead of others.
    #[cfg(target_arch = "arm")]
    libc::SYS__llseek,
    #[cfg(target_arch = "arm")]
    libc::SYS_fstat64,
    #[cfg(target_arch = "arm")]
    libc::SYS_sigreturn,
    #[cfg(target_arch = "arm")]
    CLOCK_GETTIME64,
    #[cfg(target_arch = "arm")]
    CLOCK_GETRES_TIME64,
    #[cfg(target_arch = "arm")]
    CLOCK_NANOSLEEP_TIME64,
    #[cfg(target_arch = "arm")]
    PPOLL_TIME64,
    #[cfg(target_arch = "arm")]
    FUTEX_TIME64,
];

/// What neither a decoder nor a helper program has a use for: the network, other processes, the kernel
/// itself, and ways around a filter.
const OF_NO_USE: &[c_long] = &[
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_add_key,
    libc::SYS_bind,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_connect,
    libc::SYS_delete_module,
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
    libc::SYS_setns,
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
];

/// What a decoder has no use for besides: threads, processes, other programs, and messages.
const NOT_FOR_DECODERS: &[c_long] = &[
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_fork,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_vfork,
];

/// What a program that reads and writes files has no use for besides, although it may have threads and
/// start others: clocks, names and disks of the machine, and what can be done to files that Landlock
/// does not see.
const NOT_FOR_PROGRAMS: &[c_long] = &[
    libc::SYS_acct,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_fanotify_init,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_fremovexattr,
    libc::SYS_fsconfig,
    libc::SYS_fsetxattr,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_kcmp,
    libc::SYS_lremovexattr,
    libc::SYS_lsetxattr,
    libc::SYS_mount_setattr,
    libc::SYS_process_madvise,
    libc::SYS_quotactl,
    libc::SYS_removexattr,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_settimeofday,
    libc::SYS_setxattr,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_truncate,
    libc::SYS_utimensat,
    libc::SYS_vhangup,
    FCHMODAT2,
    SETXATTRAT,
    REMOVEXATTRAT,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chmod,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_futimesat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lchown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_utime,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_utimes,
    #[cfg(target_arch = "arm")]
    libc::SYS_chmod,
    #[cfg(target_arch = "arm")]
    libc::SYS_chown,
    #[cfg(target_arch = "arm")]
    libc::SYS_chown32,
    #[cfg(target_arch = "arm")]
    libc::SYS_fchown32,
    #[cfg(target_arch = "arm")]
    libc::SYS_futimesat,
    #[cfg(target_arch = "arm")]
    libc::SYS_lchown,
    #[cfg(target_arch = "arm")]
    libc::SYS_lchown32,
    #[cfg(target_arch = "arm")]
    libc::SYS_truncate64,
    #[cfg(target_arch = "arm")]
    libc::SYS_utimes,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_kexec_file_load,
];

/// The calls that end a process that decodes files.
pub(super) fn fatal() -> Vec<c_long> {
    [OF_NO_USE, NOT_FOR_DECODERS].concat()
}

/// The calls that a helper program is refused whatever their arguments are.
pub(super) fn denied_to_programs() -> Vec<c_long> {
    [OF_NO_USE, NOT_FOR_PROGRAMS].concat()
}

// The same on all processors, and not in libc for all of them.
const FCHMODAT2: c_long = 452;
const SETXATTRAT: c_long = 463;
const REMOVEXATTRAT: c_long = 466;

// The calls of 32-bit processors with 64 bits for times.
#[cfg(target_arch = "arm")]
const CLOCK_GETTIME64: c_long = 403;
#[cfg(target_arch = "arm")]
const CLOCK_GETRES_TIME64: c_long = 406;
#[cfg(target_arch = "arm")]
const CLOCK_NANOSLEEP_TIME64: c_long = 407;
#[cfg(target_arch = "arm")]
const PPOLL_TIME64: c_long = 414;
#[cfg(target_arch = "arm")]
const FUTEX_TIME64: c_long = 422;

/// What maps memory.
#[cfg(target_arch = "arm")]
const MMAP: c_long = libc::SYS_mmap2;
#[cfg(not(target_arch = "arm"))]
const MMAP: c_long = libc::SYS_mmap;

/// Kinds of namespaces that a process could be started in.
const NAMESPACES: libc::c_int = libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWUTS;

/// Leaves a process that decodes files the calls that it needs. Two filters, of which the stricter
/// one counts: what is on no list is refused, which code that asks in vain goes on after; what no
/// decoder calls ends the process.
pub(super) fn keep_few() -> Result<(), String> {
    let given_up: Vec<_> = rules(&fatal(), Ruling::End).collect();
    let given_up = apply(&filter(&given_up, Ruling::Allow));
    given_up.map_err(|error| error.to_string())?;
    // This one allows no further filter.
    let few = apply(&filter(&few(), REFUSED));
    few.map_err(|error| error.to_string())
}

/// Gives up what a helper program has no use for.
pub(super) fn keep_most() -> Result<(), String> {
    let filter = filter(&most(), Ruling::Allow);
    apply(&filter).map_err(|error| error.to_string())
}

fn most() -> Vec<Rule> {
    let mut most: Vec<_> = rules(&denied_to_programs(), REFUSED).collect();
    let itself = test(0, u32::MAX, std::process::id());
    // An older Landlock does not know that this empties a file.
    let to_read = bits(libc::O_RDONLY | libc::O_TRUNC);
    let how = bits(libc::O_ACCMODE | libc::O_TRUNC);
    let allow_if = |call, test| Rule::depending(call, test, [Ruling::Allow, REFUSED]);
    let refuse_if = |call, test| Rule::depending(call, test, [REFUSED, Ruling::Allow]);
    most.extend([
        // Threads and processes, but none with namespaces of their own.
        allow_if(libc::SYS_clone, test(0, bits(NAMESPACES), 0)),
        // An abort sends a signal to the process itself.
        allow_if(libc::SYS_tgkill, itself),
        allow_if(libc::SYS_tkill, itself),
        // Only its own limits.
        allow_if(libc::SYS_prlimit64, test(0, u32::MAX, 0)),
        refuse_if(libc::SYS_openat, test(2, how, to_read)),
        #[cfg(not(target_arch = "aarch64"))]
        refuse_if(libc::SYS_open, test(1, how, to_read)),
        // What these are asked for stands in memory, where a filter cannot look. C libraries go on with
        // the older calls.
        Rule::always(libc::SYS_clone3, Ruling::Fail(libc::ENOSYS)),
        Rule::always(libc::SYS_openat2, Ruling::Fail(libc::ENOSYS)),
    ]);
    most
}

fn bits(flags: libc::c_int) -> u32 {
    flags.cast_unsigned()
}

fn rules(calls: &[c_long], ruling: Ruling) -> impl Iterator<Item = Rule> {
    calls.iter().map(move |call| Rule::always(*call, ruling))
}

fn few() -> Vec<Rule> {
    let mut few: Vec<_> = rules(ALLOWED, Ruling::Allow).collect();
    let allow_if = |call, test| Rule::depending(call, test, [Ruling::Allow, REFUSED]);
    let itself = test(0, u32::MAX, std::process::id());
    let look = test(1, u32::MAX, bits(libc::F_GETFD));
    few.extend([
        // Memory is never made executable.
        allow_if(MMAP, test(2, bits(libc::PROT_EXEC), 0)),
        allow_if(libc::SYS_mprotect, test(2, bits(libc::PROT_EXEC), 0)),
        // An abort sends the signal to the process itself, by the one call in glibc, by the other in
        // musl.
        allow_if(libc::SYS_tgkill, itself),
        allow_if(libc::SYS_tkill, itself),
        // The standard library looks whether a descriptor is open.
        allow_if(libc::SYS_fcntl, look),
        #[cfg(target_arch = "arm")]
        allow_if(libc::SYS_fcntl64, look),
    ]);
    few
}
