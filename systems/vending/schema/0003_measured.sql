-- What a process found out about the database under load, for the next start.
CREATE TABLE vending_measured (
	name  TEXT PRIMARY KEY,          -- 'capacity': reports a second
	value DOUBLE PRECISION NOT NULL,
	at    BIGINT NOT NULL
);
