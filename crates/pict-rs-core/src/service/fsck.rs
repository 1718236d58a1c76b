//! Holds database and files against each other: rows without bytes, bytes that are not what their row
//! says, and files that no row names. Looking changes nothing and can be done beside a running
//! server; repairs need the server stopped.
//!
//! Repairs use the same functions as the server: [`forget`] after a row is gone, [`collect::orphans`]
//! for files without a row. A content without bytes keeps its row and its aliases: a second store
//! brings it back for all of them, an upload as `media.heal` says, and `prune_missing` removes it.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use sha2::{Digest as _, Sha256};

use crate::config::Config;
use crate::context::{open_store, open_store_to_look};
use crate::repo::Repo;
use crate::scratch::{Scratch, ScratchFile};
use crate::service::collect::{self, Fate};
use crate::service::forget::forget;
use crate::service::{guard, keep};
use crate::store::{Content, Prefix, Source, Store};
use crate::task::blocking;
use crate::{Alias, ContentKey, Context, Error, ErrorCode, ObjectKey, Result};

/// Rows that are checked at a time.
const ROWS: u32 = 500;
/// Findings that are kept; further ones are only counted, and repaired by the next run.
pub const KEPT: usize = 10_000;
/// Bytes of a file of the second store that are read at a time.
const PIECE: usize = 256 * 1024;

/// What is wrong with the bytes of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The file does not exist.
    Lost,
    /// It has this number of bytes.
    WrongSize(u64),
    /// Its bytes are others.
    WrongDigest,
}

/// A row whose bytes are not what it says.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What is wrong.
    pub problem: Problem,
    /// The content.
    pub hash: ContentKey,
    /// The variant of it; `None` for the original.
    pub variant: Option<String>,
    /// Where its bytes should be.
    pub object: ObjectKey,
    /// The names of the content.
    pub aliases: Vec<Alias>,
    /// Whether it was repaired.
    pub is_repaired: bool,
}

/// Rows that were checked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Checked {
    /// How many there are.
    pub rows: u64,
    /// How many have lost their file.
    pub lost: u64,
    /// How many have another file.
    pub damaged: u64,
}

/// The result.
#[derive(Clone, Debug, Default)]
pub struct FsckReport {
    /// Contents.
    pub originals: Checked,
    /// Variants.
    pub variants: Checked,
    /// Backgrounded uploads that wait for their work.
    pub uploads: Checked,
    /// Those that have lost their file, as they are printed, up to [`KEPT`]. The server fails them.
    pub lost_uploads: Vec<String>,
    /// Files without a row.
    pub files: collect::Report,
    /// Rows with wrong bytes, up to [`KEPT`].
    pub findings: Vec<Finding>,
}

impl FsckReport {
    /// Whether nothing is wrong, or everything was repaired.
    pub fn is_sound(&self) -> bool {
        let Self {
            originals,
            variants,
            uploads,
            lost_uploads: _,
            files,
            findings,
        } = self;
        let found = [originals, variants, uploads]
            .map(|checked| checked.lost + checked.damaged)
            .iter()
            .sum::<u64>();
        let repaired = findings.iter().filter(|finding| finding.is_repaired);
        found == repaired.count() as u64 && files.orphans == files.removed
    }
}

/// Where originals may be that have lost their bytes here.
#[derive(Debug)]
pub enum SecondStore {
    /// A folder with the same bytes under any names.
    Folder(PathBuf),
    /// A store of this program, under any keys.
    Ours(Store),
}

impl SecondStore {
    /// The store that this configuration names. `data` is the default folder.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`].
    pub fn of(config: &Config, data: &Path) -> Result<Self> {
        let store = match config.store.bucket()? {
            None => Store::open_to_look(&config.files_folder(data))?,
            Some(_) => open_store(config, data, true)?,
        };
        Ok(Self::Ours(store))
    }
}

