//! Rules about the files of this repository.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use pict_rs_core::Config;

/// Folders that are not ours or are made by builds.
const SKIPPED: [&str; 6] = [".git", "target", "data", "dist", "corpus", "artifacts"];

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().expect("the repository is there")
}

/// Every file of the repository, relative to its root.
fn files() -> Vec<PathBuf> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("readable") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|name| name.to_str());
            if SKIPPED.iter().any(|skipped| name == Some(skipped)) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(&root).expect("below").to_owned());
            }
        }
    }
    assert!(found.len() > 50, "not the repository: {}", root.display());
    found
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}

fn read(path: &Path) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_module_says_first_what_it_is_for() {
    for path in files().iter().filter(|path| has_extension(path, "rs")) {
        let text = read(path);
        // Attributes may stand before it, code may not.
        let first = text.lines().find(|line| !line.starts_with("#!["));
        let says = first.is_some_and(|line| line.starts_with("//! "));
        assert!(says, "{} does not begin with //!", path.display());
    }
}

#[test]
fn documentation_comments_have_no_code_blocks() {
    // The gate does not run them: for that all crates would be compiled once more.
    for path in files().iter().filter(|path| has_extension(path, "rs")) {
        for line in read(path).lines().map(str::trim_start) {
            let comment = line.strip_prefix("///").or(line.strip_prefix("//!"));
            let is_fence = comment.is_some_and(|text| text.trim().starts_with("```"));
            assert!(!is_fence, "{}: {line}", path.display());
        }
    }
}

/// The modules of `pict-rs-core`, lowest first. Each may use those of the rows above its own, so that
/// every one can be read, tested and taken out without those below it.
const LEVELS: [&[&str]; 10] = [
    &["error"],
    &[
        "accept",
        "clock",
        "metrics",
        "requester",
        "system",
        "timing",
        "tls",
    ],
    &["id", "task"],
    &["sandbox", "scratch"],
    &["query", "repo", "store"],
    &["config", "legacy"],
    &["fetch", "helper", "media", "state"],
    &["context"],
    &["service"],
    &["worker"],
];

/// The module that a name of the crate's root stands for.
fn module_of(name: &str) -> &str {
    match name {
        "Config" => "config",
        "Context" => "context",
        "Error" | "ErrorCode" | "Result" | "UserMessage" => "error",
        name if name.starts_with(char::is_uppercase) => "id",
        name => name,
    }
}

/// The names behind `root` in a source: `crate::a::b`, or `crate::{a::b, c}`.
fn names_behind(text: &str, root: &str) -> Vec<String> {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let word = |text: &str| text.chars().take_while(|l| is_word(*l)).collect::<String>();
    let code: String = (text.lines())
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let mut names = Vec::new();
    for part in code.split(root).skip(1) {
        let Some(group) = part.strip_prefix('{') else {
            names.push(word(part));
            continue;
        };
        let (mut depth, mut item) = (0, String::new());
        for letter in group.chars() {
            match letter {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => names.push(word(std::mem::take(&mut item).trim())),
                letter => item.push(letter),
            }
        }
        names.push(word(item.trim()));
    }
    names.retain(|name| !name.is_empty());
    names
}

/// Of each file below a folder: its module, the first part of its path, and its text.
fn sources(folder: &str) -> Vec<(PathBuf, String, String)> {
    let files = files().into_iter();
    let files = files.filter(|path| path.starts_with(folder) && has_extension(path, "rs"));
    let found: Vec<_> = files
        .map(|path| {
            let inside = path.strip_prefix(folder).expect("below").to_owned();
            let first = inside.components().next().expect("a name").as_os_str();
            let module = Path::new(first).with_extension("");
            let text = read(&path);
            (path, module.to_string_lossy().into_owned(), text)
        })
        .collect();
    assert!(found.len() > 20, "not the sources");
    found
}

#[test]
fn what_only_one_system_has_is_in_one_module() {
    for (path, module, text) in sources("crates/pict-rs-core/src") {
        let is_portable = !text.contains("target_os") && !text.contains("\"/proc");
        // Tests run on Linux.
        let is_test = path.ends_with("tests.rs");
        assert!(
            is_portable || is_test || module == "system",
            "{}",
            path.display()
        );
    }
}

