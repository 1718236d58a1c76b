//! The address to listen on, under its old names. These are still accepted: a server that was told
//! to listen on 127.0.0.1 must not listen on the default, which is every address.

use config::{File, FileSourceFile, Map, Value};

/// The current name.
pub const KEY: &str = "server.address";

/// The current name in the environment.
const VARIABLE: &str = "PICTRS__SERVER__ADDRESS";

/// Old names in the environment, newest first.
const OLD_VARIABLES: [&str; 4] = [
    "PICTRS__SERVER__ADDR",
    "PICTRS__ADDRESS",
    "PICTRS__ADDR",
    "PICTRS_ADDR",
];

/// Old names in files, newest first.
const OLD_KEYS: [&str; 3] = ["server.addr", "address", "addr"];

/// A description for the warning.
pub fn explained(old: &str) -> String {
    format!("{old} is an old name of {KEY} and is taken as that; please rename it")
}

/// Renames an old variable, unless the current one is set. Returns the old name.
pub fn rename(environment: &mut Map<String, String>) -> Option<String> {
    let find = |name: &str| {
        let mut names = environment.keys();
        names
            .find(|found| found.eq_ignore_ascii_case(name))
            .cloned()
    };
    if find(VARIABLE).is_some() {
        return None;
    }
    let old = OLD_VARIABLES.iter().find_map(|name| find(name))?;
    let value = environment.remove(&old)?;
    environment.insert(VARIABLE.to_owned(), value);
    Some(old)
}

/// The old key of a file and its value, if the file lacks the current key. The caller reports files
/// that cannot be read.
pub fn in_file(file: File<FileSourceFile, config::FileFormat>) -> Option<(String, Value)> {
    let file = config::Config::builder().add_source(file).build().ok()?;
    if file.get::<Value>(KEY).is_ok() {
        return None;
    }
    let mut old = OLD_KEYS.iter();
    old.find_map(|key| Some(((*key).to_owned(), file.get::<Value>(key).ok()?)))
}