/// Checks everything, and changes nothing. A server may run meanwhile. `digests` reads all bytes.
///
/// # Errors
/// [`ErrorCode::ConfigInvalid`] when there is no database or no folder of files,
/// [`ErrorCode::StoreMismatch`] when they do not belong together, and when one of them fails.
pub async fn look(config: &Config, data: &Path, digests: bool) -> Result<FsckReport> {
    let repo = Repo::open_to_look(&config.database(data)?).await?;
    let store = open_store_to_look(config, data, &repo).await?;
    let [known, found] = [repo.store_id().await?, store.id().await?];
    if known != found {
        return Err(Error::user(
            ErrorCode::StoreMismatch,
            format!(
                "the {} does not belong to the database {}: they have different ids. Is a disk or \
                 volume not mounted?",
                store.place(),
                repo.place()
            ),
        ));
    }
    let mut report = check(&repo, &store, digests).await?;
    report.files = collect::look(&repo, &store, collect::AGE).await?;
    repo.close().await;
    Ok(report)
}

/// Checks everything, and repairs what can be repaired: rows of variants without their bytes go,
/// because variants are made again; files that no row names go as [`collect::orphans`] removes them;
/// originals come back from `second`.
///
/// # Errors
/// As [`look`], and [`ErrorCode::MassRemoval`], [`ErrorCode::ReadOnly`].
pub async fn repair(
    ctx: &Arc<Context>,
    digests: bool,
    second: Option<&SecondStore>,
) -> Result<FsckReport> {
    guard::check(ctx).await?;
    let mut report = check(&ctx.repo, &ctx.store, digests).await?;
    for finding in &mut report.findings {
        if finding.variant.is_some() {
            let removal = ctx.repo.forget_variant(&finding.object).await?;
            forget(ctx, removal).await;
            finding.is_repaired = true;
        }
    }
    match second {
        Some(SecondStore::Folder(folder)) => {
            heal_from_folder(ctx, &mut report.findings, folder).await?
        }
        Some(SecondStore::Ours(store)) => heal_from_ours(ctx, &mut report.findings, store).await?,
        None => {}
    }
    report.files = collect::orphans(ctx, collect::AGE, Fate::Remove).await?;
    Ok(report)
}

async fn check(repo: &Repo, store: &Store, digests: bool) -> Result<FsckReport> {
    let mut report = FsckReport::default();
    let mut cursor = None;
    loop {
        let rows = repo.contents_after(cursor.as_ref(), ROWS).await?;
        cursor = rows.last().map(|(hash, _)| *hash);
        report.originals.rows += rows.len() as u64;
        let objects = rows.iter().map(|(hash, object)| (object.clone(), *hash));
        let problems = problems(store, objects.collect(), digests).await?;
        for ((hash, object), problem) in rows.into_iter().zip(problems) {
            // A server that runs may have removed it meanwhile.
            let Some(problem) = problem else { continue };
            if repo.knows_object(&object).await? {
                report.originals.count(problem);
                keep(repo, &mut report.findings, (problem, hash, None, object)).await?;
            }
        }
        if cursor.is_none() {
            break;
        }
    }
    let mut cursor: Option<(ContentKey, String)> = None;
    loop {
        let rows = repo.variants_after(cursor.as_ref(), ROWS).await?;
        cursor = rows.last().map(|row| (row.hash, row.variant.clone()));
        report.variants.rows += rows.len() as u64;
        let objects = rows.iter().map(|row| (row.object.clone(), row.key));
        let problems = problems(store, objects.collect(), digests).await?;
        for (row, problem) in rows.into_iter().zip(problems) {
            let Some(problem) = problem else { continue };
            if repo.knows_object(&row.object).await? {
                report.variants.count(problem);
                let found = (problem, row.hash, Some(row.variant), row.object);
                keep(repo, &mut report.findings, found).await?;
            }
        }
        if cursor.is_none() {
            break;
        }
    }
    check_uploads(repo, store, &mut report).await?;
    Ok(report)
}

