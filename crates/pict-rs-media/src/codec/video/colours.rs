//! The colours of a clip, as shown by browsers.
//!
//! The samples of a clip are luma and two chroma differences; three code points of H.273 define how
//! they are converted to red, green and blue, and the meaning of those. Many clips lack some or all
//! of them, and Chromium then decides by the size. This follows Chromium.

use serde::{Deserialize, Serialize};

/// Code points of H.273 in a container; 2 if unspecified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClipColours {
    /// Table 2.
    pub primaries: u8,
    /// Table 3.
    pub transfer: u8,
    /// Table 4.
    pub matrix: u8,
}

const UNSPECIFIED: u8 = 2;
const BT709: u8 = 1;
/// Clips with at least this many rows count as BT.709 if unspecified.
const HIGH_DEFINITION: u32 = 720;

impl Default for ClipColours {
    fn default() -> Self {
        Self {
            primaries: UNSPECIFIED,
            transfer: UNSPECIFIED,
            matrix: UNSPECIFIED,
        }
    }
}

impl ClipColours {
    fn is_complete(self) -> bool {
        // Matrix 0 is RGB; otherwise 0 is reserved, as is 3 for all of them.
        !matches!(self.primaries, 0 | UNSPECIFIED | 3)
            && !matches!(self.transfer, 0 | UNSPECIFIED | 3)
            && !matches!(self.matrix, UNSPECIFIED | 3)
    }

    /// Whether the transfer is PQ or HLG.
    pub fn is_hdr(self) -> bool {
        self.is_complete() && matches!(self.transfer, 16 | 18)
    }

    /// The code point of the matrix for a frame of `height` rows.
    pub fn matrix(self, height: u32) -> u8 {
        match self.matrix {
            matrix if self.is_complete() => matrix,
            _ if height < HIGH_DEFINITION => 6,
            _ => BT709,
        }
    }

    /// The meaning of its red, green and blue, as code points of primaries and transfer; `None` for
    /// sRGB. Browsers treat camera transfer curves as that of sRGB, and the primaries of American
    /// television as the nearly equal ones of BT.709.
    pub fn code(self) -> Option<(u8, u8)> {
        if !self.is_complete() {
            return None;
        }
        let primaries = match self.primaries {
            6 | 7 => BT709,
            other => other,
        };
        let transfer = match self.transfer {
            1 | 6 | 7 | 11 | 12 | 14 | 15 => 13,
            other => other,
        };
        let code = (primaries, transfer);
        (code != (BT709, 13)).then_some(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn colours(primaries: u8, transfer: u8, matrix: u8) -> ClipColours {
        ClipColours {
            primaries,
            transfer,
            matrix,
        }
    }

    #[test]
    fn a_clip_that_does_not_say_all_goes_by_its_size() {
        for partly in [
            ClipColours::default(),
            colours(1, 1, 2),
            colours(2, 1, 1),
            colours(9, 2, 9),
            colours(2, 16, 2),
        ] {
            assert_eq!(partly.matrix(719), 6, "{partly:?}");
            assert_eq!(partly.matrix(720), 1, "{partly:?}");
            assert_eq!(partly.code(), None, "{partly:?}");
            assert!(!partly.is_hdr(), "{partly:?}");
        }
    }

    #[test]
    fn what_is_named_is_taken() {
        assert_eq!(colours(1, 1, 1).matrix(100), 1);
        assert_eq!(colours(1, 1, 1).code(), None);
        assert_eq!(colours(6, 6, 6).code(), None);
        assert_eq!(colours(1, 13, 0).matrix(100), 0);
        assert_eq!(colours(5, 6, 5).code(), Some((5, 13)));
        assert_eq!(colours(9, 14, 9).code(), Some((9, 13)));
        assert_eq!(colours(12, 13, 1).code(), Some((12, 13)));
        assert_eq!(colours(9, 16, 9).code(), Some((9, 16)));
        assert!(colours(9, 18, 9).is_hdr());
    }
}