#[test]
fn modules_of_the_core_use_only_lower_ones() {
    let level = |module: &str| LEVELS.iter().position(|row| row.contains(&module));
    for (path, module, text) in sources("crates/pict-rs-core/src") {
        if module == "lib" {
            continue;
        }
        let path = path.display();
        let own = level(&module).unwrap_or_else(|| panic!("{path}: {module} has no level"));
        for name in names_behind(&text, "crate::") {
            let used = module_of(&name);
            let lower = level(used).unwrap_or_else(|| panic!("{path}: what is crate::{name}?"));
            assert!(
                used == module || lower < own,
                "{path}: {module} must not use {used}"
            );
        }
    }
}

/// So that it stays within the pool's time and memory, and can be done in another process.
#[test]
fn only_the_pool_gives_files_to_the_engine() {
    let runs = |text: &str| names_behind(text, "pict_rs_media::").contains(&"run".to_owned());
    let mut places = Vec::new();
    for folder in ["crates/pict-rs-core/src", "crates/pict-rs/src"] {
        let found = sources(folder).into_iter();
        let found = found.filter(|(_, _, text)| runs(text));
        places.extend(found.map(|(path, _, _)| path));
    }
    places.sort();
    let known = ["media.rs", "sandbox/inside.rs"];
    let known = known.map(|file| Path::new("crates/pict-rs-core/src").join(file));
    assert_eq!(places, known);
}

#[test]
fn use_cases_do_not_use_each_other_in_circles() {
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (_, module, text) in sources("crates/pict-rs-core/src/service") {
        let mut names = names_behind(&text, "service::");
        names.retain(|name| *name != module);
        uses.entry(module).or_default().extend(names);
    }
    // What uses only what was taken away is taken away as well.
    let modules: BTreeSet<_> = uses.keys().cloned().collect();
    uses.values_mut()
        .for_each(|names| names.retain(|name| modules.contains(name)));
    while let Some(lowest) = (uses.iter())
        .find(|(_, names)| names.is_empty())
        .map(|(module, _)| module.clone())
    {
        uses.remove(&lowest);
        uses.values_mut().for_each(|names| {
            names.remove(&lowest);
        });
    }
    assert!(uses.is_empty(), "a circle: {uses:?}");
}

/// A module, by its path from the root of its crate.
type Module = Vec<String>;

/// Which files below `folder` use which others, by the paths in them. A module and those inside it
/// are one thing: they may use each other.
fn uses(folder: &str) -> BTreeMap<Module, BTreeSet<Module>> {
    let mut texts = BTreeMap::new();
    for (path, _, text) in sources(folder) {
        let inside = path.strip_prefix(folder).expect("below").with_extension("");
        let parts = inside
            .iter()
            .map(|part| part.to_string_lossy().into_owned());
        let production = text.split("#[cfg(test)]\nmod tests {").next();
        let code = production.unwrap_or_default().lines();
        let code = code.filter(|line| !line.trim_start().starts_with("//"));
        texts.insert(
            parts.collect::<Module>(),
            code.collect::<Vec<_>>().join("\n"),
        );
    }
    let mut uses = BTreeMap::new();
    for (module, text) in &texts {
        let mut used = BTreeSet::new();
        for path in paths(text) {
            let path = resolved(module, &path);
            let mut prefixes = (1..=path.len()).rev().map(|length| &path[..length]);
            used.extend(
                prefixes
                    .find(|prefix| texts.contains_key(*prefix))
                    .map(<[String]>::to_vec),
            );
        }
        used.retain(|used| !used.starts_with(module) && !module.starts_with(used));
        uses.insert(module.clone(), used);
    }
    uses
}

/// Every path in a source that begins with `crate`, `super` or `self`; a group is several.
fn paths(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for root in ["crate::", "super::", "self::"] {
        for (at, _) in text.match_indices(root) {
            let before = text[..at].chars().next_back();
            if !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | ':')) {
                expand(&text[at..], Vec::new(), &mut found);
            }
        }
    }
    found
}

