//! Counters and durations for metrics.
//!
//! Names are those of the existing pict-rs where it counts the same thing. Without a recorder,
//! which only the binary installs, all of this does nothing.

use std::time::{Duration, Instant};

use metrics::{Counter, counter, histogram};

/// Work with a start, an end and a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WorkKind {
    /// Ingesting one file, from admission to its row.
    Ingest,
    /// The same in the background.
    BackgroundIngest,
    /// Making a variant.
    Generate,
    /// A client that waits for the outcome of a backgrounded upload.
    UploadWait,
    /// A job of the worker; the field is its kind.
    Job(&'static str),
}

impl WorkKind {
    /// Names of start, end and duration.
    fn names(self) -> [&'static str; 3] {
        match self {
            Self::Ingest => [
                "pict_rs_ingest_start",
                "pict_rs_ingest_end",
                "pict_rs_ingest_duration",
            ],
            Self::BackgroundIngest => [
                "pict_rs_background_upload_ingest_start",
                "pict_rs_background_upload_ingest",
                "pict_rs_background_upload_ingest_duration",
            ],
            Self::Generate => [
                "pict_rs_generate_start",
                "pict_rs_generate_end",
                "pict_rs_generate_duration",
            ],
            Self::UploadWait => [
                "pict_rs_upload_wait_start",
                "pict_rs_upload_wait",
                "pict_rs_upload_wait_duration",
            ],
            Self::Job(_) => [
                "pict_rs_job_start",
                "pict_rs_job_end",
                "pict_rs_job_duration",
            ],
        }
    }
}

/// Work that has started. It ends when this is dropped, as failed unless [`Running::completed`] was
/// called.
#[derive(Debug)]
pub(crate) struct Running {
    work: WorkKind,
    since: Instant,
    is_complete: bool,
}

/// Starts work.
pub(crate) fn begin(work: WorkKind) -> Running {
    let [start, ..] = work.names();
    match work {
        WorkKind::Job(kind) => counter!(start, "job" => kind).increment(1),
        _ => counter!(start).increment(1),
    }
    Running {
        work,
        since: Instant::now(),
        is_complete: false,
    }
}

impl Running {
    /// Ends the work as completed.
    pub(crate) fn completed(mut self) {
        self.is_complete = true;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let [_, end, duration] = self.work.names();
        let completed = label(self.is_complete);
        let took = self.since.elapsed();
        match self.work {
            WorkKind::Job(kind) => {
                counter!(end, "job" => kind, "completed" => completed).increment(1);
                histogram!(duration, "job" => kind).record(took);
            }
            _ => {
                counter!(end, "completed" => completed).increment(1);
                histogram!(duration).record(took);
            }
        }
    }
}

/// A file was ingested, inline or in the background.
pub(crate) fn file(how: &'static str) {
    counter!("pict_rs_files", "files" => how).increment(1);
}

/// Backgrounded uploads were accepted.
pub(crate) fn background_uploads(count: usize) {
    counter!("pict_rs_background_upload").increment(count as u64);
    queued("ingest", count);
}

/// An outcome was handed out.
pub(crate) fn background_claim() {
    counter!("pict_rs_background_upload_claim").increment(1);
}

/// Jobs were queued.
pub(crate) fn queued(kind: &'static str, count: usize) {
    counter!("pict_rs_queue_push", "queue" => kind).increment(count as u64);
}

/// A worker has taken a job.
pub(crate) fn unqueued(kind: &'static str) {
    counter!("pict_rs_queue_pop", "queue" => kind).increment(1);
}

/// A flight was started or ended.
pub(crate) fn flight(is_start: bool) {
    if is_start {
        counter!("pict_rs_process_map_inserted").increment(1);
    } else {
        counter!("pict_rs_process_map_removed").increment(1);
    }
}

/// The engine made a variant.
pub(crate) fn generated() {
    counter!("pict_rs_generate_process").increment(1);
}

/// The engine computed a blurhash.
pub(crate) fn blurhash() {
    counter!("pict_rs_generate_blurhash").increment(1);
}

/// Media were dropped because of `reason`: `age` or `size`.
pub(crate) fn evicted(class: &'static str, reason: &'static str, count: usize, bytes: u64) {
    let labels = [("class", class), ("reason", reason)];
    counter!("pict_rs_evictions", &labels).increment(count as u64);
    counter!("pict_rs_evicted_bytes", &labels).increment(bytes);
}

/// The external validation was asked.
pub(crate) fn validation(answer: &'static str) {
    counter!("pict_rs_ingest_external_validation", "answer" => answer).increment(1);
}

/// Something was sent to a receiver of events or to caches: `confirmed`, `failed`, or `given_up`.
pub(crate) fn delivered(target: &'static str, outcome: &'static str) {
    let labels = [("target", target), ("outcome", outcome)];
    counter!("pict_rs_deliveries", &labels).increment(1);
}

/// A connection to PostgreSQL was opened.
pub(crate) fn connection_opened() {
    counter!("pict_rs_postgres_pool_connection_create").increment(1);
}

/// An open connection to PostgreSQL was used again.
pub(crate) fn connection_reused() {
    counter!("pict_rs_postgres_pool_connection_recycle").increment(1);
}

/// A connection to PostgreSQL was waited for, and had or not.
pub(crate) fn connection_got(is_had: bool, took: Duration) {
    let completed = label(is_had);
    counter!("pict_rs_postgres_pool_get", "completed" => completed).increment(1);
    histogram!("pict_rs_postgres_pool_duration", "completed" => completed).record(took);
}

/// A statement was run on PostgreSQL, in whatever way it ended.
pub(crate) fn statement(took: Duration) {
    histogram!("pict_rs_postgres_statement_duration").record(took);
}

/// PostgreSQL passed on a notice of a server.
pub(crate) fn notification() {
    counter!("pict_rs_postgres_notification").increment(1);
}

/// It was about a job.
pub(crate) fn job_notification() {
    counter!("pict_rs_postgres_job_notifier_notified").increment(1);
}

/// It was about the outcome of an upload.
pub(crate) fn upload_notification() {
    counter!("pict_rs_postgres_upload_notifier_notified").increment(1);
}

/// A request to the server of a bucket ended, with an answer or without. `name` is its whole name.
pub(crate) fn bucket_request(name: &'static str, is_answered: bool, took: Duration) {
    histogram!(name, "complete" => label(is_answered)).record(took);
}

fn label(is_true: bool) -> &'static str {
    if is_true { "true" } else { "false" }
}

/// Hits and misses of a cache. Looked up once, because every request counts here.
pub(crate) struct Lookups {
    hits: Counter,
    misses: Counter,
}

impl Lookups {
    /// With the names of both metrics.
    pub(crate) fn named(hits: &'static str, misses: &'static str) -> Self {
        Self {
            hits: counter!(hits),
            misses: counter!(misses),
        }
    }

    /// Counts a hit or a miss, and returns `found`.
    pub(crate) fn count<T>(&self, found: Option<T>) -> Option<T> {
        let counter = if found.is_some() {
            &self.hits
        } else {
            &self.misses
        };
        counter.increment(1);
        found
    }
}

impl std::fmt::Debug for Lookups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lookups").finish_non_exhaustive()
    }
}
