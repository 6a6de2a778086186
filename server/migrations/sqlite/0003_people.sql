-- People's sign-ins, and what a token is for.

ALTER TABLE tokens ADD COLUMN kind TEXT NOT NULL DEFAULT 'personal';  -- personal, client-service or access
ALTER TABLE tokens ADD COLUMN generation BIGINT NOT NULL DEFAULT 0;   -- raised by a new value; bearers of an older one are void
ALTER TABLE tokens ADD COLUMN template TEXT;                          -- an access token's set of methods, by its name
ALTER TABLE tokens ADD COLUMN methods TEXT;                           -- its own list of methods, JSON

CREATE TABLE sessions (
    id_hash      TEXT   NOT NULL PRIMARY KEY,  -- HMAC-SHA-256 of the value, hex
    user_id      TEXT   NOT NULL REFERENCES users (id),
    kind         TEXT   NOT NULL,              -- page, person or platform
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,              -- to the minute
    address      TEXT   NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expires_at ON sessions (expires_at);

-- Forms that were sent: none counts twice.
CREATE TABLE forms (
    session TEXT   NOT NULL REFERENCES sessions (id_hash) ON DELETE CASCADE,
    nonce   TEXT   NOT NULL,
    used_at BIGINT NOT NULL,
    PRIMARY KEY (session, nonce)
);

-- One-time links by which the first administrator is made.
CREATE TABLE invitations (
    hash       TEXT   NOT NULL PRIMARY KEY,    -- HMAC-SHA-256 of the key, hex
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
