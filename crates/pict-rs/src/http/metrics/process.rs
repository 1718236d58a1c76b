//! Linux's statistics about this process, under the names that Prometheus' own client libraries
//! use.

use std::fmt::Write as _;
use std::fs;

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

/// Values in the order of [`NAMES`]; `None` where `/proc` is not mounted.
type Figures = [Option<f64>; NAMES.len()];

/// Name, type and help text.
pub const NAMES: [(&str, &str, &str); 7] = [
    (
        "process_cpu_seconds_total",
        "counter",
        "Processor time of this process, in user and system, in seconds",
    ),
    (
        "process_start_time_seconds",
        "gauge",
        "When this process was started, in Unix time",
    ),
    (
        "process_resident_memory_bytes",
        "gauge",
        "Memory of this process that is in RAM",
    ),
    (
        "process_virtual_memory_bytes",
        "gauge",
        "Address space of this process",
    ),
    (
        "process_open_fds",
        "gauge",
        "Open file descriptors of this process",
    ),
    (
        "process_max_fds",
        "gauge",
        "File descriptors that this process may open",
    ),
    ("process_threads", "gauge", "Threads of this process"),
];

/// All of them in the text format, without unknown values.
pub fn render() -> String {
    let mut text = String::new();
    for ((name, kind, help), value) in NAMES.iter().zip(figures()) {
        if let Some(value) = value {
            let _ = write!(
                text,
                "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n\n"
            );
        }
    }
    text
}

fn figures() -> Figures {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let boot = fs::read_to_string("/proc/stat").unwrap_or_default();
    let stat = Stat::parse(&stat);
    let ticks = clock_ticks_per_second() as f64;
    let of = |find: fn(&Stat) -> u64| stat.as_ref().map(|stat| find(stat) as f64);
    [
        of(|stat| stat.user + stat.system).map(|time| time / ticks),
        of(|stat| stat.start).and_then(|start| Some(booted(&boot)? + start / ticks)),
        of(|stat| stat.resident).map(|pages| pages * page_size() as f64),
        of(|stat| stat.address_space),
        descriptors(),
        getrlimit(Resource::Nofile)
            .current
            .map(|limit| limit as f64),
        of(|stat| stat.threads),
    ]
}

/// From `/proc/self/stat`, in its own units: ticks, pages, bytes.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    user: u64,
    system: u64,
    threads: u64,
    start: u64,
    address_space: u64,
    resident: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The second field is the program's name in parentheses, which may contain spaces and
        // parentheses.
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<_> = rest.split_whitespace().collect();
        // The manual counts from one, and the first field after the name is the third.
        let field = |number: usize| fields.get(number - 3)?.parse().ok();
        Some(Self {
            user: field(14)?,
            system: field(15)?,
            threads: field(20)?,
            start: field(22)?,
            address_space: field(23)?,
            resident: field(24)?,
        })
    }
}

/// When the system was booted, in Unix time.
fn booted(stat: &str) -> Option<f64> {
    stat.lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()
}

fn descriptors() -> Option<f64> {
    let files = fs::read_dir("/proc/self/fd").ok()?;
    // Listing the folder opens it.
    Some(files.count().saturating_sub(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_moves_no_field() {
        let line = "7 (a) b) (c) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 9 0 12345 \
                    1000000 321 18446744073709551615";
        let expected = Stat {
            user: 250,
            system: 50,
            threads: 9,
            start: 12345,
            address_space: 1_000_000,
            resident: 321,
        };
        assert_eq!(Stat::parse(line), Some(expected));
        assert_eq!(Stat::parse(""), None);
        assert_eq!(Stat::parse("7 (a) S 1"), None);
    }

    #[test]
    fn the_figures_of_this_process_are_plausible() {
        let [cpu, start, resident, space, open, most, threads] =
            figures().map(|figure| figure.expect("Linux tells it"));
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now = now.expect("after 1970").as_secs_f64();
        assert!((0.0..1e6).contains(&cpu), "{cpu}");
        assert!((now - 86_400.0..now + 2.0).contains(&start), "{start}");
        assert!(
            (1e6..1e11).contains(&resident) && space > resident,
            "{resident}"
        );
        assert!(open >= 3.0 && open < most, "{open} of {most}");
        assert!(threads >= 1.0);
    }
}