/// Reads one path or group behind `path`, and returns what follows it.
fn expand<'a>(mut text: &'a str, mut path: Vec<String>, found: &mut Vec<Vec<String>>) -> &'a str {
    loop {
        text = text.trim_start();
        if let Some(mut group) = text.strip_prefix('{') {
            loop {
                group = expand(group, path.clone(), found);
                // Such as `as name`.
                group = group.trim_start_matches(|c| !matches!(c, ',' | '}'));
                match group.strip_prefix(',') {
                    Some(rest) => group = rest,
                    None => return group.strip_prefix('}').unwrap_or_default(),
                }
            }
        }
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
        let (word, rest) = text.split_at(end.unwrap_or(text.len()));
        if !word.is_empty() {
            path.push(word.to_owned());
        }
        match rest.strip_prefix("::") {
            Some(rest) if !word.is_empty() => text = rest,
            _ => {
                found.push(path);
                return rest;
            }
        }
    }
}

/// A path as it is seen from the root of the crate.
fn resolved(module: &[String], path: &[String]) -> Module {
    let mut base = module.to_vec();
    if matches!(module, [root] if root == "lib" || root == "main") {
        base.clear();
    }
    let mut path = path.iter();
    for word in path.by_ref() {
        match word.as_str() {
            "crate" => base.clear(),
            "self" => {}
            "super" => drop(base.pop()),
            _ => {
                base.push(word.clone());
                break;
            }
        }
    }
    base.extend(path.cloned());
    base
}

#[test]
fn files_do_not_use_each_other_in_circles() {
    let folders = [
        "crates/pict-rs-core",
        "crates/pict-rs-media",
        "crates/pict-rs",
        "xtask",
    ];
    for folder in folders.map(|folder| format!("{folder}/src")) {
        let mut uses = uses(&folder);
        assert!(
            uses.values().map(BTreeSet::len).sum::<usize>() > 40,
            "{folder}"
        );
        // Of what remains, every file uses another that remains.
        loop {
            let count = uses.len();
            let modules: BTreeSet<_> = uses.keys().cloned().collect();
            uses.retain(|_, used| used.iter().any(|used| modules.contains(used)));
            if uses.len() == count {
                break;
            }
        }
        // Not so what only uses a circle.
        loop {
            let count = uses.len();
            let used: BTreeSet<_> = uses.values().flatten().cloned().collect();
            uses.retain(|module, _| used.contains(module));
            if uses.len() == count {
                break;
            }
        }
        assert!(uses.is_empty(), "a circle in {folder}: {uses:#?}");
    }
}

/// In the engine each codec has frames and chunks of its own.
#[test]
fn a_name_of_a_type_has_one_meaning() {
    let mut places: BTreeMap<String, BTreeSet<PathBuf>> = BTreeMap::new();
    for (path, _, text) in sources("crates/pict-rs-core/src") {
        let code = text
            .split("#[cfg(test)]\nmod tests {")
            .next()
            .unwrap_or_default();
        for line in code.lines() {
            // A type of a trait has its name from the trait.
            if line.trim_start().starts_with("type ") && line.starts_with(' ') {
                continue;
            }
            let words = line
                .split_whitespace()
                .skip_while(|word| word.starts_with("pub"));
            let words: Vec<_> = words.take(2).collect();
            let ["struct" | "enum" | "trait" | "type", name] = words[..] else {
                continue;
            };
            let end = name.find(|letter: char| !letter.is_alphanumeric());
            let name = &name[..end.unwrap_or(name.len())];
            places
                .entry(name.to_owned())
                .or_default()
                .insert(path.clone());
        }
    }
    places.retain(|_, files| files.len() > 1);
    assert!(places.is_empty(), "choose other names: {places:#?}");
}

#[test]
fn paths_are_read_as_the_compiler_reads_them() {
    let text = "use crate::{a::{self, B}, c as d};\nfn f() { super::e::g(xcrate::h, self::i::J) }";
    let read = |path: &str| path.split("::").map(str::to_owned).collect::<Vec<_>>();
    let expected = [
        "crate::a::self",
        "crate::a::B",
        "crate::c",
        "super::e::g",
        "self::i::J",
    ];
    assert_eq!(paths(text), expected.map(read));
    let module = read("http::body");
    let check = |path: &str, expected: &str| {
        assert_eq!(resolved(&module, &read(path)), read(expected), "{path}");
    };
    check("crate::a::B", "a::B");
    check("super::e::g", "http::e::g");
    check("super::super::e", "e");
    check("self::i::J", "http::body::i::J");
}

