-- Who may call. A realm is the room that the machine belongs to.
CREATE TABLE fleet_machines (
	realm       TEXT NOT NULL,
	id          TEXT NOT NULL,
	cohort      TEXT NOT NULL,   -- the room's own grouping: a city
	token       TEXT NOT NULL,   -- SHA-256 of the token in hex; '' before the first
	enrolled_at BIGINT NOT NULL, -- microseconds, as all times here
	revoked_at  BIGINT NOT NULL, -- 0: in good standing
	seen_at     BIGINT NOT NULL, -- 0: never; may lag by some seconds
	PRIMARY KEY (realm, id)
);
CREATE UNIQUE INDEX fleet_machines_token ON fleet_machines (token) WHERE token <> '';

-- One-time codes that a machine changes for its token.
CREATE TABLE fleet_codes (
	code       TEXT PRIMARY KEY, -- SHA-256 in hex
	realm      TEXT NOT NULL,
	id         TEXT NOT NULL,
	expires_at BIGINT NOT NULL,
	used_at    BIGINT NOT NULL   -- 0: not yet
);
CREATE INDEX fleet_codes_machine ON fleet_codes (realm, id);
