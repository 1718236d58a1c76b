//! A small HTTP client for measuring: one connection that stays open, nothing done twice, and
//! times that are the server's.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

/// The API key of servers under measurement.
pub const API_KEY: &str = "bench";
/// No answer may take longer.
const PATIENCE: Duration = Duration::from_secs(120);
const BOUNDARY: &str = "a-boundary-that-no-file-has";

/// An open connection.
pub struct Connection {
    stream: BufReader<TcpStream>,
}

/// A whole answer.
pub struct Answer {
    pub status: u16,
    /// Whether it has a header `Retry-After`.
    pub asks_to_retry: bool,
    pub body: Vec<u8>,
}

impl Connection {
    /// # Errors
    /// When nobody listens at `address`, which is `http://IP:PORT`.
    pub fn open(address: &str) -> Result<Self> {
        let socket = address.trim_start_matches("http://");
        let stream =
            TcpStream::connect(socket).with_context(|| format!("no server at {socket}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    /// Sends a request without a body.
    ///
    /// # Errors
    /// When the connection breaks or the answer is none.
    pub fn ask(&mut self, method: &str, path: &str) -> Result<Answer> {
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: bench\r\nX-Api-Token: {API_KEY}\r\n\r\n");
        self.stream.get_mut().write_all(request.as_bytes())?;
        self.answer(method == "HEAD")
    }

    /// Uploads one file; the answer is the server's.
    ///
    /// # Errors
    /// As [`Connection::ask`].
    pub fn upload(&mut self, file: &[u8]) -> Result<Answer> {
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"images[]\"; filename=\"x\"\r\n\r\n"
        );
        let tail = format!("\r\n--{BOUNDARY}--\r\n");
        let length = head.len() + file.len() + tail.len();
        let mut request = format!(
            "POST /image HTTP/1.1\r\nHost: bench\r\nContent-Length: {length}\r\n\
             Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n{head}"
        )
        .into_bytes();
        request.extend_from_slice(file);
        request.extend_from_slice(tail.as_bytes());
        self.stream.get_mut().write_all(&request)?;
        self.answer(false)
    }

    fn answer(&mut self, is_head: bool) -> Result<Answer> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|text| text.parse().ok());
        let status = status.with_context(|| format!("no status line: {line:?}"))?;
        let (mut length, mut asks_to_retry) = (0, false);
        loop {
            line.clear();
            ensure!(self.stream.read_line(&mut line)? > 0, "half an answer");
            let Some((name, value)) = line.trim_end().split_once(':') else {
                break;
            };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse()?;
            } else if name.eq_ignore_ascii_case("retry-after") {
                asks_to_retry = true;
            }
        }
        let mut body = vec![0; if is_head { 0 } else { length }];
        self.stream.read_exact(&mut body)?;
        Ok(Answer {
            status,
            asks_to_retry,
            body,
        })
    }
}

/// The value below which this part of all values lies, of sorted values. NaN for none.
pub fn percentile(sorted: &[f64], part: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let at = (sorted.len() as f64 * part).ceil() as usize;
    sorted
        .get(at.saturating_sub(1).min(last))
        .copied()
        .unwrap_or(f64::NAN)
}

/// The same numbers for the same seed.
pub struct Dice(pub u64);

impl Dice {
    /// A number below `sides`.
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
}
