//! The flags of `migrate-store`: two stores, one after the other, each with flags of its own.

use clap::{Args, Subcommand};

use super::{BucketFlags, FolderFlags, Overrides, StoreCommand};

#[derive(Debug, Args)]
#[command(disable_help_subcommand = true)]
pub struct MigrateStore {
    /// End although files are in neither store; without this the exit code is 1, and a second run looks
    /// for them again
    #[arg(long)]
    pub skip_missing_files: bool,
    /// Files that are copied at a time [default: 32]
    #[arg(long, value_name = "COUNT")]
    concurrency: Option<usize>,
    /// At the end compare only the sizes of all files, and do not read them again
    #[arg(long)]
    skip_digests: bool,
    /// Tell what would be moved, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(subcommand)]
    from: Option<FromStore>,
}

#[derive(Debug, Subcommand)]
enum FromStore {
    /// From a folder
    #[command(disable_help_subcommand = true)]
    Filesystem {
        #[command(flatten)]
        flags: FolderFlags,
        #[command(subcommand)]
        to: StoreCommand,
    },
    /// From an S3 bucket
    #[command(disable_help_subcommand = true)]
    ObjectStorage {
        #[command(flatten)]
        flags: Box<BucketFlags>,
        #[command(subcommand)]
        to: StoreCommand,
    },
}

/// What the flags of a store set, and what they set for the store that files come from. Flags about
/// clients have no meaning there.
const OLD: [(&str, &str); 12] = [
    ("store.type", "old_store.type"),
    ("store.path", "old_store.path"),
    ("store.endpoint", "old_store.endpoint"),
    ("store.bucket_name", "old_store.bucket_name"),
    ("store.region", "old_store.region"),
    ("store.access_key", "old_store.access_key"),
    ("store.secret_key", "old_store.secret_key"),
    ("store.session_token", "old_store.session_token"),
    (
        "store.instance_credentials",
        "old_store.instance_credentials",
    ),
    ("store.use_path_style", "old_store.use_path_style"),
    ("store.client_timeout", "old_store.client_timeout"),
    ("store.certificate_file", "old_store.certificate_file"),
];

/// Higher than that of a server: nothing else uses the stores meanwhile.
const CONCURRENCY: usize = 32;

impl MigrateStore {
    pub(super) fn overrides(&self, set: &mut Overrides) {
        let concurrency = self.concurrency.unwrap_or(CONCURRENCY);
        set.option("old_store.concurrency", Some(concurrency));
        set.option("old_store.rate", Some(0));
        if self.skip_digests {
            set.option("old_store.digests", Some(false));
        }
        let Some(from) = &self.from else {
            return;
        };
        let mut old = Overrides::default();
        let to = match from {
            FromStore::Filesystem { flags, to } => {
                flags.overrides(&mut old);
                to
            }
            FromStore::ObjectStorage { flags, to } => {
                flags.overrides(&mut old);
                to
            }
        };
        let renamed = old.0.into_iter().filter_map(|(key, value)| {
            let (_, old) = OLD.iter().find(|(new, _)| *new == key)?;
            Some((*old, value))
        });
        set.0.extend(renamed);
        to.overrides(set);
        if let Some(repo) = to.repo() {
            repo.overrides(set);
        }
    }
}
