//! Which colours a clip has, as browsers show it.
//!
//! The samples of a clip are brightness and two differences of colour; three code points of H.273
//! say how they become red, green and blue, and what those mean. Many clips name none of them, or
//! not all, and Chromium then goes by the size. What it does is the rule here.

use serde::{Deserialize, Serialize};

/// Code points of H.273 that a container names; 2 where it does not.
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
/// Clips of at least so many rows are taken for BT.709 when they do not say what they are.
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
        // Point 0 of the matrix is RGB, of the others it is reserved, as is 3 of all.
        !matches!(self.primaries, 0 | UNSPECIFIED | 3)
            && !matches!(self.transfer, 0 | UNSPECIFIED | 3)
            && !matches!(self.matrix, UNSPECIFIED | 3)
    }

    /// Whether its light is coded as PQ or HLG.
    pub fn is_hdr(self) -> bool {
        self.is_complete() && matches!(self.transfer, 16 | 18)
    }

    /// The code point of the matrix by which a frame of `height` rows becomes red, green and blue.
    pub fn matrix(self, height: u32) -> u8 {
        match self.matrix {
            matrix if self.is_complete() => matrix,
            _ if height < HIGH_DEFINITION => 6,
            _ => BT709,
        }
    }

    /// What its red, green and blue mean, as code points of primaries and transfer; `None` for
    /// sRGB. Browsers show the curves of cameras as that of sRGB, and the primaries of American
    /// television as those of BT.709, which they nearly are.
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
