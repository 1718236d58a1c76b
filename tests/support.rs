//! What the tests share: a server under test, a client, pictures made in code, and looks at
//! the disk. Nothing here asserts the contract; that is the tests' work.

pub mod browser;
pub mod client;
pub mod clips;
pub mod database;
pub mod dirty;
pub mod disk;
pub mod exiftool;
pub mod icc;
pub mod mount;
pub mod nginx;
pub mod pictures;
pub mod pixels;
pub mod programs;
pub mod server;
pub mod upstream;
pub mod validator;
pub mod work;

pub use client::{Answer, File, Uploaded};
pub use server::{Launch, Server};

use std::time::{Duration, Instant};

/// Asks again and again until `look` has an answer; for what happens a moment after the event
/// that a test can see.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "it never happened: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
