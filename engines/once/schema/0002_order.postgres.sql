-- SQLite orders text by its bytes; answers are found by how their scope begins.
ALTER TABLE once_answer ALTER COLUMN scope TYPE TEXT COLLATE "C", ALTER COLUMN key TYPE TEXT COLLATE "C";
