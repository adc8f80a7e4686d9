-- A link is the right of whoever holds its token to open one thing.
CREATE TABLE links_links (
	id       TEXT PRIMARY KEY, -- UUIDv7; tells nothing of the token
	hash     TEXT NOT NULL,    -- SHA-256 of the token in hex
	realm    TEXT NOT NULL,    -- the room that knows the target
	owner    TEXT NOT NULL,    -- who made it
	target   TEXT NOT NULL,    -- in the room's own words
	password TEXT NOT NULL,    -- argon2id in PHC form; '' for none
	made     BIGINT NOT NULL,  -- microseconds, as all times here
	expires  BIGINT NOT NULL,  -- 0: never
	revoked  BIGINT NOT NULL,  -- 0: good
	most     BIGINT NOT NULL,  -- uses; 0: any number
	used     BIGINT NOT NULL
);
CREATE UNIQUE INDEX links_links_hash ON links_links (hash);
CREATE INDEX links_links_owner ON links_links (realm, owner, id);
CREATE INDEX links_links_target ON links_links (realm, target, id);
