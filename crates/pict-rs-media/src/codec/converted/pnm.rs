//! Distinguishes PNM from text: PBM, PGM, PPM and PAM (netpbm's formats 1 to 7) begin with a letter
//! and a digit, like some sentences.

/// Whether the header continues as expected.
pub(super) fn is_one(source: &[u8]) -> bool {
    match source {
        [b'P', b'1'..=b'6', rest @ ..] => names_a_width(rest),
        [b'P', b'7', b'\n', rest @ ..] => {
            const LINES: [&[u8]; 6] = [
                b"WIDTH ",
                b"HEIGHT ",
                b"DEPTH ",
                b"MAXVAL ",
                b"TUPLTYPE ",
                b"#",
            ];
            LINES.iter().any(|line| rest.starts_with(line))
        }
        _ => false,
    }
}

/// White space and comments, then a digit.
fn names_a_width(mut rest: &[u8]) -> bool {
    if !matches!(rest, [first, ..] if first.is_ascii_whitespace() || *first == b'#') {
        return false;
    }
    loop {
        match rest {
            [b'#', ..] => {
                let Some(end) = memchr::memchr2(b'\n', b'\r', rest) else {
                    return false;
                };
                rest = &rest[end..];
            }
            [space, after @ ..] if space.is_ascii_whitespace() => rest = after,
            [first, ..] => return first.is_ascii_digit(),
            [] => return false,
        }
    }
}
