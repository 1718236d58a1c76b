-- What is needed to bound the space that media take: when each variant was last used, and how
-- much there is. Columns are text, blob and bigint only; times are unix milliseconds.

-- Bytes 33 to 38 of a content key are the size of the content, big endian. Digits of hex() are
-- looked up one by one because SQL has no other way back to a number.
ALTER TABLE hashes ADD COLUMN size BIGINT GENERATED ALWAYS AS (
    (instr('123456789ABCDEF', substr(hex(substr(hash, 33, 6)), 1, 1)) << 44)
    + (instr('123456789ABCDEF', substr(hex(substr(hash, 33, 6)), 2, 1)) << 40)
    + (instr('123456789ABCDEF', substr(hex(substr(hash, 33, 6)), 3, 1)) << 36)
    + (instr('123456789ABCDEF', substr(hex(substr(hash, 33, 6)), 4, 1)) << 32)
    + (instr('123456789ABCDEF', substr(hex(substr(hash, 33, 6)), 5, 1)) << 28)
    + (instr('123456789ABCDEF', substr(hex(substr(hash, 33, 6)), 6, 1)) << 24)
    + (instr('123456789ABCDEF', substr(hex(substr(hash, 33, 6)), 7, 1)) << 20)
    + (instr('123456789ABCDEF', substr(hex(substr(hash, 33, 6)), 8, 1)) << 16)
    + (instr('123456789ABCDEF', substr(hex(substr(hash, 33, 6)), 9, 1)) << 12)
    + (instr('123456789ABCDEF', substr(hex(substr(hash, 33, 6)), 10, 1)) << 8)
    + (instr('123456789ABCDEF', substr(hex(substr(hash, 33, 6)), 11, 1)) << 4)
    + (instr('123456789ABCDEF', substr(hex(substr(hash, 33, 6)), 12, 1)) << 0)
) VIRTUAL;
ALTER TABLE variants ADD COLUMN size BIGINT GENERATED ALWAYS AS (
    (instr('123456789ABCDEF', substr(hex(substr(content_key, 33, 6)), 1, 1)) << 44)
    + (instr('123456789ABCDEF', substr(hex(substr(content_key, 33, 6)), 2, 1)) << 40)
    + (instr('123456789ABCDEF', substr(hex(substr(content_key, 33, 6)), 3, 1)) << 36)
    + (instr('123456789ABCDEF', substr(hex(substr(content_key, 33, 6)), 4, 1)) << 32)
    + (instr('123456789ABCDEF', substr(hex(substr(content_key, 33, 6)), 5, 1)) << 28)
    + (instr('123456789ABCDEF', substr(hex(substr(content_key, 33, 6)), 6, 1)) << 24)
    + (instr('123456789ABCDEF', substr(hex(substr(content_key, 33, 6)), 7, 1)) << 20)
    + (instr('123456789ABCDEF', substr(hex(substr(content_key, 33, 6)), 8, 1)) << 16)
    + (instr('123456789ABCDEF', substr(hex(substr(content_key, 33, 6)), 9, 1)) << 12)
    + (instr('123456789ABCDEF', substr(hex(substr(content_key, 33, 6)), 10, 1)) << 8)
    + (instr('123456789ABCDEF', substr(hex(substr(content_key, 33, 6)), 11, 1)) << 4)
    + (instr('123456789ABCDEF', substr(hex(substr(content_key, 33, 6)), 12, 1)) << 0)
) VIRTUAL;

-- Coarse: a use shortly after the one that is noted here is not noted. What is there already
-- counts as used now, so that an update does not drop everything at once.
ALTER TABLE variants ADD COLUMN accessed_at BIGINT NOT NULL DEFAULT 0;
UPDATE variants SET accessed_at = CAST(strftime('%s', 'now') AS BIGINT) * 1000;
CREATE INDEX variants_by_access ON variants (accessed_at);

-- How many and how many bytes there are. Kept by triggers, in the transaction that changes what
-- is counted, so that no death of the server can make it wrong and nobody has to count.
CREATE TABLE usage (
    class TEXT   NOT NULL PRIMARY KEY,       -- aliases, originals, variants, proxied
    count BIGINT NOT NULL,
    bytes BIGINT NOT NULL
);
INSERT INTO usage (class, count, bytes)
    SELECT 'aliases', COUNT(*), 0 FROM aliases
    UNION ALL SELECT 'originals', COUNT(*), COALESCE(SUM(size), 0) FROM hashes
    UNION ALL SELECT 'variants', COUNT(*), COALESCE(SUM(size), 0) FROM variants;

CREATE TRIGGER aliases_counted AFTER INSERT ON aliases BEGIN
    UPDATE usage SET count = count + 1 WHERE class = 'aliases';
END;
CREATE TRIGGER aliases_discounted AFTER DELETE ON aliases BEGIN
    UPDATE usage SET count = count - 1 WHERE class = 'aliases';
END;
CREATE TRIGGER hashes_counted AFTER INSERT ON hashes BEGIN
    UPDATE usage SET count = count + 1, bytes = bytes + NEW.size WHERE class = 'originals';
END;
CREATE TRIGGER hashes_discounted AFTER DELETE ON hashes BEGIN
    UPDATE usage SET count = count - 1, bytes = bytes - OLD.size WHERE class = 'originals';
END;
CREATE TRIGGER variants_counted AFTER INSERT ON variants BEGIN
    UPDATE usage SET count = count + 1, bytes = bytes + NEW.size WHERE class = 'variants';
