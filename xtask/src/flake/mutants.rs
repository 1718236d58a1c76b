//! The questions must be able to fail: mistakes that a change could make, each of which has to
//! be refused, and for the right reason.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use super::{
    evaluate::{self, package},
    offline::Flake,
    report::Report,
};

struct Mutant {
    mistake: &'static str,
    file: &'static str,
    /// What stands there, and what is written in its place.
    edits: &'static [(&'static str, &'static str)],
    asked: Asked,
    /// Words of the refusal.
    because: &'static str,
}

/// Which question has to refuse it.
enum Asked {
    Target(&'static str),
    Package(&'static str),
    Machine,
}

const MUTANTS: [Mutant; 9] = [
    Mutant {
        mistake: "the wrapped file in a static set",
        file: "flake.nix",
        edits: &[(
            "set.callPackage ./pict-rs-unwrapped.nix { }",
            "set.callPackage ./pict-rs.nix { pict-rs-unwrapped = set.callPackage ./pict-rs-unwrapped.nix { }; }",
        )],
        asked: Asked::Package("pict-rs-arm64"),
        because: "a helper program has no place in the bare package",
    },
    Mutant {
        mistake: "a helper among the inputs of the bare package",
        file: "pict-rs-unwrapped.nix",
        edits: &[
            ("  nasm,\n", "  nasm,\n  exiftool,\n"),
            (
                "strictDeps = true;",
                "strictDeps = true; buildInputs = [ exiftool ];",
            ),
        ],
        asked: Asked::Package("pict-rs-amd64"),
        because: "exiftool-static",
    },
    Mutant {
        mistake: "a target with the triple of another",
        file: "flake.nix",
        edits: &[("aarch64-unknown-linux-musl", "x86_64-unknown-linux-musl")],
        asked: Asked::Target("arm64"),
        because: "\"host\":\"x86_64-unknown-linux-musl\"",
    },
    Mutant {
        mistake: "a target that is not static",
        file: "flake.nix",
        edits: &[("}).pkgsStatic;", "});")],
        asked: Asked::Target("armv7l"),
        because: "\"static\":false",
    },
    Mutant {
        mistake: "a source file that is not there",
        file: "pict-rs-unwrapped.nix",
        edits: &[("./docs/errors.md", "./docs/gone.md")],
        asked: Asked::Package("pict-rs-unwrapped"),
        because: "does not exist",
    },
    Mutant {
        mistake: "a setting of the wrong type",
        file: "nix/vm-test.nix",
        edits: &[("max_file_size = 8;", "max_file_size = \"8\";")],
        asked: Asked::Machine,
        because: "is not of type",
    },
    Mutant {
        mistake: "an option of the module that there is not",
        file: "nix/vm-test.nix",
        edits: &[("ipAddressDeny", "ipAdressDeny")],
        asked: Asked::Machine,
        because: "does not exist",
    },
    Mutant {
        mistake: "a secret in the settings, which everybody can read",
        file: "nix/vm-test.nix",
        edits: &[(
            "settings.media.max_file_size = 8;",
            "settings.server.api_key = \"secret\";",
        )],
        asked: Asked::Machine,
        because: "give secrets through services.pict-rs.credentials",
    },
    Mutant {
        mistake: "the module beside that of nixpkgs",
        file: "nix/module.nix",
        edits: &[(
            "disabledModules = [ \"services/web-apps/pict-rs.nix\" ];",
            "",
        )],
        asked: Asked::Machine,
        because: "already declared",
    },
];

/// Makes every mistake and expects a refusal.
pub fn all(flake: &Flake, report: &mut Report) {
    for mutant in &MUTANTS {
        report.step(&format!("refused: {}", mutant.mistake), || {
            refused(flake, mutant)
        });
    }
}

fn refused(flake: &Flake, mutant: &Mutant) -> Result<()> {
    let mistaken = Mistaken::make(flake, mutant)?;
    let answer = mutant.asked.ask(flake);
    drop(mistaken);
    match answer {
        Ok(()) => bail!("it was accepted"),
        Err(error) => {
            let text = format!("{error:#}");
            ensure!(
                text.contains(mutant.because),
                "it was refused without the words '{}':\n{text}",
                mutant.because
            );
            Ok(())
        }
    }
}

impl Asked {
    fn ask(&self, flake: &Flake) -> Result<()> {
        let root = flake.mutant("");
        match self {
            Self::Target(name) => {
                let (_, triple) = evaluate::TARGETS
                    .into_iter()
                    .find(|(found, _)| found == name)
                    .context("no such target")?;
                evaluate::target(flake, &root, name, triple)
            }
            Self::Package(name) => {
                let attribute = package(flake, &root, &format!("{name}.drvPath"));
                flake.run(&["eval", "--raw", &attribute], &[]).map(drop)
            }
            Self::Machine => {
                let attribute = format!("{root}checks.{}.vm.drvPath", linux(flake));
                flake.run(&["eval", "--raw", &attribute], &[]).map(drop)
            }
        }
    }
}

/// The machine's own system, or the Linux beside it.
fn linux(flake: &Flake) -> String {
    flake.system.replace("darwin", "linux")
}

/// A file of the copy with a mistake in it, until dropped.
struct Mistaken {
    path: PathBuf,
    right: String,
}

impl Mistaken {
    fn make(flake: &Flake, mutant: &Mutant) -> Result<Self> {
        let path = flake.copy.path().join(mutant.file);
        let right = fs::read_to_string(&path)?;
        let mut wrong = right.clone();
        for (from, to) in mutant.edits {
            ensure!(
                wrong.contains(from),
                "{} has no '{from}' any more: mend the mutant",
                mutant.file
            );
            wrong = wrong.replacen(from, to, 1);
        }
        fs::write(&path, wrong)?;
        Ok(Self { path, right })
    }
}

impl Drop for Mistaken {
    fn drop(&mut self) {
        let _ = fs::write(&self.path, &self.right);
    }
}
