//! What lies on the disk.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Server, eventually};

/// The folder of files that are still being written.
const INCOMING: &str = ".incoming";
/// What the keys of such files in a bucket begin with.
const WAITING: &str = "waiting/";
/// What ties the folder to its database.
pub const STORE_ID: &str = ".pict-rs-store";

/// Every file below `folder`, by its path relative to it, with its bytes.
pub fn snapshot(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    walk(folder, folder, &mut |name, path| {
        found.insert(name, std::fs::read(path).expect("readable"));
    });
    found
}

/// Every folder below `folder`, relative to it.
pub fn folders(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut left = vec![folder.to_owned()];
    while let Some(next) = left.pop() {
        for entry in std::fs::read_dir(&next).expect("readable") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                found.push(relative(folder, &path));
                left.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The stored objects: names as `internal/identifier` tells them, with their sizes.
pub fn objects(files: &Path) -> BTreeMap<String, u64> {
    sizes(files)
        .into_iter()
        .filter(|(name, _)| !is_unfinished(name) && name != STORE_ID)
        .collect()
}

/// What was begun and is neither stored nor gone.
pub fn unfinished(files: &Path) -> Vec<String> {
    sizes(files)
        .into_keys()
        .filter(|name| is_unfinished(name))
        .collect()
}

/// Expects that of a refused or deleted file nothing is left, not even an empty folder.
#[track_caller]
pub fn assert_nothing_stored(server: &Server) {
    let files = server.files();
    assert_nothing_unfinished(server);
    assert_eq!(objects(&files), BTreeMap::new());
    if !server.is_in_bucket() {
        assert_eq!(folders(&files), [INCOMING]);
    }
}

/// Expects that nothing is left of what was begun. That takes a moment: a client hears of its upload
/// before the file is removed as it was sent.
#[track_caller]
pub fn assert_nothing_unfinished(server: &Server) {
    let files = server.files();
    eventually("nothing is left of what was begun", || {
        unfinished(&files).is_empty().then_some(())
    });
}

fn is_unfinished(name: &str) -> bool {
    name.starts_with(INCOMING) || name.starts_with(WAITING)
}

fn sizes(folder: &Path) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    walk(folder, folder, &mut |name, path| {
        // A running server may take files away while we look.
        if let Ok(metadata) = path.metadata() {
            found.insert(name, metadata.len());
        }
    });
    found
}

fn walk(root: &Path, folder: &Path, found: &mut impl FnMut(String, &Path)) {
    for entry in std::fs::read_dir(folder).expect("readable") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            walk(root, &path, found);
        } else {
            found(relative(root, &path), &path);
        }
    }
}

fn relative(root: &Path, path: &Path) -> String {
    let path = path.strip_prefix(root).expect("below the root");
    path.to_str().expect("our names are ASCII").to_owned()
}
