//! What tests and chores share: a [`Server`] under test, a [`Client`] with its forms, an
//! [`upstream`] to fetch from, [`nginx`] beside it, and [`pictures`] made in code. It knows the server by its command
//! line and its API, and links nothing of it.
//!
//! Methods for tests panic with what they found; those that begin with `try_` return errors, which
//! chores report.

pub mod client;
pub mod nginx;
pub mod pictures;
pub mod programs;
pub mod server;
pub mod upstream;

pub use client::{Answer, Client, File, Uploaded};
pub use server::{Launch, Program, Server};

use std::time::{Duration, Instant};

/// Asks again and again until `look` has an answer, for up to 20 seconds: for what happens a moment
/// after the event that a test can see.
///
/// # Panics
/// When the time is over.
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
