-- The tables of SQLite as of its migration with the same number, so that both engines have the same
-- facts under the same names. Columns are text, bytea and bigint only, but for numbers that the
-- database gives out; times are unix milliseconds. Texts that are sorted or are keys compare by
-- bytes, as in SQLite, whatever the locale of the database.

-- One row for each distinct content. Its object is in the store before the row is here.
CREATE TABLE hashes (
    hash        BYTEA  NOT NULL PRIMARY KEY, -- content key, 39 bytes: digest, size, format
    object      TEXT   COLLATE "C" NOT NULL UNIQUE, -- path under the store's root
    width       BIGINT NOT NULL,
    height      BIGINT NOT NULL,
    frames      BIGINT NOT NULL,             -- at least 1
    duration_ms BIGINT,                      -- of animations
    blurhash    TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    size        BIGINT NOT NULL,             -- bytes
    format      BIGINT NOT NULL              -- as in the content key
);
CREATE INDEX hashes_by_age ON hashes (created_at, hash);

-- The public names of a content, each with the token that deletes it.
CREATE TABLE aliases (
    alias      TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    hash       BYTEA  NOT NULL REFERENCES hashes (hash),
    token      TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    lost_at    BIGINT                        -- its file was lost, and came back for others only
);
CREATE INDEX aliases_by_hash ON aliases (hash);
CREATE INDEX aliases_by_loss ON aliases (lost_at) WHERE lost_at IS NOT NULL;

-- Pictures made from a content. Can be dropped and made again at any time.
CREATE TABLE variants (
    hash        BYTEA  NOT NULL REFERENCES hashes (hash),
    variant     TEXT   COLLATE "C" NOT NULL, -- e.g. thumbnail/256/webp
    content_key BYTEA  NOT NULL,             -- of the variant's own bytes
    object      TEXT   COLLATE "C" NOT NULL UNIQUE,
    width       BIGINT NOT NULL,
    height      BIGINT NOT NULL,
    frames      BIGINT NOT NULL,
    duration_ms BIGINT,
    created_at  BIGINT NOT NULL,
    accessed_at BIGINT NOT NULL,             -- coarse
    size        BIGINT NOT NULL,             -- bytes
    format      BIGINT NOT NULL,             -- as in the content key
    PRIMARY KEY (hash, variant)
);
CREATE INDEX variants_by_access ON variants (accessed_at);

-- Objects that no row names any more and that are still to be removed from the store.
CREATE TABLE garbage (
    object TEXT COLLATE "C" NOT NULL PRIMARY KEY
);

-- Uploads that were acknowledged before they were worked on; a row lives until it is claimed or
-- expires.
CREATE TABLE uploads (
    upload_id   TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    query       TEXT   NOT NULL,             -- limits and operations, as the request had them
    alias       TEXT,                        -- outcome: taken in
    code        TEXT,                        -- outcome: refused or failed
    message     TEXT,                        -- for the client; null when the fault was ours
    finished_at BIGINT
);
CREATE INDEX uploads_by_finish ON uploads (finished_at);

-- Work to be done. The key names what is done, so nothing is queued twice.
CREATE TABLE jobs (
    key        TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    kind       TEXT   NOT NULL,              -- ingest, variant
    subject    TEXT   NOT NULL,              -- upload id, alias
    detail     TEXT,                         -- variant
    attempts   BIGINT NOT NULL,              -- begun so far
    lease      TEXT,                         -- of the worker that has it
    due_at     BIGINT NOT NULL,              -- not before then; with a lease: when that ends
    created_at BIGINT NOT NULL,
    begun      BIGINT NOT NULL DEFAULT 0,    -- 1: its work has begun and not ended
    deaths     BIGINT NOT NULL DEFAULT 0     -- how often the server died meanwhile
);
CREATE INDEX jobs_by_due ON jobs (due_at, created_at);

