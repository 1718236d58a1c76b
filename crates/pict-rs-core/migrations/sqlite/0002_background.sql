-- Columns are text, blob and bigint only; times are unix milliseconds.

-- Uploads that were acknowledged before they were worked on; a row lives until it is claimed or
-- expires. While finished_at is null, the bytes lie in the store under the upload's id.
CREATE TABLE uploads (
    upload_id   TEXT   NOT NULL PRIMARY KEY,
    query       TEXT   NOT NULL,             -- limits and operations, as the request had them
    alias       TEXT,                        -- outcome: taken in
    code        TEXT,                        -- outcome: refused or failed
    message     TEXT,                        -- for the client; null when the fault was ours
    finished_at BIGINT
);
CREATE INDEX uploads_by_finish ON uploads (finished_at);

-- Work to be done. The key names what is done, so nothing is queued twice.
CREATE TABLE jobs (
    key        TEXT   NOT NULL PRIMARY KEY,
    kind       TEXT   NOT NULL,              -- ingest, variant
    subject    TEXT   NOT NULL,              -- upload id, alias
    detail     TEXT,                         -- variant
    attempts   BIGINT NOT NULL,              -- begun so far
    lease      TEXT,                         -- of the worker that has it
    due_at     BIGINT NOT NULL,              -- not before then; with a lease: when that ends
    created_at BIGINT NOT NULL
);
CREATE INDEX jobs_by_due ON jobs (due_at, created_at);
