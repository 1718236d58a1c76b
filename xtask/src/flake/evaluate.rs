//! Checks that build nothing.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{offline::Flake, report::Report};
use crate::{
    clone,
    command::{self, said},
    tool,
};
use xtask::targets::{self, Target};

/// Programs that only the wrapped package may name.
pub const HELPERS: [&str; 3] = ["exiftool", "ffmpeg-headless", "imagemagick"];

/// Runs all of them.
pub fn all(flake: &Flake, report: &mut Report) {
    report.step("every .nix file parses", || parse(flake));
    report.step("every .nix file has nixpkgs' format", format);
    report.step("flake.lock is the lock of flake.nix", || {
        flake.nix.run(&[
            "flake",
            "metadata",
            "--no-update-lock-file",
            "--offline",
            ".",
        ])
    });
    report.step("every output evaluates, for every system", || {
        flake.run(&["flake", "check", "--no-build", "--all-systems"], &["."])
    });
    for row in targets::ALL.iter() {
        let what = format!(
            "pict-rs-{} is the unwrapped file in the static set of {}",
            row.name, row.nix
        );
        report.step(&what, || target(flake, &flake.own(""), row));
    }
    report.step("the flake's table has no target more or less", || {
        table(flake, &flake.own(""))
    });
    report.step("a cross set and a musl set give other packages", || {
        dynamic(flake)
    });
    report.step("the unwrapped file asks for no helper program", || {
        let asked = flake.json(&package(
            flake,
            &flake.own(""),
            "pict-rs-unwrapped.standin.asked",
        ))?;
        let asked = words(&asked);
        let helper = asked.iter().find(|name| HELPERS.contains(&name.as_str()));
        ensure!(helper.is_none(), "it asks for {helper:?}");
        Ok(())
    });
    report.step("the image is what its users expect", || image(flake));
}

/// `packages.SYSTEM.REST` below a flake's reference.
pub fn package(flake: &Flake, reference: &str, rest: &str) -> String {
    format!("{reference}packages.{}.{rest}", flake.system)
}

fn nix_files() -> Result<Vec<String>> {
    let mut files = clone::files()?;
    files.retain(|file| file.ends_with(".nix"));
    ensure!(files.len() > 5, "this is not the repository");
    Ok(files)
}

fn parse(flake: &Flake) -> Result<()> {
    for file in nix_files()? {
        flake.nix.parse(&file).with_context(|| file.clone())?;
    }
    Ok(())
}

fn format() -> Result<()> {
    let mut nixfmt = command::new(tool::NIXFMT.installed()?);
    said(nixfmt.arg("--check").args(nix_files()?))
        .map(drop)
        .context("mend it with: nix fmt")
}

/// # Errors
/// When the package of this target is not the bare recipe in the static set of its triple, or when
/// that triple is of another processor than the one that rustc is told.
pub fn target(flake: &Flake, reference: &str, row: &Target) -> Result<()> {
    let attribute = package(flake, reference, &format!("pict-rs-{}.standin", row.name));
    let record = flake.json(&attribute)?;
    ensure!(
        record["file"] == "pict-rs-unwrapped.nix"
            && record["host"] == row.nix
            && record["rustTarget"] == row.rust
            && record["static"] == true,
        "it is {record}"
    );
    Ok(())
}

/// The jobs that show why static packages come from `pkgsStatic` are about the bare recipe.
fn dynamic(flake: &Flake) -> Result<()> {
    for (name, library) in [("cross", "-gnu"), ("musl", "-musl")] {
        let job = format!("{}hydraJobs.{}.linkage-{name}", flake.own(""), linux(flake));
        let record = flake.json(&format!("{job}.package.standin"))?;
        ensure!(
            record["file"] == "pict-rs-unwrapped.nix"
                && record["static"] == false
                && record["host"]
                    .as_str()
                    .is_some_and(|host| host.ends_with(library)),
            "{name} is {record}"
        );
    }
    Ok(())
}

/// The machine's own system, or the corresponding Linux.
pub fn linux(flake: &Flake) -> String {
    flake.system.replace("darwin", "linux")
}

fn table(flake: &Flake, reference: &str) -> Result<()> {
    let found = flake.json(&format!("{reference}lib.targets"))?;
    let promised: serde_json::Map<_, _> = targets::ALL
        .iter()
        .map(|row| (row.name.to_owned(), Value::from(row.nix)))
        .collect();
    ensure!(found == Value::Object(promised), "it is {found}");
    Ok(())
}

fn image(flake: &Flake) -> Result<()> {
    let standin = flake.json(&package(flake, &flake.own(""), "docker.standin"))?;
    let config = &standin["config"];
    ensure!(config["User"] == "991:991", "user {}", config["User"]);
    ensure!(config["WorkingDir"] == "/mnt", "{}", config["WorkingDir"]);
    ensure!(
        config["Volumes"]["/mnt"].is_object() && config["ExposedPorts"]["8080/tcp"].is_object(),
        "volume or port is missing"
    );
    let env = words(&config["Env"]);
    ensure!(
        env.iter().any(|entry| entry == "STATE_DIRECTORY=/mnt"),
        "{env:?}"
    );
    ensure!(
        !env.iter().any(|entry| entry.starts_with("PICTRS_")),
        "the image's own settings would win over a file of the user: {env:?}"
    );
    ensure!(
        config["Healthcheck"]["Test"][1].is_string(),
        "no health check"
    );
    let program = standin["contents"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|content| content["file"] == "pict-rs-unwrapped.nix")
        .context("the server is not in it")?;
    // A static one would make everybody who wants the image build a cross toolchain.
    ensure!(program["static"] == false, "the server is {program}");
    Ok(())
}

fn words(list: &Value) -> Vec<String> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(|word| word.as_str().map(str::to_owned))
        .collect()
}
