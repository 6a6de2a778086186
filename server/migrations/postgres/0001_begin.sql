-- The whole schema, as SQLite's migrations 1 to 7 leave it; what columns mean is written there. Times are microseconds since
-- 1970 UTC, flags 0 or 1, ids are made by the program. TEXT compares by its bytes: order and lower() are then SQLite's.

CREATE TABLE users (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL,
    name_key TEXT COLLATE "C" NOT NULL UNIQUE,
    email TEXT COLLATE "C" NOT NULL,
    email_key TEXT COLLATE "C" NOT NULL UNIQUE,
    first_name TEXT COLLATE "C" NOT NULL,
    last_name TEXT COLLATE "C" NOT NULL,
    password_hash TEXT COLLATE "C",
    admin BIGINT NOT NULL,
    enabled BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE tokens (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    name TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C" NOT NULL,
    value_hash TEXT COLLATE "C" NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    last_used_at BIGINT,
    last_used_from TEXT COLLATE "C",
    kind TEXT COLLATE "C" NOT NULL DEFAULT 'personal',
    generation BIGINT NOT NULL DEFAULT 0,
    template TEXT COLLATE "C",
    methods TEXT COLLATE "C"
);
CREATE INDEX tokens_user ON tokens (user_id);

CREATE TABLE blobs (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    size BIGINT NOT NULL,
    sha256 TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE parts (
    blob_id TEXT COLLATE "C" NOT NULL REFERENCES blobs (id),
    number BIGINT NOT NULL,
    object_key TEXT COLLATE "C" NOT NULL UNIQUE,
    size BIGINT NOT NULL,
    PRIMARY KEY (blob_id, number)
);

CREATE TABLE discarded (
    object_key TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    discarded_at BIGINT NOT NULL
);
CREATE INDEX discarded_at ON discarded (discarded_at);

CREATE TABLE versions (
    package_id TEXT COLLATE "C" NOT NULL,
    identity TEXT COLLATE "C" NOT NULL,
    sort_key TEXT COLLATE "C" NOT NULL,
    version TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C",
    display_name TEXT COLLATE "C",
    description TEXT COLLATE "C",
    dependencies TEXT COLLATE "C" NOT NULL,
    blob_id TEXT COLLATE "C" NOT NULL UNIQUE REFERENCES blobs (id),
    published_at BIGINT NOT NULL,
    published_by TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (package_id, identity)
);
CREATE UNIQUE INDEX versions_order ON versions (package_id, sort_key);

CREATE TABLE installers (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL,
    package_id TEXT COLLATE "C",
    version TEXT COLLATE "C",
    file_name TEXT COLLATE "C" NOT NULL,
    blob_id TEXT COLLATE "C" NOT NULL UNIQUE REFERENCES blobs (id),
    published_at BIGINT NOT NULL,
    published_by TEXT COLLATE "C" NOT NULL
);

CREATE TABLE failures (
    subject TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL
);
CREATE INDEX failures_subject ON failures (subject, at);
CREATE INDEX failures_at ON failures (at);

CREATE TABLE audit (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    target TEXT COLLATE "C" NOT NULL,
    outcome TEXT COLLATE "C" NOT NULL,
    address TEXT COLLATE "C"
);
CREATE INDEX audit_at ON audit (at);

CREATE TABLE uploads (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    content TEXT COLLATE "C" NOT NULL,
    sha256 TEXT COLLATE "C",
    force BIGINT NOT NULL,
    length BIGINT NOT NULL,
    received BIGINT NOT NULL,
    hash_state TEXT COLLATE "C" NOT NULL,
    metadata TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX uploads_expires_at ON uploads (expires_at);

CREATE TABLE upload_parts (
    upload_id TEXT COLLATE "C" NOT NULL REFERENCES uploads (id),
    number BIGINT NOT NULL,
    object_key TEXT COLLATE "C" NOT NULL UNIQUE,
    size BIGINT NOT NULL,
    PRIMARY KEY (upload_id, number)
);

CREATE TABLE sessions (
    id_hash TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    kind TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    address TEXT COLLATE "C" NOT NULL,
    agent TEXT COLLATE "C" NOT NULL DEFAULT ''
);
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expires_at ON sessions (expires_at);

CREATE TABLE forms (
    session TEXT COLLATE "C" NOT NULL REFERENCES sessions (id_hash) ON DELETE CASCADE,
    nonce TEXT COLLATE "C" NOT NULL,
    used_at BIGINT NOT NULL,
    PRIMARY KEY (session, nonce)
);

CREATE TABLE invitations (
    hash TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE TABLE environments (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    display_name TEXT COLLATE "C" NOT NULL,
    user_id TEXT COLLATE "C" REFERENCES users (id),
    state BIGINT NOT NULL,
    settled BIGINT NOT NULL,
    settles_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX environments_user ON environments (user_id);

CREATE TABLE nodes (
    id BIGINT NOT NULL PRIMARY KEY,
    environment_id TEXT COLLATE "C" NOT NULL REFERENCES environments (id),
    place BIGINT NOT NULL,
    layer TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    display_name TEXT COLLATE "C" NOT NULL,
    fixed_cloudlets BIGINT NOT NULL,
    flexible_cloudlets BIGINT NOT NULL,
    ready_at BIGINT NOT NULL,
    tag TEXT COLLATE "C" NOT NULL DEFAULT ''
);
CREATE INDEX nodes_environment ON nodes (environment_id, place);

CREATE TABLE key_file (
    place BIGINT NOT NULL PRIMARY KEY,
    kid TEXT COLLATE "C" NOT NULL
);
