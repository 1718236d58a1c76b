//! Every setting, its default and its meaning. This module reads neither files nor the environment;
//! the binary does that. `pict-rs.toml` at the top of the repository documents the same keys.
//!
//! Keys and spellings are those of the existing pict-rs, so its configurations work unchanged; our
//! own settings are added to them. Sizes named `max_file_size` are in MiB, as in the existing
//! pict-rs.

mod auto;
mod events;
mod hosts;
mod limits;
mod old_store;
pub(crate) mod output;
mod pdq;
mod place;
mod proxies;
mod purge;
mod store;
mod takeover;
mod types;
pub(crate) mod validation;
mod words;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use auto::AutoConfig;
pub use events::EventsConfig;
pub use hosts::{Allowed, AllowedHost};
pub use limits::{
    AnimationConfig, AnimationQuality, ImageConfig, ImageQuality, MagickConfig, SvgConfig,
    VideoConfig, VideoQuality,
};
pub(crate) use pdq::MAX_NAME;
pub use pdq::{PdqConfig, Subscription};
pub use place::{OldStoreConfig, StoreConfig};
pub use proxies::Network;
pub use purge::PurgeConfig;
pub use takeover::TakeoverConfig;
pub use types::{ByteSize, KeyName, List, NamedKeys, Seconds, Secret, Secrets, Span};
pub use words::{
    AnimationFormat, AudioCodec, Heal, ImageFormat, Isolation, LogFormat, OnMatch, RepoType,
    StoreType, ValidationAs, ValidationFailure, ValidationForm, VideoCodec,
};

use crate::repo::{Location, Server, ServerSettings};
use crate::{Error, ErrorCode, Result, query};

/// Upper bound of `media.concurrency`: a larger value is a typo, and each slot costs a task.
const MAX_CONCURRENCY: usize = 1024;
/// Lower bound of `media.disk`: a smaller value is a typo, such as a forgotten unit.
const LEAST_DISK: u64 = 16 * 1024 * 1024;

/// The whole configuration.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Config {
    /// The HTTP server.
    pub server: ServerConfig,
    /// The HTTP client for downloads and the proxy.
    pub client: ClientConfig,
    /// Accepted for compatibility.
    pub upgrade: UpgradeConfig,
    /// Logs and traces.
    pub tracing: TracingConfig,
    /// The Prometheus listener.
    pub metrics: MetricsConfig,
    /// What is accepted, and how media are made.
    pub media: MediaConfig,
    /// The database.
    pub repo: RepoConfig,
    /// The bytes.
    pub store: StoreConfig,
    /// Where bytes are that are to be moved there.
    pub old_store: OldStoreConfig,
    /// The running server that this one takes over from.
    pub takeover: TakeoverConfig,
    /// Another program that is told what is added and removed.
    pub events: EventsConfig,
    /// Caches in front.
    pub purge: PurgeConfig,
}

