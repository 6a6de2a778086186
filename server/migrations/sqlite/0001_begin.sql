-- Times are microseconds since 1970 UTC, flags 0 or 1, ids are made by the program.

CREATE TABLE users (
    id            TEXT   NOT NULL PRIMARY KEY,
    name          TEXT   NOT NULL,
    name_key      TEXT   NOT NULL UNIQUE,      -- lower case
    email         TEXT   NOT NULL,
    email_key     TEXT   NOT NULL UNIQUE,      -- lower case
    first_name    TEXT   NOT NULL,
    last_name     TEXT   NOT NULL,
    password_hash TEXT,                        -- argon2id, PHC string; none: this person cannot sign in to the pages
    admin         BIGINT NOT NULL,
    enabled       BIGINT NOT NULL,
    created_at    BIGINT NOT NULL
);

CREATE TABLE tokens (
    id             TEXT   NOT NULL PRIMARY KEY,
    user_id        TEXT   NOT NULL REFERENCES users (id),
    name           TEXT   NOT NULL,
    description    TEXT   NOT NULL,
    value_hash     TEXT   NOT NULL UNIQUE,     -- HMAC-SHA-256 of the value, hex
    created_at     BIGINT NOT NULL,
    expires_at     BIGINT,
    revoked_at     BIGINT,
    last_used_at   BIGINT,                     -- to the minute
    last_used_from TEXT
);
CREATE INDEX tokens_user ON tokens (user_id);

CREATE TABLE blobs (
    id         TEXT   NOT NULL PRIMARY KEY,
    size       BIGINT NOT NULL,
    sha256     TEXT   NOT NULL,                -- hex
    created_at BIGINT NOT NULL
);

CREATE TABLE parts (
    blob_id    TEXT   NOT NULL REFERENCES blobs (id),
    number     BIGINT NOT NULL,                -- from 0
    object_key TEXT   NOT NULL UNIQUE,
    size       BIGINT NOT NULL,
    PRIMARY KEY (blob_id, number)
);

-- Objects that no blob needs any more, kept a while for downloads that have begun.
CREATE TABLE discarded (
    object_key   TEXT   NOT NULL PRIMARY KEY,
    discarded_at BIGINT NOT NULL
);
CREATE INDEX discarded_at ON discarded (discarded_at);

CREATE TABLE versions (
    package_id   TEXT   NOT NULL,
    identity     TEXT   NOT NULL,              -- equal for versions of equal precedence
    sort_key     TEXT   NOT NULL,              -- ordinal text order is precedence
    version      TEXT   NOT NULL,              -- as published
    name         TEXT,
    display_name TEXT,
    description  TEXT,
    dependencies TEXT   NOT NULL,              -- JSON, as the web API answers them
    blob_id      TEXT   NOT NULL UNIQUE REFERENCES blobs (id),
    published_at BIGINT NOT NULL,
    published_by TEXT   NOT NULL,
    PRIMARY KEY (package_id, identity)
);
CREATE UNIQUE INDEX versions_order ON versions (package_id, sort_key);

CREATE TABLE installers (
    id           TEXT   NOT NULL PRIMARY KEY,  -- a GUID, lower case
    name         TEXT   NOT NULL,
    package_id   TEXT,
    version      TEXT,
    file_name    TEXT   NOT NULL,
    blob_id      TEXT   NOT NULL UNIQUE REFERENCES blobs (id),
    published_at BIGINT NOT NULL,
    published_by TEXT   NOT NULL
);

-- Refused exchanges that count towards a limit.
CREATE TABLE failures (
    subject TEXT   NOT NULL,                   -- user:NAME or address:IP
    at      BIGINT NOT NULL
);
CREATE INDEX failures_subject ON failures (subject, at);
CREATE INDEX failures_at ON failures (at);

CREATE TABLE audit (
    id      TEXT   NOT NULL PRIMARY KEY,
    at      BIGINT NOT NULL,
    actor   TEXT   NOT NULL,                   -- a user's name, or the name that was tried, or "command line"
    action  TEXT   NOT NULL,
    target  TEXT   NOT NULL,
    outcome TEXT   NOT NULL,
    address TEXT                               -- none for the command line
);
CREATE INDEX audit_at ON audit (at);
