-- Columns are text, blob and bigint only; times are unix milliseconds.

-- Contents that an administrator released from quarantine, stored or not: no list matches them.
CREATE TABLE released (
    hash       BYTEA  NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL
);
