//! One budget for all that is stored, `media.disk`.
//!
//! Uploads are never dropped. Variants and proxied media share what uploads leave, and those of least value
//! go first (`repo::value`). When uploads leave little, proxied media are taken in slowly, then not at
//! all, and only then are uploads refused. A twentieth of the budget stays free for the database and for
//! files that are being received. If the disk has less room than the budget says, the disk counts.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::clock::now;
use crate::config::ByteSize;
use crate::repo::{DroppedByValue, Total};
use crate::service::forget::forget;
use crate::service::{guard, health};
use crate::state::disk_budget::{Admitted, Scarcity};
use crate::task::{blocking, run_to_completion};
use crate::{Context, Error, ErrorCode, Result, metrics};

/// The part of the budget that stays free.
const FREE: u64 = 20;
/// The part of what uploads leave that a sweep frees in addition, so that not every new file drops another.
const SPARE: u64 = 20;
/// With less than this part left beside uploads, proxied media are taken in slowly.
const SLOW: u64 = 10;
/// With less than this part left beside uploads, no new proxied media are taken in.
const UPLOADS_ONLY: u64 = 40;
/// The longest pause between two fetches that are slow.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long a client waits for the turn of its fetch.
const PATIENCE: Duration = Duration::from_secs(10);

/// How the budget stands. All figures are bytes: on the disk in whole blocks, in a bucket of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetFigures {
    /// `media.disk`.
    pub budget: u64,
    /// What may be stored of it; less if the disk has less room.
    pub capacity: u64,
    /// Everything that is stored.
    pub used: u64,
    /// The part of it that is never dropped.
    pub uploads: u64,
}

impl BudgetFigures {
    /// How much a sweep drops.
    pub(crate) fn excess(&self) -> u64 {
        match self.used > self.capacity {
            true => self.used.saturating_sub(self.target()),
            false => 0,
        }
    }

    /// What a sweep leaves.
    fn target(&self) -> u64 {
        self.capacity.saturating_sub(self.left() / SPARE)
    }

    /// What uploads leave for variants and proxied media.
    pub fn left(&self) -> u64 {
        self.capacity.saturating_sub(self.uploads)
    }

    /// Whether new proxied media are refused.
    pub fn refuses_proxied(&self) -> bool {
        self.scarcity(0) >= Scarcity::UploadsOnly
    }

    fn scarcity(&self, admitted: u64) -> Scarcity {
        match self.left().saturating_sub(admitted) {
            0 => Scarcity::Full,
            left if left < self.budget / UPLOADS_ONLY => Scarcity::UploadsOnly,
            left if left < self.budget / SLOW => Scarcity::Slow,
            _ => Scarcity::None,
        }
    }

    /// How long the next fetch waits: not at all as long as there is room, longest just before fetches
    /// are refused.
    fn pause(&self, admitted: u64) -> Duration {
        let (slow, stop) = (self.budget / SLOW, self.budget / UPLOADS_ONLY);
        let left = self.left().saturating_sub(admitted).clamp(stop, slow);
        LONGEST_PAUSE.mul_f64((slow - left) as f64 / (slow - stop).max(1) as f64)
    }

    /// Why something is not taken in.
    fn refusal(&self, title: &str, size: Option<u64>) -> Error {
        let file = size.map_or_else(String::new, |size| {
            format!(", and this file has {}", readable(size))
        });
        let needed = self.uploads.saturating_add(size.unwrap_or(0));
        Error::user(ErrorCode::InsufficientStorage, title)
            .detail(format!(
                "media.disk is {}, of which files may take {} now; uploads take {}{file}",
                readable(self.budget),
                readable(self.capacity),
                readable(self.uploads),
            ))
            .limit(self.capacity)
            .found(needed)
    }
}

/// How the budget stands now; `None` without one.
///
/// # Errors
/// When the database fails.
pub async fn figures(ctx: &Context) -> Result<Option<BudgetFigures>> {
    match ctx.config.media.disk {
        None => Ok(None),
        Some(budget) => figures_with(ctx, budget).await.map(Some),
    }
}

/// The same with this budget.
pub(crate) async fn figures_with(ctx: &Context, budget: ByteSize) -> Result<BudgetFigures> {
    let budget = budget.bytes();
    let sums = ctx.repo.sums().await?;
    let uploads = spent(ctx, sums.originals).saturating_sub(spent(ctx, sums.proxied));
    let used = spent(ctx, sums.originals).saturating_add(spent(ctx, sums.variants));
    let mut capacity = budget - budget / FREE;
    if let Some(folder) = ctx.store.root().map(std::path::Path::to_owned)
        && let Some(space) = blocking(move || Ok(health::space(&folder))).await?
    {
        let room = used.saturating_add(space.free);
        capacity = capacity.min(room.saturating_sub(budget / FREE));
    }
    Ok(BudgetFigures {
        budget,
        capacity,
        used,
        uploads,
    })
}

