-- SQLite orders text by its bytes; lists and their cursors have one order.
ALTER TABLE photos_repairs ALTER COLUMN id TYPE TEXT COLLATE "C";
