//! The visible part of a coded picture (`clap`, ISO/IEC 14496-12, 12.1.4).
//!
//! An aperture that is not on whole pixels inside the picture is ignored, as in browsers: the whole
//! picture is shown.

/// Start and length of the part of `whole` that has `length` and whose centre is `shift` after the
/// centre of the whole.
pub(crate) fn cut(whole: u32, length: (i64, i64), shift: (i64, i64)) -> Option<(u32, u32)> {
    if length.1 <= 0 || shift.1 <= 0 || length.0 % length.1 != 0 {
        return None;
    }
    let length = length.0 / length.1;
    // In units of 1 / (2 * shift.1): the start is shift + (whole - length) / 2.
    let begin = shift
        .0
        .checked_mul(2)?
        .checked_add((i64::from(whole) - length).checked_mul(shift.1)?)?;
    if begin % (shift.1 * 2) != 0 {
        return None;
    }
    let begin = begin / (shift.1 * 2);
    let inside = length > 0 && begin >= 0 && begin + length <= i64::from(whole);
    inside.then_some((begin.try_into().ok()?, length.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apertures_lie_on_whole_pixels_inside_of_the_picture() {
        assert_eq!(cut(100, (50, 1), (0, 1)), Some((25, 50)));
        assert_eq!(cut(100, (50, 1), (-25, 1)), Some((0, 50)));
        assert_eq!(cut(101, (100, 1), (1, 2)), Some((1, 100)));
        assert_eq!(cut(100, (100, 2), (50, 2)), Some((50, 50)));
        assert_eq!(cut(100, (51, 1), (0, 1)), None);
        assert_eq!(cut(100, (50, 1), (26, 1)), None);
        assert_eq!(cut(100, (0, 1), (0, 1)), None);
        assert_eq!(cut(100, (101, 1), (0, 1)), None);
        assert_eq!(cut(100, (7, 2), (0, 1)), None);
        assert_eq!(cut(9, (1, 1), (4, 1)), Some((8, 1)));
    }
}
