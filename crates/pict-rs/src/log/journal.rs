//! Priorities for the journal of systemd, which otherwise takes all lines for "info".
//!
//! A line that begins with a number in angle brackets has that priority, as in the log of the kernel;
//! the journal removes it (sd-daemon(3)).

use std::env;
use std::io::{self, Write};
use std::os::fd::AsFd;

use rustix::fs::fstat;
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// The standard output or the standard error, with priorities if the journal reads it.
#[derive(Debug)]
pub struct Output<W> {
    open: fn() -> W,
    is_journal: bool,
}

impl<W: AsFd> Output<W> {
    /// `open` is [`io::stdout`] or [`io::stderr`].
    pub fn new(open: fn() -> W) -> Self {
        let stream = env::var("JOURNAL_STREAM").ok();
        Self {
            open,
            is_journal: stream.is_some_and(|stream| is_stream(open().as_fd(), &stream)),
        }
    }

    /// A writer of lines of this level.
    pub fn lines(&self, level: Level) -> Lines<W> {
        Lines {
            output: (self.open)(),
            priority: self.is_journal.then(|| priority(level)),
        }
    }
}

/// Whether this is the connection to the journal that systemd has named in `JOURNAL_STREAM`
/// (systemd.exec(5)): its device and its inode. The variable stays when an output is redirected.
fn is_stream(output: impl AsFd, stream: &str) -> bool {
    fstat(output).is_ok_and(|output| stream == format!("{}:{}", output.st_dev, output.st_ino))
}

/// As syslog(3) counts.
fn priority(level: Level) -> &'static [u8] {
    match level {
        Level::ERROR => b"<3>",
        Level::WARN => b"<4>",
        Level::INFO => b"<6>",
        _ => b"<7>",
    }
}

impl<W: AsFd + Write> MakeWriter<'_> for Output<W> {
    type Writer = Lines<W>;

    fn make_writer(&self) -> Lines<W> {
        self.lines(Level::INFO)
    }

    fn make_writer_for(&self, event: &Metadata<'_>) -> Lines<W> {
        self.lines(*event.level())
    }
}

/// Writes whole lines.
#[derive(Debug)]
pub struct Lines<W> {
    output: W,
    priority: Option<&'static [u8]>,
}

impl<W: Write> Write for Lines<W> {
    /// `text` begins at the beginning of a line.
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let Some(priority) = self.priority else {
            return self.output.write(text);
        };
        let lines = text.split_inclusive(|byte| *byte == b'\n');
        let marked: Vec<_> = lines.flat_map(|line| [priority, line]).collect();
        self.output.write_all(&marked.concat())?;
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn each_line_has_the_priority_of_its_event() {
        for (level, expected) in [
            (Level::ERROR, "<3>a\n<3>  b\n"),
            (Level::WARN, "<4>a\n<4>  b\n"),
            (Level::INFO, "<6>a\n<6>  b\n"),
            (Level::TRACE, "<7>a\n<7>  b\n"),
        ] {
            let mut written = Vec::new();
            let mut lines = Lines {
                output: &mut written,
                priority: Some(priority(level)),
            };
            lines.write_all(b"a\n  b\n").expect("written");
            assert_eq!(String::from_utf8_lossy(&written), expected);
        }
    }

    #[test]
    fn only_the_named_stream_is_the_journal() {
        let file = tempfile::tempfile().expect("a file");
        let metadata = file.metadata().expect("there");
        let stream = format!("{}:{}", metadata.dev(), metadata.ino());
        assert!(is_stream(&file, &stream));
        for other in ["", "1", ":", "0:1", &format!("{stream}0")] {
            assert!(!is_stream(&file, other), "{other}");
        }
        let other = tempfile::tempfile().expect("a file");
        assert!(!is_stream(&other, &stream));
    }
}
