//! Files that are stored converted, from detection to a variant; other inputs are turned away at once.
#![no_main]

#[path = "../entry.rs"]
#[expect(dead_code, reason = "each target uses its own entry")]
mod entry;

libfuzzer_sys::fuzz_target!(|source: &[u8]| entry::picture(source, &entry::CONVERTED));
