-- What is wrong with the shards now, so that each is told once when it begins and once
-- when it ends.
CREATE TABLE photos_alarms (
	shard TEXT NOT NULL,   -- its name; '': all of them together
	what  TEXT NOT NULL,   -- full, slow, down, uneven
	value DOUBLE PRECISION NOT NULL,
	most  DOUBLE PRECISION NOT NULL,
	since BIGINT NOT NULL, -- microseconds
	PRIMARY KEY (shard, what)
);
