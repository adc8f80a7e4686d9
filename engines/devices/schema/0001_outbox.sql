-- What devices are to be told.
CREATE TABLE devices_outbox (
	id           TEXT PRIMARY KEY,
	device       TEXT NOT NULL,   -- realm/id
	name         TEXT NOT NULL,
	body         TEXT NOT NULL,   -- JSON; '' without
	sent_at      BIGINT NOT NULL, -- microseconds, as all times here
	expires_at   BIGINT NOT NULL,
	delivered_at BIGINT NOT NULL  -- 0: not yet
);
CREATE INDEX devices_outbox_waiting ON devices_outbox (device, id) WHERE delivered_at = 0;
CREATE INDEX devices_outbox_device ON devices_outbox (device, sent_at, id);
