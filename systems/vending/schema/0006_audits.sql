-- EVA-DTS files, once each: the same bytes of a machine are the same audit.
CREATE TABLE vending_audits (
	machine     TEXT NOT NULL,
	id          TEXT NOT NULL,   -- SHA-256 of the file, hex
	received_at BIGINT NOT NULL,
	verdict     TEXT NOT NULL,   -- ok, no_checksum, bad_checksum: the worst of its sets
	body        TEXT NOT NULL,   -- the file, readable; records that nobody knows are not lost
	PRIMARY KEY (machine, id)
);
CREATE INDEX vending_audits_received ON vending_audits (machine, received_at, id);

-- The serial number that belongs to a machine: the first that its audits name.
CREATE TABLE vending_serials (
	machine  TEXT PRIMARY KEY,
	serial   TEXT NOT NULL,
	bound_at BIGINT NOT NULL
);

-- The counters of a machine's last good audit, from which the next one's sales are told.
CREATE TABLE vending_meters (
	machine TEXT PRIMARY KEY,
	at      BIGINT NOT NULL,     -- when that audit came in
	body    TEXT NOT NULL        -- JSON: product -> vends since it was initialised
);

-- What was sold between two audits.
CREATE TABLE vending_sales (
	machine TEXT NOT NULL,
	until   BIGINT NOT NULL,
	since   BIGINT NOT NULL,
	body    TEXT NOT NULL,       -- JSON: product -> vends
	PRIMARY KEY (machine, until)
);
