//! A fjall database of the existing pict-rs, as `super::published` has written it down.

use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::stock::Stock;
use super::{copy, migrate};
use crate::support::{Launch, disk};

const ELSEWHERE: [&str; 4] = ["--from", "old/fjall-repo", "--files", "old/files"];

/// The folder with the data of a version.
pub fn fixture(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/data/existing-fjall")
        .join(version)
}

fn data() -> PathBuf {
    fixture("0.6.0-rc.6")
}

fn stock() -> Stock {
    Stock::read(&data().join("expected.json"))
}

/// A folder to launch in, with a copy of the data in `old`.
fn beside() -> Launch {
    let launch = Launch::new().setting("server.api_key", "key");
    copy(&data(), &launch.folder().join("old"));
    launch
}

/// Copies a database of the published program without the room that its journal keeps for what comes.
pub fn write_down(repo: &Path, to: &Path) {
    copy(repo, to);
    let journal = to.join("v0.5.20/0.jnl");
    let bytes = std::fs::read(&journal).expect("there");
    let end = bytes.iter().rposition(|byte| *byte != 0).expect("written");
    std::fs::write(journal, &bytes[..=end]).expect("written");
}

#[test]
fn a_fjall_database_is_taken_over_and_not_written_to() {
    let launch = beside();
    let (old, stock) = (launch.folder().join("old"), stock());
    let before = disk::snapshot(&old);
    let aliases = stock.aliases();
    for line in [
        format!(" and {aliases} aliases taken over, 0 aliases were here"),
        format!("0 contents and 0 aliases taken over, {aliases} aliases were here"),
    ] {
        let (code, said) = migrate(&launch, &ELSEWHERE);
        assert!(said.contains(&line), "{said}");
        assert_eq!(code, Some(0), "{said}");
    }
    assert!(disk::snapshot(&old) == before, "the old data were changed");
    // Nor is anything left of the copy that was read.
    let left = disk::folders(&launch.folder().join("data/database"));
    assert!(left.is_empty(), "{left:?}");
    stock.check("fjall", &launch.start());
}

#[test]
fn the_command_that_the_refusal_of_a_fjall_database_names_works() {
    let launch = beside()
        .setting("repo.type", "fjall")
        .setting("repo.fjall_path", "old/fjall-repo")
        .setting("store.path", "old/files");
    let refusal = launch.clone().refused();
    let command = "run 'pict-rs migrate --from old/fjall-repo'";
    assert!(refusal.output.contains(command), "{}", refusal.output);
    let (code, said) = migrate(&launch, &["--from", "old/fjall-repo"]);
    assert_eq!(code, Some(0), "{said}");
    stock().check("fjall", &launch.start());
}

#[test]
fn a_fjall_database_that_is_in_use_or_of_0_5_is_refused() {
    let launch = beside();
    let repo = launch.folder().join("old/fjall-repo");
    let lock = std::fs::File::open(repo.join("v0.5.20/lock")).expect("there");
    flock(&lock, FlockOperation::LockExclusive).expect("locked");
    let (code, said) = migrate(&launch, &ELSEWHERE);
    assert!(said.contains("is in use"), "{said}");
    assert_eq!(code, Some(1), "{said}");
    drop(lock);
    std::fs::remove_dir_all(repo.join("v0.5.20")).expect("removed");
    std::fs::create_dir_all(repo.join("v0.5.18/partitions")).expect("made");
    let (code, said) = migrate(&launch, &ELSEWHERE);
    assert!(
        said.contains("let pict-rs 0.6 start with it once"),
        "{said}"
    );
    assert_eq!(code, Some(1), "{said}");
}

/// Wherever a database is damaged, either all of it is there, or the end says otherwise.
#[test]
fn a_damaged_fjall_database_is_never_called_a_success() {
    let all = format!("and {} aliases taken over", stock().aliases());
    let mut files = disk::snapshot(&data().join("fjall-repo/v0.5.20"));
    files.retain(|_, bytes| !bytes.is_empty());
    let check = |name: &str, bytes: &[u8]| {
        let launch = beside();
        let repo = launch.folder().join("old/fjall-repo/v0.5.20");
        std::fs::write(repo.join(name), bytes).expect("written");
        let before = disk::snapshot(&launch.folder().join("old"));
        let (code, said) = migrate(&launch, &ELSEWHERE);
        let after = disk::snapshot(&launch.folder().join("old"));
        assert!(after == before, "{name}: the old data were changed");
        let is_whole = said.contains(&all) && code == Some(0);
        let is_told = code == Some(1);
        assert!(is_told || is_whole, "{name}: {code:?} {said}");
        is_whole
    };
    let mut whole = 0;
    for (name, bytes) in &files {
        let size = bytes.len();
        for part in [1, 3, 5, 7] {
            let mut damaged = bytes.clone();
            damaged[size * part / 10] ^= 0x10;
            whole += usize::from(check(name, &damaged));
        }
        for part in [0, 5] {
            whole += usize::from(check(name, &bytes[..size * part / 10]));
        }
    }
    assert!(whole < files.len() * 6, "no damage at all");
}
