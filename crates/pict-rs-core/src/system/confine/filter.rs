//! Programs that the kernel runs at each system call of a process, and that decide about it: filters of
//! seccomp. A filter sees the number of a call, the kind of processor that it is meant for and its
//! arguments, and can only compare them.

use std::io;

use libc::{c_long, sock_filter};

/// The kernel's name of the processor, `AUDIT_ARCH_…` of `linux/audit.h`.
#[cfg(target_arch = "x86_64")]
const PROCESSOR: u32 = 0xC000_003E;
#[cfg(target_arch = "aarch64")]
const PROCESSOR: u32 = 0xC000_00B7;
#[cfg(target_arch = "arm")]
const PROCESSOR: u32 = 0x4000_0028;

/// Set in the numbers of calls with 32-bit pointers, which x86-64 has beside its own.
const X32: u32 = 0x4000_0000;

/// Where a filter finds the number of a call, its processor and its arguments: `struct seccomp_data`.
const NUMBER_AT: u32 = 0;
const PROCESSOR_AT: u32 = 4;
const ARGUMENTS_AT: u32 = 16;
/// Where the lower half of an argument is in it.
const LOWER_HALF: u32 = if cfg!(target_endian = "big") { 4 } else { 0 };

const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const IF_EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const IF_ANY_BIT: u32 = libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K;
const MASK: u32 = libc::BPF_ALU | libc::BPF_AND | libc::BPF_K;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ruling {
    /// It is done.
    Allow,
    /// It fails with this error.
    Fail(i32),
    /// It ends the process with SIGSYS.
    End,
}

impl Ruling {
    fn code(self) -> u32 {
        match self {
            Self::Allow => libc::SECCOMP_RET_ALLOW,
            Self::Fail(error) => {
                libc::SECCOMP_RET_ERRNO | (error.unsigned_abs() & libc::SECCOMP_RET_DATA)
            }
            Self::End => libc::SECCOMP_RET_KILL_PROCESS,
        }
    }
}

/// What one argument of a call is asked. Only its lower 32 bits are looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Test {
    /// Which argument, from 0.
    argument: u32,
    /// The bits that are compared.
    mask: u32,
    /// What they have to be.
    value: u32,
}

/// Whether the bits of `mask` in an argument, counted from 0, are those of `value`.
pub(super) const fn test(argument: u32, mask: u32, value: u32) -> Test {
    Test {
        argument,
        mask,
        value,
    }
}

/// The ruling on a call. No call has two rules.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    call: c_long,
    test: Option<Test>,
    /// If there is no test, or it is passed.
    ruling: Ruling,
    otherwise: Ruling,
}

impl Rule {
    /// The same ruling on all calls of a number.
    pub(super) fn always(call: c_long, ruling: Ruling) -> Self {
        Self {
            call,
            test: None,
            ruling,
            otherwise: ruling,
        }
    }

    /// One ruling if the test is passed, and another one if not.
    pub(super) fn depending(call: c_long, test: Test, rulings: [Ruling; 2]) -> Self {
        let [ruling, otherwise] = rulings;
        Self {
            call,
            test: Some(test),
            ruling,
            otherwise,
        }
    }
}

/// The filter that judges calls by the rule for them, and all others as `other`. A call that is meant
/// for another kind of processor ends the process: its number means something else.
pub(super) fn filter(rules: &[Rule], other: Ruling) -> Vec<sock_filter> {
    let mut all = vec![
        load(PROCESSOR_AT),
        jump(IF_EQUAL, PROCESSOR, 1, 0),
        ruling(Ruling::End),
        load(NUMBER_AT),
    ];
    if cfg!(target_arch = "x86_64") {
        all.extend([jump(IF_ANY_BIT, X32, 0, 1), ruling(Ruling::End)]);
    }
    for rule in rules {
        // No call has a number that large.
        let number = u32::try_from(rule.call).unwrap_or(u32::MAX);
        let Some(test) = rule.test else {
            all.extend([jump(IF_EQUAL, number, 0, 1), ruling(rule.ruling)]);
            continue;
        };
        all.extend([
            jump(IF_EQUAL, number, 0, 5),
            load(ARGUMENTS_AT + 8 * test.argument + LOWER_HALF),
            instruction(MASK, test.mask, 0, 0),
            jump(IF_EQUAL, test.value, 0, 1),
            ruling(rule.ruling),
            ruling(rule.otherwise),
        ]);
    }
    all.push(ruling(other));
    all
}

