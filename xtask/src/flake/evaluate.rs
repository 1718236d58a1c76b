//! Checks that build nothing.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{offline::Flake, report::Report};
use crate::clone;

/// The promised targets, deliberately repeated here: a wrong triple in the flake must not pass.
pub const TARGETS: [(&str, &str); 3] = [
    ("amd64", "x86_64-unknown-linux-musl"),
    ("arm64", "aarch64-unknown-linux-musl"),
    ("armv7l", "armv7l-unknown-linux-musleabihf"),
];

/// Programs that only the wrapped package may name.
pub const HELPERS: [&str; 3] = ["exiftool", "ffmpeg-headless", "imagemagick"];

/// Runs all of them.
pub fn all(flake: &Flake, report: &mut Report) {
    report.step("every .nix file parses", || parse(flake));
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
    for (name, triple) in TARGETS {
        let what = format!("pict-rs-{name} is the unwrapped file in the static set of {triple}");
        report.step(&what, || target(flake, &flake.own(""), name, triple));
    }
    report.step("the flake's table has no target more or less", || {
        table(flake, &flake.own(""))
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

fn parse(flake: &Flake) -> Result<()> {
    let all = clone::files()?;
    let nix: Vec<_> = all.iter().filter(|file| file.ends_with(".nix")).collect();
    ensure!(nix.len() > 5, "this is not the repository");
    for file in nix {
        flake.nix.parse(file).with_context(|| file.clone())?;
    }
    Ok(())
}

/// # Errors
/// When the package of this name is not the bare recipe in the static set of `triple`.
pub fn target(flake: &Flake, reference: &str, name: &str, triple: &str) -> Result<()> {
    let attribute = package(flake, reference, &format!("pict-rs-{name}.standin"));
    let record = flake.json(&attribute)?;
    ensure!(
        record["file"] == "pict-rs-unwrapped.nix"
            && record["host"] == triple
            && record["static"] == true,
        "it is {record}"
    );
    Ok(())
}

fn table(flake: &Flake, reference: &str) -> Result<()> {
    let found = flake.json(&format!("{reference}lib.targets"))?;
    let promised: serde_json::Map<_, _> = TARGETS
        .iter()
        .map(|&(name, triple)| (name.to_owned(), Value::from(triple)))
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
