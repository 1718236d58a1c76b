//! Work that takes long, and the certainty that it has begun.

use std::thread::JoinHandle;

use super::client::{Client, process_path};
use super::{Answer, Server, eventually};

/// A variant that takes about a second or more of a picture of one or two megapixels.
const LONG: &str = "blur=40&blur=41&blur=42&blur=43";

/// Lets another thread ask for a variant that takes long, and returns once it is being made.
/// For servers with one permit and no queue.
pub fn occupy(server: &Server, alias: &str) -> JoinHandle<Answer> {
    let path = long_path(alias);
    let address = server.address;
    let request = std::thread::spawn(move || {
        let client = Client::new(address);
        // The probe below may have the permit just now.
        eventually("it is our turn", || {
            Some(client.get(&path)).filter(|answer| answer.status != 503)
        })
    });
    wait_until_busy(server, alias);
    request
}

/// Where the long work is asked for.
pub fn long_path(alias: &str) -> String {
    process_path("png", alias, LONG)
}

/// Returns once no permit is free.
pub fn wait_until_busy(server: &Server, alias: &str) {
    let mut size = 0;
    eventually("the server is busy", || {
        size += 1;
        let probe = process_path("jpg", alias, &format!("thumbnail={size}"));
        (server.get(&probe).status == 503).then_some(())
    });
}
