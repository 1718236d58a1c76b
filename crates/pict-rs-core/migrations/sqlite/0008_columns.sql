-- Columns are text, blob and bigint only, but for numbers that the database gives out; times are
-- unix milliseconds.
--
-- What was computed from digits of a key or kept by triggers is written down by the program: the
-- size and the format of a content, and the sums. Rows that belong together are bound by foreign
-- keys.
--
-- Tables that grow with the number of media are changed in place, because a copy would need as much
-- room again, and the log of the transaction once more.

-- Rows that name nothing, which no version is known to have left. They go while the triggers still
-- count. An object whose content is gone is garbage.
DELETE FROM proxies WHERE NOT EXISTS (SELECT 1 FROM aliases a WHERE a.alias = proxies.alias);
DELETE FROM aliases WHERE rowid IN (SELECT a.rowid FROM aliases a INDEXED BY aliases_by_hash
    LEFT JOIN hashes h ON h.hash = a.hash WHERE h.hash IS NULL);
INSERT INTO garbage (object) SELECT v.object FROM variants v
    WHERE NOT EXISTS (SELECT 1 FROM hashes h WHERE h.hash = v.hash) ON CONFLICT (object) DO NOTHING;
DELETE FROM variants WHERE NOT EXISTS (SELECT 1 FROM hashes h WHERE h.hash = variants.hash);
DELETE FROM sources WHERE NOT EXISTS (SELECT 1 FROM hashes h WHERE h.hash = sources.hash);
DELETE FROM proxied WHERE NOT EXISTS (SELECT 1 FROM hashes h WHERE h.hash = proxied.hash);

DROP TRIGGER aliases_counted;
DROP TRIGGER aliases_discounted;
DROP TRIGGER aliases_shared;
DROP TRIGGER aliases_left;
DROP TRIGGER hashes_counted;
DROP TRIGGER hashes_discounted;
DROP TRIGGER variants_counted;
DROP TRIGGER variants_discounted;
DROP TRIGGER proxies_counted;
DROP TRIGGER proxies_discounted;
DROP TRIGGER proxies_moved;
DROP TRIGGER proxied_counted;
DROP TRIGGER proxied_discounted;

-- Bytes 33 to 38 of a key are the size, big endian, byte 39 is the format. JSON knows hexadecimal
-- numbers, SQL has no other way from bytes to a number.
ALTER TABLE hashes DROP COLUMN allocated;
ALTER TABLE hashes DROP COLUMN size;
ALTER TABLE hashes ADD COLUMN size BIGINT NOT NULL DEFAULT 0;
ALTER TABLE hashes ADD COLUMN format BIGINT NOT NULL DEFAULT 0;
UPDATE hashes SET size = ('0x' || hex(substr(hash, 33, 6))) ->> '$',
    format = ('0x' || hex(substr(hash, 39, 1))) ->> '$';

ALTER TABLE variants DROP COLUMN allocated;
ALTER TABLE variants DROP COLUMN size;
ALTER TABLE variants ADD COLUMN size BIGINT NOT NULL DEFAULT 0;
ALTER TABLE variants ADD COLUMN format BIGINT NOT NULL DEFAULT 0;
UPDATE variants SET size = ('0x' || hex(substr(content_key, 33, 6))) ->> '$',
    format = ('0x' || hex(substr(content_key, 39, 1))) ->> '$';

