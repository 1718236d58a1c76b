//! The limit on pixels of layers during drawing.

/// The maximum for a picture with this number of pixels. Pictures that need more are refused.
pub(super) fn most(pixels: u64) -> u64 {
    const SMALL: u64 = 5_000_000;
    pixels.saturating_mul(16).max(SMALL)
}
