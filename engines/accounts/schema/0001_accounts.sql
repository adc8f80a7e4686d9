-- People, and what they prove themselves with. Times are microseconds since
-- 1970; 0 means never. Secrets stand here only as hashes.
CREATE TABLE accounts_person (
	id       TEXT PRIMARY KEY,
	name     TEXT NOT NULL UNIQUE,
	roles    TEXT NOT NULL,   -- words with blanks between: operator, admin
	password TEXT NOT NULL,   -- argon2id in PHC form; empty: no password
	created  BIGINT NOT NULL,
	disabled BIGINT NOT NULL  -- when signing in was switched off
);

CREATE TABLE accounts_session (
	hash    TEXT PRIMARY KEY, -- SHA-256 of the cookie
	person  TEXT NOT NULL REFERENCES accounts_person (id),
	created BIGINT NOT NULL,
	expires BIGINT NOT NULL
);
CREATE INDEX accounts_session_person ON accounts_session (person);
CREATE INDEX accounts_session_expires ON accounts_session (expires);

CREATE TABLE accounts_link (
	hash    TEXT PRIMARY KEY, -- SHA-256 of the link's token
	person  TEXT NOT NULL REFERENCES accounts_person (id),
	expires BIGINT NOT NULL
);
CREATE INDEX accounts_link_expires ON accounts_link (expires);

CREATE TABLE accounts_token (
	id      TEXT PRIMARY KEY,
	hash    TEXT NOT NULL UNIQUE, -- SHA-256 of the token
	person  TEXT NOT NULL REFERENCES accounts_person (id),
	name    TEXT NOT NULL,
	created BIGINT NOT NULL,
	expires BIGINT NOT NULL,
	used    BIGINT NOT NULL,      -- to about a minute
	revoked BIGINT NOT NULL
);
CREATE INDEX accounts_token_person ON accounts_token (person);

CREATE TABLE accounts_audit (
	id     TEXT PRIMARY KEY, -- UUIDv7: sorted by time
	at     BIGINT NOT NULL,
	who    TEXT NOT NULL,    -- name of the person who did it, or "the system"
	action TEXT NOT NULL,    -- two or three words: "token revoked"
	what   TEXT NOT NULL     -- on what
);
