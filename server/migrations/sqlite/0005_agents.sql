-- Which program began a session, in its own words.

ALTER TABLE sessions ADD COLUMN agent TEXT NOT NULL DEFAULT '';
