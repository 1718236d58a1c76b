//! Libraries that may panic on damaged files.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{Error, Format, Result};

/// Takes a panic of a decoder for what it most likely is: a damaged file.
pub(crate) fn guard<T>(format: Format, work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Error::corrupt(format, "it confuses the decoder")))
}
