//! Any bytes at all: detection, facts and cleaning, whatever the format; no pixels.
#![no_main]

#[path = "../entry.rs"]
#[expect(dead_code, reason = "each target uses its own entry")]
mod entry;

libfuzzer_sys::fuzz_target!(|source: &[u8]| entry::container(source));
