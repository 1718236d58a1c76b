//! The flags of `migrate-repo`: two databases, one after the other, each with flags of its own.

use clap::{Args, Subcommand};

use super::{FjallFlags, PostgresFlags, RepoCommand, SledFlags, SqliteFlags};

#[derive(Debug, Args)]
#[command(disable_help_subcommand = true)]
pub struct MigrateRepo {
    /// Accepted, without effect: rows are copied in pages, not one by one
    #[arg(short, long, value_name = "COUNT")]
    concurrency: Option<usize>,
    /// Tell what would be copied, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Throw away what an interrupted run has copied, and begin again
    #[arg(long)]
    pub restart: bool,
    #[command(subcommand)]
    from: FromRepo,
}

impl MigrateRepo {
    /// Source and target.
    pub fn ends(&self) -> (RepoCommand, &RepoCommand) {
        match &self.from {
            FromRepo::Sqlite { flags, to } => (RepoCommand::Sqlite(flags.clone()), to),
            FromRepo::Sled { flags, to } => (RepoCommand::Sled(flags.clone()), to),
            FromRepo::Fjall { flags, to } => (RepoCommand::Fjall(flags.clone()), to),
            FromRepo::Postgres { flags, to } => (RepoCommand::Postgres(flags.clone()), to),
        }
    }
}

#[derive(Debug, Subcommand)]
enum FromRepo {
    /// From the embedded database
    #[command(disable_help_subcommand = true)]
    Sqlite {
        #[command(flatten)]
        flags: SqliteFlags,
        #[command(subcommand)]
        to: RepoCommand,
    },
    /// From PostgreSQL
    #[command(disable_help_subcommand = true)]
    Postgres {
        #[command(flatten)]
        flags: PostgresFlags,
        #[command(subcommand)]
        to: RepoCommand,
    },
    /// Refused: 'pict-rs migrate' takes over a sled database
    #[command(hide = true, disable_help_subcommand = true)]
    Sled {
        #[command(flatten)]
        flags: SledFlags,
        #[command(subcommand)]
        to: RepoCommand,
    },
    /// Refused: 'pict-rs migrate' takes over a fjall database
    #[command(hide = true, disable_help_subcommand = true)]
    Fjall {
        #[command(flatten)]
        flags: FjallFlags,
        #[command(subcommand)]
        to: RepoCommand,
    },
}
