-- Columns are text, blob and bigint only; times are unix milliseconds.

-- When another upload replaced a lost file without giving this name its file back.
ALTER TABLE aliases ADD COLUMN lost_at BIGINT;
CREATE INDEX aliases_by_loss ON aliases (lost_at) WHERE lost_at IS NOT NULL;

-- A run that prunes counts first and removes afterwards, so that it can stop before it has removed
-- anything. A run that an older version began is bounded by the default of the setting.
ALTER TABLE maintenance ADD COLUMN allowed BIGINT;                    -- removals; null is no bound
ALTER TABLE maintenance ADD COLUMN lost BIGINT NOT NULL DEFAULT 0;    -- counted so far
ALTER TABLE maintenance ADD COLUMN counted BIGINT NOT NULL DEFAULT 0; -- 1: all are counted
ALTER TABLE maintenance ADD COLUMN stopped BIGINT NOT NULL DEFAULT 0; -- 1: too many were lost
ALTER TABLE maintenance ADD COLUMN block BIGINT NOT NULL DEFAULT 0;   -- 1: to the blocklist
UPDATE maintenance SET allowed = 100, cursor = NULL WHERE task = 'prune' AND finished_at IS NULL;

-- What files take on the disk: whole blocks of 4 KiB, and 512 bytes for the inode, the entry in its
-- folder and the row here. Bounds by size count these; the public sums of bytes stay what they are.
ALTER TABLE hashes ADD COLUMN allocated BIGINT
    GENERATED ALWAYS AS ((size + 4095) / 4096 * 4096 + 512) VIRTUAL;
ALTER TABLE variants ADD COLUMN allocated BIGINT
    GENERATED ALWAYS AS ((size + 4095) / 4096 * 4096 + 512) VIRTUAL;
ALTER TABLE proxied ADD COLUMN allocated BIGINT
    GENERATED ALWAYS AS ((size + 4095) / 4096 * 4096 + 512) VIRTUAL;
ALTER TABLE usage ADD COLUMN allocated BIGINT NOT NULL DEFAULT 0;
UPDATE usage SET allocated = CASE class
    WHEN 'originals' THEN (SELECT COALESCE(SUM(allocated), 0) FROM hashes)
    WHEN 'variants' THEN (SELECT COALESCE(SUM(allocated), 0) FROM variants)
    WHEN 'proxied' THEN (SELECT COALESCE(SUM(allocated), 0) FROM proxied)
    ELSE 0 END;

DROP TRIGGER hashes_counted;
DROP TRIGGER hashes_discounted;
DROP TRIGGER variants_counted;
DROP TRIGGER variants_discounted;
DROP TRIGGER proxied_counted;
DROP TRIGGER proxied_discounted;
CREATE TRIGGER hashes_counted AFTER INSERT ON hashes BEGIN
    UPDATE usage SET count = count + 1, bytes = bytes + NEW.size,
        allocated = allocated + NEW.allocated WHERE class = 'originals';
END;
CREATE TRIGGER hashes_discounted AFTER DELETE ON hashes BEGIN
    UPDATE usage SET count = count - 1, bytes = bytes - OLD.size,
        allocated = allocated - OLD.allocated WHERE class = 'originals';
END;
CREATE TRIGGER variants_counted AFTER INSERT ON variants BEGIN
    UPDATE usage SET count = count + 1, bytes = bytes + NEW.size,
        allocated = allocated + NEW.allocated WHERE class = 'variants';
END;
CREATE TRIGGER variants_discounted AFTER DELETE ON variants BEGIN
    UPDATE usage SET count = count - 1, bytes = bytes - OLD.size,
        allocated = allocated - OLD.allocated WHERE class = 'variants';
END;
CREATE TRIGGER proxied_counted AFTER INSERT ON proxied BEGIN
    UPDATE usage SET bytes = bytes + NEW.size, allocated = allocated + NEW.allocated
        WHERE class = 'proxied';
END;
CREATE TRIGGER proxied_discounted AFTER DELETE ON proxied BEGIN
    UPDATE usage SET bytes = bytes - OLD.size, allocated = allocated - OLD.allocated
        WHERE class = 'proxied';
END;
