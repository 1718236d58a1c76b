-- Columns are text, blob and bigint only; times are unix milliseconds.

-- The name of the API key that was used, where it has one.
ALTER TABLE audit ADD COLUMN key_name TEXT;
ALTER TABLE maintenance ADD COLUMN key_name TEXT;
