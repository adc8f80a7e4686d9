-- Who works in a city beside its drivers, and the region (a cell of its own)
-- that its machines belong to; '': this house serves them.
ALTER TABLE vending_cities ADD COLUMN technicians BIGINT NOT NULL DEFAULT 1;
ALTER TABLE vending_cities ADD COLUMN region TEXT NOT NULL DEFAULT '';
-- What runs on a machine, as its newest report says; '': it never said.
ALTER TABLE vending_machines ADD COLUMN firmware TEXT NOT NULL DEFAULT '';
ALTER TABLE vending_machines ADD COLUMN config TEXT NOT NULL DEFAULT '';
