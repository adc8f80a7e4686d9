-- What machines brought over MQTT and could not be stored as a report: kept, so
-- that it may be acknowledged (a stock client would bring it for ever), and for
-- somebody to look at. The last few of each machine.
CREATE TABLE vending_refused (
	machine     TEXT NOT NULL,
	id          TEXT NOT NULL,   -- ours; sorts by time
	received_at BIGINT NOT NULL,
	why         TEXT NOT NULL,
	body        TEXT NOT NULL,   -- as it came, cut, and made readable
	PRIMARY KEY (machine, id)
);
