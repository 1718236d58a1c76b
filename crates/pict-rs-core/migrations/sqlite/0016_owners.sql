-- Columns are text, blob and bigint only; times are unix milliseconds.

-- Whom the alias belongs to, as an application with an API key has said.
ALTER TABLE aliases ADD COLUMN owner TEXT;
CREATE INDEX aliases_by_owner ON aliases (owner, created_at, alias) WHERE owner IS NOT NULL;
