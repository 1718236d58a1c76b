-- Columns are text, blob and bigint only; times are unix milliseconds.

-- The PDQ hash of the picture; empty: it has none; null: not computed yet.
ALTER TABLE hashes ADD COLUMN pdq BYTEA;
-- Of that hash, 0 to 100.
ALTER TABLE hashes ADD COLUMN pdq_quality BIGINT;

-- Pictures that look like these are refused, or put into quarantine.
CREATE TABLE listed_pdq (
    list       TEXT   COLLATE "C" NOT NULL, -- where it is from; empty: from an administrator
    pdq        BYTEA   NOT NULL,
    reason     TEXT   COLLATE "C",
    created_at BIGINT NOT NULL,
    PRIMARY KEY (list, pdq)
);
CREATE INDEX listed_pdq_by_hash ON listed_pdq (pdq);

-- Contents that only administrators see.
CREATE TABLE quarantine (
    hash       BYTEA   NOT NULL PRIMARY KEY REFERENCES hashes (hash),
    list       TEXT   COLLATE "C", -- the list that it matched; null: an administrator decided
    pdq        BYTEA,            -- the hash on it
    distance   BIGINT,          -- bits between the two
    reason     TEXT   COLLATE "C",
    created_at BIGINT NOT NULL
);
CREATE INDEX quarantine_by_time ON quarantine (created_at, hash);