/// `[server]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default)]
pub struct ServerConfig {
    /// Socket to listen on; port 0 lets the system choose.
    pub address: SocketAddr,
    /// Refuse everything that changes data.
    pub read_only: bool,
    /// Whether the page at `/` has a form for uploads.
    pub public_upload: bool,
    /// Whether there is an admin page at `/admin`, where there is an API key.
    pub admin: bool,
    /// A socket of its own for the admin page, which is not at `address` then.
    pub admin_address: Option<SocketAddr>,
    /// Accept any bytes as a picture; for the tests of other projects.
    pub danger_dummy_mode: bool,
    /// Key for `/internal/*`; unset refuses all of it.
    pub api_key: Option<Secret>,
    /// File that holds `api_key`.
    pub api_key_file: Option<PathBuf>,
    /// More keys, equivalent to `api_key`, so that clients can be moved to a new key one at a time.
    pub api_keys: Secrets,
    /// File that holds `api_keys`, one a line.
    pub api_keys_file: Option<PathBuf>,
    /// More keys with names, which the audit log records.
    #[serde(skip_serializing_if = "NamedKeys::is_empty")]
    pub named_keys: NamedKeys,
    /// File that holds `named_keys`, on each line a name, a space and a key.
    pub named_keys_file: Option<PathBuf>,
    /// How long the audit log remembers removals.
    pub audit_retention: Span,
    /// How many rows `prune_missing` and `collect` remove at most unless forced; the larger of this
    /// and `max_removal_percent` applies.
    pub max_removal_count: u64,
    /// The same, in percent of what the database holds.
    pub max_removal_percent: u64,
    /// Files per upload request.
    pub max_file_count: usize,
    /// Where uploads are spooled; a folder inside the store by default, so that large uploads
    /// never land in a memory-backed `/tmp`.
    pub temporary_directory: Option<PathBuf>,
    /// Accepted, without effect: spooled uploads have no name and leave nothing behind.
    pub cleanup_temporary_directory: bool,
    /// TLS certificate chain, PEM.
    pub certificate: Option<PathBuf>,
    /// TLS private key, PEM.
    pub private_key: Option<PathBuf>,
    /// `max-age` of served media: how long a cache may answer without asking again.
    pub cache_max_age: Span,
    /// `stale-while-revalidate` of served media: how long a cache may serve its copy while it
    /// revalidates. Defaults to `cache_max_age`.
    pub cache_stale_while_revalidate: Option<Span>,
    /// Origins whose pages may use the API from a browser (CORS); `*` allows every origin.
    pub cors_origins: List,
    /// Free space on the disk of database or files, in MiB, below which a warning is logged. Unset
    /// means 1024, or a tenth of a smaller disk; 0 never warns.
    pub free_space_warning: Option<u64>,
    /// How long an upload's body may take to arrive.
    pub upload_timeout: Seconds,
    /// How long a client may take no byte of an answer.
    pub write_timeout: Seconds,
    /// Memory for bytes that wait for clients, in MiB.
    pub response_memory: u64,
    /// Addresses and networks of proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: List,
    /// Connections at a time; 0 means as many as there are descriptors for.
    pub max_connections: usize,
    /// How long running requests may take to end after SIGTERM.
    pub shutdown_timeout: Seconds,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8080)),
            read_only: false,
            public_upload: false,
            admin: true,
            admin_address: None,
            danger_dummy_mode: false,
            api_key: None,
            api_key_file: None,
            api_keys: Secrets::default(),
            api_keys_file: None,
            named_keys: NamedKeys::default(),
            named_keys_file: None,
            audit_retention: Span::days(365),
            max_removal_count: 100,
            max_removal_percent: 1,
            max_file_count: 1,
            temporary_directory: None,
            cleanup_temporary_directory: true,
            certificate: None,
            private_key: None,
            cache_max_age: Span::seconds(5),
            cache_stale_while_revalidate: None,
            cors_origins: List(Vec::new()),
            free_space_warning: None,
            upload_timeout: Seconds(60),
            write_timeout: Seconds(30),
            response_memory: 64,
            max_connections: 0,
            trusted_proxies: proxies::default(),
            shutdown_timeout: Seconds(30),
        }
    }
}

/// `[client]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default)]
pub struct ClientConfig {
    /// Timeout of a whole fetch, including redirects and body.
    pub timeout: Seconds,
    /// Allow fetches from private addresses.
    pub allow_local_connections: bool,
    /// Hosts (`host` or `host:port`) that may have private addresses.
    pub allowed_hosts: List,
    /// Fetches at a time; more are answered with 503 at once.
    pub concurrency: usize,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            timeout: Seconds(30),
            allow_local_connections: false,
            allowed_hosts: List(Vec::new()),
            concurrency: 64,
        }
    }
}

/// `[upgrade]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default)]
pub struct UpgradeConfig {
    /// Accepted, without effect.
    pub concurrency: usize,
}

impl Default for UpgradeConfig {
    fn default() -> Self {
        Self { concurrency: 32 }
    }
}

/// `[tracing]`
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct TracingConfig {
    /// Logs on standard output.
    pub logging: LoggingConfig,
    /// Accepted for compatibility.
    pub console: ConsoleConfig,
    /// Traces over OTLP.
    pub opentelemetry: OpentelemetryConfig,
}

/// `[tracing.logging]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default)]
pub struct LoggingConfig {
    /// Shape of a line.
    pub format: LogFormat,
    /// Filter in the syntax of `RUST_LOG`.
    pub targets: String,
    /// Log when spans open and close.
    pub log_spans: bool,
    /// Log each finished request.
    pub log_requests: bool,
    /// No colours.
    pub no_ansi: bool,
}

