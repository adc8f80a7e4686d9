CREATE TABLE vending_cities (
	name          TEXT PRIMARY KEY,
	zone          TEXT NOT NULL,             -- IANA
	lat           DOUBLE PRECISION NOT NULL, -- of the depot
	lon           DOUBLE PRECISION NOT NULL,
	vehicles      BIGINT NOT NULL,
	capacity      BIGINT NOT NULL,           -- items a vehicle
	shift_minutes BIGINT NOT NULL,
	changed_at    BIGINT NOT NULL            -- microseconds, as all times here
);

-- A machine and what its newest report says of it. The report itself is in
-- vending_reports, so that a report rewrites a short row.
CREATE TABLE vending_machines (
	id         TEXT PRIMARY KEY,
	city       TEXT NOT NULL,
	lat        DOUBLE PRECISION,     -- NULL: not known
	lon        DOUBLE PRECISION,
	model      TEXT NOT NULL,
	added_at   BIGINT NOT NULL,
	revoked_at BIGINT NOT NULL,      -- 0: in good standing
	report_id  TEXT NOT NULL,        -- of the newest report by taken_at; '' before the first
	taken_at   BIGINT NOT NULL,
	heard_at   BIGINT NOT NULL,      -- when a report last came in, however old; 0: never
	due_at     BIGINT NOT NULL,      -- when the next is expected; far in the future when revoked
	faults     BIGINT NOT NULL,      -- in the newest report
	severity   BIGINT NOT NULL,      -- of the worst of them, 0 (none) to 3
	slots      BIGINT NOT NULL,      -- in the newest report
	empty      BIGINT NOT NULL       -- of which sold out
);
CREATE INDEX vending_machines_city ON vending_machines (city, id);
CREATE INDEX vending_machines_due ON vending_machines (due_at, id);
CREATE INDEX vending_machines_city_due ON vending_machines (city, due_at, id);
CREATE INDEX vending_machines_faulty ON vending_machines (id) WHERE faults > 0 AND revoked_at = 0;
CREATE INDEX vending_machines_city_faulty ON vending_machines (city, id) WHERE faults > 0 AND revoked_at = 0;
CREATE INDEX vending_machines_due_faulty ON vending_machines (due_at, id) WHERE faults > 0 AND revoked_at = 0;
CREATE INDEX vending_machines_revoked ON vending_machines (id) WHERE revoked_at > 0;
CREATE INDEX vending_machines_new ON vending_machines (city, due_at) WHERE heard_at = 0;

-- Every report, once per id that its machine chose.
CREATE TABLE vending_reports (
	machine     TEXT NOT NULL,
	id          TEXT NOT NULL,
	taken_at    BIGINT NOT NULL, -- as the machine says, or received_at where its clock is not believed
	received_at BIGINT NOT NULL,
	body        TEXT NOT NULL,   -- JSON, see Report
	PRIMARY KEY (machine, id)
);
CREATE INDEX vending_reports_taken ON vending_reports (machine, taken_at, id);
