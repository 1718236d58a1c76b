-- Columns are text, blob and bigint only; times are unix milliseconds.

-- One row for each distinct content. Its object is in the store before the row is here.
CREATE TABLE hashes (
    hash        BLOB   NOT NULL PRIMARY KEY, -- content key, 39 bytes
    object      TEXT   NOT NULL UNIQUE,      -- path under the store's root
    width       BIGINT NOT NULL,
    height      BIGINT NOT NULL,
    frames      BIGINT NOT NULL,             -- at least 1
    duration_ms BIGINT,                      -- of animations
    blurhash    TEXT   NOT NULL,
    created_at  BIGINT NOT NULL
);
CREATE INDEX hashes_by_age ON hashes (created_at, hash);

-- The public names of a content, each with the token that deletes it.
CREATE TABLE aliases (
    alias      TEXT   NOT NULL PRIMARY KEY,
    hash       BLOB   NOT NULL,
    token      TEXT   NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX aliases_by_hash ON aliases (hash);

-- Pictures made from a content. Can be dropped and made again at any time.
CREATE TABLE variants (
    hash        BLOB   NOT NULL,
    variant     TEXT   NOT NULL,             -- e.g. thumbnail/256/webp
    content_key BLOB   NOT NULL,             -- of the variant's own bytes
    object      TEXT   NOT NULL UNIQUE,
    width       BIGINT NOT NULL,
    height      BIGINT NOT NULL,
    frames      BIGINT NOT NULL,
    duration_ms BIGINT,
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (hash, variant)
);

-- Objects that no row names any more and that are still to be removed from the store.
CREATE TABLE garbage (
    object TEXT NOT NULL PRIMARY KEY
);