#[test]
fn no_file_names_a_private_path() {
    // In pieces, so that this file does not name them itself.
    let private = [
        ["/wo", "rk/"],
        ["/tmp/", "wt"],
        ["/tmp/", "target"],
        ["/tmp/", "w/"],
        ["/ho", "me/"],
        ["/Us", "ers/"],
        ["/ro", "ot/"],
        [".cargo/", "registry"],
    ]
    .map(|pieces| pieces.concat());
    let mut looked_at = 0;
    for path in files() {
        let Ok(text) = std::fs::read_to_string(root().join(&path)) else {
            // Not text.
            continue;
        };
        looked_at += 1;
        for (number, line) in text.lines().enumerate() {
            for private in &private {
                let found = line.match_indices(private.as_str()).any(|(at, _)| {
                    // A path begins there; `network/` and `$HOME/work/` are something else.
                    let before = line[..at].chars().next_back();
                    !before.is_some_and(|c| c.is_alphanumeric() || "._-~}/*".contains(c))
                });
                assert!(!found, "{}:{}: {line}", path.display(), number + 1);
            }
        }
    }
    assert!(looked_at > 50);
}

#[test]
fn no_test_is_ignored_or_expected_to_panic() {
    let banned = [["#[ign", "ore"], ["#[should", "_panic"]].map(|pieces| pieces.concat());
    for path in files().iter().filter(|path| has_extension(path, "rs")) {
        for line in read(path).lines() {
            let is_banned = banned.iter().any(|banned| line.trim().starts_with(banned));
            assert!(!is_banned, "{}: {line}", path.display());
        }
    }
}

#[test]
fn dependencies_come_from_the_one_registry() {
    let lock = read(Path::new("Cargo.lock"));
    let allowed = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
    for line in lock.lines().filter(|line| line.starts_with("source = ")) {
        assert_eq!(line, allowed);
    }
}

/// deny.toml cannot include the table of targets, because it also has to work with cargo-deny alone.
#[test]
fn crates_are_judged_for_every_target_with_both_c_libraries() {
    let rules: toml::Table = read(Path::new("deny.toml")).parse().expect("TOML");
    let judged = rules["graph"]["targets"].as_array().expect("a list");
    let judged: BTreeSet<_> = judged
        .iter()
        .map(|target| target.as_str().expect("a triple").to_owned())
        .filter(|triple| triple.contains("-linux-"))
        .collect();
    let expected: BTreeSet<_> = xtask::targets::ALL
        .iter()
        .flat_map(|target| [target.rust.to_owned(), target.rust.replace("musl", "gnu")])
        .collect();
    assert_eq!(judged, expected);
}

#[test]
fn every_test_data_file_is_credited() {
    let credits = read(Path::new("tests/data/CREDITS.md"));
    let folders = ["tests/data", "crates/pict-rs-media/src/codec/testdata"];
    let entries = folders.map(|folder| std::fs::read_dir(root().join(folder)).expect("readable"));
    let mut found = 0;
    for entry in entries.into_iter().flatten() {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("ASCII");
        if name != "CREDITS.md" {
            found += 1;
            assert!(credits.contains(&format!("| `{name}` |")), "{name}");
            // Its bytes are those that a hash was published for.
            let limit = if name == "bridge.jpeg" {
                400_000
            } else {
                50_000
            };
            assert!(entry.metadata().expect("there").len() < limit, "{name}");
        }
    }
    assert_eq!(credits.matches("\n| `").count(), found, "a stale row");
}

#[test]
fn the_sample_configuration_shows_every_key_with_its_default() {
    let sample = read(Path::new("pict-rs.toml"));
    let shown: toml::Table = sample.parse().expect("TOML");
    let default = toml::Table::try_from(Config::default()).expect("as TOML");
    compare("", &shown, &default);
}