/// From now on the filter decides about this thread's calls, beside those that do already: of several
/// rulings the strictest counts. The process has one thread.
///
/// # Errors
/// When the kernel has no filters, or cannot have one more.
#[expect(
    unsafe_code,
    reason = "no crate in use wraps the call for all processors"
)]
pub(super) fn apply(filter: &[sock_filter]) -> io::Result<()> {
    rustix::thread::set_no_new_privs(true)?;
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).map_err(io::Error::other)?,
        filter: filter.as_ptr().cast_mut(),
    };
    // SAFETY: the kernel reads as many instructions as `len` says, and copies them.
    match unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::c_ulong::from(libc::SECCOMP_MODE_FILTER),
            &raw const program,
        )
    } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn load(at: u32) -> sock_filter {
    instruction(LOAD, at, 0, 0)
}

fn ruling(ruling: Ruling) -> sock_filter {
    instruction(RETURN, ruling.code(), 0, 0)
}

/// Skips so many instructions, depending on the comparison.
fn jump(compare: u32, value: u32, if_so: u8, if_not: u8) -> sock_filter {
    instruction(compare, value, if_so, if_not)
}

fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    // All codes have 16 bits.
    let code = u16::try_from(code).unwrap_or(u16::MAX);
    sock_filter { code, jt, jf, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: Ruling = Ruling::Fail(1);

    /// Does what the kernel does with a filter.
    fn run(filter: &[sock_filter], processor: u32, number: u32, arguments: [u64; 6]) -> u32 {
        let mut data = [number.to_ne_bytes(), processor.to_ne_bytes()].concat();
        data.extend([0; 8]);
        data.extend(arguments.iter().flat_map(|argument| argument.to_ne_bytes()));
        let (mut at, mut loaded) = (0, 0);
        loop {
            let step = filter[at];
            at += 1;
            let jump = |is| usize::from(if is { step.jt } else { step.jf });
            match u32::from(step.code) {
                LOAD => {
                    let from = usize::try_from(step.k).expect("small");
                    assert_eq!(from % 4, 0, "the kernel refuses others");
                    loaded = u32::from_ne_bytes(data[from..from + 4].try_into().expect("four"));
                }
                MASK => loaded &= step.k,
                IF_EQUAL => at += jump(loaded == step.k),
                IF_ANY_BIT => at += jump(loaded & step.k != 0),
                RETURN => return step.k,
                other => panic!("no instruction of ours: {other}"),
            }
        }
    }

    #[test]
    fn each_call_is_judged_by_its_rule() {
        let rules = [
            Rule::always(1, Ruling::Allow),
            Rule::depending(2, test(0, u32::MAX, 7), [Ruling::Allow, REFUSED]),
            Rule::depending(3, test(5, 6, 2), [Ruling::Fail(9), Ruling::Allow]),
            Rule::always(5, Ruling::Fail(38)),
        ];
        let filter = filter(&rules, REFUSED);
        let check = |number, arguments, expected: Ruling| {
            let found = run(&filter, PROCESSOR, number, arguments);
            assert_eq!(found, expected.code(), "{number} {arguments:?}");
        };
        check(1, [9; 6], Ruling::Allow);
        check(2, [7, 0, 0, 0, 0, 0], Ruling::Allow);
        check(2, [8, 7, 7, 7, 7, 7], REFUSED);
        check(3, [0, 0, 0, 0, 0, 3], Ruling::Fail(9));
        check(3, [2, 2, 2, 2, 2, 6], Ruling::Allow);
        check(5, [0; 6], Ruling::Fail(38));
        check(0, [0; 6], REFUSED);
        check(4, [0; 6], REFUSED);
        check(6, [0; 6], REFUSED);
        // These calls look at the lower half only, too.
        check(2, [(1 << 32) | 7, 0, 0, 0, 0, 0], Ruling::Allow);
    }

    #[test]
    fn calls_for_other_processors_end_the_process() {
        let filter = filter(&[Rule::always(1, REFUSED)], Ruling::Allow);
        // 32-bit x86 and 32-bit ARM, which kernels of 64 bits run too.
        for processor in [0x4000_0003, 0x4000_0028] {
            if processor != PROCESSOR {
                assert_eq!(run(&filter, processor, 1, [0; 6]), Ruling::End.code());
            }
        }
        if cfg!(target_arch = "x86_64") {
            assert_eq!(run(&filter, PROCESSOR, X32 | 1, [0; 6]), Ruling::End.code());
        }
        assert_eq!(run(&filter, PROCESSOR, 2, [0; 6]), Ruling::Allow.code());
    }
}
