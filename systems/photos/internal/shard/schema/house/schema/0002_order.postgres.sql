-- SQLite orders text by its bytes; pages of owners have one order.
ALTER TABLE photos_pins ALTER COLUMN owner TYPE TEXT COLLATE "C";
ALTER TABLE photos_migrations ALTER COLUMN id TYPE TEXT COLLATE "C";
