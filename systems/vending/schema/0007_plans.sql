-- A city's plans: one row for each night and revision.
CREATE TABLE vending_plans (
	city        TEXT NOT NULL,
	date        TEXT NOT NULL,   -- the night's, in the city: 2026-03-04
	revision    BIGINT NOT NULL, -- from 1
	gated       BIGINT NOT NULL, -- 1: the night's own run, of which there is one
	state       TEXT NOT NULL,   -- queued, planning, done, failed
	because     TEXT NOT NULL,
	asked_at    BIGINT NOT NULL, -- microseconds, as all times here
	started_at  BIGINT NOT NULL, -- 0: not yet
	finished_at BIGINT NOT NULL, -- 0: not yet
	body        TEXT NOT NULL,   -- JSON: counts, and what was left out; '' until it is done
	PRIMARY KEY (city, date, revision)
);
CREATE UNIQUE INDEX vending_plans_gated ON vending_plans (city, date) WHERE gated = 1;
CREATE INDEX vending_plans_date ON vending_plans (date, city, revision);

CREATE TABLE vending_routes (
	city     TEXT NOT NULL,
	date     TEXT NOT NULL,
	revision BIGINT NOT NULL,
	place    BIGINT NOT NULL,    -- in the plan, from 1
	body     TEXT NOT NULL,      -- JSON, see Route
	PRIMARY KEY (city, date, revision, place)
);

-- What was learnt from a machine's reports, up to the newest that was folded in.
CREATE TABLE vending_demand (
	machine TEXT PRIMARY KEY,
	at      BIGINT NOT NULL,
	body    TEXT NOT NULL        -- JSON, see internal/demand
);
