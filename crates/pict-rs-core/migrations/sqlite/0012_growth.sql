-- Columns are text, blob and bigint only.

-- The sums of `usage` at the end of each day. Days are counted from 1970, in UTC.
CREATE TABLE growth (
    day       BIGINT NOT NULL,
    class     TEXT   NOT NULL,               -- as in usage
    count     BIGINT NOT NULL,
    bytes     BIGINT NOT NULL,
    allocated BIGINT NOT NULL,
    PRIMARY KEY (day, class)
);
