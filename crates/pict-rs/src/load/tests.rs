//! Tests of layers, names, spellings and secrets.

use super::*;
use pict_rs_core::config::{RepoType, Secret, VideoCodec};

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

/// Loads what a deployment sets, and expects no warnings except about `unknown`.
fn starts(environment: &[(&str, &str)], unknown: &[&str]) -> Config {
    let loaded = load(None, env(environment), Overrides::default()).expect("loaded");
    let found: Vec<_> = loaded.unknown.iter().map(String::as_str).collect();
    assert_eq!(found, unknown);
    loaded.config
}

const OTEL: &str = "PICTRS_OPENTELEMETRY_URL (now tracing.opentelemetry.url)";

#[test]
fn the_environment_of_lemmy_ansible_starts() {
    let config = starts(
        &[
            ("PICTRS__SERVER__API_KEY", "secret"),
            ("PICTRS__MEDIA__ANIMATION__MAX_WIDTH", "256"),
            ("PICTRS__MEDIA__ANIMATION__MAX_HEIGHT", "256"),
            ("PICTRS__MEDIA__ANIMATION__MAX_AREA", "65536"),
            ("PICTRS__MEDIA__ANIMATION__MAX_FRAME_COUNT", "400"),
            ("PICTRS__MEDIA__VIDEO__ENABLE", "True"),
            ("PICTRS__MEDIA__VIDEO__MAX_FILE_SIZE", "20"),
            ("PICTRS_OPENTELEMETRY_URL", "http://otel:4137"),
            ("PICTRS__OLD_REPO__PATH", "/mnt/sled-repo"),
            ("RUST_LOG", "debug"),
            ("RUST_BACKTRACE", "full"),
            ("HOME", "/mnt"),
        ],
        &[OTEL, "old_repo.path (of an older version, gone)"],
    );
    assert_eq!(config.media.animation.max_width, 256);
    assert_eq!(config.media.animation.max_frame_count, 400);
    assert!(config.media.video.enable);
    assert_eq!(config.media.video.max_file_size, 20);
    assert_eq!(config.tracing.logging.targets, "debug");
}

#[test]
fn the_environment_of_lemmys_compose_file_starts() {
    let config = starts(
        &[
            ("PICTRS_OPENTELEMETRY_URL", "http://otel:4137"),
            ("PICTRS__SERVER__API_KEY", "secret"),
            ("RUST_BACKTRACE", "full"),
            ("PICTRS__MEDIA__VIDEO__VIDEO_CODEC", "vp9"),
            ("PICTRS__MEDIA__ANIMATION__MAX_WIDTH", "256"),
            ("PICTRS__MEDIA__ANIMATION__MAX_HEIGHT", "256"),
            ("PICTRS__MEDIA__ANIMATION__MAX_FRAME_COUNT", "400"),
        ],
        &[OTEL],
    );
    assert_eq!(config.media.video.video_codec, Some(VideoCodec::Vp9));
    config.validate().expect("valid");
}

#[test]
fn the_environment_of_nixpkgs_module_starts() {
    let config = starts(
        &[
            ("PICTRS__REPO__PATH", "/var/lib/pict-rs/sled-repo"),
            ("PICTRS__STORE__PATH", "/var/lib/pict-rs/files"),
            ("PICTRS__SERVER__ADDRESS", "127.0.0.1:8080"),
            ("PICTRS__SERVER__ADDR", "127.0.0.1:8081"),
        ],
        &["server.addr (now server.address)"],
    );
    assert_eq!(config.server.address.port(), 8080);
}

