//! The operations of a process URL, from text to geometry.
#![no_main]

#[path = "../entry.rs"]
#[expect(dead_code, reason = "each target uses its own entry")]
mod entry;

libfuzzer_sys::fuzz_target!(|source: &[u8]| entry::query(source));
