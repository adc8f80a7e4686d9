-- Regions. Each is a cell: a house of its own, with its own database. Every cell
-- has this table whole, so that any of them can tell a machine where it belongs.
CREATE TABLE vending_regions (
	name       TEXT PRIMARY KEY,
	endpoint   TEXT NOT NULL,    -- https://..., where its machines report
	mqtt       TEXT NOT NULL,    -- mqtts://host:port; '' for none
	fallback   TEXT NOT NULL,    -- https://..., where to ask when the endpoint does not answer; '' for none
	changed_at BIGINT NOT NULL   -- microseconds, as all times here
);

-- A group of machines that somebody named, such as the first to get new
-- firmware; '': only its city.
ALTER TABLE vending_machines ADD COLUMN cohort TEXT NOT NULL DEFAULT '';
CREATE INDEX vending_machines_cohort ON vending_machines (cohort, id) WHERE cohort <> '';
CREATE INDEX vending_machines_grave ON vending_machines (city, id) WHERE severity = 3 AND revoked_at = 0;
CREATE INDEX vending_machines_bare ON vending_machines (city, id) WHERE 2 * empty >= slots AND slots > 0 AND revoked_at = 0;

-- Which version the machines of a cohort are to run, and how many of them.
CREATE TABLE vending_rollouts (
	name          TEXT PRIMARY KEY,
	city          TEXT NOT NULL,    -- whose machines; '' with a named cohort, or for the whole fleet
	cohort        TEXT NOT NULL,    -- '' for a city, or for the whole fleet
	revision      BIGINT NOT NULL,  -- grows with every new target, and chooses other machines to go first
	firmware      TEXT NOT NULL,    -- '': left as it is
	config        TEXT NOT NULL,
	back_firmware TEXT NOT NULL,    -- what the target replaces
	back_config   TEXT NOT NULL,
	percent       DOUBLE PRECISION NOT NULL,
	state         TEXT NOT NULL,    -- active, paused, braked, undone
	because       TEXT NOT NULL,    -- why it stands so
	bad_percent   DOUBLE PRECISION NOT NULL, -- of those on the target: with more, it is braked
	least         BIGINT NOT NULL,  -- machines on the target, before it is judged
	changed_at    BIGINT NOT NULL
);
CREATE UNIQUE INDEX vending_rollouts_scope ON vending_rollouts (city, cohort);

-- What was done to a rollout, and by whom.
CREATE TABLE vending_rollout_steps (
	name     TEXT NOT NULL,
	id       TEXT NOT NULL,  -- sorts by time
	at       BIGINT NOT NULL,
	by_whom  TEXT NOT NULL,  -- '' for the brake
	what     TEXT NOT NULL,
	PRIMARY KEY (name, id)
);

-- What somebody should look at. An alert is closed when its cause is over.
CREATE TABLE vending_alerts (
	id        TEXT PRIMARY KEY, -- sorts by the time at which it was raised
	kind      TEXT NOT NULL,
	subject   TEXT NOT NULL,    -- by kind: a machine, a city, a rollout
	city      TEXT NOT NULL,    -- '' where there is none
	severity  TEXT NOT NULL,    -- low, medium, high
	what      TEXT NOT NULL,
	raised_at BIGINT NOT NULL,
	acked_at  BIGINT NOT NULL,  -- 0: nobody has seen to it
	acked_by  TEXT NOT NULL,
	closed_at BIGINT NOT NULL   -- 0: its cause lasts
);
CREATE UNIQUE INDEX vending_alerts_open ON vending_alerts (kind, subject) WHERE closed_at = 0;
CREATE INDEX vending_alerts_open_id ON vending_alerts (id) WHERE closed_at = 0;
CREATE INDEX vending_alerts_closed ON vending_alerts (closed_at) WHERE closed_at > 0;

-- Commands to machines: who sent them and what the machine said. The commands
-- themselves are in devices_outbox.
CREATE TABLE vending_commands (
	machine     TEXT NOT NULL,
	id          TEXT NOT NULL,   -- of the command
	sent_at     BIGINT NOT NULL,
	sent_by     TEXT NOT NULL,
	answered_at BIGINT NOT NULL, -- 0: not yet
	ok          BIGINT NOT NULL, -- 1: the machine did it
	detail      TEXT NOT NULL,   -- what it says
	PRIMARY KEY (machine, id)
);
CREATE INDEX vending_commands_sent ON vending_commands (sent_at);
