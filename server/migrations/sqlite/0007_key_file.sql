-- Which key file the tokens were made with, by the name in it; one row at most.

CREATE TABLE key_file (
    place BIGINT NOT NULL PRIMARY KEY, -- 1
    kid   TEXT   NOT NULL
);
