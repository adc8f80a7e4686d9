-- SQLite orders text by its bytes; lists have one order.
ALTER TABLE hooks_messages ALTER COLUMN id TYPE TEXT COLLATE "C";
