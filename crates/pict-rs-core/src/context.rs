//! Everything a service needs, opened once at start.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pict_rs_media::operation::Operation;

use crate::config::{Config, Isolation, StoreConfig};
use crate::fetch::Fetcher;
use crate::fetch::caches::Caches;
use crate::fetch::lists::Lists;
use crate::fetch::predecessor::Predecessor;
use crate::fetch::receiver::Receiver;
use crate::fetch::validator::Validator;
use crate::helper::Helpers;
use crate::media::Pool;
use crate::repo::{Repo, Representation, Wanted};
use crate::scratch::Scratch;
use crate::state::arrivals::Arrivals;
use crate::state::auto::Auto;
use crate::state::disk_budget::{DayNoted, DiskBudget};
use crate::state::fact_cache::FactCache;
use crate::state::failures::Failures;
use crate::state::flights::Flights;
use crate::state::last_proof::LastProof;
use crate::state::last_used::LastUsed;
use crate::state::notify::Notifier;
use crate::state::pdq::{PdqLists, StoredIndex};
use crate::state::pending_variants::PendingVariants;
use crate::state::proxies::Proxies;
use crate::state::retention_clock::RetentionClock;
use crate::state::store_id::StoreId;
use crate::state::store_move::{self, MoveNotes};
use crate::store::{BucketSettings, Store};
use crate::{ContentKey, Result, VariantKey};

/// The open server without its HTTP side.
#[derive(Debug)]
pub struct Context {
    /// The settings, valid.
    pub config: Config,
    /// Bytes.
    pub store: Store,
    /// Facts.
    pub repo: Repo,
    /// The id that ties the database to the folder of files.
    pub(crate) store_id: StoreId,
    /// The clock by which retention decides what is too old.
    pub(crate) retention_clock: RetentionClock,
    /// Where media work runs.
    pub media: Pool,
    /// External programs that were found.
    pub helpers: Helpers,
    /// Fetches media from other servers.
    pub(crate) fetcher: Fetcher,
    /// `media.preprocess_steps`, parsed.
    pub(crate) preprocess_steps: Vec<Operation>,
    /// Files that are not objects yet.
    pub(crate) scratch: Scratch,
    /// Where exports of the database go.
    pub(crate) export_folder: PathBuf,
    /// Held while an export is written.
    pub(crate) exporting: tokio::sync::Mutex<()>,
    /// Facts of recently served media.
    pub(crate) fact_cache: FactCache,
    /// Uses of media that are not yet recorded in the database.
    pub(crate) last_used: LastUsed,
    /// Files that the budget of the disk counts although no row names them yet.
    pub(crate) disk_budget: DiskBudget,
    /// The day whose sums were recorded last.
    pub(crate) day_noted: DayNoted,
    /// When a write was last known to succeed.
    pub(crate) last_proof: LastProof,
    /// What the run of a move of the files remembers.
    pub(crate) move_notes: MoveNotes,
    /// Held by the search for orphans, of which one may run at a time.
    pub(crate) collecting: Arc<tokio::sync::Mutex<()>>,
    /// Variants that are currently being made.
    pub(crate) flights: Flights<(ContentKey, VariantKey), Arc<Representation>>,
    /// Variants that are served while they are being stored.
    pub(crate) pending_variants: PendingVariants,
    /// Variants that could not be made a moment ago.
    pub(crate) failures: Failures,
    /// PDQ hashes that are not wanted.
    pub(crate) pdq_lists: PdqLists,
    /// PDQ hashes of what is stored, while there are searches.
    pub(crate) stored_pdq: StoredIndex,
    /// What `process.auto` remembers.
    pub(crate) auto: Auto,
    /// Proxied media: which are known, and which are being fetched.
    pub(crate) proxies: Proxies,
    /// The running server that this one takes over from, if there is one.
    pub(crate) predecessor: Option<Predecessor>,
    /// Its database, if that is known.
    #[cfg(feature = "migrate")]
    pub(crate) predecessor_names: Option<crate::legacy::Names>,
    /// What is being brought from it.
    pub(crate) arrivals: Arrivals,
    /// The external validation, if one is configured.
    pub(crate) validator: Option<Validator>,
    /// Who receives events, if that is configured.
    pub(crate) receiver: Option<Receiver>,
    /// Caches in front, if any are configured.
    pub(crate) caches: Option<Caches>,
    /// Fetches lists that others publish.
    pub(crate) published: Lists,
    /// Wakes tasks that wait for background work.
    pub(crate) notifier: Notifier,
    /// Outlives the runtimes that serve requests.
    pub(crate) runtime: tokio::runtime::Handle,
}