/// What counts of a sum: blocks on a disk, bytes in a bucket.
pub(crate) fn spent(ctx: &Context, total: Total) -> u64 {
    match ctx.store.root() {
        Some(_) => total.allocated,
        None => total.bytes,
    }
}

/// Which kind of file asks for room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intake {
    /// It is never dropped.
    Upload,
    /// It may be dropped at any time.
    Proxied,
}

/// Makes room for a file of `size` bytes, and counts it until what is returned is dropped. Costs nothing
/// without a budget.
///
/// # Errors
/// [`ErrorCode::InsufficientStorage`] when uploads leave too little room, naming the setting; and when the
/// database fails.
pub(crate) async fn admit(
    ctx: &Arc<Context>,
    size: u64,
    intake: Intake,
) -> Result<Option<Admitted>> {
    if ctx.config.media.disk.is_none() {
        return Ok(None);
    }
    let admitted = ctx.disk_budget.admit(size);
    let mut capacity = 0;
    loop {
        let Some(mut figures) = look(ctx).await? else {
            return Ok(None);
        };
        // Some file systems free blocks late. That must not make everything be dropped.
        capacity = figures.capacity.max(capacity);
        figures.capacity = capacity;
        let all = admitted.with_earlier();
        let title = match intake {
            Intake::Upload => NO_UPLOAD,
            Intake::Proxied => NO_PROXIED,
        };
        let beside = figures.uploads.saturating_add(all);
        if beside > figures.capacity {
            return Err(figures.refusal(title, Some(size)));
        }
        let excess = (figures.used.saturating_add(all)).saturating_sub(figures.capacity);
        if excess == 0 {
            return Ok(Some(admitted));
        }
        if drop_some(ctx, excess).await?.is_empty() {
            return Err(figures.refusal(title, Some(size)));
        }
    }
}

const NO_UPLOAD: &str = "The disk budget of this server is used up";
const NO_PROXIED: &str =
    "New media of other servers are not taken in, because the disk budget is nearly used up";

/// Refuses an upload before its bytes are read, if it is known that nothing is taken in.
///
/// # Errors
/// As [`admit`].
pub(crate) async fn refuse_early(ctx: &Context) -> Result<()> {
    if ctx.disk_budget.scarcity() < Scarcity::Full {
        return Ok(());
    }
    match look(ctx).await? {
        Some(figures) if figures.left() == 0 => Err(figures.refusal(NO_UPLOAD, None)),
        _ => Ok(()),
    }
}

/// Waits before a fetch for the proxy, if little is left for it.
///
/// # Errors
/// [`ErrorCode::InsufficientStorage`] when too little is left, or when too many fetches wait.
pub(crate) async fn await_turn(ctx: &Context) -> Result<()> {
    let Some(figures) = look(ctx).await? else {
        return Ok(());
    };
    match figures.scarcity(ctx.disk_budget.admitted()) {
        Scarcity::None => Ok(()),
        Scarcity::Slow => {
            let Some(_turn) = ctx.disk_budget.slow_turn(PATIENCE).await else {
                let title = "Media of other servers are taken in slowly, because the disk budget is \
                             nearly used up, and too many are waiting";
                return Err(figures.refusal(title, None));
            };
            sleep(figures.pause(ctx.disk_budget.admitted())).await;
            Ok(())
        }
        Scarcity::UploadsOnly | Scarcity::Full => Err(figures.refusal(NO_PROXIED, None)),
    }
}

/// Whether a variant need not be stored, because uploads leave no room for it.
///
/// # Errors
/// [`ErrorCode::InsufficientStorage`], as of the last look.
pub(crate) fn refuse_variant(ctx: &Context) -> Result<()> {
    match ctx.disk_budget.scarcity() {
        Scarcity::Full => Err(Error::Internal {
            code: ErrorCode::InsufficientStorage,
            message: "uploads take all of media.disk".to_owned(),
            source: None,
        }),
        _ => Ok(()),
    }
}

/// Drops what exceeds the budget, and a little more. Ends early when the server stops.
///
/// # Errors
/// When the database fails, or the folder of files does not belong to it.
pub(crate) async fn sweep(ctx: &Arc<Context>) -> Result<()> {
    let (mut count, mut bytes, mut least) = (0, 0, None);
    while let Some(figures) = look(ctx).await?
        && !ctx.notifier.is_stopping()
    {
        let began = Instant::now();
        let used = figures.used.saturating_add(ctx.disk_budget.admitted());
        // Decided once: some file systems free blocks late, and that must not make everything be dropped.
        let target = *least.get_or_insert(match used > figures.capacity {
            true => figures.target(),
            false => u64::MAX,
        });
        if used <= target {
            break;
        }
        let dropped = drop_some(ctx, used - target).await?;
        if dropped.is_empty() {
            break;
        }
        count += dropped.variants.count + dropped.proxied.count;
        bytes += dropped.variants.bytes + dropped.proxied.bytes;
        // Leaves as much time for other work.
        sleep(began.elapsed()).await;
    }
    if count > 0 {
        tracing::info!(
            count,
            bytes,
            "media of least value are dropped to keep media.disk"
        );
    }
    Ok(())
}

