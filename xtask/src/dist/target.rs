//! The static targets. A new one is a row here, one in `flake.nix` and one in `tests/cross.rs`.

/// A processor that binaries are made for.
pub struct Target {
    /// The name in folders and file names: the OCI platform's architecture.
    pub name: &'static str,
    /// What rustc calls it.
    pub rust: &'static str,
    /// What RPM calls it.
    pub rpm: &'static str,
    /// Whether the standard library that rustup installs is good enough.
    pub rustup_will_do: bool,
}

/// All of them.
pub const ALL: [Target; 3] = [
    Target {
        name: "amd64",
        rust: "x86_64-unknown-linux-musl",
        rpm: "x86_64",
        rustup_will_do: true,
    },
    Target {
        name: "arm64",
        rust: "aarch64-unknown-linux-musl",
        rpm: "aarch64",
        rustup_will_do: true,
    },
    Target {
        name: "armv7l",
        rust: "armv7-unknown-linux-musleabihf",
        rpm: "armv7hl",
        // Its clock ends in 2038.
        rustup_will_do: false,
    },
];

/// The word for every target.
const EVERY: &str = "all";

/// What `--target` takes.
pub fn words() -> Vec<&'static str> {
    ALL.iter()
        .map(|target| target.name)
        .chain([EVERY])
        .collect()
}

/// The targets that were asked for, each once, in the order of the table.
pub fn named(words: &[String]) -> Vec<&'static Target> {
    ALL.iter()
        .filter(|target| {
            words
                .iter()
                .any(|word| word == target.name || word == EVERY)
        })
        .collect()
}