async fn check_uploads(repo: &Repo, store: &Store, report: &mut FsckReport) -> Result<()> {
    let mut cursor = None;
    loop {
        let ids = repo.waiting_after(cursor.as_ref(), ROWS).await?;
        cursor = ids.last().copied();
        report.uploads.rows += ids.len() as u64;
        let objects: Vec<_> = ids.iter().map(ObjectKey::of_upload).collect();
        let sizes = store.sizes(objects.clone()).await?;
        for (object, size) in objects.into_iter().zip(sizes) {
            // A server that runs may have finished it meanwhile.
            if size.is_none() && repo.knows_object(&object).await? {
                report.uploads.count(Problem::Lost);
                if report.lost_uploads.len() < KEPT {
                    report.lost_uploads.push(object.to_string());
                }
            }
        }
        if cursor.is_none() {
            return Ok(());
        }
    }
}

impl Checked {
    fn count(&mut self, problem: Problem) {
        match problem {
            Problem::Lost => self.lost += 1,
            Problem::WrongSize(_) | Problem::WrongDigest => self.damaged += 1,
        }
    }
}

async fn keep(
    repo: &Repo,
    findings: &mut Vec<Finding>,
    (problem, hash, variant, object): (Problem, ContentKey, Option<String>, ObjectKey),
) -> Result<()> {
    if findings.len() < KEPT {
        findings.push(Finding {
            problem,
            hash,
            variant,
            object,
            aliases: repo.aliases(&hash).await?,
            is_repaired: false,
        });
    }
    Ok(())
}

/// What is wrong with each of these objects, which should have the bytes of a key.
async fn problems(
    store: &Store,
    objects: Vec<(ObjectKey, ContentKey)>,
    digests: bool,
) -> Result<Vec<Option<Problem>>> {
    let names = objects.iter().map(|(object, _)| object.clone()).collect();
    let sizes = store.sizes(names).await?;
    let mut problems = Vec::with_capacity(objects.len());
    for ((object, key), size) in objects.into_iter().zip(sizes) {
        problems.push(match size {
            None => Some(Problem::Lost),
            Some(size) if size != key.size() => Some(Problem::WrongSize(size)),
            Some(_) if digests => digest_problem(store, &object, &key).await?,
            Some(_) => None,
        });
    }
    Ok(problems)
}

async fn digest_problem(
    store: &Store,
    object: &ObjectKey,
    key: &ContentKey,
) -> Result<Option<Problem>> {
    let read = store.read(object, key.size(), 0..key.size()).await;
    let content = match read {
        Err(error) if error.code() == ErrorCode::LostFile => return Ok(Some(Problem::Lost)),
        content => content?,
    };
    let mut sum = Sha256::new();
    match content {
        Content::Bytes(bytes) => sum.update(&bytes),
        Content::Stream(pieces) => {
            let mut pieces = std::pin::pin!(pieces.into_stream());
            while let Some(piece) = pieces.try_next().await? {
                sum.update(&piece);
            }
        }
    }
    let is_same = sum.finalize()[..] == *key.digest().as_bytes();
    Ok((!is_same).then_some(Problem::WrongDigest))
}

impl Finding {
    /// Whether it is an original of this size that has not been brought back.
    fn wants(&self, size: u64) -> bool {
        self.variant.is_none() && !self.is_repaired && self.hash.size() == size
    }
}

/// Brings originals back whose bytes are found in a folder.
async fn heal_from_folder(
    ctx: &Arc<Context>,
    findings: &mut [Finding],
    second: &Path,
) -> Result<()> {
    let mut folders = vec![second.to_owned()];
    while let Some(folder) = folders.pop() {
        let (below, files) = blocking(move || list(&folder)).await?;
        folders.extend(below);
        for (file, size) in files {
            if findings.iter().any(|finding| finding.wants(size)) {
                let scratch = ctx.store.scratch().clone();
                let copied = blocking(move || copy(&scratch, &file)).await?;
                offer(ctx, findings, copied).await?;
            }
        }
    }
    Ok(())
}

