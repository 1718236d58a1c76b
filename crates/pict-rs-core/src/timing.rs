//! The stages of media work: timed in one place, for metrics, traces, and the `Server-Timing`
//! header.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::Instrument as _;

/// A stage of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Waiting for a processor or for memory.
    Queue,
    /// The engine: decoding, operations, encoding, cleaning, blurhash.
    Media,
    /// Reading and writing of objects.
    Store,
    /// Reading or changing the database.
    Database,
    /// Waiting for the external validation.
    Validation,
}

impl Stage {
    /// All of them, in the order in which they are reported.
    pub const ALL: [Self; 5] = [
        Self::Queue,
        Self::Media,
        Self::Store,
        Self::Database,
        Self::Validation,
    ];

    /// Its name in metrics and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Media => "media",
            Self::Store => "store",
            Self::Database => "db",
            Self::Validation => "validation",
        }
    }

    /// Its span in logs and traces. Names of spans are fixed at compile time.
    fn span(self) -> tracing::Span {
        match self {
            Self::Queue => tracing::info_span!("queue"),
            Self::Media => tracing::info_span!("media"),
            Self::Store => tracing::info_span!("store"),
            Self::Database => tracing::info_span!("db"),
            Self::Validation => tracing::info_span!("validation"),
        }
    }
}

tokio::task_local! {
    static TIMINGS: Arc<Timings>;
}

/// How long each stage of one request took so far.
#[derive(Debug, Default)]
pub struct Timings(Mutex<[Option<Duration>; Stage::ALL.len()]>);

impl Timings {
    /// The stages so far, each with its total time.
    pub fn stages(&self) -> Vec<(Stage, Duration)> {
        let times = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Stage::ALL
            .into_iter()
            .zip(times)
            .filter_map(|(stage, time)| Some((stage, time?)))
            .collect()
    }

    fn add(&self, stage: Stage, time: Duration) {
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *times[stage as usize].get_or_insert_default() += time;
    }
}

/// Runs `work` and records its stages in `timings`.
pub async fn with_timings<T>(timings: Option<Arc<Timings>>, work: impl Future<Output = T>) -> T {
    match timings {
        Some(timings) => TIMINGS.scope(timings, work).await,
        None => work.await,
    }
}

/// For work that is moved to another task: its stages still count for the request that started it.
pub(crate) fn inherit_timings<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    with_timings(TIMINGS.try_with(Arc::clone).ok(), work)
}

/// Runs and times one stage.
pub(crate) async fn timed<T>(stage: Stage, work: impl Future<Output = T>) -> T {
    let since = Instant::now();
    let result = work.instrument(stage.span()).await;
    let time = since.elapsed();
    metrics::histogram!("pict_rs_stage_duration", "stage" => stage.name()).record(time);
    // Most requests do not collect timings.
    let _ = TIMINGS.try_with(|timings| timings.add(stage, time));
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn stages_are_noted_for_who_asked_even_in_another_task() {
        let timings = Arc::new(Timings::default());
        with_timings(Some(timings.clone()), async {
            timed(Stage::Queue, async {}).await;
            let other = inherit_timings(async {
                timed(Stage::Media, async {}).await;
                timed(Stage::Media, async {}).await;
            });
            tokio::spawn(other).await.expect("joined");
        })
        .await;
        timed(Stage::Store, async {}).await;
        let stages: Vec<_> = timings
            .stages()
            .into_iter()
            .map(|(stage, _)| stage.name())
            .collect();
        assert_eq!(stages, ["queue", "media"]);
    }

    #[test]
    fn each_stage_has_its_own_place() {
        for (place, stage) in Stage::ALL.into_iter().enumerate() {
            assert_eq!(stage as usize, place);
        }
    }
}
