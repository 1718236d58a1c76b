//! Loads the configuration from four layers; later ones win: defaults, file, environment, flags.
//! `RUST_LOG` comes between file and environment. The environment is an argument, so that tests
//! need not change their own.

mod address;
mod names;
mod secrets;

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use config::{ConfigError, Environment, File, FileFormat, Map, Source as _, Value};
use pict_rs_core::Config;
use pict_rs_core::config::LogFormat;

use crate::cli::Overrides;

pub use secrets::without_password;

/// The merged configuration.
pub struct Loaded {
    /// The effective configuration.
    pub config: Config,
    /// The configuration as written: with the names of files that contain secrets.
    pub written: Config,
    /// Unknown names in file and environment, with their current names if renamed; each causes one
    /// warning.
    pub unknown: BTreeSet<String>,
    /// Warnings about old names that are still accepted.
    pub renamed: Vec<String>,
    /// Where each setting was set.
    pub origins: Origins,
}

/// Merges all layers.
///
/// # Errors
/// When a file cannot be read or parsed, or a value has the wrong type; names file and key.
pub fn load(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
    overrides: Overrides,
) -> anyhow::Result<Loaded> {
    let mut environment: Map<String, String> = environment.into_iter().collect();
    let mut renamed = Vec::new();
    let mut builder = config::Config::builder();
    let mut origins = Origins::default();
    if let Some(file) = file {
        let source = File::from(file).format(format_of(file)?);
        builder = builder.add_source(source.clone());
        origins.file = Some(file.to_owned());
        // What cannot be read is reported below.
        if let Ok(values) = source.collect() {
            let table = Value::from(values);
            keys_in("", table, &mut |key| {
                origins.in_file.insert(key);
            });
        }
        if let Some((old, address)) = address::in_file(source) {
            builder = builder.add_source(layer(address::KEY, address)?);
            origins.in_file.insert(address::KEY.to_owned());
            renamed.push(address::explained(&old));
        }
    }
    if let Some(filter) = environment
        .get("RUST_LOG")
        .filter(|filter| !filter.is_empty())
    {
        const KEY: &str = "tracing.logging.targets";
        builder = builder.add_source(layer(KEY, filter.as_str())?);
        origins.environment.insert(KEY.to_owned());
    }
    renamed.extend(address::rename(&mut environment).map(|old| address::explained(&old)));
    let (environment, unknown) = ours(environment)?;
    let variables = environment.keys().filter_map(|name| key_of(name));
    origins.environment.extend(variables);
    builder = builder.add_source(
        Environment::with_prefix("PICTRS")
            .prefix_separator("__")
            .separator("__")
            .source(Some(environment)),
    );
    for (key, value) in overrides.0 {
        builder = builder.set_override(key, value)?;
        origins.flags.insert(key);
    }
    let merged = builder
        .build_cloned()
        .map_err(|error| anyhow!(without_source(&error.to_string())))
        .context("the configuration cannot be read")?;
    let mut unknown: BTreeSet<_> = unknown.iter().map(|name| names::explained(name)).collect();
    let written = parse(&merged, |name, value| leaves(name, value, &mut unknown))
        .map_err(|error| explain(error, &merged, &origins))?;
    let whole = secrets::read(&merged, builder)?.build()?;
    let config = parse(&whole, |_, _| {}).map_err(|error| explain(error, &whole, &origins))?;
    Ok(Loaded {
        config,
        written,
        unknown,
        renamed,
        origins,
    })
}

/// One key as a layer of its own.
fn layer(key: &str, value: impl Into<Value>) -> Result<config::Config, ConfigError> {
    config::Config::builder().set_override(key, value)?.build()
}

/// Which source set which key.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    file: Option<PathBuf>,
    in_file: BTreeSet<String>,
    environment: BTreeSet<String>,
    flags: BTreeSet<&'static str>,
}

