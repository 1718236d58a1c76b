//! Cached results that take minutes to make, each stored under a digest of everything it is made
//! from: [`Ingredients`]. A changed ingredient gives another digest, so results are never updated,
//! and a run with an empty cache makes everything.

use std::{
    fmt,
    fmt::Write as _,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

use crate::{apt::Scratch, cache};

/// Results of one kind that are kept in the cache; the oldest are deleted.
const KEPT: usize = 6;

/// What a result is made from, in the order added.
#[derive(Clone, Default)]
pub struct Ingredients(Sha256);

impl Ingredients {
    /// Adds a fact: the version of a tool, a flag, the name of a target.
    pub fn fact(&mut self, name: &str, value: impl AsRef<[u8]>) -> &mut Self {
        // Lengths separate the parts: "ab" and "c" must differ from "a" and "bc".
        for part in [name.as_bytes(), value.as_ref()] {
            self.0.update((part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
        self
    }

    /// Adds files below `root`: their names, contents, and whether they are executable.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn files(&mut self, root: &Path, names: &[String]) -> Result<&mut Self> {
        for name in names {
            let path = root.join(name);
            let read = || Ok::<_, std::io::Error>((fs::metadata(&path)?, fs::read(&path)?));
            let (metadata, contents) =
                read().with_context(|| format!("cannot read {}", path.display()))?;
            let mode = metadata.permissions().mode() & 0o111;
            self.fact(name, mode.to_le_bytes()).fact(name, contents);
        }
        Ok(self)
    }

    /// Adds every file below `folder`.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn folder(&mut self, folder: &Path) -> Result<&mut Self> {
        let mut names = Vec::new();
        let mut waiting = vec![folder.to_owned()];
        while let Some(next) = waiting.pop() {
            let listing =
                fs::read_dir(&next).with_context(|| format!("cannot list {}", next.display()))?;
            for entry in listing {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    waiting.push(entry.path());
                } else if entry.path().is_file() {
                    let name = entry.path();
                    let name = name.strip_prefix(folder).context("below the folder")?;
                    names.push(name.to_string_lossy().into_owned());
                }
            }
        }
        names.sort();
        self.files(folder, &names)
    }

    /// The digest of all ingredients, under which the result is stored.
    pub fn digest(&self) -> String {
        hex::encode(&self.0.clone().finalize()[..12])
    }
}

impl fmt::Debug for Ingredients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ingredients({})", self.digest())
    }
}

/// All results of one kind.
pub struct Shelf {
    folder: PathBuf,
}

impl Shelf {
    /// In the user's cache.
    ///
    /// # Errors
    /// When the folder cannot be created.
    pub fn of(kind: &str) -> Result<Self> {
        Ok(Self {
            folder: cache::folder("kept")?.join(kind),
        })
    }

    /// The folder of an earlier result from the same ingredients, if it is intact.
    pub fn find(&self, digest: &str) -> Option<PathBuf> {
        let folder = self.folder.join(digest);
        let sums = fs::read_to_string(folder.join(SUMS)).ok()?;
        let is_whole = sums.lines().all(|line| {
            let (sum, name) = line.split_once("  ").unwrap_or_default();
            fs::read(folder.join(name)).is_ok_and(|bytes| hex::encode(Sha256::digest(bytes)) == sum)
        });
        if !is_whole {
            // A damaged result is made again.
            let _ = fs::remove_dir_all(&folder);
            return None;
        }
        // The time of use decides which results are deleted.
        if let Ok(file) = fs::File::open(&folder) {
            let _ = file.set_modified(SystemTime::now());
        }
        Some(folder)
    }

