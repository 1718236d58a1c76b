//! A colour profile in which red and green have changed places. Nobody who ignores it can get
//! the colours right by chance.

/// An ICC 2.4 matrix profile: the primaries of sRGB with red and green swapped, gamma 2.2.
pub fn swapped_red_and_green() -> Vec<u8> {
    let red = xyz(0.4360, 0.2225, 0.0139);
    let green = xyz(0.3851, 0.7169, 0.0971);
    let blue = xyz(0.1431, 0.0606, 0.7141);
    let gamma = [&b"curv\0\0\0\0"[..], &1u32.to_be_bytes(), &[2, 51, 0, 0]].concat();
    let tags = [
        (b"desc", description("swapped")),
        (b"cprt", text("public domain")),
        (b"wtpt", xyz(0.9642, 1.0, 0.8249)),
        (b"rXYZ", green),
        (b"gXYZ", red),
        (b"bXYZ", blue),
        (b"rTRC", gamma.clone()),
        (b"gTRC", gamma.clone()),
        (b"bTRC", gamma),
    ];
    let mut table = number(tags.len()).to_vec();
    let mut data = Vec::new();
    let start = 128 + 4 + 12 * tags.len();
    for (name, bytes) in tags {
        table.extend_from_slice(name);
        table.extend(number(start + data.len()));
        table.extend(number(bytes.len()));
        data.extend(bytes);
        data.resize(data.len().next_multiple_of(4), 0);
    }
    let mut profile = number(start + data.len()).to_vec();
    profile.extend(*b"\0\0\0\0\x02\x40\0\0mntrRGB XYZ ");
    profile.extend([7, 0xe6, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]);
    profile.extend(*b"acsp");
    profile.resize(68, 0);
    profile.extend_from_slice(&xyz(0.9642, 1.0, 0.8249)[8..]);
    profile.resize(128, 0);
    [profile, table, data].concat()
}

fn number(value: usize) -> [u8; 4] {
    u32::try_from(value).expect("small").to_be_bytes()
}

fn xyz(x: f64, y: f64, z: f64) -> Vec<u8> {
    let mut bytes = b"XYZ \0\0\0\0".to_vec();
    for value in [x, y, z] {
        // s15Fixed16: exact enough for a test profile.
        bytes.extend(((value * 65536.0).round() as i32).to_be_bytes());
    }
    bytes
}

fn text(text: &str) -> Vec<u8> {
    [b"text\0\0\0\0", text.as_bytes(), b"\0"].concat()
}

fn description(text: &str) -> Vec<u8> {
    let ascii = [text.as_bytes(), b"\0"].concat();
    let mut bytes = b"desc\0\0\0\0".to_vec();
    bytes.extend(number(ascii.len()));
    bytes.extend(ascii);
    // No Unicode and no Macintosh name.
    bytes.resize(bytes.len() + 8 + 3 + 67, 0);
    bytes
}
