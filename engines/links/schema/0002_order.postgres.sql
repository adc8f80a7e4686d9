-- SQLite orders text by its bytes; lists and their cursors have one order.
ALTER TABLE links_links ALTER COLUMN id TYPE TEXT COLLATE "C";
