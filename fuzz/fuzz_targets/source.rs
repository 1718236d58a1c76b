//! The URL of another server in a query, encoded or not.
#![no_main]

#[path = "../source.rs"]
mod source;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| source::source(bytes));
