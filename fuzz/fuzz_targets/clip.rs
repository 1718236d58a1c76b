//! What the containers of clips say; no frame is decoded.
#![no_main]

#[path = "../entry.rs"]
#[expect(dead_code, reason = "each target uses its own entry")]
mod entry;

libfuzzer_sys::fuzz_target!(|source: &[u8]| entry::clip(source));
