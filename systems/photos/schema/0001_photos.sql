-- What a shard holds of its people. Every row carries its owner, and the owner's counter
-- at its last change, so that all of one person can be copied and what changed since be
-- copied after it. A row that ended stays for a while, with the time in gone, so that its
-- end is copied too. Times are microseconds.
CREATE TABLE photos_photos (
	owner     TEXT NOT NULL,   -- a person's id
	id        TEXT NOT NULL,   -- UUIDv7
	rev       BIGINT NOT NULL,
	gone      BIGINT NOT NULL, -- when it ended; 0: it is there
	hash      TEXT NOT NULL,   -- SHA-256 of the original in hex; a reference in cas
	size      BIGINT NOT NULL, -- bytes
	name      TEXT NOT NULL,   -- of the file that came
	type      TEXT NOT NULL,   -- media type
	width     BIGINT NOT NULL, -- pixels, upright
	height    BIGINT NOT NULL,
	taken     BIGINT NOT NULL, -- as the clock on the wall showed it
	zone      BIGINT NOT NULL, -- minutes east of UTC
	known     BIGINT NOT NULL, -- who says when: 0 nobody, 1 the file, 2 the owner
	stated    BIGINT NOT NULL, -- taken, by the file or when it came, to go back to
	stated_by BIGINT NOT NULL, -- known, then
	stated_zone BIGINT NOT NULL, -- zone, then
	camera    TEXT NOT NULL,
	lens      TEXT NOT NULL,
	exposure  TEXT NOT NULL,
	placed    BIGINT NOT NULL, -- 1: lat and lon are known
	lat       DOUBLE PRECISION NOT NULL,
	lon       DOUBLE PRECISION NOT NULL,
	place     TEXT NOT NULL,   -- the place's name
	caption   TEXT NOT NULL,
	words     TEXT NOT NULL,   -- what search looks for: see words.go
	favourite BIGINT NOT NULL,
	keeps     BIGINT NOT NULL, -- 1: viewers may know the place
	state     TEXT NOT NULL,   -- new, ready, broken
	fault     TEXT NOT NULL,   -- why it is broken
	blur      TEXT NOT NULL,   -- a placeholder
	sized     TEXT NOT NULL,   -- media type of its sizes
	small     TEXT NOT NULL,   -- SHA-256 of each size in hex; a reference each in cas; '': not made
	medium    TEXT NOT NULL,
	large     TEXT NOT NULL,
	made      BIGINT NOT NULL, -- when it came
	bin_at    BIGINT NOT NULL, -- when it was removed; 0: it was not
	copies    TEXT NOT NULL,   -- numbers of the shards with copies of the original, by commas
	owed      BIGINT NOT NULL, -- copies that are still to be made
	PRIMARY KEY (owner, id)
);
CREATE UNIQUE INDEX photos_photos_hash ON photos_photos (owner, hash) WHERE gone = 0;
CREATE INDEX photos_photos_rev ON photos_photos (owner, rev);
-- The timeline, and all that search reads.
CREATE INDEX photos_photos_taken ON photos_photos (owner, taken, id, words) WHERE bin_at = 0 AND gone = 0;
CREATE INDEX photos_photos_favourite ON photos_photos (owner, taken, id) WHERE favourite = 1 AND bin_at = 0 AND gone = 0;
CREATE INDEX photos_photos_bin ON photos_photos (owner, bin_at, id) WHERE bin_at > 0 AND gone = 0;
CREATE INDEX photos_photos_binned ON photos_photos (bin_at, owner, id) WHERE bin_at > 0 AND gone = 0;
CREATE INDEX photos_photos_new ON photos_photos (made, owner, id) WHERE state = 'new' AND gone = 0;
CREATE INDEX photos_photos_broken ON photos_photos (owner, taken, id) WHERE state = 'broken' AND bin_at = 0 AND gone = 0;
CREATE INDEX photos_photos_owed ON photos_photos (owner, id) WHERE owed > 0 AND gone = 0;
CREATE INDEX photos_photos_gone ON photos_photos (gone, owner, id) WHERE gone > 0;

CREATE TABLE photos_albums (
	owner   TEXT NOT NULL,
	id      TEXT NOT NULL,
	rev     BIGINT NOT NULL,
	gone    BIGINT NOT NULL,
	title   TEXT NOT NULL,
	cover   TEXT NOT NULL,   -- the chosen photo; '': the first
	photos  BIGINT NOT NULL, -- in it, those in the bin not counted
	made    BIGINT NOT NULL,
	changed BIGINT NOT NULL,
	PRIMARY KEY (owner, id)
);
CREATE INDEX photos_albums_rev ON photos_albums (owner, rev);
CREATE INDEX photos_albums_gone ON photos_albums (gone, owner, id) WHERE gone > 0;

-- Which photos an album holds. A photo in the bin keeps its place.
CREATE TABLE photos_placed (
	owner TEXT NOT NULL,
	album TEXT NOT NULL,
	photo TEXT NOT NULL,
	rev   BIGINT NOT NULL,
	gone  BIGINT NOT NULL,
	at    BIGINT NOT NULL, -- orders the album; with gaps
	PRIMARY KEY (owner, album, photo)
);
CREATE INDEX photos_placed_order ON photos_placed (owner, album, at, photo) WHERE gone = 0;
CREATE INDEX photos_placed_photo ON photos_placed (owner, photo, album) WHERE gone = 0;
CREATE INDEX photos_placed_rev ON photos_placed (owner, rev);
CREATE INDEX photos_placed_gone ON photos_placed (gone, owner, album, photo) WHERE gone > 0;

-- What a link gives. Its token, password and end are the engine's (links_links).
CREATE TABLE photos_links (
	owner     TEXT NOT NULL,
	id        TEXT NOT NULL, -- the link's
	rev       BIGINT NOT NULL,
	gone      BIGINT NOT NULL,
	downloads BIGINT NOT NULL, -- 1: originals may be saved
	keeps     BIGINT NOT NULL, -- 1: it tells places
	PRIMARY KEY (owner, id)
);
CREATE INDEX photos_links_rev ON photos_links (owner, rev);
CREATE INDEX photos_links_gone ON photos_links (gone, owner, id) WHERE gone > 0;
