-- Columns are text, blob and bigint only; times are unix milliseconds.

-- What clients show while a picture is loading; null: not computed.
ALTER TABLE hashes ADD COLUMN thumbhash BLOB;
-- The dominant colour in sRGB: red, green and blue, a byte each.
ALTER TABLE hashes ADD COLUMN colour BIGINT;
