-- Durability is off: whatever dies here is begun again. The hash is random in front, so that neighbours
-- lie apart, then 100,000 as size and 7 for PNG. Aliases are those of `alias` in scale.rs. LAST is the
-- number of the last one.
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -1500000;
BEGIN;
INSERT INTO hashes (hash, object, width, height, frames, blurhash, created_at, size, format)
    WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < LAST)
    SELECT CAST(randomblob(26) || printf('%06x', i) || X'0000000186A0' || X'07' AS BLOB),
        printf('%02x/%02x/%08x000000000000000000%06x.png', ((i * 2654435761) >> 24) & 255,
            ((i * 2654435761) >> 16) & 255, (i * 2654435761) & 4294967295, i),
        1200, 800, 1, 'LGF5?xYk^6#M@-5c,1J5@[or[Q6.', 1700000000000 + i, 100000, 7 FROM n;
INSERT INTO aliases (alias, hash, token, created_at)
    SELECT printf('%08x-0000-4000-8000-%012x.png', ((rowid - 1) * 2654435761) & 4294967295, rowid - 1),
        hash, '1c44265c-9c83-4f9f-9a61-fd9d42f11df3', created_at FROM hashes;
INSERT INTO usage_deltas (class, count, bytes, allocated)
    SELECT 'aliases', COUNT(*), 0, 0 FROM aliases
    UNION ALL SELECT 'originals', COUNT(*), SUM(size), SUM((size + 4095) / 4096 * 4096 + 512) FROM hashes;
COMMIT;
PRAGMA journal_mode = WAL;