/// Brings originals back whose bytes are found in a store of this program: under their keys, as after
/// a move, or under others.
async fn heal_from_ours(
    ctx: &Arc<Context>,
    findings: &mut [Finding],
    second: &Store,
) -> Result<()> {
    let objects: Vec<_> = findings
        .iter()
        .filter(|finding| finding.variant.is_none())
        .map(|finding| finding.object.clone())
        .collect();
    for objects in objects.chunks(ROWS as usize) {
        offer_objects(ctx, findings, second, objects.to_vec()).await?;
    }
    let mut listing = second.list(ROWS as usize);
    while findings.iter().any(|found| found.wants(found.hash.size()))
        && let Some(objects) = listing.next().await?
    {
        offer_objects(ctx, findings, second, objects).await?;
    }
    Ok(())
}

async fn offer_objects(
    ctx: &Arc<Context>,
    findings: &mut [Finding],
    second: &Store,
    objects: Vec<ObjectKey>,
) -> Result<()> {
    let sizes = second.sizes(objects.clone()).await?;
    for (object, size) in objects.into_iter().zip(sizes) {
        let Some(size) = size.filter(|size| findings.iter().any(|found| found.wants(*size))) else {
            continue;
        };
        match second.copy_to(ctx.store.scratch(), &object, size).await {
            Ok(copied) => offer(ctx, findings, copied).await?,
            // It cannot be read there either.
            Err(error) if error.code() == ErrorCode::LostFile => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Gives a file to the content that lacks it, if there is one.
async fn offer(ctx: &Arc<Context>, findings: &mut [Finding], copied: ScratchFile) -> Result<()> {
    let is_it = |finding: &&mut Finding| {
        finding.wants(copied.size()) && finding.hash.digest() == copied.digest()
    };
    if let Some(finding) = findings.iter_mut().find(is_it) {
        finding.is_repaired = replace(ctx, finding, copied).await?;
    }
    Ok(())
}

/// Returns whether the content points to this copy now.
async fn replace(ctx: &Arc<Context>, finding: &Finding, copy: ScratchFile) -> Result<bool> {
    let format = finding.hash.format();
    let object = ctx.store.new_key(Prefix::Original, format);
    let mut stored = keep::put(ctx, object, format, Source::Scratch(copy)).await?;
    let found = stored.object().clone();
    stored.name();
    let replaced = ctx
        .repo
        .replace_object(&finding.hash, &finding.object, &found);
    match replaced.await? {
        Some(removal) => {
            stored.keep().await;
            forget(ctx, removal).await;
            Ok(true)
        }
        None => {
            stored.discard().await;
            Ok(false)
        }
    }
}

type FolderEntries = (Vec<PathBuf>, Vec<(PathBuf, u64)>);

/// The folders and the files in a folder, the files with their sizes.
fn list(folder: &Path) -> Result<FolderEntries> {
    let failed = |error| Error::io(format!("cannot list {}", folder.display()), error);
    let mut listed = FolderEntries::default();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            listed.0.push(entry.path());
        } else if kind.is_file() {
            let size = entry.metadata().map_err(failed)?.len();
            listed.1.push((entry.path(), size));
        }
    }
    Ok(listed)
}

fn copy(scratch: &Scratch, path: &Path) -> Result<ScratchFile> {
    let failed = |error| Error::io(format!("cannot read {}", path.display()), error);
    let mut file = File::open(path).map_err(failed)?;
    let mut writer = scratch.create()?;
    let mut piece = vec![0; PIECE];
    loop {
        let read = file.read(&mut piece).map_err(failed)?;
        if read == 0 {
            return Ok(writer.finish());
        }
        writer.write(&piece[..read])?;
    }
}
