//! The static targets. A new one needs a row here, one in `flake.nix` and one in `tests/cross.rs`.

/// A processor that binaries are built for.
pub struct Target {
    /// The name in folders and file names: the OCI platform's architecture.
    pub name: &'static str,
    /// What rustc calls it.
    pub rust: &'static str,
    /// What zig calls it.
    pub zig: &'static str,
    /// The CPU features that C may use, if they differ from zig's defaults.
    pub zig_cpu: Option<&'static str>,
    /// What libaom calls the processor.
    pub aom_cpu: &'static str,
    /// What RPM calls it.
    pub rpm: &'static str,
    /// Whether the standard library from rustup can be used.
    pub rustup_will_do: bool,
}

/// All of them.
pub const ALL: [Target; 3] = [
    Target {
        name: "amd64",
        rust: "x86_64-unknown-linux-musl",
        zig: "x86_64-linux-musl",
        zig_cpu: None,
        aom_cpu: "x86_64",
        rpm: "x86_64",
        rustup_will_do: true,
    },
    Target {
        name: "arm64",
        rust: "aarch64-unknown-linux-musl",
        zig: "aarch64-linux-musl",
        zig_cpu: None,
        aom_cpu: "arm64",
        rpm: "aarch64",
        rustup_will_do: true,
    },
    Target {
        name: "armv7l",
        rust: "armv7-unknown-linux-musleabihf",
        zig: "arm-linux-musleabihf",
        // Not every such processor has NEON or 32 registers; zig assumes both.
        zig_cpu: Some("generic+v7a+vfp3d16-neon-d32"),
        aom_cpu: "generic",
        rpm: "armv7hl",
        // Its clock ends in 2038.
        rustup_will_do: false,
    },
];

/// The word for every target.
const EVERY: &str = "all";

/// The values of `--target`.
pub fn words() -> Vec<&'static str> {
    ALL.iter()
        .map(|target| target.name)
        .chain([EVERY])
        .collect()
}

/// The requested targets, each once, in the order of the table.
pub fn named(words: &[String]) -> Vec<&'static Target> {
    ALL.iter()
        .filter(|target| {
            words
                .iter()
                .any(|word| word == target.name || word == EVERY)
        })
        .collect()
}
