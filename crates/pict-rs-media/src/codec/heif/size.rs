//! Areas, and a limit for pictures whatever their file says.

/// The number of pixels of a picture of this size.
pub(super) fn area((width, height): (u32, u32)) -> u64 {
    u64::from(width) * u64::from(height)
}

/// Pixels of a picture that is always allowed.
pub(super) const SMALL: u64 = 1 << 20;
