-- Columns are text, blob and bigint only; times are unix milliseconds.

-- The PDQ hashes of up to four further frames of an animation or clip, in the order of time, each of 32
-- bytes and one for its quality; null: not computed yet.
ALTER TABLE hashes ADD COLUMN frame_pdq BLOB;
CREATE INDEX hashes_without_frame_pdq ON hashes (created_at, hash)
    WHERE frame_pdq IS NULL AND pdq IS NOT NULL AND frames > 1;
