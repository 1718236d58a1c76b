-- Whether the work of a job has begun and not ended, and how often the server died meanwhile.
ALTER TABLE jobs ADD COLUMN begun BIGINT NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN deaths BIGINT NOT NULL DEFAULT 0;