impl Origins {
    /// A description for people; `None` for a default. A key in a list counts as the list.
    pub fn of(&self, key: &str) -> Option<String> {
        let key = key.split('[').next().unwrap_or(key);
        if self.flags.contains(key) {
            return Some("the command line".to_owned());
        }
        if self.environment.contains(key) {
            return Some("the environment".to_owned());
        }
        // An error may be about a whole section.
        let is_in = |found: &String| {
            let rest = found.strip_prefix(key);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let file = self
            .file
            .as_ref()
            .filter(|_| self.in_file.iter().any(is_in));
        file.map(|file| file.display().to_string())
    }
}

/// Calls `take` with each key below `prefix` that has a value.
fn keys_in(prefix: &str, value: Value, take: &mut impl FnMut(String)) {
    match value.into_table() {
        Ok(table) if !table.is_empty() => {
            for (key, value) in table {
                let key = match prefix {
                    "" => key,
                    prefix => format!("{prefix}.{key}"),
                };
                keys_in(&key, value, take);
            }
        }
        _ => take(prefix.to_owned()),
    }
}

/// The key that a variable sets.
fn key_of(variable: &str) -> Option<String> {
    let variable = variable.to_ascii_lowercase();
    Some(variable.strip_prefix("pictrs__")?.replace("__", "."))
}

/// The configured log format, as far as it can be determined when [`load`] fails.
pub fn log_format(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
    overrides: Overrides,
) -> Option<LogFormat> {
    const KEY: &str = "tracing.logging.format";
    let flag = overrides
        .0
        .into_iter()
        .find_map(|(key, value)| (key == KEY).then_some(value));
    let variable = || {
        let mut variables = environment.into_iter();
        variables
            .find(|(name, _)| name.eq_ignore_ascii_case("PICTRS__TRACING__LOGGING__FORMAT"))
            .map(|(_, value)| value)
    };
    let written = || {
        let file = File::from(file?).format(format_of(file?).ok()?);
        let file = config::Config::builder().add_source(file).build().ok()?;
        file.get_string(KEY).ok()
    };
    let chosen = flag.or_else(variable).or_else(written);
    let Some(chosen) = chosen else {
        return Some(LogFormat::Normal);
    };
    serde_json::from_value(chosen.to_lowercase().into()).ok()
}

/// The variables that can be settings, and the names that only look like settings: those with a
/// single underscore, or with a value for a whole section (0.3 had `PICTRS__REPO`).
fn ours(environment: Map<String, String>) -> anyhow::Result<(Map<String, String>, Vec<String>)> {
    let default = toml::Value::try_from(Config::default())?;
    let (mut settings, mut unknown) = (Map::default(), Vec::new());
    for (name, value) in environment {
        let upper = name.to_ascii_uppercase();
        let Some(path) = upper.strip_prefix("PICTRS__") else {
            if upper.starts_with("PICTRS_") {
                unknown.push(name);
            }
            continue;
        };
        let key = path.to_ascii_lowercase().replace("__", ".");
        let is_plain = path.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && key.split('.').all(|part| !part.is_empty());
        let found = key
            .split('.')
            .try_fold(&default, |value, part| value.get(part));
        if !is_plain || found.is_some_and(toml::Value::is_table) {
            unknown.push(if is_plain { key } else { name });
        } else {
            settings.insert(name, value);
        }
    }
    Ok((settings, unknown))
}

/// Parses a configuration and passes each unknown name and its value to `unknown`.
fn parse(
    merged: &config::Config,
    mut unknown: impl FnMut(&str, Option<Value>),
) -> Result<Config, ConfigError> {
    serde_ignored::deserialize(merged.clone(), |path| {
        let name = path.to_string();
        unknown(&name, merged.get(&name).ok());
    })
}

/// The names of all values in an unknown value: each key of a whole section, because each may have
/// been renamed.
fn leaves(name: &str, value: Option<Value>, found: &mut BTreeSet<String>) {
    match value.map(Value::into_table) {
        Some(Ok(table)) if !table.is_empty() => {
            for (key, value) in table {
                leaves(&format!("{name}.{key}"), Some(value), found);
            }
        }
        _ => {
            found.insert(names::explained(name));
        }
    }
}

/// An error without the lines of the file that it shows, because they may hold a secret. Their numbers
/// stay.
fn without_source(error: &str) -> String {
    let is_shown = |line: &&str| {
        let number = |c: char| c == ' ' || c.is_ascii_digit();
        line.trim_start_matches(number).starts_with('|')
    };
    let lines = error.lines().filter(|line| !is_shown(line));
    lines.collect::<Vec<_>>().join("\n")
}

/// Explains which key has which value, where it was set, and what it should be.
fn explain(error: ConfigError, merged: &config::Config, origins: &Origins) -> anyhow::Error {
    let (key, expected) = match &error {
        ConfigError::Type {
            key: Some(key),
            expected,
            ..
        } => (key, format!("expected {expected}")),
        ConfigError::At {
            key: Some(key),
            error,
            ..
        } => (key, error.to_string()),
        _ => return anyhow!(error).context("the configuration is not valid"),
    };
    // The other part of it may repeat the value.
    let expected = match expected.rsplit_once(", expected ") {
        Some((_, wanted)) if secrets::is_secret(key) => format!("expected {wanted}"),
        None if secrets::is_secret(key) && !expected.starts_with("expected ") => {
            "it is not valid".to_owned()
        }
        _ => expected,
    };
    // The error of the standard library does not say what an address looks like.
    let expected = match expected.as_str() {
        "invalid socket address syntax" => "expected an address and port such as 0.0.0.0:8080",
        expected => expected,
    };
    let value = merged.get::<Value>(key).ok();
    let origin = origins.of(key).unwrap_or_else(|| "the defaults".to_owned());
    let value = match value.as_ref().map(ToString::to_string) {
        _ if secrets::is_secret(key) => "***".to_owned(),
        Some(value) => format!("\"{value}\""),
        None => "nothing".to_owned(),
    };
    anyhow!("{key} = {value} (from {origin}): {expected}")
}

fn format_of(file: &Path) -> anyhow::Result<FileFormat> {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("toml") => Ok(FileFormat::Toml),
        Some("json") => Ok(FileFormat::Json),
        Some("yaml" | "yml") => Ok(FileFormat::Yaml),
        Some("ron") => Ok(FileFormat::Ron),
        _ => anyhow::bail!(
            "{}: a configuration file ends in .toml, .json, .yaml, .yml or .ron",
            file.display()
        ),
    }
}

