-- SQLite orders text by its bytes. So that lists and their cursors have one
-- order, and a search by the beginning of an id is a range of the index.
ALTER TABLE vending_machines ALTER COLUMN id TYPE TEXT COLLATE "C";
ALTER TABLE vending_machines ALTER COLUMN city TYPE TEXT COLLATE "C";