#[test]
fn an_old_name_of_the_address_counts_unless_its_layer_has_the_new_one() {
    let folder = tempfile::tempdir().expect("folder");
    let check = |file: &str, environment: &[(&str, &str)], expected: &str, renamed: &[&str]| {
        let path = folder.path().join("pict-rs.toml");
        std::fs::write(&path, file).expect("written");
        let loaded = load(Some(&path), env(environment), Overrides::default()).expect("loaded");
        assert_eq!(loaded.config.server.address.to_string(), expected);
        assert_eq!(loaded.renamed.len(), renamed.len(), "{:?}", loaded.renamed);
        for (sentence, old) in loaded.renamed.iter().zip(renamed) {
            assert!(sentence.starts_with(&format!("{old} ")), "{sentence}");
            assert!(sentence.contains("server.address"), "{sentence}");
        }
    };
    for old in [
        "PICTRS__SERVER__ADDR",
        "PICTRS__ADDR",
        "PICTRS_ADDR",
        "pictrs__addr",
    ] {
        check("", &[(old, "127.0.0.1:1")], "127.0.0.1:1", &[old]);
        let both = [
            (old, "127.0.0.1:1"),
            ("PICTRS__SERVER__ADDRESS", "127.0.0.1:2"),
        ];
        check("", &both, "127.0.0.1:2", &[]);
        // The environment overrides the file, under every name.
        let file = "[server]\naddress = '0.0.0.0:3'\n";
        check(file, &[(old, "127.0.0.1:1")], "127.0.0.1:1", &[old]);
    }
    for (file, old) in [
        ("addr = '127.0.0.1:4'\n", "addr"),
        ("address = '127.0.0.1:4'\n", "address"),
        ("[server]\naddr = '127.0.0.1:4'\n", "server.addr"),
    ] {
        check(file, &[], "127.0.0.1:4", &[old]);
        let new = [("PICTRS__SERVER__ADDRESS", "127.0.0.1:2")];
        check(file, &new, "127.0.0.1:2", &[old]);
    }
    let both = "[server]\naddr = '127.0.0.1:4'\naddress = '127.0.0.1:5'\n";
    check(both, &[], "127.0.0.1:5", &[]);
    // An invalid address is an error that uses the current name.
    let text = refusal(&[("PICTRS__ADDR", "nowhere")]);
    assert!(text.contains("server.address = \"nowhere\""), "{text}");
}

#[test]
fn names_of_0_3_and_0_4_are_harmless_and_name_the_new_ones() {
    starts(
        &[
            ("PICTRS__API_KEY", "old"),
            ("PICTRS__PATH", "/mnt"),
            ("PICTRS__REPO", "sled"),
            ("PICTRS__SLED__PATH", "/mnt/sled-repo"),
            ("PICTRS__MEDIA__GIF__MAX_WIDTH", "256"),
            ("PICTRS__MEDIA__GIF__MAX_FRAME_COUNT", "400"),
            ("PICTRS__MEDIA__VIDEO_CODEC", "vp9"),
            ("PICTRS__MEDIA__ENABLE_SILENT_VIDEO", "false"),
            ("PICTRS__MEDIA__SKIP_VALIDATE_IMPORTS", "true"),
            ("PICTRS__MEDIA", "everything"),
            ("PICTRS__SERVER__COLOUR", "blue"),
        ],
        &[
            "api_key (now server.api_key)",
            "media",
            "media.enable_silent_video (now media.video.enable)",
            "media.gif.max_frame_count (now media.animation.max_frame_count)",
            "media.gif.max_width (now media.animation.max_width)",
            "media.skip_validate_imports (of an older version, gone)",
            "media.video_codec (now media.video.video_codec)",
            "path (now store.path and repo.path)",
            "repo (now repo.type)",
            "server.colour",
            "sled.path (now repo.path)",
        ],
    );
}

#[test]
fn names_that_cannot_be_keys_are_harmless() {
    starts(
        &[
            ("PICTRS__", "x"),
            ("PICTRS____X", "x"),
            ("PICTRS__A[0]", "x"),
            ("PICTRS__MEDIA.IMAGE", "x"),
            ("PICTRS__SERVER__", "x"),
        ],
        &[
            "PICTRS__",
            "PICTRS__A[0]",
            "PICTRS__MEDIA.IMAGE",
            "PICTRS__SERVER__",
            "PICTRS____X",
        ],
    );
}

#[test]
fn every_documented_spelling_of_a_boolean_works() {
    let check = |text: &str, expected: bool| {
        let config = starts(&[("PICTRS__SERVER__READ_ONLY", text)], &[]);
        assert_eq!(config.server.read_only, expected, "{text}");
    };
    for text in ["true", "True", "TRUE", "1", "yes", "Yes", "on", "ON"] {
        check(text, true);
    }
    for text in ["false", "False", "FALSE", "0", "no", "No", "off", "OFF"] {
        check(text, false);
    }
}

