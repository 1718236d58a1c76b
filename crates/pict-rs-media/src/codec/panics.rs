//! Catches panics of libraries on damaged files.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::Result as Caught;

use crate::{Error, Format, Result};

thread_local! {
    static CAUGHT: Cell<u32> = const { Cell::new(0) };
}

/// Whether a panic on this thread is currently caught and treated as a damaged file. For a panic
/// hook, which can then log it less loudly.
pub fn panics_are_caught() -> bool {
    CAUGHT.get() > 0
}

/// Treats a panic of a decoder as what it most likely is: a damaged file.
pub(crate) fn guard<T>(format: Format, work: impl FnOnce() -> Result<T>) -> Result<T> {
    caught(work).unwrap_or_else(|_| Err(Error::corrupt(format, "it confuses the decoder")))
}

/// The result of `work`, or its panic. Only for code that reads untrusted files: a panic of an
/// encoder is not a damaged file but a bug, so code that catches those (JPEG XL, rav1e) does not
/// use this, and the hook logs them as errors.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Caught<T> {
    CAUGHT.set(CAUGHT.get() + 1);
    let outcome = catch_unwind(AssertUnwindSafe(work));
    CAUGHT.set(CAUGHT.get() - 1);
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_damaged_file_and_is_known_to_be_caught() {
        assert!(!panics_are_caught());
        let inside = guard(Format::Tiff, || {
            guard(Format::Jxl, || Ok(()))?;
            Ok(panics_are_caught())
        });
        assert!(inside.expect("does not panic"));
        let outcome: Result<()> = guard(Format::Tiff, || panic!("a test"));
        assert!(matches!(
            outcome,
            Err(Error::Corrupt {
                format: Format::Tiff,
                ..
            })
        ));
        assert!(!panics_are_caught());
    }
}