impl Default for LoggingConfig {
    fn default() -> Self {
        Self {
            format: LogFormat::Normal,
            targets: "info".to_owned(),
            log_spans: false,
            log_requests: false,
            no_ansi: false,
        }
    }
}

/// `[tracing.console]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default)]
pub struct ConsoleConfig {
    /// Socket for tokio-console; needs a special build, others warn.
    pub address: Option<SocketAddr>,
    /// Events kept.
    pub buffer_capacity: usize,
}

impl Default for ConsoleConfig {
    fn default() -> Self {
        Self {
            address: None,
            buffer_capacity: 102_400,
        }
    }
}

/// `[tracing.opentelemetry]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default)]
pub struct OpentelemetryConfig {
    /// OTLP endpoint.
    pub url: Option<String>,
    /// Name of this service in traces.
    pub service_name: String,
    /// Filter in the syntax of `RUST_LOG`.
    pub targets: String,
}

impl Default for OpentelemetryConfig {
    fn default() -> Self {
        Self {
            url: None,
            service_name: "pict-rs".to_owned(),
            targets: "info".to_owned(),
        }
    }
}

/// `[metrics]`
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct MetricsConfig {
    /// Socket of the Prometheus listener.
    pub prometheus_address: Option<SocketAddr>,
}

/// `[media]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default)]
pub struct MediaConfig {
    /// URL that is asked before a file is accepted.
    pub external_validation: Option<String>,
    /// Timeout of one request to it.
    pub external_validation_timeout: Seconds,
    /// How the file is sent to it.
    pub external_validation_form: ValidationForm,
    /// What happens to a file when it does not answer.
    pub external_validation_failure: ValidationFailure,
    /// What is sent to it.
    pub external_validation_as: ValidationAs,
    /// Which aliases of a lost file work again when the same bytes are uploaded.
    pub heal: Heal,
    /// Upper limit for any upload, in MiB.
    pub max_file_size: u64,
    /// Timeout of one piece of media work.
    pub process_timeout: Seconds,
    /// Where files are decoded.
    pub isolation: Isolation,
    /// Operations applied to every upload, as a query string.
    pub preprocess_steps: Option<String>,
    /// Metadata that originals keep; `copyright` is the only value.
    pub keep_metadata: List,
    /// Operations that process URLs may use; others are ignored.
    pub filters: List,
    /// Refuse process URLs with keys that are not operations; by default they are ignored.
    pub strict_operations: bool,
    /// Pieces of media work at a time, at most 1024; 0 means one per processor.
    pub concurrency: usize,
    /// Pieces of media work that may wait; more are answered with 503 at once.
    pub queue_length: usize,
    /// How long work may wait in the queue.
    pub queue_timeout: Seconds,
    /// Jobs that may wait for background work; more are answered with 503 at once.
    pub background_length: usize,
    /// Memory that all media work together may use, in MiB.
    pub memory: u64,
    /// What everything that is stored may take. Variants and proxied media give way to uploads.
    pub disk: Option<ByteSize>,
    /// What the originals of one owner may take.
    pub owner_quota: Option<ByteSize>,
    /// Variants that one original may have; 0 means no limit.
    pub variants_per_original: u32,
    /// Make small variants of large photographs from a reduced copy.
    pub reduced_copies: bool,
    /// Save CPU time at the cost of sharper and smaller variants.
    pub fast: bool,
    /// What `process.auto` answers with.
    pub auto: AutoConfig,
    /// External programs that may be used, if they are installed.
    pub helpers: List,
    /// How long unused copies are kept.
    pub retention: RetentionConfig,
    /// Limits of the ImageMagick fallback.
    pub magick: MagickConfig,
    /// Drawings, which are stored as pictures.
    pub svg: SvgConfig,
    /// Pictures that look like listed ones.
    pub pdq: PdqConfig,
    /// Stills.
    pub image: ImageConfig,
    /// Animations.
    pub animation: AnimationConfig,
    /// Clips.
    pub video: VideoConfig,
}

/// All values that `media.helpers` accepts.
const HELPERS: [&str; 2] = ["ffmpeg", "magick"];

