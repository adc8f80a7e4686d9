-- The directory of shards. All times are microseconds.

CREATE TABLE photos_state (
	id      BIGINT PRIMARY KEY, -- 1: there is one row
	house   TEXT NOT NULL,      -- names this house in its shards
	version BIGINT NOT NULL,    -- raised by each change of shards, maps and pins
	last    BIGINT NOT NULL     -- number of the newest shard
);

CREATE TABLE photos_shards (
	no     BIGINT PRIMARY KEY,
	name   TEXT NOT NULL,
	weight DOUBLE PRECISION NOT NULL,
	domain TEXT NOT NULL,
	state  TEXT NOT NULL,
	sql    TEXT NOT NULL,    -- '': where the house puts it
	bucket TEXT NOT NULL,    -- '': where the house puts it
	made   BIGINT NOT NULL
);

CREATE UNIQUE INDEX photos_shards_name ON photos_shards (name) WHERE state <> 'removed';

-- Placements of owners on shards. At most one is pending, exactly one current.
CREATE TABLE photos_maps (
	epoch     BIGINT PRIMARY KEY,
	state     TEXT NOT NULL,   -- pending, current, old
	snapshot  BYTEA NOT NULL,  -- of plumb/engines/placement
	migration TEXT NOT NULL,   -- whose pins it brings
	bounded   BIGINT NOT NULL, -- 1: no shard gets more than its share
	step      TEXT NOT NULL,   -- of a pending one: first, again, publish
	lease     BIGINT NOT NULL, -- of a pending one: who works on it has until then
	made      BIGINT NOT NULL
);

CREATE UNIQUE INDEX photos_maps_pending ON photos_maps (state) WHERE state = 'pending';
CREATE UNIQUE INDEX photos_maps_current ON photos_maps (state) WHERE state = 'current';

-- Owners who are not where the current map says, or who are to leave there.
CREATE TABLE photos_pins (
	owner     TEXT PRIMARY KEY,
	shard     BIGINT NOT NULL, -- where they are, or were when this was written
	want      BIGINT NOT NULL, -- where they are to go; 0: they stay
	epoch     BIGINT NOT NULL, -- of the map from which on this holds
	migration TEXT NOT NULL,   -- '' where want is 0
	why       TEXT NOT NULL,   -- map, bound, pin, balance
	photos    BIGINT NOT NULL, -- of the owner, when this was written
	bytes     BIGINT NOT NULL,
	moved     BIGINT NOT NULL, -- bytes copied so far
	lease     BIGINT NOT NULL, -- who moves them has until then
	tries     BIGINT NOT NULL, -- that failed
	after     BIGINT NOT NULL, -- no try before then
	error     TEXT NOT NULL    -- of the last one
);

CREATE INDEX photos_pins_want ON photos_pins (migration, after) WHERE want > 0;
CREATE INDEX photos_pins_drop ON photos_pins (epoch) WHERE why = 'drop';
CREATE INDEX photos_pins_shard ON photos_pins (shard);

CREATE TABLE photos_migrations (
	id          TEXT PRIMARY KEY,
	why         TEXT NOT NULL,
	state       TEXT NOT NULL,   -- planning, moving, paused, done
	begun       BIGINT NOT NULL,
	ended       BIGINT NOT NULL, -- 0: it goes on
	owners      BIGINT NOT NULL,
	owners_done BIGINT NOT NULL,
	photos      BIGINT NOT NULL,
	photos_done BIGINT NOT NULL,
	bytes       BIGINT NOT NULL,
	bytes_done  BIGINT NOT NULL, -- of owners who are done
	ideal       BIGINT NOT NULL,
	kept        BIGINT NOT NULL,
	failed      BIGINT NOT NULL,
	error       TEXT NOT NULL
);

CREATE INDEX photos_migrations_going ON photos_migrations (id) WHERE state <> 'done';

-- What each process did on each shard, and for the owners that it did most for.
CREATE TABLE photos_load (
	process  TEXT NOT NULL,
	shard    BIGINT NOT NULL,
	slot     BIGINT NOT NULL, -- when it began
	requests BIGINT NOT NULL,
	bytes_in BIGINT NOT NULL,
	bytes_out BIGINT NOT NULL,
	cpu      BIGINT NOT NULL, -- microseconds
	times    BYTEA NOT NULL,  -- how many requests took how long: see latencies
	PRIMARY KEY (process, shard, slot)
);

CREATE INDEX photos_load_slot ON photos_load (slot);

CREATE TABLE photos_hot (
	process  TEXT NOT NULL,
	owner    TEXT NOT NULL,
	slot     BIGINT NOT NULL,
	requests BIGINT NOT NULL,
	bytes_in BIGINT NOT NULL,
	bytes_out BIGINT NOT NULL,
	cpu      BIGINT NOT NULL,
	PRIMARY KEY (process, owner, slot)
);

CREATE INDEX photos_hot_slot ON photos_hot (slot);

CREATE TABLE photos_proposals (
	id        TEXT PRIMARY KEY,
	made      BIGINT NOT NULL,
	body      TEXT NOT NULL, -- JSON
	migration TEXT NOT NULL  -- '' until it is carried out
);
