//! Tools for measurements: a server with time for long answers, percentiles, and random numbers.

use std::{env, fs, path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use testkit::{Answer, Client, Launch, Program, Server};

/// The API key of measured servers.
const API_KEY: &str = "bench";
/// Longer than any answer may take.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Starts a server with its data in `folder`, which are kept, and the programs of this machine.
///
/// # Errors
/// When the folder cannot be created or the server does not start.
pub fn start(program: &Path, folder: &Path, settings: &[(&str, &str)]) -> Result<Server> {
    fs::create_dir_all(folder)?;
    let launch = Launch::in_folder(Program::new(program, Vec::new()), folder)
        .environment("STATE_DIRECTORY", folder.display())
        .environment("PATH", env::var("PATH").unwrap_or_default())
        .setting("server.api_key", API_KEY);
    let launch = settings.iter().fold(launch, |launch, (name, value)| {
        launch.environment(name, value)
    });
    Ok(launch.try_start()?)
}

/// A separate client, with a connection that stays open.
pub fn client(server: &Server) -> Client {
    Client::with_timeout(server.address, TIMEOUT)
}

/// Sends a request without a body, with the key.
///
/// # Errors
/// When the connection breaks.
pub fn ask(client: &Client, path: &str) -> Result<Answer> {
    Ok(client.try_send("GET", path, &[("X-Api-Token", API_KEY)], None)?)
}

/// The alias in the answer to an upload of one file.
///
/// # Errors
/// When the upload was refused.
pub fn alias(answer: &Answer) -> Result<String> {
    ensure!(
        answer.status == 201,
        "the upload was answered {}: {}",
        answer.status,
        answer.text()
    );
    let body: serde_json::Value = serde_json::from_slice(&answer.body)?;
    let alias = body["files"][0]["file"].as_str();
    Ok(alias.context("the answer names no file")?.to_owned())
}

/// The percentile `part` (0 to 1) of sorted values. NaN if there are none.
pub fn percentile(sorted: &[f64], part: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let at = (sorted.len() as f64 * part).ceil() as usize;
    sorted
        .get(at.saturating_sub(1).min(last))
        .copied()
        .unwrap_or(f64::NAN)
}

/// The middle value; the mean of both for an even number. NaN if there are none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// Megabytes of 1,000,000 bytes.
pub fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// A random generator: the same seed gives the same numbers.
pub struct Dice(pub u64);

impl Dice {
    /// A random number below `sides`.
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let values: Vec<_> = (1..=100).map(f64::from).collect();
        assert_eq!(percentile(&values, 0.5), 50.0);
        assert_eq!(percentile(&values, 0.99), 99.0);
        assert_eq!(percentile(&values, 1.0), 100.0);
        assert_eq!(percentile(&[7.0], 0.01), 7.0);
        assert!(percentile(&[], 0.5).is_nan());
    }

    #[test]
    fn the_median_is_the_middle_of_the_sorted_values() {
        assert_eq!(median(vec![9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 3.0, 9.0]), 3.5);
        assert!(median(vec![]).is_nan());
    }
}
