//! The command line, compatible with that of the existing pict-rs. Every flag sets a configuration
//! key: see [`Cli::overrides`].

#[cfg(test)]
mod manual;
mod move_repo;
mod move_store;

use std::fmt::Display;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use move_repo::MigrateRepo;
pub use move_store::MigrateStore;

/// A self-hosted image server: stores, cleans, serves and transforms pictures.
///
/// Without arguments it serves on 0.0.0.0:8080, with an embedded database and a folder of
/// files under ./data (under systemd: in the unit's state directory).
///
/// Settings come from, in this order, later wins: built-in defaults, the file given with -c,
/// RUST_LOG, environment variables such as PICTRS__SERVER__API_KEY, the command line.
#[derive(Debug, Parser)]
#[command(version, long_version = crate::source::long_version())]
pub struct Cli {
    /// Configuration file: TOML, JSON, YAML or RON, by its extension
    #[arg(short, long, value_name = "FILE")]
    pub config_file: Option<PathBuf>,
    /// Write the merged configuration (TOML, with its secrets) to this file and go on
    #[arg(long, value_name = "FILE")]
    pub save_to: Option<PathBuf>,
    /// Log format: normal, compact, pretty or json [default: normal]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// Log filter in the syntax of RUST_LOG [default: info]
    #[arg(long, value_name = "FILTER")]
    log_targets: Option<String>,
    /// Log when spans open and close
    #[arg(long)]
    log_spans: bool,
    /// Log each finished request
    #[arg(long)]
    log_requests: bool,
    /// No colours in logs
    #[arg(long)]
    no_log_ansi: bool,
    /// tokio-console socket; needs a special build
    #[arg(long, value_name = "ADDRESS")]
    console_address: Option<String>,
    /// Events that tokio-console keeps
    #[arg(long, value_name = "COUNT")]
    console_buffer_capacity: Option<usize>,
    /// OTLP endpoint for traces
    #[arg(long, value_name = "URL")]
    opentelemetry_url: Option<String>,
    /// Name of this service in traces
    #[arg(long, value_name = "NAME")]
    opentelemetry_service_name: Option<String>,
    /// Trace filter in the syntax of RUST_LOG
    #[arg(long, value_name = "FILTER")]
    opentelemetry_targets: Option<String>,
    /// Accepted, without effect: data of 0.4 cannot be upgraded
    #[arg(long, value_name = "FOLDER", hide = true)]
    old_repo_path: Option<PathBuf>,
    /// Accepted, without effect
    #[arg(long, value_name = "BYTES", hide = true)]
    old_repo_cache_capacity: Option<u64>,

    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve (the default)
    Run(Box<Run>),
    /// Serve, and take over from a running pict-rs 0.5 or later: what is unknown here is fetched from
    /// it and kept, everything else is copied in the background
    Takeover(Takeover),
    /// Check the configuration and exit
    CheckConfig,
    /// Print the merged configuration, secrets as ***, and exit
    PrintConfig,
    /// Tell what this installation can and cannot do, and why; exits with 1 if something is wrong
    Doctor {
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Tie the folder of files to the database whatever they hold, after a start was refused because
    /// they do not belong together
    AcceptStore,
    /// Take over what the existing pict-rs 0.5 or 0.6 has in a database (sled, fjall, PostgreSQL) and in a
    /// folder or bucket of files; neither server may run meanwhile. Exits with 1 if something could
    /// not be taken over
    #[cfg(feature = "migrate")]
    Migrate(Migrate),
    /// Copy the database to another one, of the same kind or the other; the files stay where they
    /// are. No server may run on either meanwhile. A second run continues after an interruption
    MigrateRepo(MigrateRepo),
    /// Move the files to another folder or bucket, without a server; the old ones stay where they are. A
    /// second run continues after an interruption. With old_store in its configuration the server
    /// does the same while it serves
    MigrateStore(MigrateStore),
    /// Hold database and files against each other: rows without bytes, damaged bytes, files without a
    /// row. Exits with 1 if something is wrong. A server may run meanwhile, but not with --repair
    Fsck(Fsck),
    /// Show that files carry no metadata: clean a copy of each as an upload is cleaned, and hold what
    /// would be stored against exiftool, where it is installed. Exits with 1 if something is left, with
    /// 3 if a file could not be judged. Keeps nothing; a server may run meanwhile
    VerifyClean(VerifyClean),
    /// Write a copy of the embedded database to a new file; a server may run meanwhile
    Backup {
        /// The copy, which must not exist [default: a new file in the folder for exports]
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Put a copy of the embedded database in its place, where none may be, after checking it
    Restore {
        /// The copy, of backup or of POST /internal/export
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub struct Fsck {
    /// Read all bytes and compare their digests, not only sizes
    #[arg(long)]
    pub digests: bool,
    /// Print the report for programs
    #[arg(long)]
    pub json: bool,
    /// Remove rows of variants that lost their bytes, and files without a row that are older than 6
    /// hours
    #[arg(long)]
    pub repair: bool,
    /// Bring lost and damaged originals back from this folder, where they may have any names; with
    /// --repair
    #[arg(long, value_name = "FOLDER", conflicts_with = "from_config")]
    pub from: Option<PathBuf>,
    /// Bring them back from the folder or bucket that store of this configuration file names; with
    /// --repair
    #[arg(long, value_name = "FILE")]
    pub from_config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct VerifyClean {
    /// Pictures, animations and videos
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Judge the files as they are: originals that a server has stored or answered with
    #[arg(long)]
    pub as_is: bool,
    /// Print the report for programs
    #[arg(long)]
    pub json: bool,
}

#[cfg(feature = "migrate")]
#[derive(Debug, Args)]
pub struct Migrate {
    /// Its database: a folder of sled or fjall, or postgres://user@host:port/database [default: the folder
    /// for ours]
    #[arg(long, value_name = "FOLDER|URL")]
    pub from: Option<String>,
    /// Its files, which are copied [default: the folder or bucket for ours, where they stay as they are]
    #[arg(long, value_name = "FOLDER")]
    pub files: Option<PathBuf>,
    /// Its configuration file, which says where both are
    #[arg(long, value_name = "FILE")]
    pub from_config: Option<PathBuf>,
    /// Exit with 0 although files are missing; their aliases stay unknown
    #[arg(long)]
    pub skip_missing_files: bool,
    /// Exit with 0 although there are files that the database does not name, or contents without an
    /// alias
    #[arg(long)]
    pub skip_unnamed: bool,
    /// The unit of systemd that runs the server, whose state directory and user count [default:
    /// pict-rs.service, if there is one]
    #[arg(long, value_name = "FILE")]
    pub unit: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Takeover {
    /// Where the running pict-rs answers, such as http://old:8080
    #[arg(value_name = "URL")]
    url: Option<String>,
    /// Its API key
    #[arg(long, value_name = "KEY")]
    api_key: Option<String>,
    /// File that holds its API key
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    /// Its PostgreSQL database, from which delete tokens are read
    #[arg(long, value_name = "URL")]
    repo_url: Option<String>,
    /// File that holds the URL of its PostgreSQL database
    #[arg(long, value_name = "FILE")]
    repo_url_file: Option<PathBuf>,
    /// Files copied at a time in the background [default: 2]
    #[arg(long, value_name = "COUNT")]
    concurrency: Option<usize>,
    /// Files copied per second in the background at most; 0 is no limit [default: 20]
    #[arg(long, value_name = "COUNT")]
    rate: Option<u64>,
    /// Seconds for one request to it [default: 60]
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Socket to listen on [default: 0.0.0.0:8080]
    #[arg(short, long, value_name = "ADDRESS")]
    address: Option<String>,
}

impl Takeover {
    fn overrides(&self, set: &mut Overrides) {
        set.option("takeover.url", self.url.as_ref());
        set.option("takeover.api_key", self.api_key.as_ref());
        set.path("takeover.api_key_file", self.api_key_file.as_ref());
        set.option("takeover.repo_url", self.repo_url.as_ref());
        set.path("takeover.repo_url_file", self.repo_url_file.as_ref());
        set.option("takeover.concurrency", self.concurrency);
        set.option("takeover.rate", self.rate);
        set.option("takeover.timeout", self.timeout);
        set.option("server.address", self.address.as_ref());
    }
}

#[derive(Debug, Args)]
pub struct Run {
    /// Socket to listen on [default: 0.0.0.0:8080]
    #[arg(short, long, alias = "addr", value_name = "ADDRESS")]
    address: Option<String>,
    /// Key for /internal/*; without one all of it is refused
    #[arg(long, value_name = "KEY")]
    api_key: Option<String>,
    /// Refuse everything that changes data
    #[arg(long)]
    read_only: bool,
    /// Accept any bytes as a picture, for other projects' tests
    #[arg(long)]
    danger_dummy_mode: bool,
    /// Files per upload request [default: 1]
    #[arg(long, value_name = "COUNT")]
    max_file_count: Option<usize>,
    /// Where uploads are spooled [default: inside the files folder]
    #[arg(long, value_name = "FOLDER")]
    temporary_directory: Option<PathBuf>,
    /// Accepted, without effect: spooled uploads have no name and leave nothing behind
    #[arg(long)]
    no_cleanup_temporary_directory: bool,
    /// TLS certificate chain (PEM)
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// TLS private key (PEM)
    #[arg(long, value_name = "FILE")]
    private_key: Option<PathBuf>,
    /// Seconds for one download [default: 30]
    #[arg(long, value_name = "SECONDS")]
    client_timeout: Option<u64>,
    /// Allow downloads from private addresses
    #[arg(long)]
    client_allow_local_connections: bool,
    /// Host, or host:port, that may have a private address; repeat for more than one
    #[arg(long, value_name = "HOST")]
    client_allowed_hosts: Vec<String>,
    /// Fetches at a time [default: 64]
    #[arg(long, value_name = "COUNT")]
    client_concurrency: Option<usize>,
    /// Accepted, without effect
    #[arg(long, value_name = "COUNT", hide = true)]
    upgrade_concurrency: Option<usize>,
    /// Prometheus socket
    #[arg(long, value_name = "ADDRESS")]
    metrics_prometheus_address: Option<String>,
    #[command(flatten, next_help_heading = "Media")]
    media: Media,

    #[command(subcommand)]
    store: Option<StoreCommand>,
}

macro_rules! media_flags {
    ($($(#[$attribute:meta])* $field:ident: $type:ty => $key:literal,)*) => {
        #[derive(Debug, Args)]
        struct Media {
            $($(#[$attribute])* #[arg(long)] $field: Option<$type>,)*
            /// Operations that process URLs may use; repeat for more than one
            #[arg(long, value_name = "OPERATION")]
            media_filters: Vec<String>,
            /// Programs that may be used if they are there: ffmpeg, magick; repeat for more than one
            #[arg(long, value_name = "PROGRAM")]
            media_helpers: Vec<String>,
            /// Formats that ImageMagick is handed; repeat for more than one
            #[arg(long, value_name = "FORMAT")]
            media_magick_formats: Vec<String>,
            /// What originals keep: copyright
            #[arg(long, value_name = "WHAT")]
            media_keep_metadata: Vec<String>,
            /// Formats of process.auto, best first; repeat for more than one
            #[arg(long, value_name = "FORMAT")]
            media_auto_formats: Vec<String>,
            /// Formats that clients of process.auto do not wait for; repeat for more than one
            #[arg(long, value_name = "FORMAT")]
            media_auto_slow: Vec<String>,
            /// Variants cost less CPU and are a little less sharp
            #[arg(long)]
            media_fast: bool,
            /// Make small variants of large photographs from the originals
            #[arg(long)]
            media_no_reduced_copies: bool,
            /// Refuse process URLs with keys that are not operations
            #[arg(long)]
            media_strict_operations: bool,
            /// Take in cut files, with what is there of them
            #[arg(long)]
            media_image_accept_damaged: bool,
            /// Draw SVG files and store them as pictures
            #[arg(long)]
            media_svg_enable: bool,
            /// Refuse videos
            #[arg(long)]
            media_video_disable: bool,
            /// Keep the sound of videos
            #[arg(long)]
            media_video_allow_audio: bool,
        }

        impl Media {
            fn overrides(&self, set: &mut Overrides) {
                $(set.option($key, self.$field.as_ref());)*
                set.list("media.filters", &self.media_filters);
                set.list("media.helpers", &self.media_helpers);
                set.list("media.magick.formats", &self.media_magick_formats);
                set.list("media.keep_metadata", &self.media_keep_metadata);
                set.list("media.auto.formats", &self.media_auto_formats);
                set.list("media.auto.slow", &self.media_auto_slow);
                set.switch("media.fast", self.media_fast);
                if self.media_no_reduced_copies {
                    set.0.push(("media.reduced_copies", "false".to_owned()));
                }
                if self.media_video_disable {
                    set.0.push(("media.video.enable", "false".to_owned()));
                }
                set.switch("media.strict_operations", self.media_strict_operations);
                set.switch("media.image.accept_damaged", self.media_image_accept_damaged);
                set.switch("media.svg.enable", self.media_svg_enable);
                set.switch("media.video.allow_audio", self.media_video_allow_audio);
            }
        }
    };
}

media_flags! {
    /// URL asked before a file is accepted
    media_external_validation: String => "media.external_validation",
    /// Seconds for one such question
    media_external_validation_timeout: u64 => "media.external_validation_timeout",
    /// How it is asked: raw or multipart [default: raw]
    media_external_validation_form: String => "media.external_validation_form",
    /// Files while it does not answer: refuse or accept [default: refuse]
    media_external_validation_failure: String => "media.external_validation_failure",
    /// What it is shown: original or jpeg [default: original]
    media_external_validation_as: String => "media.external_validation_as",
    /// Aliases that a lost file comes back for: alias or all [default: alias]
    media_heal: String => "media.heal",
    /// MiB, ceiling for any upload [default: 40]
    media_max_file_size: u64 => "media.max_file_size",
    /// Seconds for one piece of media work [default: 30]
    media_process_timeout: u64 => "media.process_timeout",
    /// Where files are decoded: auto, process or thread [default: auto]
    media_isolation: String => "media.isolation",
    /// Operations for every upload, as a query string
    media_preprocess_steps: String => "media.preprocess_steps",
    /// Pieces of media work at a time [default: one per processor]
    media_concurrency: usize => "media.concurrency",
    /// Pieces of media work that may wait [default: 256]
    media_queue_length: usize => "media.queue_length",
    /// Seconds that media work may wait [default: 30]
    media_queue_timeout: u64 => "media.queue_timeout",
    /// Jobs that may wait for background work [default: 256]
    media_background_length: usize => "media.background_length",
    /// MiB that media work may use in all [default: 512]
    media_memory: u64 => "media.memory",
    /// What all that is stored may take, such as 40 GiB; variants and proxied media give way to uploads
    media_disk: String => "media.disk",
    /// What the originals of one owner may take, such as 500 MiB; any number if it is not set
    media_owner_quota: String => "media.owner_quota",
    /// Variants that one original may have; 0 is any number [default: 128]
    media_variants_per_original: u32 => "media.variants_per_original",
    /// What happens to pictures that look like listed ones: refuse or quarantine [default: refuse]
    media_pdq_on_match: String => "media.pdq.on_match",
    /// Bits in which they may differ from a listed hash, at most 128 [default: 31]
    media_pdq_distance: u32 => "media.pdq.distance",
    /// Least quality of hashes that match, 0-100 [default: 50]
    media_pdq_quality: u8 => "media.pdq.quality",
    /// Signed lists of other servers, each as its URL, a space and its key, separated by commas
    media_pdq_subscriptions: String => "media.pdq.subscriptions",
    /// How often they are looked at [default: 1h]
    media_pdq_refresh: String => "media.pdq.refresh",
    /// Milliseconds that clients of process.auto wait for a slow format [default: 300]
    media_auto_budget: u64 => "media.auto.budget",
    /// max-age of the answer in another format meanwhile [default: 1m]
    media_auto_fallback_max_age: String => "media.auto.fallback_max_age",
    /// Time after which an unclaimed backgrounded upload is dropped [default: 7d]
    media_retention_claims: String => "media.retention.claims",
    /// Time after which unused variants go [default: 7d]
    media_retention_variants: String => "media.retention.variants",
    /// Time after which unused proxied media go [default: 7d]
    media_retention_proxy: String => "media.retention.proxy",
    /// MiB for all variants; the least recently used go first
    media_retention_variants_size: u64 => "media.retention.variants_size",
    /// MiB for all proxied media; the least recently used go first
    media_retention_proxy_size: u64 => "media.retention.proxy_size",
    /// Pixels
    media_magick_max_width: u32 => "media.magick.max_width",
    /// Pixels
    media_magick_max_height: u32 => "media.magick.max_height",
    /// Pixels
    media_magick_max_area: u64 => "media.magick.max_area",
    /// MiB
    media_magick_memory: u64 => "media.magick.memory",
    /// MiB
    media_magick_map: u64 => "media.magick.map",
    /// MiB
    media_magick_disk: u64 => "media.magick.disk",
    /// Pixels [default: 10000]
    media_image_max_width: u32 => "media.image.max_width",
    /// Pixels [default: 10000]
    media_image_max_height: u32 => "media.image.max_height",
    /// Pixels [default: 40000000]
    media_image_max_area: u64 => "media.image.max_area",
    /// MiB [default: 40]
    media_image_max_file_size: u64 => "media.image.max_file_size",
    /// Convert stills at upload: avif, jpeg, jxl, png or webp
    media_image_format: String => "media.image.format",
    /// 0-100
    media_image_quality_avif: u8 => "media.image.quality.avif",
    /// 0-100
    media_image_quality_png: u8 => "media.image.quality.png",
    /// 0-100
    media_image_quality_jpeg: u8 => "media.image.quality.jpeg",
    /// 0-100
    media_image_quality_jxl: u8 => "media.image.quality.jxl",
    /// 0-100
    media_image_quality_webp: u8 => "media.image.quality.webp",
    /// Pixels [default: 1920]
    media_animation_max_width: u32 => "media.animation.max_width",
    /// Pixels [default: 1920]
    media_animation_max_height: u32 => "media.animation.max_height",
    /// Pixels [default: 2073600]
    media_animation_max_area: u64 => "media.animation.max_area",
    /// Frames [default: 900]
    media_animation_max_frame_count: u32 => "media.animation.max_frame_count",
    /// MiB [default: 40]
    media_animation_max_file_size: u64 => "media.animation.max_file_size",
    /// Convert animations at upload: apng, avif, gif or webp
    media_animation_format: String => "media.animation.format",
    /// 0-100
    media_animation_quality_apng: u8 => "media.animation.quality.apng",
    /// 0-100
    media_animation_quality_avif: u8 => "media.animation.quality.avif",
    /// 0-100
    media_animation_quality_webp: u8 => "media.animation.quality.webp",
    /// Pixels
    media_video_max_width: u32 => "media.video.max_width",
    /// Pixels
    media_video_max_height: u32 => "media.video.max_height",
    /// Pixels
    media_video_max_area: u64 => "media.video.max_area",
    /// Frames
    media_video_max_frame_count: u32 => "media.video.max_frame_count",
    /// MiB
    media_video_max_file_size: u64 => "media.video.max_file_size",
    /// av1, h264, h265, vp8 or vp9
    media_video_codec: String => "media.video.video_codec",
    /// aac, opus or vorbis
    media_video_audio_codec: String => "media.video.audio_codec",
    /// 0-63
    media_video_quality_max: u8 => "media.video.quality.crf_max",
    /// 0-63
    media_video_quality_240: u8 => "media.video.quality.crf_240",
    /// 0-63
    media_video_quality_360: u8 => "media.video.quality.crf_360",
    /// 0-63
    media_video_quality_480: u8 => "media.video.quality.crf_480",
    /// 0-63
    media_video_quality_720: u8 => "media.video.quality.crf_720",
    /// 0-63
    media_video_quality_1080: u8 => "media.video.quality.crf_1080",
    /// 0-63
    media_video_quality_1440: u8 => "media.video.quality.crf_1440",
    /// 0-63
    media_video_quality_2160: u8 => "media.video.quality.crf_2160",
}

#[derive(Debug, Subcommand)]
enum StoreCommand {
    /// Keep files in a folder (the default)
    Filesystem {
        #[command(flatten)]
        flags: FolderFlags,
        #[command(subcommand)]
        repo: Option<RepoCommand>,
    },
    /// Keep files in an S3 bucket
    ObjectStorage {
        #[command(flatten)]
        flags: Box<BucketFlags>,
        #[command(subcommand)]
        repo: Option<RepoCommand>,
    },
}

impl StoreCommand {
    fn repo(&self) -> Option<&RepoCommand> {
        match self {
            Self::Filesystem { repo, .. } | Self::ObjectStorage { repo, .. } => repo.as_ref(),
        }
    }

    fn overrides(&self, set: &mut Overrides) {
        match self {
            Self::Filesystem { flags, .. } => flags.overrides(set),
            Self::ObjectStorage { flags, .. } => flags.overrides(set),
        }
    }
}

impl FolderFlags {
    fn overrides(&self, set: &mut Overrides) {
        set.option("store.type", Some("filesystem"));
        set.path("store.path", self.path.as_ref());
    }
}

#[derive(Clone, Debug, Args)]
pub struct FolderFlags {
    /// The folder [default: files in the data folder]
    #[arg(short, long)]
    path: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
pub struct BucketFlags {
    /// URL of the S3 server, without the bucket
    #[arg(short, long)]
    endpoint: Option<String>,
    /// S3 bucket
    #[arg(short, long)]
    bucket_name: Option<String>,
    /// S3 region
    #[arg(short, long)]
    region: Option<String>,
    /// S3 key id
    #[arg(short, long)]
    access_key: Option<String>,
    /// S3 secret
    #[arg(short, long)]
    secret_key: Option<String>,
    /// S3 session
    #[arg(long)]
    session_token: Option<String>,
    /// Take the key from the cloud that the server runs in
    #[arg(long)]
    instance_credentials: bool,
    /// Bucket in the path instead of the host name
    #[arg(short, long)]
    use_path_style: bool,
    /// Seconds for one request [default: 30]
    #[arg(long)]
    client_timeout: Option<u64>,
    /// CA certificates of the S3 server (PEM)
    #[arg(long)]
    certificate_file: Option<PathBuf>,
    /// Send clients there instead of answering with bytes
    #[arg(long)]
    public_endpoint: Option<String>,
    /// Send clients to the bucket instead, with URLs that are valid for this time
    #[arg(long)]
    signed_redirects: Option<String>,
    /// Accepted, without effect: health checks store no object
    #[arg(long)]
    tag_healthz: bool,
}

#[derive(Clone, Debug, Subcommand)]
pub enum RepoCommand {
    /// The embedded database (the default)
    Sqlite(SqliteFlags),
    /// The embedded database, in the folder given for sled
    Sled(SledFlags),
    /// The embedded database, in the folder given for fjall
    Fjall(FjallFlags),
    /// PostgreSQL
    Postgres(PostgresFlags),
}

#[derive(Clone, Debug, Args)]
pub struct SqliteFlags {
    /// Its folder [default: database in the data folder]
    #[arg(short, long)]
    pub path: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
pub struct SledFlags {
    /// Its folder
    #[arg(short, long)]
    path: Option<PathBuf>,
    /// Accepted, without effect
    #[arg(short, long)]
    cache_capacity: Option<u64>,
    /// Folder for exports
    #[arg(short, long)]
    export_path: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
pub struct FjallFlags {
    /// Its folder
    #[arg(short, long)]
    fjall_path: Option<PathBuf>,
    /// Accepted, without effect
    #[arg(short, long)]
    debug_dump_db_path: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
pub struct PostgresFlags {
    /// Connection URL
    #[arg(short, long)]
    pub url: Option<String>,
    /// Connect over TLS
    #[arg(short = 't', long)]
    pub use_tls: bool,
    /// CA certificate
    #[arg(short, long)]
    pub certificate_file: Option<PathBuf>,
}

/// Configuration keys, and their values from the command line.
#[derive(Debug, Default)]
pub struct Overrides(pub Vec<(&'static str, String)>);

impl Overrides {
    fn option(&mut self, key: &'static str, value: Option<impl Display>) {
        self.0.extend(value.map(|value| (key, value.to_string())));
    }

    fn path(&mut self, key: &'static str, value: Option<&PathBuf>) {
        self.option(key, value.map(|path| path.display()));
    }

    fn list(&mut self, key: &'static str, words: &[String]) {
        self.option(key, (!words.is_empty()).then(|| words.join(",")));
    }

    fn switch(&mut self, key: &'static str, on: bool) {
        self.option(key, on.then_some(true));
    }
}

impl Cli {
    /// The configuration that the command line sets.
    pub fn overrides(&self) -> Overrides {
        let mut set = Overrides::default();
        set.option("tracing.logging.format", self.log_format.as_ref());
        set.option("tracing.logging.targets", self.log_targets.as_ref());
        set.switch("tracing.logging.log_spans", self.log_spans);
        set.switch("tracing.logging.log_requests", self.log_requests);
        set.switch("tracing.logging.no_ansi", self.no_log_ansi);
        set.option("tracing.console.address", self.console_address.as_ref());
        set.option(
            "tracing.console.buffer_capacity",
            self.console_buffer_capacity,
        );
        set.option("tracing.opentelemetry.url", self.opentelemetry_url.as_ref());
        set.option(
            "tracing.opentelemetry.service_name",
            self.opentelemetry_service_name.as_ref(),
        );
        set.option(
            "tracing.opentelemetry.targets",
            self.opentelemetry_targets.as_ref(),
        );
        set.path("old_repo.path", self.old_repo_path.as_ref());
        set.option("old_repo.cache_capacity", self.old_repo_cache_capacity);
        match &self.command {
            Some(Command::Run(run)) => run.overrides(&mut set),
            Some(Command::Takeover(takeover)) => takeover.overrides(&mut set),
            Some(Command::MigrateStore(command)) => command.overrides(&mut set),
            _ => {}
        }
        set
    }
}

impl Run {
    fn overrides(&self, set: &mut Overrides) {
        set.option("server.address", self.address.as_ref());
        set.option("server.api_key", self.api_key.as_ref());
        set.switch("server.read_only", self.read_only);
        set.switch("server.danger_dummy_mode", self.danger_dummy_mode);
        set.option("server.max_file_count", self.max_file_count);
        set.path(
            "server.temporary_directory",
            self.temporary_directory.as_ref(),
        );
        if self.no_cleanup_temporary_directory {
            set.option("server.cleanup_temporary_directory", Some(false));
        }
        set.path("server.certificate", self.certificate.as_ref());
        set.path("server.private_key", self.private_key.as_ref());
        set.option("client.timeout", self.client_timeout);
        set.switch(
            "client.allow_local_connections",
            self.client_allow_local_connections,
        );
        set.list("client.allowed_hosts", &self.client_allowed_hosts);
        set.option("client.concurrency", self.client_concurrency);
        set.option("upgrade.concurrency", self.upgrade_concurrency);
        set.option(
            "metrics.prometheus_address",
            self.metrics_prometheus_address.as_ref(),
        );
        self.media.overrides(set);
        if let Some(store) = &self.store {
            store.overrides(set);
            if let Some(repo) = store.repo() {
                repo.overrides(set);
            }
        }
    }
}

impl BucketFlags {
    fn overrides(&self, set: &mut Overrides) {
        set.option("store.type", Some("object_storage"));
        set.option("store.endpoint", self.endpoint.as_ref());
        set.option("store.bucket_name", self.bucket_name.as_ref());
        set.option("store.region", self.region.as_ref());
        set.option("store.access_key", self.access_key.as_ref());
        set.option("store.secret_key", self.secret_key.as_ref());
        set.option("store.session_token", self.session_token.as_ref());
        set.switch("store.instance_credentials", self.instance_credentials);
        set.switch("store.use_path_style", self.use_path_style);
        set.option("store.client_timeout", self.client_timeout);
        set.path("store.certificate_file", self.certificate_file.as_ref());
        set.option("store.public_endpoint", self.public_endpoint.as_ref());
        set.option("store.signed_redirects", self.signed_redirects.as_ref());
        set.switch("store.tag_healthz", self.tag_healthz);
    }
}

impl RepoCommand {
    fn overrides(&self, set: &mut Overrides) {
        match self {
            Self::Sqlite(flags) => {
                set.option("repo.type", Some("sqlite"));
                set.path("repo.path", flags.path.as_ref());
            }
            Self::Sled(flags) => {
                set.option("repo.type", Some("sled"));
                set.path("repo.path", flags.path.as_ref());
                set.option("repo.cache_capacity", flags.cache_capacity);
                set.path("repo.export_path", flags.export_path.as_ref());
            }
            Self::Fjall(flags) => {
                set.option("repo.type", Some("fjall"));
                set.path("repo.fjall_path", flags.fjall_path.as_ref());
                set.path("repo.debug_dump_db_path", flags.debug_dump_db_path.as_ref());
            }
            Self::Postgres(flags) => {
                set.option("repo.type", Some("postgres"));
                set.option("repo.url", flags.url.as_ref());
                set.switch("repo.use_tls", flags.use_tls);
                set.path("repo.certificate_file", flags.certificate_file.as_ref());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Overrides {
        Cli::try_parse_from(line.split_whitespace())
            .expect(line)
            .overrides()
    }

    #[test]
    fn the_definition_is_sound() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn the_command_line_of_lemmys_tests_is_understood() {
        let set = parse(
            "pict-rs run -a 0.0.0.0:8080 --danger-dummy-mode --api-key my-pictrs-key \
             filesystem -p /tmp/pictrs/files sled -p /tmp/pictrs/sled-repo",
        );
        let expected = [
            ("server.address", "0.0.0.0:8080"),
            ("server.api_key", "my-pictrs-key"),
            ("server.danger_dummy_mode", "true"),
            ("store.type", "filesystem"),
            ("store.path", "/tmp/pictrs/files"),
            ("repo.type", "sled"),
            ("repo.path", "/tmp/pictrs/sled-repo"),
        ];
        let found: Vec<_> = set
            .0
            .iter()
            .map(|(key, value)| (*key, value.as_str()))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn every_store_and_repo_word_is_understood() {
        parse("pict-rs");
        parse("pict-rs run filesystem");
        parse("pict-rs run filesystem sled -p a -c 5 -e b");
        parse("pict-rs run filesystem fjall -f a -d b");
        parse("pict-rs run object-storage -e a -b b -r c -a d -s e -u postgres -u f -t -c g");
        let set = parse(
            "pict-rs run --client-allowed-hosts a --client-allowed-hosts b:1 --client-timeout 9",
        );
        assert!(
            set.0
                .contains(&("client.allowed_hosts", "a,b:1".to_owned()))
        );
        let set = parse("pict-rs takeover http://old:8080 --api-key a --rate 0");
        let expected = [
            ("takeover.url", "http://old:8080".to_owned()),
            ("takeover.api_key", "a".to_owned()),
            ("takeover.rate", "0".to_owned()),
        ];
        assert_eq!(set.0, expected);
        let set = parse("pict-rs run --addr 127.0.0.1:1");
        assert_eq!(set.0, [("server.address", "127.0.0.1:1".to_owned())]);
        parse("pict-rs migrate-repo -c 32 sqlite -p a postgres -u b -t -c d");
        parse("pict-rs migrate-repo postgres -u b -t -c d sqlite -p a");
        parse("pict-rs migrate-repo --concurrency 3 sled -p a -c 5 -e b fjall -f c");
        let set = parse(
            "pict-rs migrate-store --skip-missing-files --concurrency 3 filesystem -p a object-storage \
             -e b -b c -r d -a e -s f -u --public-endpoint g postgres -u h",
        );
        let has = |key: &str, value: &str| {
            assert!(set.0.iter().any(|(k, v)| *k == key && v == value), "{key}");
        };
        has("old_store.type", "filesystem");
        has("old_store.path", "a");
        has("old_store.concurrency", "3");
        has("store.type", "object_storage");
        has("store.public_endpoint", "g");
        has("repo.url", "h");
        let set =
            parse("pict-rs migrate-store object-storage -e b -u -b c filesystem -p d sled -p e");
        let keys: Vec<_> = set.0.iter().map(|(key, _)| *key).collect();
        assert!(keys.contains(&"old_store.use_path_style") && !keys.contains(&"store.endpoint"));
        parse("pict-rs migrate-store --dry-run --skip-digests");
        parse("pict-rs fsck --digests --json --repair --from a");
        parse("pict-rs fsck --repair --from-config a.toml");
        parse("pict-rs -c a.toml --log-format json run --media-filters blur --media-filters crop");
    }
}
