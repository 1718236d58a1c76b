-- Columns are text, blob and bigint only; times are unix milliseconds.

-- When a client was last served this content or a variant of it, to within a day; null: never.
ALTER TABLE hashes ADD COLUMN used_at BIGINT;
-- Nothing is known of earlier uses of what is here already.
INSERT INTO settings (name, value)
    SELECT 'uses-since', CAST(CAST(strftime('%s', 'now') AS BIGINT) * 1000 AS TEXT)
    WHERE EXISTS (SELECT 1 FROM hashes);
