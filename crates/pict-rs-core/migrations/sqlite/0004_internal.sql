-- Columns are text, blob and bigint only; times are unix milliseconds.

-- SHA-256 of the files, as clients sent them, that a content was made from. The digest of the
-- stored bytes themselves stands in their key and is not repeated here.
CREATE TABLE sources (
    hash   BLOB NOT NULL,
    digest BLOB NOT NULL,                    -- 32 bytes
    PRIMARY KEY (hash, digest)
);

-- SHA-256 of bytes that are not taken in again, neither as sent nor as they would be stored.
CREATE TABLE blocklist (
    digest     BLOB   NOT NULL PRIMARY KEY,  -- 32 bytes
    reason     TEXT,
    created_at BIGINT NOT NULL
);
CREATE INDEX blocklist_by_age ON blocklist (created_at, digest);

-- What was removed, by whom and why. Written in the transaction that removes it.
CREATE TABLE audit (
    number     BIGINT NOT NULL PRIMARY KEY,  -- in the order of time
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

-- What the server was told while it ran, e.g. which alias stands in for missing ones.
CREATE TABLE settings (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

-- Long work over everything, done in small steps; the last run of each kind. The cursor moves in
-- the transaction of the step, so a run goes on where it was when the server died.
CREATE TABLE maintenance (
    task        TEXT   NOT NULL PRIMARY KEY, -- prune, variants
    cursor      BLOB,                        -- content key of the last one looked at
    progress    BIGINT NOT NULL,             -- removed so far
    total       BIGINT NOT NULL,             -- to be looked at, as of the start
    reason      TEXT,
    request_id  TEXT,
    started_at  BIGINT NOT NULL,
    finished_at BIGINT
);