#[test]
fn each_kind_of_file_says_the_same() {
    let folder = tempfile::tempdir().expect("folder");
    for (name, text) in [
        (
            "a.toml",
            "[media]\nmax_file_size = 7\nfilters = ['blur']\n[server]\nread_only = true\n",
        ),
        (
            "a.json",
            r#"{"media": {"max_file_size": 7, "filters": ["blur"]}, "server": {"read_only": true, "api_key": null}}"#,
        ),
        (
            "a.yaml",
            "media:\n  max_file_size: 7\n  filters: [blur]\nserver:\n  read_only: true\n",
        ),
        (
            "a.yml",
            "media: {max_file_size: '7', filters: blur}\nserver: {read_only: yes}\n",
        ),
        (
            "a.ron",
            r#"(media: (max_file_size: 7, filters: ["blur"]), server: (read_only: true))"#,
        ),
    ] {
        let file = folder.path().join(name);
        std::fs::write(&file, text).expect("written");
        let loaded = load(Some(&file), [], Overrides::default()).expect(name);
        assert_eq!(loaded.config.media.max_file_size, 7, "{name}");
        assert_eq!(loaded.config.media.filters.0, ["blur"], "{name}");
        assert!(loaded.config.server.read_only, "{name}");
        assert!(loaded.unknown.is_empty(), "{name}");
    }
}

/// The error of a configuration that is refused.
fn refusal(environment: &[(&str, &str)]) -> String {
    let refused = load(None, env(environment), Overrides::default());
    format!("{:#}", refused.err().expect("refused"))
}

#[test]
fn a_wrong_value_is_named_with_its_key_and_what_is_expected() {
    for (name, value, key, expected) in [
        (
            "SERVER__MAX_FILE_COUNT",
            "many",
            "server.max_file_count",
            "an integer",
        ),
        (
            "SERVER__ADDRESS",
            "nowhere",
            "server.address",
            "0.0.0.0:8080",
        ),
        (
            "SERVER__READ_ONLY",
            "perhaps",
            "server.read_only",
            "a boolean",
        ),
        (
            "MEDIA__IMAGE__MAX_WIDTH",
            "4294967296",
            "media.image.max_width",
            "32 bit",
        ),
        (
            "MEDIA__MAX_FILE_SIZE",
            "-1",
            "media.max_file_size",
            "an integer",
        ),
        (
            "MEDIA__RETENTION__PROXY",
            "soon",
            "media.retention.proxy",
            "7d",
        ),
        ("REPO__TYPE", "mysql", "repo.type", "`postgres`"),
        ("STORE__TYPE", "file_store", "store.type", "`filesystem`"),
        (
            "TRACING__LOGGING__FORMAT",
            "xml",
            "tracing.logging.format",
            "`json`",
        ),
        (
            "MEDIA__VIDEO__VIDEO_CODEC",
            "mpeg2",
            "media.video.video_codec",
            "`vp9`",
        ),
        (
            "MEDIA__ANIMATION__FORMAT",
            "png",
            "media.animation.format",
            "`gif`",
        ),
    ] {
        let text = refusal(&[(&format!("PICTRS__{name}"), value)]);
        for word in [&format!("{key} = \"{value}\""), "environment", expected] {
            assert!(text.contains(word), "no {word} in: {text}");
        }
    }
}

#[test]
fn a_wrong_value_is_said_to_come_from_where_it_stands() {
    let folder = tempfile::tempdir().expect("folder");
    for (file, text, key) in [
        ("a.toml", "[server]\naddress = 'x'\n", "server.address"),
        (
            "b.toml",
            "[server]\nmax_file_count = []\n",
            "server.max_file_count",
        ),
        ("c.toml", "[media]\nfilters = [['blur']]\n", "media.filters"),
        ("d.toml", "[media]\nimage = 3\n", "media.image"),
        ("e.toml", "[repo]\ntype = 'mysql'\n", "repo.type"),
        (
            "f.yaml",
            "media: { retention: { proxy: soon } }\n",
            "media.retention.proxy",
        ),
        (
            "g.json",
            r#"{"media": {"max_file_size": -1}}"#,
            "media.max_file_size",
        ),
    ] {
        let file = folder.path().join(file);
        std::fs::write(&file, text).expect("written");
        // Other keys in the environment must not make it the source.
        let environment = env(&[("PICTRS__CLIENT__TIMEOUT", "9")]);
        let refused = load(Some(&file), environment, Overrides::default());
        let text = format!("{:#}", refused.err().expect("refused"));
        assert!(text.contains(key), "{key}: {text}");
        assert!(text.contains(&file.display().to_string()), "{key}: {text}");
        assert!(!text.contains("the environment"), "{key}: {text}");
    }
    let file = folder.path().join("a.toml");
    let environment = env(&[("PICTRS__SERVER__ADDRESS", "y")]);
    let refused = load(Some(&file), environment, Overrides::default());
    let text = format!("{:#}", refused.err().expect("refused"));
    assert!(text.contains("\"y\" (from the environment)"), "{text}");
    let flags = Overrides(vec![("server.address", "z".to_owned())]);
    let refused = load(Some(&file), [], flags);
    let text = format!("{:#}", refused.err().expect("refused"));
    assert!(text.contains("\"z\" (from the command line)"), "{text}");
}

