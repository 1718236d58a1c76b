-- What others are to be told: the receiver of events, and caches in front. A row is written in the
-- transaction of the change that it tells of, and leaves when it is confirmed.
CREATE TABLE outbox (
    number     INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, -- in the order of delivery
    target     TEXT    NOT NULL,             -- events, caches
    subjects   TEXT    NOT NULL,             -- JSON list: a row waits for earlier ones with the same
    body       TEXT    NOT NULL,             -- JSON
    entry      BIGINT,                       -- of the audit log, which gets what caches confirm
    stage      BIGINT  NOT NULL,             -- 1: caches have dropped it once, and are told again
    attempts   BIGINT  NOT NULL,             -- that failed in this stage
    error      TEXT,                         -- of the last of these
    due_at     BIGINT  NOT NULL,
    created_at BIGINT  NOT NULL
);
CREATE INDEX outbox_by_target ON outbox (target, number);

-- Receipts. All null in entries of older versions.
ALTER TABLE audit ADD COLUMN variants BIGINT; -- destroyed with it
ALTER TABLE audit ADD COLUMN bytes BIGINT;    -- destroyed with it, of original and variants
ALTER TABLE audit ADD COLUMN caches TEXT;     -- JSON: whether caches have dropped it; null without any
