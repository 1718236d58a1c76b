-- Columns are text, blob and bigint only; times are unix milliseconds.

-- An object in a bucket is here before it is stored, and leaves this table in the transaction that
-- adds the row that names it. If that never comes, because the server died, the object is garbage
-- from not_before on.
ALTER TABLE garbage ADD COLUMN not_before BIGINT NOT NULL DEFAULT 0; -- 0: no row will name it
CREATE INDEX garbage_by_time ON garbage (not_before);