    /// Stores files under a digest; the result appears only when it is complete.
    ///
    /// # Errors
    /// When a file cannot be copied.
    pub fn keep(&self, digest: &str, files: &[(&str, &Path)]) -> Result<()> {
        fs::create_dir_all(&self.folder)?;
        let partial = Scratch::new(self.folder.join(format!(".{digest}.partial")))?;
        let mut sums = String::new();
        for (name, file) in files {
            let copy = partial.path().join(name);
            fs::copy(file, &copy).with_context(|| format!("cannot keep {}", file.display()))?;
            let _ = writeln!(
                sums,
                "{}  {name}",
                hex::encode(Sha256::digest(fs::read(copy)?))
            );
        }
        fs::write(partial.path().join(SUMS), sums)?;
        let folder = self.folder.join(digest);
        let _ = fs::remove_dir_all(&folder);
        fs::rename(partial.path(), &folder)?;
        self.make_room()
    }

    fn make_room(&self) -> Result<()> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            found.push((entry.metadata()?.modified()?, entry.path()));
        }
        found.sort();
        let surplus = found.len().saturating_sub(KEPT);
        for (_, folder) in &found[..surplus] {
            fs::remove_dir_all(folder)?;
        }
        Ok(())
    }
}

/// Next to the files of a result, in the format of `sha256sum`.
const SUMS: &str = "SHA256SUMS";

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> Scratch {
        let folder = std::env::temp_dir().join(format!("kept-{name}-{}", std::process::id()));
        Scratch::new(folder).expect("a folder")
    }

    #[test]
    fn every_change_of_an_ingredient_is_another_digest() {
        let place = scratch("digest");
        let write = |name: &str, text: &str| fs::write(place.path().join(name), text);
        let digest = |names: &[&str], fact: &str| {
            let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
            let mut all = Ingredients::default();
            all.fact("rustc", fact);
            all.files(place.path(), &names).expect("files").digest()
        };
        write("a", "one").expect("written");
        write("b", "two").expect("written");
        let first = digest(&["a", "b"], "1.0");
        assert_eq!(digest(&["a", "b"], "1.0"), first);
        assert_ne!(digest(&["a", "b"], "1.1"), first, "a tool");
        assert_ne!(digest(&["a"], "1.0"), first, "a file less");
        write("b", "twO").expect("written");
        assert_ne!(digest(&["a", "b"], "1.0"), first, "a byte");
        write("b", "two").expect("written");
        assert_eq!(digest(&["a", "b"], "1.0"), first);
        let b = place.path().join("b");
        fs::set_permissions(&b, fs::Permissions::from_mode(0o755)).expect("allowed");
        assert_ne!(
            digest(&["a", "b"], "1.0"),
            first,
            "a script that can be run"
        );
        fs::rename(&b, place.path().join("c")).expect("renamed");
        assert_ne!(digest(&["a", "c"], "1.0"), first, "a name");
        let pair = |first: &str, second: &str| {
            let mut all = Ingredients::default();
            all.fact("x", first).fact("x", second);
            all.digest()
        };
        assert_ne!(pair("ab", "c"), pair("a", "bc"));
    }

    #[test]
    fn a_result_is_found_again_until_it_is_damaged_or_old() {
        let place = scratch("shelf");
        let shelf = Shelf {
            folder: place.path().join("binaries"),
        };
        let made = place.path().join("made");
        fs::write(&made, "binary").expect("written");
        assert_eq!(shelf.find("d1"), None);
        shelf.keep("d1", &[("pict-rs", &made)]).expect("kept");
        let found = shelf.find("d1").expect("there");
        let read = fs::read(found.join("pict-rs")).expect("there");
        assert_eq!(read, b"binary");
        assert_eq!(shelf.find("d2"), None);
        fs::write(found.join("pict-rs"), "binarY").expect("written");
        assert_eq!(shelf.find("d1"), None, "damaged");
        shelf.keep("d1", &[("pict-rs", &made)]).expect("kept again");
        fs::remove_file(shelf.folder.join("d1/pict-rs")).expect("removed");
        assert_eq!(shelf.find("d1"), None, "not whole");
        for number in 0..KEPT + 2 {
            let name = format!("n{number}");
            shelf.keep(&name, &[("pict-rs", &made)]).expect("kept");
        }
        assert_eq!(fs::read_dir(&shelf.folder).expect("there").count(), KEPT);
        assert!(
            shelf.find(&format!("n{}", KEPT + 1)).is_some(),
            "the newest"
        );
    }
}
