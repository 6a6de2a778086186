-- Uploads that can be gone on with after a break (tus). Publishing moves an upload's parts to the blob of the same id.

CREATE TABLE uploads (
    id         TEXT   NOT NULL PRIMARY KEY,    -- the blob's, once it is published
    user_id    TEXT   NOT NULL REFERENCES users (id),
    content    TEXT   NOT NULL,                -- JSON: the package's or installer's names
    sha256     TEXT,                           -- hex; what the whole must have
    force      BIGINT NOT NULL,
    length     BIGINT NOT NULL,                -- bytes of the whole
    received   BIGINT NOT NULL,                -- bytes in parts
    hash_state TEXT   NOT NULL,                -- hex; SHA-256 in the making, over the bytes received
    metadata   TEXT   NOT NULL,                -- Upload-Metadata as the client wrote it
    expires_at BIGINT NOT NULL
);
CREATE INDEX uploads_expires_at ON uploads (expires_at);

CREATE TABLE upload_parts (
    upload_id  TEXT   NOT NULL REFERENCES uploads (id),
    number     BIGINT NOT NULL,                -- from 0
    object_key TEXT   NOT NULL UNIQUE,
    size       BIGINT NOT NULL,
    PRIMARY KEY (upload_id, number)
);
