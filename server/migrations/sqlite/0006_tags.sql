-- Which version a node was deployed from.

ALTER TABLE nodes ADD COLUMN tag TEXT NOT NULL DEFAULT '';
