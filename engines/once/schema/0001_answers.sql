-- What was answered under an Idempotency-Key, in the transaction of its effect.
CREATE TABLE once_answer (
	scope  TEXT NOT NULL,
	key    TEXT NOT NULL,
	body   BYTEA NOT NULL,  -- SHA-256 of the request's body
	status BIGINT NOT NULL, -- 0 while the effect runs, which no other transaction sees
	answer BYTEA NOT NULL,
	until  BIGINT NOT NULL, -- microseconds: forgotten from then on
	PRIMARY KEY (scope, key)
);

CREATE INDEX once_answer_until ON once_answer (until);
