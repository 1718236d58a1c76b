-- Columns are text, blob and bigint only; times are unix milliseconds.

-- How far the takeover of a running server is: one row, while one is configured.
CREATE TABLE takeover (
    name        TEXT COLLATE "C" NOT NULL PRIMARY KEY, -- always 'takeover'
    url         TEXT COLLATE "C" NOT NULL,             -- of that server
    position    TEXT COLLATE "C", -- the page that is next in this pass; null is the first
    pass        BIGINT NOT NULL,             -- how many times the list of contents was begun
    contents    BIGINT NOT NULL,             -- seen in this pass
    changed     BIGINT NOT NULL,             -- of these, not complete here before
    altered     BIGINT NOT NULL,             -- of these, with other bytes than that server recorded
    lost        BIGINT NOT NULL,             -- of these, whose file that server has lost
    failed      BIGINT NOT NULL,             -- of these, to be tried again
    copied      BIGINT NOT NULL,             -- contents copied by all passes
    aliases     BIGINT NOT NULL,             -- aliases added by all passes
    bytes       BIGINT NOT NULL,             -- bytes copied by all passes
    started_at  BIGINT NOT NULL,
    finished_at BIGINT                       -- everything is here
);

-- Aliases that were deleted here while a takeover lasts, so that they do not come back.
CREATE TABLE tombstones (
    alias      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    untold     BIGINT NOT NULL,              -- 1: to be deleted at the other server as well
    created_at BIGINT NOT NULL
);
CREATE INDEX tombstones_untold ON tombstones (alias) WHERE untold = 1;

-- Only the server that an alias came from knows a token that is empty here.
CREATE INDEX aliases_without_token ON aliases (alias) WHERE token = '';
