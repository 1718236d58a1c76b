//! The address to listen on, under the names that older versions had for it. These count: a server
//! that was told to listen on 127.0.0.1 must not listen on the default, which is every address.

use config::{File, FileSourceFile, Map, Value};

/// The name that it has now.
pub const KEY: &str = "server.address";

/// Its name in the environment.
const VARIABLE: &str = "PICTRS__SERVER__ADDRESS";

/// What it was called in the environment, newest first.
const OLD_VARIABLES: [&str; 4] = [
    "PICTRS__SERVER__ADDR",
    "PICTRS__ADDRESS",
    "PICTRS__ADDR",
    "PICTRS_ADDR",
];

/// What it was called in files, newest first.
const OLD_KEYS: [&str; 3] = ["server.addr", "address", "addr"];

/// For the warning.
pub fn explained(old: &str) -> String {
    format!("{old} is an old name of {KEY} and is taken as that; please rename it")
}

/// Gives an old variable its new name, unless there is one of the new name. Returns the old name.
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

/// The old key of a file and its value, if the file has no new one. A file that cannot be read is
/// the affair of the caller.
pub fn in_file(file: File<FileSourceFile, config::FileFormat>) -> Option<(String, Value)> {
    let file = config::Config::builder().add_source(file).build().ok()?;
    if file.get::<Value>(KEY).is_ok() {
        return None;
    }
    let mut old = OLD_KEYS.iter();
    old.find_map(|key| Some(((*key).to_owned(), file.get::<Value>(key).ok()?)))
}
