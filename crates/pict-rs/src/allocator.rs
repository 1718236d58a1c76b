//! The allocator of 64-bit static binaries. musl's own allocator has one lock for all threads,
//! which costs more than half of the throughput; see `docs/decisions/0004-static-binaries.md`.

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// `mi_option_purge_delay` in mimalloc.h, which the binding does not export. In milliseconds.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Returns freed memory to the system at once instead of after a second: pictures are large and
/// come in bursts. `MIMALLOC_PURGE_DELAY` in the environment takes precedence.
#[expect(
    unsafe_code,
    reason = "sets an integer in a table of the allocator, which is made for being set"
)]
pub fn tune() {
    // SAFETY: options may be set at any time, and the number is a valid option.
    unsafe { libmimalloc_sys::mi_option_set_default(PURGE_DELAY, 0) };
}