impl Default for MediaConfig {
    fn default() -> Self {
        Self {
            external_validation: None,
            external_validation_timeout: Seconds(30),
            external_validation_form: ValidationForm::default(),
            external_validation_failure: ValidationFailure::default(),
            external_validation_as: ValidationAs::default(),
            heal: Heal::default(),
            max_file_size: 40,
            process_timeout: Seconds(30),
            isolation: Isolation::default(),
            preprocess_steps: None,
            keep_metadata: List(Vec::new()),
            filters: List(pict_rs_media::operation::NAMES.map(str::to_owned).into()),
            strict_operations: false,
            concurrency: 0,
            queue_length: 256,
            queue_timeout: Seconds(30),
            background_length: 256,
            memory: 512,
            disk: None,
            owner_quota: None,
            variants_per_original: 128,
            reduced_copies: true,
            fast: false,
            auto: AutoConfig::default(),
            helpers: List(HELPERS.map(str::to_owned).into()),
            retention: RetentionConfig::default(),
            magick: MagickConfig::default(),
            svg: SvgConfig::default(),
            pdq: PdqConfig::default(),
            image: ImageConfig::default(),
            animation: AnimationConfig::default(),
            video: VideoConfig::default(),
        }
    }
}

/// `[media.retention]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default)]
pub struct RetentionConfig {
    /// Of variants, since they were last used.
    pub variants: Span,
    /// Of proxied media, since they were last used.
    pub proxy: Span,
    /// What all variants may take in the store, in MiB; the least recently used go first.
    pub variants_size: Option<u64>,
    /// What all proxied media may take in the store, in MiB; the least recently used go first.
    pub proxy_size: Option<u64>,
    /// How long unclaimed backgrounded uploads are kept.
    pub claims: Span,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            variants: Span::days(7),
            proxy: Span::days(7),
            variants_size: None,
            proxy_size: None,
            claims: Span::days(7),
        }
    }
}

/// `[repo]`: flat, as in the existing pict-rs; `type` decides which keys apply.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default)]
pub struct RepoConfig {
    /// Which database.
    pub r#type: RepoType,
    /// Folder of the embedded database (`sqlite`, `sled`).
    pub path: Option<PathBuf>,
    /// Folder of the embedded database (`fjall`).
    pub fjall_path: Option<PathBuf>,
    /// Disk space kept free for removals, on the disk of the database, in MiB; at most a sixteenth
    /// of the disk. 0 keeps none.
    pub reserve: u64,
    /// Accepted, without effect.
    pub cache_capacity: Option<u64>,
    /// Folder for exports.
    pub export_path: Option<PathBuf>,
    /// Accepted, without effect.
    pub debug_dump_db_path: Option<PathBuf>,
    /// PostgreSQL URL.
    pub url: Option<Secret>,
    /// File that holds `url`.
    pub url_file: Option<PathBuf>,
    /// PostgreSQL over TLS.
    pub use_tls: bool,
    /// CA certificate for PostgreSQL.
    pub certificate_file: Option<PathBuf>,
    /// Connections to PostgreSQL at a time, at least 2.
    pub max_connections: u32,
    /// How long a start waits for a PostgreSQL server that cannot be reached.
    pub connect_timeout: Seconds,
}

impl Default for RepoConfig {
    fn default() -> Self {
        Self {
            r#type: RepoType::default(),
            path: None,
            fjall_path: None,
            reserve: 16,
            cache_capacity: None,
            export_path: None,
            debug_dump_db_path: None,
            url: None,
            url_file: None,
            use_tls: false,
            certificate_file: None,
            max_connections: 8,
            connect_timeout: Seconds(60),
        }
    }
}

