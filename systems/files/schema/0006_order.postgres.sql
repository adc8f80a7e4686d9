-- As in 0002: one order, and one with the nodes' ids, to which these refer.
ALTER TABLE files_props ALTER COLUMN node TYPE TEXT COLLATE "C", ALTER COLUMN ns TYPE TEXT COLLATE "C", ALTER COLUMN name TYPE TEXT COLLATE "C";
ALTER TABLE files_locks ALTER COLUMN token TYPE TEXT COLLATE "C";