-- Media that were fetched for `?proxy=`. The alias is one like any other, and this row goes in the
-- transaction that removes it. URLs may be longer than an entry of a B-tree, so their digests are
-- indexed.
CREATE TABLE proxies (
    url           TEXT   COLLATE "C" NOT NULL, -- as the URL parser writes it, without fragment
    alias         TEXT   COLLATE "C" NOT NULL REFERENCES aliases (alias),
    created_at    BIGINT NOT NULL,
    accessed_at   BIGINT NOT NULL,             -- coarse: not moved by each request
    etag          TEXT,                        -- of the upstream's answer
    last_modified TEXT,                        -- of the upstream's answer
    fresh_until   BIGINT NOT NULL,             -- from then on the upstream is asked again
    CONSTRAINT proxies_by_url EXCLUDE USING hash (url WITH =)
);
CREATE UNIQUE INDEX proxies_by_alias ON proxies (alias);
CREATE INDEX proxies_by_access ON proxies (accessed_at);

-- Contents that proxied aliases name and no others: what would be freed if these went.
CREATE TABLE proxied (
    hash BYTEA NOT NULL PRIMARY KEY REFERENCES hashes (hash)
);

-- SHA-256 of the files, as clients sent them, that a content was made from. The digest of the
-- stored bytes themselves stands in their key and is not repeated here.
CREATE TABLE sources (
    hash   BYTEA NOT NULL REFERENCES hashes (hash),
    digest BYTEA NOT NULL,                   -- 32 bytes
    PRIMARY KEY (hash, digest)
);

-- SHA-256 of bytes that are not taken in again, neither as sent nor as they would be stored.
CREATE TABLE blocklist (
    digest     BYTEA  NOT NULL PRIMARY KEY,  -- 32 bytes
    reason     TEXT,
    created_at BIGINT NOT NULL
);
CREATE INDEX blocklist_by_age ON blocklist (created_at, digest);

-- What was removed, by whom and why. A number is given once, whatever was forgotten meanwhile.
CREATE TABLE audit (
    number     BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, -- in the order of time
    action     TEXT   NOT NULL,
    actor      TEXT   NOT NULL,              -- token, admin, server
    aliases    TEXT   NOT NULL,              -- JSON list
    hash       TEXT,                         -- content key or digest, in hexadecimal digits
    amount     BIGINT,                       -- how many, of things not named one by one
    reason     TEXT,
    request_id TEXT,
    created_at BIGINT NOT NULL
);
CREATE INDEX audit_by_age ON audit (created_at);

-- What the server was told while it ran, e.g. the alias of the placeholder for missing media.
CREATE TABLE settings (
    name  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

-- Long work over everything, done in small steps; the last run of each kind. The cursor moves in
-- the transaction of the step, so a run goes on where it was when the server died.
CREATE TABLE maintenance (
    task        TEXT   COLLATE "C" NOT NULL PRIMARY KEY, -- prune, variants
    cursor      BYTEA,                       -- content key of the last one looked at
    progress    BIGINT NOT NULL,             -- removed so far
    total       BIGINT NOT NULL,             -- to be looked at, as of the start
    reason      TEXT,
    request_id  TEXT,
    started_at  BIGINT NOT NULL,
    finished_at BIGINT,
    allowed     BIGINT,                      -- removals; null is no bound
    lost        BIGINT NOT NULL DEFAULT 0,   -- counted so far
    counted     BIGINT NOT NULL DEFAULT 0,   -- 1: all are counted
    stopped     BIGINT NOT NULL DEFAULT 0,   -- 1: too many were lost
    block       BIGINT NOT NULL DEFAULT 0    -- 1: to the blocklist
);

-- How many and how many bytes there are, without the changes in `usage_deltas`.
CREATE TABLE usage (
    class     TEXT   COLLATE "C" NOT NULL PRIMARY KEY, -- aliases, originals, variants, proxied
    count     BIGINT NOT NULL,
    bytes     BIGINT NOT NULL,
    allocated BIGINT NOT NULL                -- bytes on the disk, in whole blocks
);
INSERT INTO usage (class, count, bytes, allocated)
    VALUES ('aliases', 0, 0, 0), ('originals', 0, 0, 0), ('variants', 0, 0, 0), ('proxied', 0, 0, 0);

-- Changes of these sums, each written in the transaction that changes what is counted, and added to
-- `usage` some time later. So transactions at the same time do not wait for one row.
CREATE TABLE usage_deltas (
    number    BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    class     TEXT   NOT NULL,
    count     BIGINT NOT NULL,
    bytes     BIGINT NOT NULL,
    allocated BIGINT NOT NULL
);
