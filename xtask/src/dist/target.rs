//! Which static targets a command line asks for.

pub use xtask::targets::{ALL, Target};

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
