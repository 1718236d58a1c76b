//! The allocator of 64-bit static binaries. musl's own takes one lock for all threads, which
//! costs more than half of the answers per second; see `docs/decisions/0004-static-binaries.md`.

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// `mi_option_purge_delay` in mimalloc.h, which the binding does not name. Milliseconds.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Gives freed memory back to the system at once instead of a second later: pictures are large
/// and come in bursts. `MIMALLOC_PURGE_DELAY` in the environment wins.
#[expect(
    unsafe_code,
    reason = "sets an integer in a table of the allocator, which is made for being set"
)]
pub fn tune() {
    // SAFETY: any option may be set at any time; the number is inside the table.
    unsafe { libmimalloc_sys::mi_option_set_default(PURGE_DELAY, 0) };
}
