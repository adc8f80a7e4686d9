-- Up to which change an owner's manifest stands in the buckets. It stays here when the
-- owner moves, and a new one is written there.
CREATE TABLE photos_manifests (
	owner TEXT PRIMARY KEY,
	upto  BIGINT NOT NULL, -- the owner's counter then
	rows  BIGINT NOT NULL, -- how many it holds
	at    BIGINT NOT NULL  -- when
);