/// Writes the configuration as TOML, with all secrets, readable only by its owner.
///
/// # Errors
/// When the file cannot be written.
pub fn save(config: &Config, path: &Path) -> anyhow::Result<()> {
    let text = toml::to_string(config)?;
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        // An existing file keeps its mode when it is opened; the mode of a device must not change.
        if file.metadata()?.is_file() {
            file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        }
        file.write_all(text.as_bytes())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// The folder for everything without a configured path: the state directory of a systemd unit, else
/// `./data`.
pub fn data_folder(state_directory: Option<String>) -> PathBuf {
    // Several directories are separated by colons; the first is the main one.
    let first = state_directory
        .as_deref()
        .and_then(|list| list.split(':').next());
    first
        .filter(|folder| !folder.is_empty())
        .unwrap_or("data")
        .into()
}

/// The configuration as TOML for people, with secrets masked.
///
/// # Errors
/// Never in practice: every setting can be written as TOML.
pub fn printable(config: &Config) -> anyhow::Result<String> {
    Ok(toml::to_string(&masked(config)?)?)
}

/// Every setting that has a value, with its key and its value as TOML, sorted; secrets are masked.
///
/// # Errors
/// As [`printable`].
pub fn settings(config: &Config) -> anyhow::Result<Vec<(String, String)>> {
    fn add(prefix: &str, value: &toml::Value, all: &mut Vec<(String, String)>) {
        match value {
            toml::Value::Table(table) => table
                .iter()
                .for_each(|(key, value)| add(&format!("{prefix}.{key}"), value, all)),
            value => all.push((prefix.to_owned(), value.to_string())),
        }
    }
    let mut all = Vec::new();
    for (section, value) in &masked(config)? {
        add(section, value, &mut all);
    }
    all.sort();
    Ok(all)
}

fn masked(config: &Config) -> anyhow::Result<toml::Table> {
    let mut table = toml::Table::try_from(config)?;
    table
        .iter_mut()
        .for_each(|(_, value)| mask_passwords(value));
    for (section, key) in secrets::keys() {
        if let Some(value) = table
            .get_mut(section)
            .and_then(|section| section.get_mut(key))
        {
            match value {
                toml::Value::Table(table) => table
                    .iter_mut()
                    .for_each(|(_, value)| *value = "***".into()),
                value => *value = "***".into(),
            }
        }
    }
    Ok(table)
}

/// Any URL may contain a password.
fn mask_passwords(value: &mut toml::Value) {
    match value {
        toml::Value::String(text) => *text = without_password(text),
        toml::Value::Array(values) => values.iter_mut().for_each(mask_passwords),
        toml::Value::Table(table) => table
            .iter_mut()
            .for_each(|(_, value)| mask_passwords(value)),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
