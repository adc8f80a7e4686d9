-- News for other people's servers: each message until it arrived or was given up.
CREATE TABLE hooks_messages (
	id    TEXT PRIMARY KEY, -- UUIDv7; the receiver's key against doing a thing twice
	hook  TEXT NOT NULL,    -- the name under which the operator's URL and secret are known
	event TEXT NOT NULL,
	body  TEXT NOT NULL,    -- JSON, as it is signed and sent
	made  BIGINT NOT NULL,  -- microseconds, as all times here
	state TEXT NOT NULL,    -- waiting, delivered or failed
	tries BIGINT NOT NULL,
	next  BIGINT NOT NULL,  -- of the next try; 0 when it is over
	done  BIGINT NOT NULL,  -- 0 while it waits
	why   TEXT NOT NULL     -- of the last failure; ''
);
CREATE INDEX hooks_messages_done ON hooks_messages (done, id);
