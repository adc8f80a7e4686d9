-- SQLite orders text by its bytes; pages of owners have one order.
ALTER TABLE photos_owners ALTER COLUMN owner TYPE TEXT COLLATE "C";