#[test]
fn a_secret_of_the_wrong_type_is_not_shown() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("a.json");
    std::fs::write(&file, r#"{"server": {"api_key": ["hush"]}}"#).expect("written");
    let refused = load(Some(&file), [], Overrides::default());
    let text = format!("{:#}", refused.err().expect("refused"));
    assert!(
        text.contains("server.api_key") && !text.contains("hush"),
        "{text}"
    );
}

#[test]
fn secrets_come_from_files() {
    let folder = tempfile::tempdir().expect("folder");
    let write = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).expect("written");
        file.display().to_string()
    };
    let loaded = load(
        None,
        env(&[
            ("PICTRS__SERVER__API_KEY", ""),
            ("PICTRS__SERVER__API_KEY_FILE", &write("key", "hush\n")),
            (
                "PICTRS__REPO__URL_FILE",
                &write("url", "postgres://a:b@c\r\n"),
            ),
            ("PICTRS__STORE__ACCESS_KEY_FILE", &write("access", "access")),
            (
                "PICTRS__STORE__SECRET_KEY_FILE",
                &write("secret", " se cret\n\n"),
            ),
            ("PICTRS__STORE__SESSION_TOKEN_FILE", ""),
        ]),
        Overrides::default(),
    )
    .expect("loaded");
    assert!(loaded.unknown.is_empty(), "{:?}", loaded.unknown);
    let secret = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.expose().to_owned());
    let Config {
        server,
        repo,
        store,
        ..
    } = &loaded.config;
    assert_eq!(secret(&server.api_key).as_deref(), Some("hush"));
    assert_eq!(secret(&repo.url).as_deref(), Some("postgres://a:b@c"));
    assert_eq!(secret(&store.access_key).as_deref(), Some("access"));
    assert_eq!(secret(&store.secret_key).as_deref(), Some(" se cret"));
    assert_eq!(secret(&store.session_token), None);
    // The saved configuration names the file, so that it can be loaded again.
    let saved = folder.path().join("saved.toml");
    save(&loaded.written, &saved).expect("saved");
    let text = std::fs::read_to_string(&saved).expect("readable");
    assert!(
        text.contains("api_key_file") && !text.contains("hush"),
        "{text}"
    );
    let again = load(Some(&saved), [], Overrides::default()).expect("loaded");
    assert_eq!(
        secret(&again.config.server.api_key).as_deref(),
        Some("hush")
    );
}

#[test]
fn a_file_of_several_keys_has_one_a_line() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("keys");
    std::fs::write(&file, "one\r\n\n two \nthree,four\n").expect("written");
    let builder = config::Config::builder()
        .set_override("server.api_keys_file", file.display().to_string())
        .expect("set");
    let merged = builder.build_cloned().expect("built");
    let whole = secrets::read(&merged, builder).expect("read");
    let keys: Vec<String> = whole
        .build()
        .expect("built")
        .get("server.api_keys")
        .expect("a list");
    assert_eq!(keys, ["one", "two", "three,four"]);
}

