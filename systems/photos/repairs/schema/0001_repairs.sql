-- Work on all photos of a shard, or of a place with copies. Times are microseconds.
CREATE TABLE photos_repairs (
	id     TEXT PRIMARY KEY,
	kind   TEXT NOT NULL,   -- heal, leave, rebuild, backup, restore
	shard  BIGINT NOT NULL, -- its number; 0: all
	name   TEXT NOT NULL,   -- of the shard, as it was
	place  TEXT NOT NULL,   -- a bucket's URL, of backup and restore
	since  BIGINT NOT NULL, -- rebuild, restore: whoever was made before is not touched
	state  TEXT NOT NULL,   -- running, done, failed
	begun  BIGINT NOT NULL,
	ended  BIGINT NOT NULL, -- 0: it goes on
	photos BIGINT NOT NULL, -- looked at
	fixed  BIGINT NOT NULL,
	lost   BIGINT NOT NULL, -- of which nothing was found
	bytes  BIGINT NOT NULL, -- written
	spot   TEXT NOT NULL,   -- how far, as JSON
	error  TEXT NOT NULL
);

CREATE INDEX photos_repairs_going ON photos_repairs (kind, shard) WHERE state = 'running';
