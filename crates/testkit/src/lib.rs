//! Code that tests and chores share: a [`Server`] under test, a [`Client`] with its forms, an
//! [`upstream`] to fetch from, [`nginx`], [`varnish`], and [`pictures`] made in code. It uses the server through
//! its command line and its API, and does not link it.
//!
//! Methods for tests panic on failure; those that begin with `try_` return errors, which chores
//! report.

pub mod client;
pub mod nginx;
pub mod pictures;
pub mod postgres;
pub mod programs;
pub mod proxy;
pub mod s3;
pub mod server;
pub mod upstream;
pub mod varnish;

pub use client::{Answer, Client, File, Uploaded};
pub use server::{Launch, Program, Server};

use std::time::{Duration, Instant};

/// Repeats `look` until it returns a value, for up to 20 seconds: for effects that follow an event
/// with a delay.
///
/// # Panics
/// When the time is up.
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
