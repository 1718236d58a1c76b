-- What servers tell about themselves. Older versions of the program tell nothing.
ALTER TABLE nodes
    ADD COLUMN version    TEXT   NOT NULL DEFAULT '',
    ADD COLUMN host       TEXT   NOT NULL DEFAULT '', -- empty where the system does not tell it
    ADD COLUMN started_at BIGINT NOT NULL DEFAULT 0;  -- unix milliseconds