#[test]
fn keys_have_names_in_a_table_a_variable_or_a_file() {
    let folder = tempfile::tempdir().expect("folder");
    let keys = |config: &Config| {
        let keys = config.server.named_keys.0.iter();
        keys.map(|(name, key)| format!("{name}={}", key.expose()))
            .collect::<Vec<_>>()
    };
    let file = folder.path().join("settings.toml");
    std::fs::write(&file, "[server.named_keys]\nada-l = 'hush'\n").expect("written");
    let variable = |name: &str| {
        let name = format!("PICTRS__SERVER__NAMED_KEYS__{name}");
        [(name, "secret=1".to_owned())]
    };
    let loaded = load(Some(&file), variable("GRACE_H"), Overrides::default()).expect("loaded");
    assert!(loaded.unknown.is_empty(), "{:?}", loaded.unknown);
    assert_eq!(keys(&loaded.config), ["ada-l=hush", "grace_h=secret=1"]);
    loaded.config.validate().expect("valid");
    let server = &loaded.config.server;
    let name = |key: &[u8]| server.find_api_key(key).map(|name| name.0);
    assert_eq!(name(b"hush"), Some(Some("ada-l".to_owned())));
    assert_eq!(name(b"ada-l"), None);
    let printed = printable(&loaded.config).expect("printed");
    assert!(
        !printed.contains("hush") && !printed.contains("secret=1"),
        "{printed}"
    );

    let listed = folder.path().join("keys");
    std::fs::write(&listed, "ada\thush\n\ngrace  two words \n").expect("written");
    let variables = [(
        "PICTRS__SERVER__NAMED_KEYS_FILE".to_owned(),
        listed.display().to_string(),
    )];
    let loaded = load(None, variables.clone(), Overrides::default()).expect("loaded");
    assert_eq!(keys(&loaded.config), ["ada=hush", "grace=two words"]);
    let saved = folder.path().join("saved.toml");
    save(&loaded.written, &saved).expect("saved");
    let again = load(Some(&saved), [], Overrides::default()).expect("loaded");
    assert_eq!(keys(&again.config), keys(&loaded.config));
    let text = refusal(&[("PICTRS__SERVER__NAMED_KEYS", "hush")]);
    assert!(
        text.contains("server.named_keys") && !text.contains("hush"),
        "{text}"
    );
    for (text, word) in [
        ("ada hush\nhush2\n", "entry 2"),
        ("ada hush\nada hush2\n", "entry 2"),
        ("HUSH ada\n", "entry 1"),
    ] {
        std::fs::write(&listed, text).expect("written");
        let error = load(None, variables.clone(), Overrides::default()).err();
        let text = format!("{:#}", error.expect("refused"));
        assert!(
            text.contains(word) && text.contains("named_keys_file"),
            "{text}"
        );
        assert!(!text.to_lowercase().contains("hush"), "{text}");
    }
    let error = load(Some(&file), variables, Overrides::default()).err();
    assert!(format!("{:#}", error.expect("refused")).contains("both given"));

    let mut config = Config::default();
    config.server.api_key = Some(Secret::new("key"));
    for name in ["ada", "grace"] {
        let keys = &mut config.server.named_keys.0;
        keys.insert(name.to_owned(), Secret::new("key"));
    }
    let error = config.validate().expect_err("refused").to_string();
    assert!(
        error.contains("'ada' and 'grace' have the same key"),
        "{error}"
    );
    config.server.named_keys.0.remove("grace");
    config.validate().expect("valid");
    let found = config.server.find_api_key(b"key").expect("a key");
    assert_eq!(found.0.as_deref(), Some("ada"));

    let long = "a".repeat(33);
    for (name, key) in [
        ("Ada", "key"),
        ("a b", "key"),
        ("", "key"),
        (&*long, "key"),
        ("ada", ""),
        ("ada", " key"),
        ("ada", "k\ney"),
        ("ada_file", "/run/secrets/ada"),
    ] {
        let mut config = Config::default();
        let key = Secret::new(key);
        config.server.named_keys.0.insert(name.to_owned(), key);
        let error = config.validate().expect_err("refused").to_string();
        assert!(
            error.contains("server.named_keys") && error.contains(name),
            "{error}"
        );
    }
}

#[test]
fn a_file_that_cannot_be_parsed_is_not_shown() {
    let folder = tempfile::tempdir().expect("folder");
    for (name, text) in [
        ("a.toml", "[server]\napi_key = 'a'\napi_key = 'hush'\n"),
        ("b.toml", "[server]\napi_key = 'hush\n"),
        ("c.json", "{\"server\": {\"api_key\": \"hush\" \"hush\"}}"),
        ("d.yaml", "server:\n  api_key: 'hush\n"),
        ("e.ron", "(server: (api_key: hush hush))"),
    ] {
        let file = folder.path().join(name);
        std::fs::write(&file, text).expect("written");
        let error = load(Some(&file), [], Overrides::default()).err();
        let error = format!("{:#}", error.expect("refused"));
        assert!(error.contains(name), "{error}");
        assert!(!error.contains("hush"), "{error}");
    }
}

#[test]
fn the_admin_page_cannot_have_the_address_of_the_others() {
    let mut config = Config::default();
    config.server.admin_address = Some(config.server.address);
    let error = config.validate().expect_err("refused").to_string();
    assert!(error.contains("server.admin_address"), "{error}");
    // Of two ports that the system chooses, none is the other.
    config.server.address.set_port(0);
    config.server.admin_address = Some(config.server.address);
    config.validate().expect("valid");
}

