//! Everything a service needs, opened once at start.

use std::error::Error as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pict_rs_media::operation::Operation;
use tracing::Instrument as _;

use crate::config::Config;
use crate::fetch::Fetcher;
use crate::helper::Helpers;
use crate::media::Pool;
use crate::repo::{self, Repo, Representation};
use crate::service::access::Accesses;
use crate::service::auto::Auto;
use crate::service::clock::Clock;
use crate::service::flight::Flights;
use crate::service::guard;
use crate::service::health::LastProof;
use crate::service::known::Known;
use crate::service::proxy::Proxies;
use crate::service::validate::Validator;
use crate::service::wake::Wake;
use crate::stage;
use crate::store::{Leftover, Store};
use crate::{ContentKey, Error, ErrorCode, Result, VariantKey, worker};

/// The open server without its HTTP side.
#[derive(Debug)]
pub struct Context {
    /// The settings, valid.
    pub config: Config,
    /// Bytes.
    pub store: Store,
    /// Facts.
    pub repo: Repo,
    /// What both of them know each other by.
    pub(crate) store_id: uuid::Uuid,
    /// The time by which things are too old.
    pub(crate) clock: Clock,
    /// Where media work runs.
    pub media: Pool,
    /// Programs of others that are there.
    pub helpers: Helpers,
    /// Media of other servers.
    pub(crate) fetcher: Fetcher,
    /// `media.preprocess_steps`, parsed.
    pub(crate) preprocess_steps: Vec<Operation>,
    /// Where uploads are spooled.
    pub(crate) spool_folder: PathBuf,
    /// Where exports of the database go.
    pub(crate) export_folder: PathBuf,
    /// Held while one is written.
    pub(crate) exporting: tokio::sync::Mutex<()>,
    /// Facts of recently served media.
    pub(crate) known: Known,
    /// Uses of media that are not written down yet.
    pub(crate) accesses: Accesses,
    /// When writes were last known to work.
    pub(crate) last_proof: LastProof,
    /// Held by the one search for orphans that may run.
    pub(crate) collecting: Arc<tokio::sync::Mutex<()>>,
    /// Variants that are being made right now.
    pub(crate) flights: Flights<(ContentKey, VariantKey), Arc<Representation>>,
    /// What `process.auto` remembers.
    pub(crate) auto: Auto,
    /// Proxied media: what is known of them, and what is being fetched right now.
    pub(crate) proxies: Proxies,
    /// Who is asked before a file is kept.
    pub(crate) validator: Option<Validator>,
    /// Who waits for background work.
    pub(crate) wake: Wake,
    /// Outlives the runtimes that requests live on.
    pub(crate) runtime: tokio::runtime::Handle,
}

impl Context {
    /// Opens database and store, then removes what a crash may have left. `data` is the folder
    /// for whatever has no path of its own, `helpers` are the programs of others that are there.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`] for settings that cannot work, [`ErrorCode::RepoError`]
    /// and [`ErrorCode::FileIoError`] when a folder cannot be used.
    pub async fn open(config: Config, data: &Path, helpers: Helpers) -> Result<Arc<Self>> {
        let database = config.database_folder(data);
        repo::look_around(&database, data, config.is_database_folder_default())?;
        Self::open_beside(config, data, helpers).await
    }

    /// As [`Context::open`], but does not mind a database of the existing pict-rs in the same
    /// folder or beside it.
    ///
    /// # Errors
    /// As [`Context::open`].
    pub async fn open_beside(config: Config, data: &Path, helpers: Helpers) -> Result<Arc<Self>> {
        config.validate()?;
        let database = config.database_folder(data);
        let repo = Repo::open_with_reserve(&database, config.repo.reserve).await?;
        let store = Store::open(&config.files_folder(data))?;
        let store_id = guard::pair(&repo, &store).await?;
        let context = Self {
            store_id,
            clock: Clock::open(&repo).await?,
            preprocess_steps: config.preprocess_steps()?,
            fetcher: Fetcher::new(&config)?,
            spool_folder: spool_folder(&config, &store)?,
            media: Pool::new(&config.media),
            helpers,
            export_folder: config.export_folder(data),
            exporting: tokio::sync::Mutex::default(),
            known: Known::default(),
            accesses: Accesses::new(&config),
            last_proof: LastProof::default(),
            collecting: Arc::default(),
            flights: Flights::default(),
            auto: Auto::default(),
            proxies: Proxies::new(&config),
            validator: Validator::open(&config.media)?,
            wake: Wake::default(),
            runtime: tokio::runtime::Handle::current(),
            config,
            store,
            repo,
        };
        match context.recover().await {
            // What is stored can be served, and room can be made.
            Err(error) if error.code() == ErrorCode::InsufficientStorage => {
                tracing::warn!(%error, "what the last run left is finished when there is room");
            }
            recovered => recovered?,
        }
        Ok(Arc::new(context))
    }

    async fn recover(&self) -> Result<()> {
        if self.config.server.read_only {
            return Ok(());
        }
        let leftovers = self
            .store
            .recover(async |leftover| match leftover {
                Leftover::Object(object) => self.repo.knows_object(&object).await,
                Leftover::Waiting(id) => Ok(self.repo.waiting(&id).await?.is_some()),
            })
            .await?;
        let garbage = self.repo.garbage().await?;
        if leftovers > 0 || !garbage.is_empty() {
            tracing::info!(
                leftovers,
                removals = garbage.len(),
                "finishing what the last run left"
            );
        }
        let jobs = worker::free_jobs(&self.repo).await?;
        if jobs > 0 {
            tracing::info!(jobs, "going on with background work");
        }
        self.collect(garbage).await
    }

    /// Asks background work to come to an end: no job is begun any more, and clients that wait
    /// for an outcome are sent away.
    pub fn stop(&self) {
        self.wake.stop();
    }

    /// Removes objects that no row names any more. One that the disk does not give up stays garbage,
    /// and is tried again later.
    pub(crate) async fn collect(&self, objects: Vec<crate::ObjectKey>) -> Result<()> {
        if objects.is_empty() {
            return Ok(());
        }
        // Where a disk is not mounted, its files look as if they were gone already.
        guard::check(self).await?;
        let store = self.store.clone();
        let removed = blocking(move || {
            let mut removed = objects;
            removed.retain(|object| match store.remove(object) {
                Ok(()) => true,
                Err(error) => {
                    let cause = error.source().map(ToString::to_string);
                    tracing::warn!(%error, cause, "garbage stays on disk for now");
                    false
                }
            });
            Ok(removed)
        })
        .await?;
        self.repo.collected(&removed).await
    }
}

fn spool_folder(config: &Config, store: &Store) -> Result<PathBuf> {
    let Some(folder) = &config.server.temporary_directory else {
        return Ok(store.spool_folder().to_owned());
    };
    std::fs::create_dir_all(folder).map_err(|e| {
        let folder = folder.display();
        Error::io(
            format!("cannot make server.temporary_directory {folder}"),
            e,
        )
    })?;
    Ok(folder.clone())
}

/// Runs `work` to its end even if whoever asked for it goes away: what the database has begun to
/// change must also reach the store and the memory of facts.
pub(crate) async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    tokio::spawn(stage::carried(work).in_current_span())
        .await
        .map_err(|panic| Error::internal(ErrorCode::UnknownError, "a change panicked", panic))?
}

/// In milliseconds, as the database has its times.
pub(crate) fn millis(time: std::time::Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// Runs something that waits for the disk where it may.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|panic| Error::internal(ErrorCode::UnknownError, "disk work panicked", panic))?
}
