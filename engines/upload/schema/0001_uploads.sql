-- Uploads by the tus protocol, and what of them arrived.
CREATE TABLE upload_uploads (
	id          TEXT NOT NULL PRIMARY KEY, -- 256 random bits
	realm       TEXT NOT NULL,             -- the room that takes it
	owner       TEXT NOT NULL,
	kind        TEXT NOT NULL,             -- normal, partial, final
	length      BIGINT NOT NULL,           -- bytes; -1: not known yet
	most        BIGINT NOT NULL,           -- bytes that it may have
	got         BIGINT NOT NULL,           -- bytes that arrived, durably: the offset
	segs        BIGINT NOT NULL,           -- rows of upload_segments
	meta        TEXT NOT NULL,             -- Upload-Metadata as it came
	concat      TEXT NOT NULL,             -- Upload-Concat as it came
	parts       TEXT NOT NULL,             -- of a final one: ids, with spaces between
	same        TEXT NOT NULL,             -- of a final one: SHA-256 of what was asked for
	state       TEXT NOT NULL,             -- open, used (a partial one that went into a final one), done, gone
	made        BIGINT NOT NULL,           -- microseconds, like all times
	expires     BIGINT NOT NULL,           -- open: ends then; else: the row is forgotten then
	lease       TEXT NOT NULL,             -- whose request writes
	lease_until BIGINT NOT NULL,           -- from then on another may
	tries       BIGINT NOT NULL,           -- failed endings
	retry_at    BIGINT NOT NULL            -- the job does not try again before
);

CREATE INDEX upload_uploads_owner ON upload_uploads (realm, owner, state);
CREATE INDEX upload_uploads_expires ON upload_uploads (realm, expires);
CREATE INDEX upload_uploads_same ON upload_uploads (realm, same) WHERE same <> '';
CREATE INDEX upload_uploads_full ON upload_uploads (realm, retry_at) WHERE state = 'open' AND got = length AND kind <> 'partial';
CREATE INDEX upload_uploads_left ON upload_uploads (realm, state) WHERE segs > 0;

-- Each piece that arrived is a blob of its own until the upload ends.
CREATE TABLE upload_segments (
	upload TEXT NOT NULL,
	start  BIGINT NOT NULL, -- its offset in the upload
	size   BIGINT NOT NULL,
	hash   BYTEA NOT NULL,  -- of the blob; the row holds one reference
	PRIMARY KEY (upload, start)
);
