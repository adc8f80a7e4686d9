-- Which shard this is, and up to which map it makes owners.
CREATE TABLE photos_shard (
	id    BIGINT PRIMARY KEY, -- 1: there is one row
	no    BIGINT NOT NULL,
	house TEXT NOT NULL,
	epoch BIGINT NOT NULL
);

-- Who is here. A row is never deleted: it tells where its owner went.
CREATE TABLE photos_owners (
	owner  TEXT PRIMARY KEY,
	state  TEXT NOT NULL,   -- here, leaving, gone; coming, ready
	peer   BIGINT NOT NULL, -- the other shard: here: 0, or to which they are being copied
	turn   BIGINT NOT NULL, -- raised by each change of state, so that a mover who was away notices
	rev    BIGINT NOT NULL, -- of the last change; coming: up to which all was copied
	photos BIGINT NOT NULL,
	bytes  BIGINT NOT NULL,
	made   BIGINT NOT NULL,
	until  BIGINT NOT NULL, -- gone: when the rest is erased, 0 when it was
	copied TEXT NOT NULL    -- coming: how far, as JSON
);

CREATE INDEX photos_owners_until ON photos_owners (until) WHERE state = 'gone' AND until > 0;
CREATE INDEX photos_owners_bytes ON photos_owners (bytes) WHERE state = 'here';
