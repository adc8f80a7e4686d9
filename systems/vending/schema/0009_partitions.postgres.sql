-- Reports in sixteen parts by a hash of the machine: each part's indexes stay small
-- enough to be kept in memory, and vacuum works on a part at a time, several at
-- once. SQLite has one file and one writer, and gains nothing.
--
-- All in one transaction, as every migration: either the parts hold all reports or
-- nothing has changed. Reports that arrive meanwhile wait, or are told when to come
-- again. It takes about 20 s for a million reports.
ALTER TABLE vending_reports RENAME TO vending_reports_whole;
ALTER INDEX vending_reports_pkey RENAME TO vending_reports_whole_pkey;
ALTER INDEX vending_reports_taken RENAME TO vending_reports_whole_taken;

CREATE TABLE vending_reports (
	machine     TEXT COLLATE "C" NOT NULL, -- as vending_machines.id: a join can use the index
	id          TEXT NOT NULL,
	taken_at    BIGINT NOT NULL,
	received_at BIGINT NOT NULL,
	body        TEXT NOT NULL,
	PRIMARY KEY (machine, id)
) PARTITION BY HASH (machine);
CREATE TABLE vending_reports_00 PARTITION OF vending_reports FOR VALUES WITH (MODULUS 16, REMAINDER 0);
CREATE TABLE vending_reports_01 PARTITION OF vending_reports FOR VALUES WITH (MODULUS 16, REMAINDER 1);
CREATE TABLE vending_reports_02 PARTITION OF vending_reports FOR VALUES WITH (MODULUS 16, REMAINDER 2);
CREATE TABLE vending_reports_03 PARTITION OF vending_reports FOR VALUES WITH (MODULUS 16, REMAINDER 3);
CREATE TABLE vending_reports_04 PARTITION OF vending_reports FOR VALUES WITH (MODULUS 16, REMAINDER 4);
CREATE TABLE vending_reports_05 PARTITION OF vending_reports FOR VALUES WITH (MODULUS 16, REMAINDER 5);
CREATE TABLE vending_reports_06 PARTITION OF vending_reports FOR VALUES WITH (MODULUS 16, REMAINDER 6);
CREATE TABLE vending_reports_07 PARTITION OF vending_reports FOR VALUES WITH (MODULUS 16, REMAINDER 7);
CREATE TABLE vending_reports_08 PARTITION OF vending_reports FOR VALUES WITH (MODULUS 16, REMAINDER 8);
CREATE TABLE vending_reports_09 PARTITION OF vending_reports FOR VALUES WITH (MODULUS 16, REMAINDER 9);
CREATE TABLE vending_reports_10 PARTITION OF vending_reports FOR VALUES WITH (MODULUS 16, REMAINDER 10);
CREATE TABLE vending_reports_11 PARTITION OF vending_reports FOR VALUES WITH (MODULUS 16, REMAINDER 11);
CREATE TABLE vending_reports_12 PARTITION OF vending_reports FOR VALUES WITH (MODULUS 16, REMAINDER 12);
CREATE TABLE vending_reports_13 PARTITION OF vending_reports FOR VALUES WITH (MODULUS 16, REMAINDER 13);
CREATE TABLE vending_reports_14 PARTITION OF vending_reports FOR VALUES WITH (MODULUS 16, REMAINDER 14);
CREATE TABLE vending_reports_15 PARTITION OF vending_reports FOR VALUES WITH (MODULUS 16, REMAINDER 15);

INSERT INTO vending_reports (machine, id, taken_at, received_at, body)
	SELECT machine, id, taken_at, received_at, body FROM vending_reports_whole;
DROP TABLE vending_reports_whole;
-- After the copy: an index that is built at once is smaller, and sooner done.
CREATE INDEX vending_reports_taken ON vending_reports (machine, taken_at, id);
