//! The names of all metrics, each with a help text for dashboards. A name that is missing here
//! would be exposed without help.

use metrics::{describe_counter, describe_gauge, describe_histogram};

/// Values that only grow.
pub const COUNTERS: [(&str, &str); 38] = [
    ("pict_rs_request_start", "Requests that came in"),
    (
        "pict_rs_request_end",
        "Requests that were answered, by route and status",
    ),
    (
        "pict_rs_request_dropped",
        "Requests whose client went away before the answer",
    ),
    ("pict_rs_bytes_served", "Bytes of media that were sent"),
    (
        "pict_rs_stalled_clients",
        "Answers that were broken off because the client took no byte for server.write_timeout",
    ),
    (
        "pict_rs_known_hits",
        "Lookups that the fact cache could answer",
    ),
    (
        "pict_rs_known_misses",
        "Lookups that the database had to answer",
    ),
    (
        "pict_rs_read_cache_hits",
        "Small objects that were served from memory",
    ),
    (
        "pict_rs_read_cache_misses",
        "Small objects that had to be read",
    ),
    (
        "pict_rs_files",
        "Files that were taken in, inline or in the background",
    ),
    (
        "pict_rs_ingest_start",
        "Files that were begun to be taken in, inline",
    ),
    ("pict_rs_ingest_end", "The end of these, completed or not"),
    (
        "pict_rs_background_upload",
        "Files that were acknowledged, to be taken in later",
    ),
    (
        "pict_rs_background_upload_ingest_start",
        "Files that were begun to be taken in, in the background",
    ),
    (
        "pict_rs_background_upload_ingest",
        "The end of these, completed or not",
    ),
    (
        "pict_rs_background_upload_claim",
        "Outcomes that were handed out",
    ),
    (
        "pict_rs_upload_wait",
        "Clients that waited for an outcome, and got one or not",
    ),
    ("pict_rs_generate_start", "Variants that were begun"),
    ("pict_rs_generate_end", "The end of these, completed or not"),
    ("pict_rs_generate_process", "Variants that the engine made"),
    (
        "pict_rs_generate_blurhash",
        "Blurhashes that the engine computed",
    ),
    (
        "pict_rs_process_map_inserted",
        "Variants that several requests could wait for together",
    ),
    ("pict_rs_process_map_removed", "The end of these"),
    ("pict_rs_queue_push", "Jobs that were queued"),
    (
        "pict_rs_queue_pop",
        "Jobs that were taken off the queue, retries included",
    ),
    ("pict_rs_job_end", "Jobs that ended, completed or not"),
    (
        "pict_rs_ingest_external_validation",
        "Questions to the external validation, by its answer",
    ),
    (
        "pict_rs_upload_wait_start",
        "Clients that began to wait for an outcome",
    ),
    ("pict_rs_job_start", "Attempts at jobs that were begun"),
    (
        "pict_rs_evictions",
        "Variants and proxied media that were dropped to keep within age or size",
    ),
    ("pict_rs_evicted_bytes", "What these took on the disk"),
    (
        "pict_rs_deliveries",
        "Events, and removals that caches were told of, that were sent, by outcome",
    ),
    (
        "pict_rs_postgres_pool_connection_create",
        "Connections to PostgreSQL that were opened",
    ),
    (
        "pict_rs_postgres_pool_connection_recycle",
        "Uses of a connection to PostgreSQL that was open already",
    ),
    (
        "pict_rs_postgres_pool_get",
        "Waits for a connection to PostgreSQL, and whether one was had",
    ),
    (
        "pict_rs_postgres_notification",
        "Notices of servers that PostgreSQL passed on",
    ),
    (
        "pict_rs_postgres_job_notifier_notified",
        "Those of them about a job",
    ),
    (
        "pict_rs_postgres_upload_notifier_notified",
        "Those of them about the outcome of an upload",
    ),
];