impl ServerConfig {
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`] when one of `cors_origins` is not an origin as browsers send
    /// it.
    fn validate_origins(&self) -> Result<()> {
        let is_origin = |text: &str| {
            let url = url::Url::parse(text).ok();
            url.is_some_and(|url| url.origin().ascii_serialization() == text)
        };
        for origin in &self.cors_origins.0 {
            if origin != "*" && !is_origin(origin) {
                return Err(invalid(format!(
                    "server.cors_origins: '{origin}' is neither * nor an origin such as \
                     https://example.org or http://localhost:3000"
                )));
            }
        }
        Ok(())
    }

    /// All keys. A variable that a deployment left empty does not count: it must not match an empty
    /// header.
    pub fn api_keys(&self) -> impl Iterator<Item = &Secret> {
        self.keys().map(|(_, key)| key)
    }

    /// All keys with their names. Those with a name come first, so that a key that is also given
    /// without one has it.
    pub fn keys(&self) -> impl Iterator<Item = (Option<&str>, &Secret)> {
        let unnamed = self.api_key.iter().chain(&self.api_keys.0);
        let named = self.named_keys.0.iter();
        let all = (named.map(|(name, key)| (Some(name.as_str()), key)))
            .chain(unnamed.map(|key| (None, key)));
        all.filter(|(_, key)| !key.expose().is_empty())
    }

    /// Which of the keys this is, if it is one. All are compared, so that the time does not reveal
    /// which one matches.
    pub fn find_api_key(&self, given: &[u8]) -> Option<KeyName> {
        self.keys().fold(None, |found, (name, key)| {
            let is_right = key.matches(given);
            let matched = is_right.then(|| KeyName(name.map(str::to_owned)));
            found.or(matched)
        })
    }

    /// # Errors
    /// [`ErrorCode::ConfigInvalid`] when a name of `named_keys` has other characters than small
    /// letters, digits, `-` and `_`, or a key is empty, has two names or cannot be in a header.
    fn validate_keys(&self) -> Result<()> {
        let mut seen = HashMap::new();
        for (name, key) in &self.named_keys.0 {
            if !KeyName::is_valid(name) {
                return Err(invalid(format!(
                    "server.named_keys: the name '{name}' must have 1 to {} small letters, digits, - and _",
                    KeyName::MAX
                )));
            }
            // Otherwise the path would be the key.
            if name.ends_with("_file") {
                return Err(invalid(format!(
                    "server.named_keys: the name '{name}' ends in _file, but a name has no file of its \
                     own; server.named_keys_file holds all of them"
                )));
            }
            let text = key.expose();
            if text.trim() != text || text.chars().any(char::is_control) {
                return Err(invalid(format!(
                    "server.named_keys: the key of '{name}' has white space at its ends or control \
                     characters, which a header cannot have"
                )));
            }
            if text.is_empty() {
                return Err(invalid(format!(
                    "server.named_keys: the key of '{name}' is empty"
                )));
            }
            if let Some(other) = seen.insert(text, name) {
                return Err(invalid(format!(
                    "server.named_keys: '{other}' and '{name}' have the same key"
                )));
            }
        }
        Ok(())
    }
}

impl RepoConfig {
    /// The PostgreSQL server.
    fn server(&self) -> Result<Server> {
        let Some(url) = self.url.as_ref().filter(|url| !url.expose().is_empty()) else {
            return Err(invalid(
                "repo.type = \"postgres\" needs repo.url or repo.url_file".to_owned(),
            ));
        };
        if self.max_connections < 2 {
            return Err(invalid(format!(
                "repo.max_connections = {}: it must be at least 2, one to write and one to read",
                self.max_connections
            )));
        }
        let is_given = |file: &&PathBuf| !file.as_os_str().is_empty();
        Server::new(&ServerSettings {
            key: "repo.url",
            url: url.expose(),
            use_tls: self.use_tls,
            certificate_file: self.certificate_file.as_ref().filter(is_given),
            max_connections: self.max_connections,
            patience: self.connect_timeout.duration(),
        })
    }
}

impl Config {
    /// Where the database is. `data` is the default data folder.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`] when it is a server and the settings do not say which.
    pub fn database(&self, data: &std::path::Path) -> Result<Location> {
        match self.repo.r#type {
            RepoType::Postgres => Ok(Location::Server(self.repo.server()?.into())),
            RepoType::Sqlite | RepoType::Sled | RepoType::Fjall => Ok(Location::Folder {
                path: self.database_folder(data),
                reserve: self.repo.reserve,
            }),
        }
    }

    /// The folder that holds the embedded database. `data` is the default data folder.
    pub fn database_folder(&self, data: &std::path::Path) -> PathBuf {
        let configured = self.configured_database_folder().cloned();
        configured.unwrap_or_else(|| data.join("database"))
    }

    /// Whether the configuration leaves the database folder at its default.
    pub fn is_database_folder_default(&self) -> bool {
        self.configured_database_folder().is_none()
    }

    fn configured_database_folder(&self) -> Option<&PathBuf> {
        match self.repo.r#type {
            RepoType::Fjall => self.repo.fjall_path.as_ref(),
            RepoType::Sqlite | RepoType::Sled | RepoType::Postgres => self.repo.path.as_ref(),
        }
    }

    /// The folder that holds the files. `data` is the default data folder.
    pub fn files_folder(&self, data: &std::path::Path) -> PathBuf {
        self.store.files_folder(data)
    }

    /// The folder for temporary files where objects are kept in a bucket. `data` is the default data
    /// folder.
    pub fn scratch_folder(&self, data: &std::path::Path) -> PathBuf {
        let configured = self.server.temporary_directory.clone();
        configured.unwrap_or_else(|| data.join("scratch"))
    }

    /// The folder for exports of the database. `data` is the default data folder.
    pub fn export_folder(&self, data: &std::path::Path) -> PathBuf {
        let configured = self.repo.export_path.clone();
        configured.unwrap_or_else(|| data.join("exports"))
    }

    /// Refuses settings that cannot work or are not implemented: silently ignoring them would be
    /// worse.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`], naming the key.
    pub fn validate(&self) -> Result<()> {
        let ServerConfig {
            address,
            admin_address,
            ..
        } = &self.server;
        if *admin_address == Some(*address) && address.port() != 0 {
            return Err(invalid(format!(
                "server.admin_address = {address}: it must differ from server.address"
            )));
        }
        if self.repo.r#type == RepoType::Postgres {
            self.repo.server()?;
        }
        self.store.bucket()?;
        self.old_store.validate(&self.store, &self.server)?;
        if self.server.certificate.is_some() != self.server.private_key.is_some() {
            return Err(invalid(
                "TLS needs both server.certificate and server.private_key, and one is not set"
                    .to_owned(),
            ));
        }
        for name in &self.media.filters.0 {
            if !pict_rs_media::operation::NAMES.contains(&name.as_str()) {
                return Err(invalid(format!(
                    "media.filters: '{name}' is not an operation; there are {}",
                    pict_rs_media::operation::NAMES.join(", ")
                )));
            }
        }
        self.media.auto.validate()?;
        self.media.pdq.validate()?;
        self.media.validate_kept()?;
        self.media.magick.validate_formats()?;
        for name in &self.media.helpers.0 {
            if !HELPERS.contains(&name.as_str()) {
                return Err(invalid(format!(
                    "media.helpers: '{name}' is no program that is used; there are {}",
                    HELPERS.join(", ")
                )));
            }
        }
        self.preprocess_steps()?;
        self.allowed_hosts()?;
        self.server.validate_origins()?;
        self.server.validate_keys()?;
        self.server.trusted_proxies()?;
        validation::parse_url(&self.media)?;
        self.takeover.validate(&self.server)?;
        self.events.validate()?;
        self.purge.validate()?;
        for (key, value) in [
            ("server.max_file_count", self.server.max_file_count as u64),
            ("server.write_timeout", self.server.write_timeout.0),
            ("server.response_memory", self.server.response_memory),
            ("media.max_file_size", self.media.max_file_size),
            ("media.memory", self.media.memory),
            ("client.timeout", self.client.timeout.0),
            ("client.concurrency", self.client.concurrency as u64),
            ("media.process_timeout", self.media.process_timeout.0),
            (
                "media.external_validation_timeout",
                self.media.external_validation_timeout.0,
            ),
            (
                "media.retention.claims",
                self.media.retention.claims.duration().as_secs(),
            ),
            (
                "media.retention.variants_size",
                self.media.retention.variants_size.unwrap_or(1),
            ),
            (
                "media.retention.proxy_size",
                self.media.retention.proxy_size.unwrap_or(1),
            ),
        ] {
            if value == 0 {
                return Err(invalid(format!("{key} must be at least 1")));
            }
        }
        if self.server.max_removal_percent > 100 {
            return Err(invalid(format!(
                "server.max_removal_percent = {}: it can be at most 100",
                self.server.max_removal_percent
            )));
        }
        if self.media.concurrency > MAX_CONCURRENCY {
            return Err(invalid(format!(
                "media.concurrency = {}: it can be at most {MAX_CONCURRENCY}",
                self.media.concurrency
            )));
        }
        if let Some(disk) = self.media.disk.filter(|disk| disk.bytes() < LEAST_DISK) {
            return Err(invalid(format!(
                "media.disk = \"{disk}\": it must be at least 16 MiB"
            )));
        }
        if self
            .media
            .owner_quota
            .is_some_and(|quota| quota.bytes() == 0)
        {
            let message =
                "media.owner_quota = 0: nothing could be uploaded; leave it out for any number";
            return Err(invalid(message.to_owned()));
        }
        self.media.validate_quality()
    }

    /// `media.preprocess_steps`, parsed.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`] when an operation is unknown or has a bad argument.
    pub fn preprocess_steps(&self) -> Result<Vec<pict_rs_media::operation::Operation>> {
        let Some(steps) = &self.media.preprocess_steps else {
            return Ok(Vec::new());
        };
        let mut operations = Vec::new();
        for (key, value) in query::pairs(steps) {
            let operation = pict_rs_media::operation::parse(&key, &value)
                .map_err(|error| invalid(format!("media.preprocess_steps: {error}")))?;
            operations.extend(operation);
        }
        Ok(operations)
    }

    /// `client.allowed_hosts`, parsed.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`] when an entry is not a host, with or without a port.
    pub fn allowed_hosts(&self) -> Result<Vec<AllowedHost>> {
        let parse = |text: &String| {
            AllowedHost::parse(text).ok_or_else(|| {
                invalid(format!(
                    "client.allowed_hosts: '{text}' is neither a host nor host:port"
                ))
            })
        };
        self.client.allowed_hosts.0.iter().map(parse).collect()
    }

    /// `server.cache_max_age` as a duration.
    pub fn cache_max_age(&self) -> Duration {
        self.server.cache_max_age.duration()
    }

    /// `server.cache_stale_while_revalidate` as a duration, with its default applied.
    pub fn cache_stale_while_revalidate(&self) -> Duration {
        let configured = self.server.cache_stale_while_revalidate;
        configured.unwrap_or(self.server.cache_max_age).duration()
    }
}

