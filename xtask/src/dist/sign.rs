//! Signs the checksums with whatever program the user signs with.

use std::{path::Path, process::Command, str::FromStr};

use anyhow::{Context as _, Error, Result, bail, ensure};

use crate::command;

/// A command with `{}` where the file's name goes, such as `minisign -S -m {}`.
#[derive(Clone, Debug)]
pub struct Signer(Vec<String>);

/// Stands for the name of the file.
const FILE: &str = "{}";

impl FromStr for Signer {
    type Err = Error;

    /// Refuses what could not sign, before anything is built.
    fn from_str(text: &str) -> Result<Self> {
        let words = shlex::split(text).context("a quote is not closed")?;
        let program = words.first().context("it is empty")?;
        ensure!(
            words[1..].iter().any(|word| word.contains(FILE)),
            "{FILE}, which stands for the file to sign, is not in it"
        );
        ensure!(command::is_installed(program), "{program} is not installed");
        Ok(Self(words))
    }
}

impl Signer {
    /// Runs the command for `file`, in the user's folder, so that it may name keys from there and
    /// ask for a password.
    ///
    /// # Errors
    /// When it fails.
    pub fn sign(&self, file: &Path) -> Result<()> {
        let file = file.to_str().context("a name in UTF-8")?;
        let words: Vec<_> = self.0.iter().map(|word| word.replace(FILE, file)).collect();
        let line = words.join(" ");
        println!("signing: {line}");
        let status = Command::new(&words[0])
            .args(&words[1..])
            .status()
            .with_context(|| format!("cannot start {line}"))?;
        if !status.success() {
            bail!("nothing is signed: {line} ended with {status}");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::apt::Scratch;

    #[test]
    fn the_file_is_named_where_the_command_wants_it() {
        let place = std::env::temp_dir().join(format!("sign a {}", std::process::id()));
        let place = Scratch::new(place).expect("a folder");
        let file = place.path().join("SHA256SUMS");
        fs::write(&file, "sums").expect("written");
        let signer: Signer = "cp -- {} {}.sig".parse().expect("a command");
        signer.sign(&file).expect("signed");
        let signature = fs::read_to_string(place.path().join("SHA256SUMS.sig"));
        assert_eq!(signature.expect("there"), "sums");

        let signer: Signer = "sh -c 'exit 3' {}".parse().expect("a command");
        let error = signer.sign(&file).expect_err("fails").to_string();
        assert!(error.contains("exit status: 3"), "{error}");
    }

    #[test]
    fn a_command_that_could_not_sign_is_refused_at_once() {
        for (text, expected) in [
            ("", "empty"),
            ("cp 'a {}", "quote"),
            ("cp a b", "{}"),
            ("no-such-program-here {}", "not installed"),
        ] {
            let error = text.parse::<Signer>().expect_err("refused").to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