/// Current values.
pub const GAUGES: [(&str, &str); 14] = [
    ("pict_rs_build_info", "Always 1; the version is a label"),
    (
        "pict_rs_healthy",
        "1 when the database answers, or a file can be written to the store",
    ),
    (
        "pict_rs_free_bytes",
        "Bytes that are free on the file system of the store, and of the database",
    ),
    (
        "pict_rs_stored",
        "Originals and variants, and URLs that were proxied",
    ),
    (
        "pict_rs_stored_bytes",
        "Bytes of these in the store; of proxied media those that no upload shares",
    ),
    (
        "pict_rs_jobs_waiting",
        "Jobs in the queue, held ones included",
    ),
    (
        "pict_rs_deliveries_waiting",
        "Events, and removals for caches, that are not confirmed",
    ),
    ("pict_rs_media_waiting", "Media work in line"),
    ("pict_rs_media_running", "Media work that is being done"),
    (
        "pict_rs_media_slots",
        "Media work that may be done at a time",
    ),
    (
        "pict_rs_media_memory_bytes",
        "Memory that running media work was predicted to take",
    ),
    (
        "pict_rs_media_memory_limit_bytes",
        "Memory that all of it may be predicted to take",
    ),
    (
        "pict_rs_postgres_pool_connections",
        "Connections to PostgreSQL: used, idle, and those that may still be opened",
    ),
    (
        "pict_rs_nodes",
        "Servers on this PostgreSQL database that gave a sign of life in the last ten seconds",
    ),
];

/// Distributions of durations.
pub const HISTOGRAMS: [(&str, &str); 19] = [
    ("pict_rs_request_timings", "Seconds until an answer began"),
    (
        "pict_rs_ingest_duration",
        "Seconds for taking a file in, inline",
    ),
    (
        "pict_rs_background_upload_ingest_duration",
        "Seconds for taking a file in, in the background",
    ),
    (
        "pict_rs_upload_wait_duration",
        "Seconds that a client waited for an outcome",
    ),
    (
        "pict_rs_generate_duration",
        "Seconds for making a variant, waiting included",
    ),
    ("pict_rs_stage_duration", "Seconds for one stage of work"),
    ("pict_rs_job_duration", "Seconds for one attempt at a job"),
    (
        "pict_rs_postgres_pool_duration",
        "Seconds until a connection to PostgreSQL was had; for a transaction, until it had begun",
    ),
    (
        "pict_rs_postgres_statement_duration",
        "Seconds for one statement on PostgreSQL",
    ),
    (
        "pict_rs_object_storage_head_object_request",
        "Seconds for asking the bucket about an object",
    ),
    (
        "pict_rs_object_storage_get_object_request",
        "Seconds until the bucket began to send an object",
    ),
    (
        "pict_rs_object_storage_put_object_request",
        "Seconds for sending a small object to the bucket",
    ),
    (
        "pict_rs_object_storage_delete_object_request",
        "Seconds for removing an object from the bucket",
    ),
    (
        "pict_rs_object_storage_create_multipart_request",
        "Seconds for beginning a large object in the bucket",
    ),
    (
        "pict_rs_object_storage_create_upload_part_request",
        "Seconds for sending a part of a large object to the bucket",
    ),
    (
        "pict_rs_object_storage_complete_multipart_request",
        "Seconds for ending a large object in the bucket",
    ),
    (
        "pict_rs_object_storage_abort_multipart_request",
        "Seconds for giving up a large object in the bucket",
    ),
    (
        "pict_rs_object_storage_list_objects_request",
        "Seconds until the bucket began to list objects",
    ),
    (
        "pict_rs_object_storage_other_request",
        "Seconds for any other request to the bucket",
    ),
];

/// Registers all help texts.
pub fn describe() {
    for (name, text) in COUNTERS {
        describe_counter!(name, text);
    }
    for (name, text) in GAUGES {
        describe_gauge!(name, text);
    }
    for (name, text) in HISTOGRAMS {
        describe_histogram!(name, text);
    }
}

/// Help and type of every metric that `rendered` has no sample of yet, so that authors of
/// dashboards can see all metrics.
pub fn not_yet_seen(rendered: &str) -> String {
    let tables = [
        ("counter", &COUNTERS[..]),
        ("gauge", &GAUGES[..]),
        ("histogram", &HISTOGRAMS[..]),
    ];
    let all = tables
        .into_iter()
        .flat_map(|(kind, table)| table.iter().map(move |(name, help)| (kind, name, help)));
    all.filter(|(_, name, _)| !rendered.contains(&format!("# TYPE {name} ")))
        .map(|(kind, name, help)| format!("# HELP {name} {help}\n# TYPE {name} {kind}\n\n"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_sample_is_not_described_twice() {
        let rest = not_yet_seen("# TYPE pict_rs_files counter\npict_rs_files 1\n");
        assert!(!rest.contains("pict_rs_files "), "{rest}");
        assert!(
            rest.contains("# TYPE pict_rs_evictions counter\n"),
            "{rest}"
        );
        assert!(rest.contains("# HELP pict_rs_free_bytes "), "{rest}");
    }
}
