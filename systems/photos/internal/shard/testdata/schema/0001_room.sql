CREATE TABLE photos_photo (
	id    TEXT PRIMARY KEY,
	owner TEXT NOT NULL,
	name  TEXT NOT NULL,
	hash  TEXT NOT NULL,
	small TEXT NOT NULL,
	rev   BIGINT NOT NULL,
	gone  BIGINT NOT NULL,
	size  BIGINT NOT NULL,
	lat   DOUBLE PRECISION NOT NULL,
	mark  BYTEA NOT NULL
);
CREATE UNIQUE INDEX photos_photo_name ON photos_photo (owner, name) WHERE gone = 0;
CREATE INDEX photos_photo_rev ON photos_photo (owner, rev);
CREATE TABLE photos_in_album (
	album TEXT NOT NULL,
	photo TEXT NOT NULL,
	owner TEXT NOT NULL,
	rev   BIGINT NOT NULL,
	gone  BIGINT NOT NULL,
	place BIGINT NOT NULL,
	PRIMARY KEY (album, photo)
);
CREATE INDEX photos_in_album_rev ON photos_in_album (owner, rev);
