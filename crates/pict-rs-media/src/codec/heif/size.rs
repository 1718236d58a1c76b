//! Areas, and how large a picture may be whatever its file says.

/// Pixels of a picture of that size.
pub(super) fn area((width, height): (u32, u32)) -> u64 {
    u64::from(width) * u64::from(height)
}

/// Pixels of a picture that nobody minds.
pub(super) const SMALL: u64 = 1 << 20;