fn invalid(message: String) -> Error {
    Error::user(ErrorCode::ConfigInvalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_configuration_is_valid() {
        Config::default().validate().expect("valid");
    }

    #[test]
    fn what_this_version_cannot_do_is_refused_by_name() {
        let mut config = Config::default();
        config.store.r#type = StoreType::ObjectStorage;
        let message = config.validate().expect_err("refused").to_string();
        assert!(message.contains("object_storage"), "{message}");
    }

    #[test]
    fn a_server_needs_a_url_and_two_connections() {
        let mut config = Config::default();
        config.repo.r#type = RepoType::Postgres;
        let refusal = |config: &Config| config.validate().expect_err("refused").to_string();
        assert!(refusal(&config).contains("repo.url"));
        config.repo.url = Some(Secret::new("mysql://a:hush@h/d"));
        let message = refusal(&config);
        assert!(message.contains("repo.url") && !message.contains("hush"));
        config.repo.url = Some(Secret::new("postgres://a:hush@h/d"));
        config.validate().expect("valid");
        let place = config.database("data".as_ref()).expect("valid");
        assert_eq!(place.to_string(), "postgres://a@h:5432/d");
        config.repo.max_connections = 1;
        assert!(refusal(&config).contains("repo.max_connections = 1"));
    }

    #[test]
    fn a_disk_budget_without_its_unit_is_found_at_start() {
        let mut config = Config::default();
        config.media.disk = ByteSize::parse("15");
        let message = config.validate().expect_err("refused").to_string();
        assert!(message.contains("media.disk = \"15 MiB\""), "{message}");
        config.media.disk = ByteSize::parse("40 GiB");
        config.validate().expect("valid");
    }

    #[test]
    fn a_host_that_is_none_is_found_at_start() {
        let mut config = Config::default();
        config.client.allowed_hosts = List(vec!["media.internal:9000".to_owned()]);
        config.validate().expect("valid");
        config.client.allowed_hosts = List(vec!["http://media.internal".to_owned()]);
        let message = config.validate().expect_err("refused").to_string();
        assert!(
            message.contains("allowed_hosts") && message.contains("http://media"),
            "{message}"
        );
    }

    #[test]
    fn bad_operations_in_settings_are_found_at_start() {
        let mut config = Config::default();
        config.media.preprocess_steps = Some("resize=1200&crop=99x1".to_owned());
        let message = config.validate().expect_err("refused").to_string();
        assert!(
            message.contains("preprocess_steps") && message.contains("99x1"),
            "{message}"
        );
        config.media.preprocess_steps = Some("resize=1200&crop=16x9".to_owned());
        config.validate().expect("valid");
        config.media.filters = List(vec!["sepia".to_owned()]);
        assert!(config.validate().is_err());
    }
}
