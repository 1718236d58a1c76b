//! Replays the seeds of the fuzz target `source` through the target's own entry function, on the
//! stable compiler, so that a finding once fixed stays fixed without a fuzzer.

#[path = "../../../fuzz/source.rs"]
mod source;

use std::{fs, path::Path};

#[test]
fn no_query_loses_its_url_or_its_parameters() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/source");
    let seeds: Vec<_> = fs::read_dir(folder)
        .expect("the target has a folder of seeds")
        .map(|item| fs::read(item.expect("listed").path()).expect("a seed can be read"))
        .collect();
    assert!(seeds.len() >= 3, "{} seeds", seeds.len());
    for seed in seeds {
        for end in 0..=seed.len() {
            source::source(&seed[..end]);
        }
        for at in 0..seed.len() {
            for byte in *b"&=?%+#/p0" {
                let mut changed = seed.clone();
                changed[at] = byte;
                source::source(&changed);
            }
        }
    }
}

#[test]
fn no_mixture_of_pieces_loses_its_url_or_its_parameters() {
    const PIECES: [&str; 16] = [
        "proxy",
        "=",
        "&",
        "?",
        "%3F",
        "%26",
        "https://h/",
        "thumbnail=9",
        "crop=1x2",
        "blur",
        "+",
        "#",
        "%70",
        "a",
        "ü",
        "%",
    ];
    // Xorshift: the same mixtures at each run.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..100_000 {
        let mut query = String::new();
        for _ in 0..12 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            query.push_str(PIECES[(state % 16) as usize]);
        }
        source::source(query.as_bytes());
    }
}
