//! Four layers, later wins: defaults, file, environment, flags. `RUST_LOG` stands between
//! file and environment. The environment is an argument, so that tests need not change ours.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use config::{Environment, File, FileFormat, Map};
use pict_rs_core::Config;

use crate::cli::Overrides;

/// The merged configuration.
pub struct Loaded {
    /// What counts.
    pub config: Config,
    /// Names in file and environment that mean nothing to us; to be warned of once.
    pub unknown: BTreeSet<String>,
}

/// Merges all layers.
///
/// # Errors
/// A file that cannot be read or parsed, or a value of the wrong type; names file and key.
pub fn load(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
    overrides: Overrides,
) -> anyhow::Result<Loaded> {
    let environment: Map<String, String> = environment.into_iter().collect();
    let mut builder = config::Config::builder();
    if let Some(file) = file {
        builder = builder.add_source(File::from(file).format(format_of(file)?));
    }
    if let Some(filter) = environment
        .get("RUST_LOG")
        .filter(|filter| !filter.is_empty())
    {
        let layer =
            config::Config::builder().set_override("tracing.logging.targets", filter.as_str())?;
        builder = builder.add_source(layer.build()?);
    }
    let mut unknown: BTreeSet<String> = environment
        .keys()
        .filter(|name| name.starts_with("PICTRS_") && !name.starts_with("PICTRS__"))
        .cloned()
        .collect();
    builder = builder.add_source(
        Environment::with_prefix("PICTRS")
            .prefix_separator("__")
            .separator("__")
            .source(Some(environment)),
    );
    for (key, value) in overrides.0 {
        builder = builder.set_override(key, value)?;
    }
    let merged = builder
        .build()
        .context("the configuration cannot be read")?;
    let config = serde_ignored::deserialize(merged, |path| {
        unknown.insert(path.to_string());
    })
    .context("the configuration is not valid")?;
    Ok(Loaded { config, unknown })
}

fn format_of(file: &Path) -> anyhow::Result<FileFormat> {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("toml") => Ok(FileFormat::Toml),
        Some("json") => Ok(FileFormat::Json),
        _ => anyhow::bail!(
            "{}: a configuration file ends in .toml or .json",
            file.display()
        ),
    }
}

/// Where everything goes that has no path of its own: the state directory of a systemd unit,
/// else `./data`.
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

/// The configuration as TOML for people to look at, secrets masked.
///
/// # Errors
/// Never in practice: every setting can be written as TOML.
pub fn printable(config: &Config) -> anyhow::Result<String> {
    let mut table = toml::Table::try_from(config)?;
    for (section, key) in [
        ("server", "api_key"),
        ("server", "api_keys"),
        ("repo", "url"),
        ("store", "access_key"),
        ("store", "secret_key"),
        ("store", "session_token"),
    ] {
        if let Some(value) = table
            .get_mut(section)
            .and_then(|section| section.get_mut(key))
        {
            *value = "***".into();
        }
    }
    Ok(toml::to_string(&table)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pict_rs_core::config::RepoType;

    fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn later_layers_win() {
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("pict-rs.toml");
        std::fs::write(
            &file,
            "[server]\naddress = '127.0.0.1:1'\nmax_file_count = 2\napi_key = 'file'\n[tracing.logging]\ntargets = 'warn'\n",
        )
        .expect("written");
        let loaded = load(
            Some(&file),
            env(&[
                ("RUST_LOG", "debug"),
                ("PICTRS__SERVER__ADDRESS", "127.0.0.1:2"),
                ("PICTRS__SERVER__API_KEY", "12345"),
                ("PICTRS__MEDIA__VIDEO__ENABLE", "True"),
                ("PICTRS__MEDIA__FILTERS", "blur, thumbnail"),
                ("PICTRS__REPO__TYPE", "fjall"),
            ]),
            Overrides(vec![("server.address", "127.0.0.1:3".to_owned())]),
        )
        .expect("loaded");
        let config = loaded.config;
        assert_eq!(config.server.address.port(), 3);
        assert_eq!(config.server.max_file_count, 2);
        assert_eq!(config.server.api_key.expect("set").expose(), "12345");
        assert_eq!(config.tracing.logging.targets, "debug");
        assert_eq!(config.media.filters.0, ["blur", "thumbnail"]);
        assert_eq!(config.repo.r#type, RepoType::Fjall);
        assert!(loaded.unknown.is_empty(), "{:?}", loaded.unknown);
    }

    #[test]
    fn the_environment_of_lemmy_ansible_starts() {
        let loaded = load(
            None,
            env(&[
                ("PICTRS__SERVER__API_KEY", "secret"),
                ("PICTRS_OPENTELEMETRY_URL", "http://otel:4137"),
                ("PICTRS__MEDIA__ANIMATION__MAX_WIDTH", "256"),
                ("PICTRS__MEDIA__GIF__MAX_WIDTH", "256"),
                ("PICTRS__MEDIA__VIDEO_CODEC", "vp9"),
                ("PICTRS__API_KEY", "old"),
                ("PICTRS__MEDIA__VIDEO__ENABLE", "True"),
                ("PICTRS__MEDIA__VIDEO__MAX_FILE_SIZE", "20"),
                ("HOME", "/root"),
            ]),
            Overrides::default(),
        )
        .expect("loaded");
        assert_eq!(loaded.config.media.animation.max_width, 256);
        assert_eq!(loaded.config.media.video.max_file_size, 20);
        let unknown: Vec<_> = loaded.unknown.iter().map(String::as_str).collect();
        assert_eq!(
            unknown,
            [
                "PICTRS_OPENTELEMETRY_URL",
                "api_key",
                "media.gif",
                "media.video_codec"
            ]
        );
    }

    #[test]
    fn a_value_of_the_wrong_type_is_an_error_that_names_its_key() {
        let error = load(
            None,
            env(&[("PICTRS__SERVER__MAX_FILE_COUNT", "many")]),
            Overrides::default(),
        );
        let text = format!("{:#}", error.err().expect("refused"));
        assert!(text.contains("max_file_count"), "{text}");
    }

    #[test]
    fn what_is_printed_can_be_loaded_and_holds_no_secret() {
        let set = Overrides(vec![("server.api_key", "hush".to_owned())]);
        let config = load(None, [], set).expect("loaded").config;
        let text = printable(&config).expect("printable");
        assert!(!text.contains("hush") && text.contains("***"), "{text}");
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("printed.toml");
        std::fs::write(&file, text).expect("written");
        let again = load(Some(&file), [], Overrides::default()).expect("loaded");
        assert!(again.unknown.is_empty(), "{:?}", again.unknown);
    }

    #[test]
    fn the_data_folder_follows_systemd() {
        assert_eq!(data_folder(None), PathBuf::from("data"));
        assert_eq!(data_folder(Some(String::new())), PathBuf::from("data"));
        assert_eq!(
            data_folder(Some("/var/lib/a:/var/lib/b".to_owned())),
            PathBuf::from("/var/lib/a")
        );
    }
}
