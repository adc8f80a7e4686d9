-- What a machine's last good audit says beside its counters: the stock of those
-- selections whose capacity it names, and the faults that last (JSON, '': none);
-- and when its own clock says that it was taken, to know a file that comes late.
ALTER TABLE vending_meters ADD COLUMN stock TEXT NOT NULL DEFAULT '';
ALTER TABLE vending_meters ADD COLUMN faults TEXT NOT NULL DEFAULT '';
ALTER TABLE vending_meters ADD COLUMN taken TEXT NOT NULL DEFAULT '';

-- Until when a machine's sales, as its audits tell them, are in its demand.
ALTER TABLE vending_demand ADD COLUMN counted BIGINT NOT NULL DEFAULT 0;