impl Context {
    /// Opens database and store. `data` is the default folder for everything without a configured
    /// path; `helpers` are the installed programs.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`](crate::ErrorCode::ConfigInvalid) for settings that cannot work,
    /// and when a folder cannot be used.
    pub(crate) async fn open(config: Config, data: &Path, helpers: Helpers) -> Result<Self> {
        config.validate()?;
        let repo = Repo::open_at(&config.database(data)?, config.server.read_only).await?;
        let in_memory = config.store.memory_cache_size.saturating_mul(1024 * 1024);
        let store = open_store(&config, data, repo.is_shared())?
            .with_read_cache(usize::try_from(in_memory).unwrap_or(usize::MAX));
        let store = store_move::join(&repo, store, old_store(&config, data, &repo)?).await?;
        let repo = match store.needs_intents() {
            true => repo.with_intents(),
            false => repo,
        };
        let receiver = Receiver::open(&config.events)?;
        let caches = Caches::open(&config.purge)?;
        let repo = repo.with_listeners(Wanted {
            events: receiver.is_some(),
            caches: caches.is_some(),
        });
        let media = Pool::open(&config.media, helpers.own()).await?;
        Ok(Self {
            store_id: StoreId::open(&repo, &store).await?,
            retention_clock: RetentionClock::open(&repo).await?,
            preprocess_steps: config.preprocess_steps()?,
            fetcher: Fetcher::new(&config)?,
            scratch: scratch(&config, &store)?,
            helpers: helpers.isolated(match media.protections() {
                Some(_) => config.media.isolation,
                None => Isolation::Thread,
            }),
            media,
            export_folder: config.export_folder(data),
            exporting: tokio::sync::Mutex::default(),
            fact_cache: FactCache::new(repo.is_shared()),
            last_used: LastUsed::new(&config),
            disk_budget: DiskBudget::default(),
            day_noted: DayNoted::default(),
            last_proof: LastProof::default(),
            move_notes: MoveNotes::default(),
            collecting: Arc::default(),
            flights: Flights::default(),
            pending_variants: PendingVariants::default(),
            failures: Failures::default(),
            pdq_lists: PdqLists::default(),
            stored_pdq: StoredIndex::default(),
            auto: Auto::default(),
            proxies: Proxies::new(&config),
            predecessor: Predecessor::open(&config)?,
            #[cfg(feature = "migrate")]
            predecessor_names: (config.takeover.database()?)
                .map(|server| crate::legacy::Names::at(&server)),
            arrivals: Arrivals::default(),
            validator: Validator::open(&config.media)?,
            receiver,
            caches,
            published: Lists::open()?,
            notifier: Notifier::default(),
            runtime: tokio::runtime::Handle::current(),
            config,
            store,
            repo,
        })
    }

    /// Asks background work to stop: no more jobs are started, and clients that wait for an outcome
    /// get their answer.
    pub fn stop(&self) {
        self.notifier.stop();
    }
}

/// Opens the store that the settings name. `data` is the default folder; with `is_shared` other
/// servers may use it too. Blocks.
///
/// # Errors
/// [`ErrorCode::ConfigInvalid`](crate::ErrorCode::ConfigInvalid) for settings that cannot work,
/// [`ErrorCode::FileIoError`](crate::ErrorCode::FileIoError) when a folder cannot be used.
pub(crate) fn open_store(config: &Config, data: &Path, is_shared: bool) -> Result<Store> {
    match config.store.bucket()? {
        None => Store::open_for(&config.files_folder(data), is_shared),
        Some(bucket) => {
            let folder = config.scratch_folder(data);
            Store::open_bucket(bucket, Scratch::of_process(&folder)?)
        }
    }
}

/// What opens the store that files are moved from, if the settings name one.
fn old_store<'a>(
    config: &'a Config,
    data: &'a Path,
    repo: &Repo,
) -> Result<Option<impl Fn() -> Result<Store> + 'a>> {
    let is_shared = repo.is_shared();
    let Some(old) = config.old_store.store() else {
        return Ok(None);
    };
    let bucket = config.old_store.bucket()?;
    let folders = [old.files_folder(data), config.files_folder(data)];
    // By other names, such as a link.
    let [from, to] = folders.map(|folder| folder.canonicalize().ok());
    if bucket.is_none() && config.store.bucket()?.is_none() && from.is_some() && from == to {
        return Err(store_move::same_place());
    }
    Ok(Some(move || match bucket.clone() {
        None => Store::open_old(&old.files_folder(data), is_shared),
        Some(bucket) => {
            let folder = config.scratch_folder(data);
            Store::open_bucket(bucket, Scratch::of_process(&folder)?)
        }
    }))
}

/// Opens the store to read it, while a server may use it; both sides while a move is not finished.
/// Blocks.
///
/// # Errors
/// As [`open_store`], and [`ErrorCode::ConfigInvalid`](crate::ErrorCode::ConfigInvalid) when a move was
/// begun and the settings do not name both.
pub(crate) async fn open_store_to_look(config: &Config, data: &Path, repo: &Repo) -> Result<Store> {
    let new = to_look(&config.store, config.store.bucket()?, config, data)?;
    store_move::look(repo, new, || old_to_look(config, data)).await
}

/// The new store, if it is there, and the old one, only to read them. Blocks.
///
/// # Errors
/// As [`open_store`], and when the settings name no old store.
pub(crate) fn open_both_to_look(config: &Config, data: &Path) -> Result<(Option<Store>, Store)> {
    let new = match config.store.bucket()? {
        // The folder of a move that has not begun need not exist.
        None if !config.files_folder(data).exists() => None,
        bucket => Some(to_look(&config.store, bucket, config, data)?),
    };
    let old = old_to_look(config, data)?;
    Ok((new, old.ok_or_else(store_move::nothing_named)?))
}

fn old_to_look(config: &Config, data: &Path) -> Result<Option<Store>> {
    let Some(old) = config.old_store.store() else {
        return Ok(None);
    };
    to_look(&old, config.old_store.bucket()?, config, data).map(Some)
}

fn to_look(
    store: &StoreConfig,
    bucket: Option<BucketSettings>,
    config: &Config,
    data: &Path,
) -> Result<Store> {
    match bucket {
        None => Store::open_to_look(&store.files_folder(data)),
        Some(bucket) => {
            let folder = config.scratch_folder(data);
            Store::open_bucket(bucket, Scratch::of_process(&folder)?)
        }
    }
}

fn scratch(config: &Config, store: &Store) -> Result<Scratch> {
    let scratch = store.scratch().clone();
    match &config.server.temporary_directory {
        // Files of a bucket are all spooled there.
        Some(folder) if store.root().is_some() => scratch.with_uploads_in(folder),
        _ => Ok(scratch),
    }
}
