-- Machines in one order everywhere: a join of columns that are ordered differently
-- cannot use an index, and reads a whole table for each batch of audits.
ALTER TABLE vending_audits ALTER COLUMN machine TYPE TEXT COLLATE "C";
ALTER TABLE vending_serials ALTER COLUMN machine TYPE TEXT COLLATE "C";
ALTER TABLE vending_meters ALTER COLUMN machine TYPE TEXT COLLATE "C";
ALTER TABLE vending_sales ALTER COLUMN machine TYPE TEXT COLLATE "C";
ALTER TABLE vending_demand ALTER COLUMN machine TYPE TEXT COLLATE "C";
