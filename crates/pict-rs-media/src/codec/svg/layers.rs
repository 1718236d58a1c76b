//! Pixels of layers that drawing may hold at a time.

/// For a picture of so many pixels. What would hold more is refused.
pub(super) fn most(pixels: u64) -> u64 {
    const SMALL: u64 = 5_000_000;
    pixels.saturating_mul(16).max(SMALL)
}
