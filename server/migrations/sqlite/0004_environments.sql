-- The platform's environments. No task changes a state: it is `state` until `settles_at`, and `settled` from then on.

CREATE TABLE environments (
    id           TEXT   NOT NULL PRIMARY KEY,  -- 32 hex digits, the platform's appid
    name         TEXT   NOT NULL UNIQUE,       -- lower case; the first part of its domain
    display_name TEXT   NOT NULL,
    user_id      TEXT   REFERENCES users (id), -- none: everybody's, as a demo's are
    state        BIGINT NOT NULL,              -- the platform's numbers of states: 1 running, 2 down, …
    settled      BIGINT NOT NULL,              -- 8: it is gone then, and the row with the next change
    settles_at   BIGINT NOT NULL,
    created_at   BIGINT NOT NULL
);
CREATE INDEX environments_user ON environments (user_id);

CREATE TABLE nodes (
    id                 BIGINT NOT NULL PRIMARY KEY, -- 31 bits
    environment_id     TEXT   NOT NULL REFERENCES environments (id),
    place              BIGINT NOT NULL,             -- from 0; a layer's first node is its master
    layer              TEXT   NOT NULL,             -- the platform's nodeGroup: cp, bl, sqldb, …
    kind               TEXT   NOT NULL,             -- the platform's nodeType: nginx, tomcat, …
    display_name       TEXT   NOT NULL,
    fixed_cloudlets    BIGINT NOT NULL,
    flexible_cloudlets BIGINT NOT NULL,
    ready_at           BIGINT NOT NULL              -- until then it restarts
);
CREATE INDEX nodes_environment ON nodes (environment_id, place);
