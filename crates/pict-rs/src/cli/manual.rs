//! Manual pages and completions, which packages install from `contrib`. They are generated from the
//! command line by this test and not by the binary, which would have to include the generator.
//!
//! `UPDATE_EXPECT=1` writes the files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::builder::Resettable;
use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;

use super::Cli;

#[test]
fn manual_pages_and_completions_are_those_of_the_command_line() {
    let contrib = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contrib");
    let mut files = BTreeMap::new();
    let mut cli = Cli::command()
        .disable_help_subcommand(true)
        // The pages are the same for every build, which may have another address of its sources.
        .long_version(Resettable::Reset);
    cli.build();
    page(&cli, &mut files);
    for command in cli.get_subcommands() {
        page(command, &mut files);
    }
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "pict-rs", &mut text);
        let name = match shell {
            Shell::Bash => "pict-rs.bash",
            Shell::Fish => "pict-rs.fish",
            _ => "_pict-rs",
        };
        files.insert(PathBuf::from("completions").join(name), text);
    }
    for (name, text) in files {
        let file = contrib.join(&name);
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(&file, text).expect("written");
            continue;
        }
        let found = fs::read(&file).unwrap_or_default();
        assert!(
            found == text,
            "contrib/{} is of another command line; UPDATE_EXPECT=1 writes it",
            name.display()
        );
    }
}

fn page(command: &Command, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let mut text = Vec::new();
    Man::new(command.clone())
        .source(concat!("pict-rs ", env!("CARGO_PKG_VERSION")))
        .manual("pict-rs")
        .render(&mut text)
        .expect("memory can be written to");
    files.insert(format!("man/{name}.1").into(), text);
}