END;
CREATE TRIGGER variants_discounted AFTER DELETE ON variants BEGIN
    UPDATE usage SET count = count - 1, bytes = bytes - OLD.size WHERE class = 'variants';
END;

-- Contents that proxied aliases name and no others: what would be freed if these went. Kept by
-- triggers as well. A trigger on a content with many aliases looks at the first that is not
-- proxied, or at all of them.
CREATE TABLE proxied (
    hash BLOB   NOT NULL PRIMARY KEY,
    size BIGINT NOT NULL
);
INSERT INTO proxied (hash, size) SELECT h.hash, h.size FROM hashes h
    WHERE h.hash IN (SELECT a.hash FROM proxies p JOIN aliases a ON a.alias = p.alias)
    AND NOT EXISTS (SELECT 1 FROM aliases a WHERE a.hash = h.hash
        AND NOT EXISTS (SELECT 1 FROM proxies p WHERE p.alias = a.alias));
INSERT INTO usage (class, count, bytes)
    SELECT 'proxied', (SELECT COUNT(*) FROM proxies), COALESCE(SUM(size), 0) FROM proxied;

CREATE TRIGGER proxied_counted AFTER INSERT ON proxied BEGIN
    UPDATE usage SET bytes = bytes + NEW.size WHERE class = 'proxied';
END;
CREATE TRIGGER proxied_discounted AFTER DELETE ON proxied BEGIN
    UPDATE usage SET bytes = bytes - OLD.size WHERE class = 'proxied';
END;
CREATE TRIGGER aliases_shared AFTER INSERT ON aliases BEGIN
    DELETE FROM proxied WHERE hash = NEW.hash
        AND NOT EXISTS (SELECT 1 FROM proxies WHERE alias = NEW.alias);
END;
CREATE TRIGGER aliases_left AFTER DELETE ON aliases BEGIN
    DELETE FROM proxied WHERE hash = OLD.hash;
    INSERT INTO proxied (hash, size) SELECT h.hash, h.size FROM hashes h WHERE h.hash = OLD.hash
        AND NOT EXISTS (SELECT 1 FROM aliases a WHERE a.hash = h.hash
            AND NOT EXISTS (SELECT 1 FROM proxies p WHERE p.alias = a.alias))
        AND EXISTS (SELECT 1 FROM aliases a JOIN proxies p ON p.alias = a.alias WHERE a.hash = h.hash);
END;
CREATE TRIGGER proxies_counted AFTER INSERT ON proxies BEGIN
    UPDATE usage SET count = count + 1 WHERE class = 'proxied';
    DELETE FROM proxied WHERE hash = (SELECT hash FROM aliases WHERE alias = NEW.alias);
    INSERT INTO proxied (hash, size) SELECT h.hash, h.size FROM hashes h WHERE h.hash = (SELECT hash FROM aliases WHERE alias = NEW.alias)
        AND NOT EXISTS (SELECT 1 FROM aliases a WHERE a.hash = h.hash
            AND NOT EXISTS (SELECT 1 FROM proxies p WHERE p.alias = a.alias))
        AND EXISTS (SELECT 1 FROM aliases a JOIN proxies p ON p.alias = a.alias WHERE a.hash = h.hash);
END;
CREATE TRIGGER proxies_discounted AFTER DELETE ON proxies BEGIN
    UPDATE usage SET count = count - 1 WHERE class = 'proxied';
    DELETE FROM proxied WHERE hash = (SELECT hash FROM aliases WHERE alias = OLD.alias);
    INSERT INTO proxied (hash, size) SELECT h.hash, h.size FROM hashes h WHERE h.hash = (SELECT hash FROM aliases WHERE alias = OLD.alias)
        AND NOT EXISTS (SELECT 1 FROM aliases a WHERE a.hash = h.hash
            AND NOT EXISTS (SELECT 1 FROM proxies p WHERE p.alias = a.alias))
        AND EXISTS (SELECT 1 FROM aliases a JOIN proxies p ON p.alias = a.alias WHERE a.hash = h.hash);
END;
CREATE TRIGGER proxies_moved AFTER UPDATE OF alias ON proxies BEGIN
    DELETE FROM proxied WHERE hash = (SELECT hash FROM aliases WHERE alias = OLD.alias);
    INSERT INTO proxied (hash, size) SELECT h.hash, h.size FROM hashes h WHERE h.hash = (SELECT hash FROM aliases WHERE alias = OLD.alias)
        AND NOT EXISTS (SELECT 1 FROM aliases a WHERE a.hash = h.hash
            AND NOT EXISTS (SELECT 1 FROM proxies p WHERE p.alias = a.alias))
        AND EXISTS (SELECT 1 FROM aliases a JOIN proxies p ON p.alias = a.alias WHERE a.hash = h.hash);
    DELETE FROM proxied WHERE hash = (SELECT hash FROM aliases WHERE alias = NEW.alias);
    INSERT INTO proxied (hash, size) SELECT h.hash, h.size FROM hashes h WHERE h.hash = (SELECT hash FROM aliases WHERE alias = NEW.alias)
        AND NOT EXISTS (SELECT 1 FROM aliases a WHERE a.hash = h.hash
            AND NOT EXISTS (SELECT 1 FROM proxies p WHERE p.alias = a.alias))
        AND EXISTS (SELECT 1 FROM aliases a JOIN proxies p ON p.alias = a.alias WHERE a.hash = h.hash);
END;
