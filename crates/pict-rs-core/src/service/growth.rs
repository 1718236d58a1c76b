//! How fast the store grows, and when it will be full. The worker records the sums of each day.

use std::time::Duration;

use crate::repo::{DaySums, Sums};
use crate::service::{budget, health};
use crate::task::blocking;
use crate::{Context, ErrorCode, Result};

/// A day in milliseconds.
const DAY: i64 = 24 * 60 * 60 * 1000;
/// Days whose sums are kept.
const KEPT: i64 = 400;
/// How often the sums of a day are recorded.
const PERIOD: Duration = Duration::from_secs(10 * 60);
/// Days that the pace is taken from.
const RECENT: i64 = 30;
/// Days that must have passed before a pace is told.
const LEAST: i64 = 3;

/// What is stored of each kind, in bytes: blocks on a disk, bytes in a bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Kinds<T> {
    /// Uploads.
    pub uploads: T,
    /// Pictures made from uploads and proxied media.
    pub variants: T,
    /// Media of other servers.
    pub proxied: T,
}

/// What was stored at the end of a day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Day {
    /// Days since 1970, in UTC.
    pub day: i64,
    /// Bytes.
    pub stored: Kinds<u64>,
}

/// What limits the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// `media.disk`. Only uploads fill it, because all else gives way.
    Budget,
    /// The size of the disk. Everything fills it.
    Disk,
}

/// When the store will be full.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fullness {
    /// What it is measured by.
    pub bound: Bound,
    /// Bytes that are left.
    pub left: u64,
    /// Days until nothing is left; `None` if what counts does not grow.
    pub days: Option<u64>,
}

/// What the store has grown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GrowthReport {
    /// The sums of each day, oldest first.
    pub days: Vec<Day>,
    /// The mean growth of the last 30 days at most, in bytes a day; `None` as long as fewer than three
    /// days are known.
    pub pace: Option<Kinds<f64>>,
    /// When the store will be full; `None` without a pace or a bound.
    pub full: Option<Fullness>,
}

/// Records the sums of today, unless that was done a moment ago. Does nothing on a full disk.
///
/// # Errors
/// When the database fails.
pub(crate) async fn note(ctx: &Context) -> Result<()> {
    // A clock that is ahead must not make all days too old.
    let day = ctx.retention_clock.time().div_euclid(DAY);
    if !ctx.day_noted.is_due(day, PERIOD) {
        return Ok(());
    }
    let sums = ctx.repo.sums().await?;
    match ctx.repo.note_day(day, &sums, day - KEPT).await {
        Err(error) if error.code() == ErrorCode::InsufficientStorage => return Ok(()),
        noted => noted?,
    }
    ctx.day_noted.noted(day);
    Ok(())
}

/// What the store has grown. The sums of today are those of now.
///
/// # Errors
/// When the database fails.
pub async fn report(ctx: &Context) -> Result<GrowthReport> {
    let today = ctx.retention_clock.time().div_euclid(DAY);
    let mut days = ctx.repo.days(today - KEPT, today - 1).await?;
    let sums = ctx.repo.sums().await?;
    days.push(DaySums { day: today, sums });
    let days: Vec<_> = days.iter().map(|day| kinds(ctx, day)).collect();
    let Some(pace) = pace(&days) else {
        return Ok(GrowthReport {
            days,
            ..GrowthReport::default()
        });
    };
    let (bound, left, grows) = match (budget::figures(ctx).await?, free(ctx).await) {
        (Some(figures), _) => (Bound::Budget, figures.left(), pace.uploads),
        (None, Some(free)) => {
            let all = pace.uploads + pace.variants + pace.proxied;
            (Bound::Disk, free, all)
        }
        (None, None) => {
            return Ok(GrowthReport {
                days,
                pace: Some(pace),
                full: None,
            });
        }
    };
    let full = Fullness {
        bound,
        left,
        days: (grows >= 1.0).then(|| (left as f64 / grows) as u64),
    };
    Ok(GrowthReport {
        days,
        pace: Some(pace),
        full: Some(full),
    })
}

async fn free(ctx: &Context) -> Option<u64> {
    let folder = ctx.store.root()?.to_owned();
    let space = blocking(move || Ok(health::space(&folder))).await;
    Some(space.ok()??.free)
}

fn kinds(ctx: &Context, day: &DaySums) -> Day {
    let Sums {
        originals,
        variants,
        proxied,
        ..
    } = day.sums;
    let [originals, variants, proxied] =
        [originals, variants, proxied].map(|total| budget::spent(ctx, total));
    Day {
        day: day.day,
        stored: Kinds {
            uploads: originals.saturating_sub(proxied),
            variants,
            proxied,
        },
    }
}

/// The mean growth a day: the slope of the line with the least squares through the last days.
fn pace(days: &[Day]) -> Option<Kinds<f64>> {
    let last = days.last()?.day;
    let recent: Vec<_> = days
        .iter()
        .filter(|day| day.day > last - RECENT)
        .copied()
        .collect();
    if last - recent.first()?.day < LEAST {
        return None;
    }
    let slope = |of: fn(&Kinds<u64>) -> u64| {
        let count = recent.len() as f64;
        let points = || {
            let points = recent.iter();
            points.map(|day| ((day.day - last) as f64, of(&day.stored) as f64))
        };
        let mean_x = points().map(|(x, _)| x).sum::<f64>() / count;
        let mean_y = points().map(|(_, y)| y).sum::<f64>() / count;
        let with_y: f64 = points().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
        let with_x: f64 = points().map(|(x, _)| (x - mean_x).powi(2)).sum();
        with_y / with_x
    };
    Some(Kinds {
        uploads: slope(|stored| stored.uploads),
        variants: slope(|stored| stored.variants),
        proxied: slope(|stored| stored.proxied),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(uploads: &[(i64, u64)]) -> Vec<Day> {
        let day = |&(day, uploads)| Day {
            day,
            stored: Kinds {
                uploads,
                variants: 500,
                proxied: 1000 - uploads,
            },
        };
        uploads.iter().map(day).collect()
    }

    #[test]
    fn the_pace_is_that_of_the_last_days() {
        let pace = |uploads: &[(i64, u64)]| super::pace(&days(uploads));
        assert_eq!(pace(&[]), None);
        assert_eq!(pace(&[(7, 5)]), None);
        assert_eq!(pace(&[(7, 5), (8, 10), (9, 15)]), None, "too few days");
        let steady = pace(&[(6, 0), (7, 5), (8, 10), (9, 15)]).expect("enough days");
        assert_eq!(
            (steady.uploads, steady.variants, steady.proxied),
            (5.0, 0.0, -5.0)
        );
        // Days without a server are missing.
        let gap = pace(&[(1, 0), (2, 5), (9, 40)]).expect("enough days");
        assert!((gap.uploads - 5.0).abs() < 1e-9, "{gap:?}");
        // What was long ago does not count.
        let old = pace(&[(-100, 900), (1, 0), (5, 20)]).expect("enough days");
        assert!((old.uploads - 5.0).abs() < 1e-9, "{old:?}");
    }
}
