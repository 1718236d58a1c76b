//! Changes of a copy of the repository. They prove that the checks can fail: mistakes that somebody
//! could make, each of which must be refused, for the right reason. And one that must not be: the row
//! that CONTRIBUTING.md shows as the example of a new target.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use xtask::targets;

use super::{
    evaluate::{self, linux, package},
    nixpkgs,
    offline::Flake,
    report::Report,
};
use crate::cache;

/// An entry of `mutants.toml`, which documents each field.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutant {
    mistake: String,
    file: String,
    edits: Vec<[String; 2]>,
    ask: String,
    because: String,
}

#[derive(Deserialize)]
struct Mutants {
    mutants: Vec<Mutant>,
}

/// Makes every mistake and expects it to be refused.
pub fn all(flake: &Flake, report: &mut Report) {
    let list: Mutants =
        toml::from_str(include_str!("mutants.toml")).expect("mutants.toml is right");
    for mutant in &list.mutants {
        report.step(&format!("refused: {}", mutant.mistake), || {
            refused(flake, mutant)
        });
    }
    report.step("accepted: the new target of CONTRIBUTING.md", || {
        new_target(flake)
    });
}

/// Adds the row to the table, and nothing else.
fn new_target(flake: &Flake) -> Result<()> {
    let guide = fs::read_to_string(cache::repository().join("CONTRIBUTING.md"))?;
    let block = guide.split("```toml\n").nth(1);
    let row = block.and_then(|block| block.split("```").next());
    let row = row.context("CONTRIBUTING.md shows no row")?;
    let added = targets::parse(row)?;
    let [added] = &added[..] else {
        bail!("CONTRIBUTING.md shows {} rows", added.len());
    };
    let path = flake.copy.path().join("targets.toml");
    let right = fs::read_to_string(&path)?;
    fs::write(&path, format!("{right}\n{row}"))?;
    let _changed = Changed { path, right };
    evaluate::target(flake, &flake.mutant(""), added)
}

fn refused(flake: &Flake, mutant: &Mutant) -> Result<()> {
    let changed = Changed::make(flake, mutant)?;
    let answer = ask(flake, &mutant.ask);
    drop(changed);
    match answer {
        Ok(()) => bail!("it was accepted"),
        Err(error) => {
            let text = format!("{error:#}");
            ensure!(
                text.contains(&mutant.because),
                "it was refused without the words '{}':\n{text}",
                mutant.because
            );
            Ok(())
        }
    }
}

fn ask(flake: &Flake, question: &str) -> Result<()> {
    let root = flake.mutant("");
    let attribute = match question.split_once(' ') {
        Some(("target", name)) => {
            // The copy's own table: no second one says what is right.
            let table = fs::read_to_string(flake.copy.path().join("targets.toml"))?;
            let targets = targets::parse(&table)?;
            let row = targets.iter().find(|row| row.name == name);
            return evaluate::target(flake, &root, row.context("no such target")?);
        }
        Some(("nixpkgs", attribute)) => return nixpkgs::ask(flake, attribute).map(drop),
        Some(("package", name)) => package(flake, &root, &format!("{name}.drvPath")),
        None if question == "sameness" => {
            return nixpkgs::same(flake, flake.copy.path());
        }
        None if question == "machine" => format!("{root}checks.{}.vm.drvPath", linux(flake)),
        _ => bail!("no such question: {question}"),
    };
    flake.run(&["eval", "--raw", &attribute], &[]).map(drop)
}

/// A changed file of the copy, restored on drop.
struct Changed {
    path: PathBuf,
    right: String,
}

impl Changed {
    fn make(flake: &Flake, mutant: &Mutant) -> Result<Self> {
        let path = flake.copy.path().join(&mutant.file);
        let right = fs::read_to_string(&path)?;
        let mut wrong = right.clone();
        for [from, to] in &mutant.edits {
            ensure!(
                wrong.contains(from.as_str()),
                "{} has no '{from}' any more: mend the mutant",
                mutant.file
            );
            wrong = wrong.replacen(from, to, 1);
        }
        fs::write(&path, wrong)?;
        Ok(Self { path, right })
    }
}

impl Drop for Changed {
    fn drop(&mut self) {
        let _ = fs::write(&self.path, &self.right);
    }
}