-- SQLite adds a foreign key only to a new table, or like this: rows are stored the same with and
-- without one (https://www.sqlite.org/lang_altertable.html#otheralter).
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = 'CREATE TABLE hashes (
    hash        BLOB   NOT NULL PRIMARY KEY, -- content key, 39 bytes: digest, size, format
    object      TEXT   NOT NULL UNIQUE,      -- path under the store''s root
    width       BIGINT NOT NULL,
    height      BIGINT NOT NULL,
    frames      BIGINT NOT NULL,             -- at least 1
    duration_ms BIGINT,                      -- of animations
    blurhash    TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    size        BIGINT NOT NULL,             -- bytes
    format      BIGINT NOT NULL              -- as in the content key
)' WHERE type = 'table' AND name = 'hashes';
UPDATE sqlite_schema SET sql = 'CREATE TABLE aliases (
    alias      TEXT   NOT NULL PRIMARY KEY,
    hash       BLOB   NOT NULL REFERENCES hashes (hash),
    token      TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    lost_at    BIGINT                        -- its file was lost, and came back for others only
)' WHERE type = 'table' AND name = 'aliases';
UPDATE sqlite_schema SET sql = 'CREATE TABLE variants (
    hash        BLOB   NOT NULL REFERENCES hashes (hash),
    variant     TEXT   NOT NULL,             -- e.g. thumbnail/256/webp
    content_key BLOB   NOT NULL,             -- of the variant''s own bytes
    object      TEXT   NOT NULL UNIQUE,
    width       BIGINT NOT NULL,
    height      BIGINT NOT NULL,
    frames      BIGINT NOT NULL,
    duration_ms BIGINT,
    created_at  BIGINT NOT NULL,
    accessed_at BIGINT NOT NULL,             -- coarse
    size        BIGINT NOT NULL,             -- bytes
    format      BIGINT NOT NULL,             -- as in the content key
    PRIMARY KEY (hash, variant)
)' WHERE type = 'table' AND name = 'variants';
UPDATE sqlite_schema SET sql = 'CREATE TABLE proxies (
    url           TEXT   NOT NULL PRIMARY KEY, -- as the URL parser writes it, without fragment
    alias         TEXT   NOT NULL REFERENCES aliases (alias),
    created_at    BIGINT NOT NULL,
    accessed_at   BIGINT NOT NULL,             -- coarse: not moved by each request
    etag          TEXT,                        -- of the upstream''s answer
    last_modified TEXT,                        -- of the upstream''s answer
    fresh_until   BIGINT NOT NULL              -- from then on the upstream is asked again
)' WHERE type = 'table' AND name = 'proxies';
UPDATE sqlite_schema SET sql = 'CREATE TABLE sources (
    hash   BLOB NOT NULL REFERENCES hashes (hash),
    digest BLOB NOT NULL,                    -- 32 bytes
    PRIMARY KEY (hash, digest)
)' WHERE type = 'table' AND name = 'sources';
PRAGMA writable_schema = RESET;

-- Contents that proxied aliases name and no others: what would be freed if these went.
ALTER TABLE proxied RENAME TO old_proxied;
CREATE TABLE proxied (
    hash BLOB NOT NULL PRIMARY KEY REFERENCES hashes (hash)
);
INSERT INTO proxied (hash) SELECT hash FROM old_proxied;
DROP TABLE old_proxied;

-- How many and how many bytes there are, without the changes in `usage_deltas`.
ALTER TABLE usage RENAME TO old_usage;
CREATE TABLE usage (
    class     TEXT   NOT NULL PRIMARY KEY,   -- aliases, originals, variants, proxied
    count     BIGINT NOT NULL,
    bytes     BIGINT NOT NULL,
    allocated BIGINT NOT NULL                -- bytes on the disk, in whole blocks
);
INSERT INTO usage (class, count, bytes, allocated)
    SELECT class, count, bytes, allocated FROM old_usage;
DROP TABLE old_usage;

-- Changes of these sums, each written in the transaction that changes what is counted, and added to
-- `usage` some time later. So transactions at the same time do not wait for one row.
CREATE TABLE usage_deltas (
    number    INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    class     TEXT    NOT NULL,
    count     BIGINT  NOT NULL,
    bytes     BIGINT  NOT NULL,
    allocated BIGINT  NOT NULL
);

-- What was removed, by whom and why. A number is given once, whatever was forgotten meanwhile.
DROP INDEX audit_by_age;
ALTER TABLE audit RENAME TO old_audit;
CREATE TABLE audit (
    number     INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, -- in the order of time
    action     TEXT    NOT NULL,
    actor      TEXT    NOT NULL,             -- token, admin, server
    aliases    TEXT    NOT NULL,             -- JSON list
    hash       TEXT,                         -- content key or digest, in hexadecimal digits
    amount     BIGINT,                       -- how many, of things not named one by one
    reason     TEXT,
    request_id TEXT,
    created_at BIGINT  NOT NULL
);
INSERT INTO audit (number, action, actor, aliases, hash, amount, reason, request_id, created_at)
    SELECT number, action, actor, aliases, hash, amount, reason, request_id, created_at
    FROM old_audit ORDER BY number;
DROP TABLE old_audit;
CREATE INDEX audit_by_age ON audit (created_at);