/// The figures, which are also told in the log when they become worse or better.
async fn look(ctx: &Context) -> Result<Option<BudgetFigures>> {
    let Some(figures) = figures(ctx).await? else {
        return Ok(None);
    };
    let scarcity = figures.scarcity(0);
    let before = ctx.disk_budget.found(scarcity);
    if scarcity != before {
        let what = match scarcity {
            Scarcity::None => "the disk budget has room again",
            Scarcity::Slow => {
                "little of the disk budget is left: proxied media are taken in slowly"
            }
            Scarcity::UploadsOnly => {
                "the disk budget is nearly used up: no new proxied media are taken in"
            }
            Scarcity::Full => "the disk budget is used up: nothing is taken in",
        };
        let (budget, capacity) = (readable(figures.budget), readable(figures.capacity));
        let uploads = readable(figures.uploads);
        match scarcity > before {
            true => tracing::warn!(budget, capacity, uploads, "{what}"),
            false => tracing::info!(budget, capacity, uploads, "{what}"),
        }
    }
    Ok(Some(figures))
}

/// Drops one batch, from database and store.
async fn drop_some(ctx: &Arc<Context>, bytes: u64) -> Result<DroppedByValue> {
    guard::check(ctx).await?;
    let ctx = ctx.clone();
    run_to_completion(async move {
        let _turn = ctx.disk_budget.dropping().await;
        let mut dropped = ctx.repo.drop_by_value(bytes, now()).await?;
        for (class, part) in [
            ("variants", &mut dropped.variants),
            ("proxied", &mut dropped.proxied),
        ] {
            if part.count > 0 {
                metrics::evicted(class, "budget", part.count, part.bytes);
                forget(&ctx, std::mem::take(&mut part.removal)).await;
            }
        }
        Ok(dropped)
    })
    .await
}

/// Bytes for people, in binary units as they are written in the configuration.
fn readable(bytes: u64) -> String {
    let units = [("TiB", 1_u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20)];
    let unit = units.into_iter().find(|(_, factor)| bytes >= *factor);
    let (unit, factor) = unit.unwrap_or(("KiB", 1 << 10));
    match bytes.is_multiple_of(factor) {
        true => format!("{} {unit}", bytes / factor),
        false => format!("{:.1} {unit}", bytes as f64 / factor as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn figures(uploads: u64) -> BudgetFigures {
        BudgetFigures {
            budget: 1000 * MIB,
            capacity: 950 * MIB,
            used: 900 * MIB,
            uploads: uploads * MIB,
        }
    }

    #[test]
    fn proxied_media_become_slow_and_stop_before_uploads_do() {
        let check = |uploads, expected| {
            assert_eq!(figures(uploads).scarcity(0), expected, "{uploads}");
        };
        check(0, Scarcity::None);
        check(850, Scarcity::None);
        check(851, Scarcity::Slow);
        check(925, Scarcity::Slow);
        check(926, Scarcity::UploadsOnly);
        check(949, Scarcity::UploadsOnly);
        check(950, Scarcity::Full);
        check(2000, Scarcity::Full);
        // Files that are being taken in count.
        assert_eq!(figures(840).scarcity(20 * MIB), Scarcity::Slow);
    }

    #[test]
    fn the_pause_grows_with_scarcity() {
        let pauses = [0, 850, 870, 900, 925, 950, 2000].map(|used| figures(used).pause(0));
        assert_eq!(pauses[..2], [Duration::ZERO; 2]);
        assert!(pauses.is_sorted(), "{pauses:?}");
        assert_eq!(pauses[4..], [LONGEST_PAUSE; 3]);
    }

    #[test]
    fn a_refusal_names_the_setting_and_the_figures() {
        let error = figures(949).refusal("Full", Some(3 * MIB));
        let told = error.user_message().expect("for the client");
        let detail = told.detail.as_deref().expect("a sentence");
        for part in ["media.disk is 1000 MiB", "950 MiB", "949 MiB", "3 MiB"] {
            assert!(detail.contains(part), "{part}: {detail}");
        }
        assert_eq!(told.limit, Some(950 * MIB));
        assert_eq!(told.found, Some(952 * MIB));
    }

    #[test]
    fn sizes_are_written_as_in_the_configuration() {
        assert_eq!(readable(0), "0 KiB");
        assert_eq!(readable(40 << 30), "40 GiB");
        assert_eq!(readable((3 << 29) + 1), "1.5 GiB");
        assert_eq!(readable(1500), "1.5 KiB");
    }
}