#[test]
fn a_secret_that_is_given_twice_or_cannot_be_read_is_refused_and_not_shown() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("key");
    let path = file.display().to_string();
    let refused = |words: &[&str]| {
        let text = refusal(&[("PICTRS__SERVER__API_KEY_FILE", &path)]);
        for word in words.iter().chain(&["server.api_key_file", path.as_str()]) {
            assert!(text.contains(word), "no {word} in: {text}");
        }
        assert!(!text.contains("hush"), "{text}");
    };
    refused(&["No such file"]);
    std::fs::write(&file, "\n").expect("written");
    refused(&["empty"]);
    std::fs::write(&file, b"hush\xff").expect("written");
    refused(&["as text"]);
    std::fs::write(&file, "hush".repeat(20_000)).expect("written");
    refused(&["more than 65536 bytes"]);
    std::fs::write(&file, "hush").expect("written");
    let text = refusal(&[
        ("PICTRS__SERVER__API_KEY_FILE", &path),
        ("PICTRS__SERVER__API_KEY", "hush"),
    ]);
    assert!(
        text.contains("both given") && !text.contains("hush"),
        "{text}"
    );
}

#[test]
fn every_flag_is_a_key_that_exists_and_media_have_one_for_each_key() {
    use clap::CommandFactory as _;
    // Each flag of `run`, with a value that is valid for every type.
    let command = crate::cli::Cli::command();
    let run = command.find_subcommand("run").expect("there is a command");
    let mut keys = std::collections::BTreeSet::new();
    for flag in run.get_arguments().filter_map(clap::Arg::get_long) {
        if flag == "help" {
            continue;
        }
        let value = match flag {
            flag if flag.ends_with("address") => "127.0.0.1:1",
            "media-image-format" | "media-animation-format" => "webp",
            "media-video-codec" => "vp9",
            "media-video-audio-codec" => "opus",
            "media-external-validation-form" => "raw",
            "media-external-validation-failure" => "refuse",
            "media-external-validation-as" => "original",
            "media-heal" => "alias",
            "media-isolation" => "thread",
            "media-pdq-on-match" => "refuse",
            _ => "1",
        };
        let parse = |words: &[&str]| <crate::cli::Cli as clap::Parser>::try_parse_from(words);
        let switch = format!("--{flag}");
        let with_value = format!("--{flag}={value}");
        let cli = parse(&["pict-rs", "run", &switch])
            .or_else(|_| parse(&["pict-rs", "run", &with_value]))
            .expect(flag);
        let set = cli.overrides();
        assert!(!set.0.is_empty(), "{flag} does nothing");
        keys.extend(set.0.iter().map(|(key, _)| (*key).to_owned()));
        let loaded = load(None, [], set).expect(flag);
        assert!(loaded.unknown.is_empty(), "{flag}: {:?}", loaded.unknown);
    }
    let media = serde_json::json!({ "media": Config::default().media });
    let mut without = leaves("", &media);
    without.retain(|key| !keys.contains(key));
    assert!(without.is_empty(), "no flags: {without:?}");
}

fn leaves(path: &str, value: &serde_json::Value) -> Vec<String> {
    let Some(fields) = value.as_object() else {
        return vec![path.trim_start_matches('.').to_owned()];
    };
    let fields = fields.iter();
    fields
        .flat_map(|(name, value)| leaves(&format!("{path}.{name}"), value))
        .collect()
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
    let config = load(None, [], set).expect("loaded").written;
    let text = printable(&config).expect("printable");
    assert!(!text.contains("hush") && text.contains("***"), "{text}");
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("printed.toml");
    std::fs::write(&file, text).expect("written");
    let again = load(Some(&file), [], Overrides::default()).expect("loaded");
    assert!(again.unknown.is_empty(), "{:?}", again.unknown);
}

#[test]
fn passwords_are_masked() {
    let check = |url, expected| assert_eq!(without_password(url), expected);
    check("http://a:14051/scan@b", "http://a:14051/scan@b");
    check("http://me:hush@a/scan", "http://***@a/scan");
    check("http://hush@a", "http://***@a");
    check("no url", "no url");
}

#[test]
fn a_password_in_a_url_is_not_printed() {
    let url = "http://me:hush@validator/check";
    let set = Overrides(vec![("media.external_validation", url.to_owned())]);
    let config = load(None, [], set).expect("loaded").written;
    let text = printable(&config).expect("printable");
    assert!(text.contains("http://***@validator/check"), "{text}");
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
