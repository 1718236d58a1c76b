-- Columns are text, blob and bigint only; times are unix milliseconds.

-- Media that were fetched for `?proxy=`. The alias is one like any other, and this row goes in the
-- transaction that removes it.
CREATE TABLE proxies (
    url           TEXT   NOT NULL PRIMARY KEY, -- as the URL parser writes it, without fragment
    alias         TEXT   NOT NULL,
    created_at    BIGINT NOT NULL,
    accessed_at   BIGINT NOT NULL,             -- coarse: not moved by each request
    etag          TEXT,                        -- of the upstream's answer
    last_modified TEXT,                        -- of the upstream's answer
    fresh_until   BIGINT NOT NULL              -- from then on the upstream is asked again
);
CREATE UNIQUE INDEX proxies_by_alias ON proxies (alias);
CREATE INDEX proxies_by_access ON proxies (accessed_at);
