//! Checks of nixpkgs' own form of the recipes, `contrib/nixpkgs`: that it evaluates without reading
//! what a build would make, that it says what the flake's recipes say, and that its hashes are those
//! of the crates in `Cargo.lock`.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use xtask::targets;

use super::{offline::Flake, report::Report};
use crate::{
    apt::Scratch,
    cache,
    command::{self, said},
};

const RECIPE: &str = "contrib/nixpkgs/package.nix";

/// Runs all of them.
pub fn all(flake: &Flake, folder: &Path, report: &mut Report) {
    let own = cache::repository();
    report.step(
        "nixpkgs' form evaluates, without import from derivation",
        || {
            let derivations = flake.form(&own, "derivations")?;
            ensure!(derivations.as_array().is_some_and(|list| list.len() == 3));
            let version = flake.form(&own, "nixpkgs.pict-rs-unwrapped.version")?;
            ensure!(
                version == flake.form(&own, "version")?,
                "it is of {version}"
            );
            Ok(())
        },
    );
    report.step("nixpkgs' form says what the flake's recipes say", || {
        same(flake, &own)
    });
    report.step("the wrapped package refuses a static set", || {
        for recipes in ["ours", "theirs"] {
            match flake.form(&own, &format!("static.{recipes}")) {
                Ok(path) => bail!("{recipes}: it was accepted: {path}"),
                Err(error) => {
                    let text = format!("{error:#}");
                    ensure!(text.contains("use pict-rs-unwrapped"), "{recipes}: {text}");
                }
            }
        }
        Ok(())
    });
    report.step("nixpkgs' libaom is taken where it fits", || {
        let taken = flake.form(&own, "fitting")?;
        let name = "libaom-without-vmaf-3.13.1";
        ensure!(taken == json!({"flake": name, "nixpkgs": name}), "{taken}");
        Ok(())
    });
    report.step(
        "a compiler older than rust-version breaks the package",
        || {
            let broken = flake.form(&own, "broken")?;
            let right = json!({"tooOld": true, "oldest": false});
            ensure!(
                broken == json!({"ours": right, "theirs": right}),
                "{broken}"
            );
            Ok(())
        },
    );
    report.step("nixpkgs' form has the hashes of Cargo.lock", || {
        hashes(flake, folder)
    });
}

/// What may differ: where sources and crates come from, and what only nixpkgs asks for.
///
/// # Errors
/// When anything else differs between the recipes in `root`.
pub fn same(flake: &Flake, root: &Path) -> Result<()> {
    let unwrapped = flake.form(root, "unwrapped")?;
    let expected = json!({
        // The paths of libaom are in the environment.
        "arguments": ["cargoHash", "cargoLock", "env", "meta", "passthru", "src"],
        "env": [],
        "meta": ["changelog", "maintainers"],
    });
    ensure!(
        unwrapped == expected,
        "the bare package differs in {unwrapped}"
    );
    let libaom = flake.form(root, "libaom")?;
    let expected = json!({
        "arguments": ["cmakeDir", "dontUnpack", "installPhase", "meta", "sourceRoot", "src"],
        "meta": ["maintainers"],
    });
    let of_targets = libaom.as_array().context("a list")?;
    ensure!(of_targets.len() == targets::ALL.len());
    for found in of_targets {
        ensure!(*found == expected, "libaom differs in {found}");
    }
    // The manifest has none as long as the project has no address.
    let homepage = flake.form(root, "homepage")?;
    ensure!(
        homepage["manifest"].is_null() || homepage["manifest"] == homepage["nixpkgs"],
        "the homepage differs: {homepage}"
    );
    Ok(())
}

/// Computes what nixpkgs' fetchers would get. With `UPDATE_EXPECT` set, the hash of the crates is
/// written into the recipe.
fn hashes(flake: &Flake, folder: &Path) -> Result<()> {
    let own = cache::repository();
    // A build fetches only the crates of its own target.
    said(command::cargo().args(["fetch", "--locked", "--quiet"]))?;
    let scratch = Scratch::new(folder.join("hashed"))?;
    let fetched = flake.form(&own, "crate")?;
    let field = |name: &str| fetched[name].as_str().context("no text");
    let file = crate_file(&format!("{}-{}", field("pname")?, field("version")?))?;
    let unpacked = scratch.path().join("crate");
    fs::create_dir_all(&unpacked)?;
    said(
        command::new("tar")
            .args(["--extract", "--strip-components=1", "--file"])
            .arg(file)
            .arg("--directory")
            .arg(&unpacked),
    )?;
    let hash = flake.nix.hash(&unpacked)?;
    ensure!(
        fetched["hash"] == hash.as_str(),
        "the crate with libaom has {hash}"
    );

    // `fetchCargoVendor` hashes a folder with the lock file and the crates as they were fetched.
    let vendored = scratch.path().join("vendor");
    let tarballs = vendored.join("tarballs");
    fs::create_dir_all(&tarballs)?;
    let lock = own.join("Cargo.lock");
    fs::copy(&lock, vendored.join("Cargo.lock"))?;
    let lock: toml::Table = fs::read_to_string(lock)?.parse()?;
    let packages = lock["package"].as_array().context("no packages")?;
    for package in packages
        .iter()
        .filter(|package| package.get("source").is_some())
    {
        let (Some(name), Some(version)) = (package["name"].as_str(), package["version"].as_str())
        else {
            bail!("a package without name or version");
        };
        let name = format!("{name}-{version}");
        fs::copy(crate_file(&name)?, tarballs.join(format!("{name}.tar.gz")))?;
    }
    let hash = flake.nix.hash(&vendored)?;
    let written = flake.form(&own, "cargoHash")?;
    let written = written.as_str().context("cargoHash is no text")?;
    if written != hash && env::var_os("UPDATE_EXPECT").is_some() {
        let recipe = own.join(RECIPE);
        let text = fs::read_to_string(&recipe)?;
        fs::write(recipe, text.replace(written, &hash))?;
        return Ok(());
    }
    ensure!(
        written == hash,
        "cargoHash in {RECIPE} has to be {hash}; mend it with: UPDATE_EXPECT=1 cargo xtask flake --quick"
    );
    Ok(())
}

/// A crate as the registry sent it, from cargo's cache.
fn crate_file(name: &str) -> Result<PathBuf> {
    let home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cargo")))
        .context("neither CARGO_HOME nor a home folder is known")?;
    fs::read_dir(home.join("registry/cache"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|registry| registry.path().join(format!("{name}.crate")))
        .find(|file| file.is_file())
        .with_context(|| format!("cargo's cache has no {name}.crate"))
}

/// The answer to a mutant's question: an attribute of `form.nix` for the copy.
///
/// # Errors
/// When it does not evaluate.
pub fn ask(flake: &Flake, attribute: &str) -> Result<Value> {
    flake.form(flake.copy.path(), attribute)
}
