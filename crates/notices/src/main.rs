//! Prints the notices for a binary that is built here: `notices TRIPLE [FEATURES]`, in the sources,
//! where cargo has the crates. Recipes of packages use it; `cargo xtask dist` uses the library.

use std::{env, io::Write as _, path::Path, process::Command};

use anyhow::{Result, bail};

fn main() -> Result<()> {
    let words: Vec<_> = env::args().skip(1).collect();
    let (triple, features) = match &words[..] {
        [triple] => (triple, ""),
        [triple, features] => (triple, &features[..]),
        _ => bail!("notices TRIPLE [FEATURES], such as x86_64-unknown-linux-gnu pict-rs/libaom"),
    };
    let cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let text = notices::of(cargo, Path::new("."), triple, features)?;
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}