fn compare(section: &str, shown: &toml::Table, default: &toml::Table) {
    let keys = shown.keys().chain(default.keys());
    for key in keys {
        let name = format!("{section}{key}");
        match (shown.get(key), default.get(key)) {
            (Some(toml::Value::Table(shown)), Some(toml::Value::Table(default))) => {
                compare(&format!("{name}."), shown, default);
            }
            // A section of nothing but optional keys.
            (None, Some(toml::Value::Table(default))) if default.is_empty() => {}
            (shown, default) => assert_eq!(shown, default, "{name}"),
        }
    }
}

#[test]
fn keys_without_a_default_stand_in_the_sample_as_comments_and_exist() {
    let sample = read(Path::new("pict-rs.toml"));
    let is_key = |line: &str| {
        line.split_once(" = ").is_some_and(|(key, _)| {
            key.chars()
                .all(|c| c.is_ascii_lowercase() || "_0123456789".contains(c))
        })
    };
    let mut uncommented = 0;
    let all: String = sample
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if is_key(rest) => {
                uncommented += 1;
                format!("{rest}\n")
            }
            _ => format!("{line}\n"),
        })
        .collect();
    assert!(uncommented > 20);
    let mut unknown = Vec::new();
    let table = toml::Deserializer::parse(&all).expect("TOML with all comments opened");
    let config: Config = serde_ignored::deserialize(table, |path| unknown.push(path.to_string()))
        .expect("every commented value has the right type");
    assert_eq!(unknown, Vec::<String>::new());
    // With everything set, everything is serialised; so nothing is left out of the sample.
    let shown: toml::Table = all.parse().expect("TOML");
    let set = toml::Table::try_from(config).expect("as TOML");
    assert_eq!(names("", &shown), names("", &set));
}

fn names(section: &str, table: &toml::Table) -> Vec<String> {
    let mut found = Vec::new();
    for (key, value) in table {
        match value {
            toml::Value::Table(table) => found.extend(names(&format!("{section}{key}."), table)),
            _ => found.push(format!("{section}{key}")),
        }
    }
    found.sort();
    found
}

#[test]
fn documented_defaults_are_the_real_ones() {
    let documented = read(Path::new("docs/configuration.md"));
    let default = toml::Value::try_from(Config::default()).expect("as TOML");
    let mut rows = 0;
    for row in documented.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = row.split('`').collect();
        let (key, shown) = (cells[1], cells[3]);
        let found = key
            .split('.')
            .try_fold(&default, |value, part| value.get(part));
        let found = found
            .unwrap_or_else(|| panic!("there is no {key}"))
            .to_string();
        assert_eq!(found.trim_matches('"'), shown, "{key}");
        rows += 1;
    }
    assert!(rows >= 7);
}

#[test]
fn every_box_of_the_checklist_has_its_tests() {
    let documented = read(Path::new("docs/testing.md"));
    let (_, part) = documented
        .split_once("## The checklist of a drop-in")
        .expect("a checklist");
    let (part, _) = part.split_once("\n## ").expect("another part");
    let sources: String = files()
        .iter()
        .filter(|path| has_extension(path, "rs"))
        .map(|path| read(path))
        .collect();
    let mut boxes = 0;
    for row in part.lines().filter(|line| line.starts_with("| ")).skip(2) {
        let tests = row.rsplit(" | ").next().unwrap_or_default();
        let names = tests.split('`').skip(1).step_by(2);
        let is_open = tests.starts_with("open: ");
        assert!(
            is_open != tests.contains('`'),
            "neither tested nor open: {row}"
        );
        for name in names {
            assert!(sources.contains(&format!("fn {name}()")), "no test {name}");
        }
        boxes += 1;
    }
    assert!(boxes >= 25, "{boxes}");
}

#[test]
fn links_between_documents_lead_somewhere() {
    for path in files().iter().filter(|path| has_extension(path, "md")) {
        let folder = root().join(path);
        let folder = folder.parent().expect("a folder");
        let text = read(path);
        for (at, _) in text.match_indices("](") {
            let target = text[at + 2..].split([')', '#']).next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            assert!(folder.join(target).exists(), "{}: {target}", path.display());
        }
    }
}
