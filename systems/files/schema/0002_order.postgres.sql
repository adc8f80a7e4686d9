-- SQLite orders text by its bytes. So that lists and their cursors have one order,
-- and a search by a word's beginning is a range of the index.
ALTER TABLE files_nodes ALTER COLUMN id TYPE TEXT COLLATE "C", ALTER COLUMN parent TYPE TEXT COLLATE "C", ALTER COLUMN name TYPE TEXT COLLATE "C";
ALTER TABLE files_words ALTER COLUMN word TYPE TEXT COLLATE "C", ALTER COLUMN node TYPE TEXT COLLATE "C";
ALTER TABLE files_shares ALTER COLUMN node TYPE TEXT COLLATE "C";
ALTER TABLE files_versions ALTER COLUMN node TYPE TEXT COLLATE "C";
ALTER TABLE files_flags ALTER COLUMN id TYPE TEXT COLLATE "C", ALTER COLUMN node TYPE TEXT COLLATE "C";
