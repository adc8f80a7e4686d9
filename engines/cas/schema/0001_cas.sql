-- A live blob: content that somebody refers to, or did until the collector comes by.
CREATE TABLE cas_blobs (
	hash  BYTEA PRIMARY KEY, -- SHA-256 of the content
	id    TEXT NOT NULL,     -- names its parts
	size  BIGINT NOT NULL,
	parts BIGINT NOT NULL,   -- 0: it is one chunk, named like the blob
	refs  BIGINT NOT NULL,
	takes BIGINT NOT NULL    -- references ever taken: 1 means that this row is new
);

CREATE INDEX cas_blobs_unused ON cas_blobs (hash) WHERE refs = 0;
-- Whether a large blob of a length is there: see Store.knownFile.
CREATE INDEX cas_blobs_size ON cas_blobs (size) WHERE size > 131072;

-- A blob that is no longer live or not yet: what was put and not taken, until its
-- lease ends, and what the collector takes apart (until = 0).
CREATE TABLE cas_making (
	id    TEXT PRIMARY KEY,
	chunk BYTEA NOT NULL,   -- the only chunk, or empty where rows of cas_parts name them
	parts BIGINT NOT NULL,  -- how many chunks it holds references to
	until BIGINT NOT NULL   -- microseconds; the collector's from then on
);

CREATE INDEX cas_making_until ON cas_making (until);

-- The chunks of a blob of several, in order. Each row is a reference to a chunk.
CREATE TABLE cas_parts (
	blob    TEXT NOT NULL,
	off_end BIGINT NOT NULL, -- where in the blob the chunk ends
	chunk   BYTEA NOT NULL,
	PRIMARY KEY (blob, off_end)
);

-- A chunk and where it lies. It goes with its last reference.
CREATE TABLE cas_chunks (
	id     BYTEA PRIMARY KEY, -- SHA-256 of its bytes
	pack   TEXT NOT NULL,
	off    BIGINT NOT NULL,   -- in the object; in a loose pack a number
	stored BIGINT NOT NULL,   -- bytes as it lies: compressed, sealed
	size   BIGINT NOT NULL,   -- bytes of its content
	codec  BIGINT NOT NULL,   -- 0 as it is, 1 zstd
	refs   BIGINT NOT NULL,
	bad    BIGINT NOT NULL    -- 1: in quarantine
);

CREATE UNIQUE INDEX cas_chunks_place ON cas_chunks (pack, off);
CREATE INDEX cas_chunks_bad ON cas_chunks (id) WHERE bad = 1;

CREATE TABLE cas_packs (
	id     TEXT PRIMARY KEY,
	kind   TEXT NOT NULL,   -- object, or loose: its chunks are rows of cas_loose
	state  TEXT NOT NULL,   -- writing, stored, deleting
	key    BYTEA NOT NULL,  -- wrapped with the house's key; empty: its chunks lie bare
	size   BIGINT NOT NULL, -- bytes of all that was written into the object; 0 until then, and for loose
	live   BIGINT NOT NULL, -- bytes of its chunks; 0 for loose
	until  BIGINT NOT NULL, -- microseconds: the end of the writer's lease
	asleep BIGINT NOT NULL  -- microseconds: not looked at for compaction until then
);

CREATE INDEX cas_packs_writing ON cas_packs (until) WHERE state = 'writing';
CREATE INDEX cas_packs_deleting ON cas_packs (id) WHERE state = 'deleting';
CREATE INDEX cas_packs_sparse ON cas_packs (id) WHERE state = 'stored' AND kind = 'object' AND live * 4 < size * 3;
CREATE INDEX cas_packs_small ON cas_packs (id) WHERE state = 'stored' AND kind = 'object' AND size < 4194304;
CREATE INDEX cas_packs_loose ON cas_packs (id) WHERE kind = 'loose';

CREATE TABLE cas_loose (
	pack  TEXT NOT NULL,
	off   BIGINT NOT NULL,
	data  BYTEA NOT NULL,
	waste BIGINT NOT NULL, -- 1: written for content that was known, so that it costs the same
	PRIMARY KEY (pack, off)
);

CREATE INDEX cas_loose_waste ON cas_loose (pack, off) WHERE waste = 1;

-- Counts, as sums over the rows of all stores: each store adds to rows of its own, so
-- that no two processes wait for the same row.
CREATE TABLE cas_totals (
	store   TEXT NOT NULL,
	lane    BIGINT NOT NULL,
	blobs   BIGINT NOT NULL, -- blobs with references
	refs    BIGINT NOT NULL, -- references
	logical BIGINT NOT NULL, -- bytes of all references
	uniq    BIGINT NOT NULL, -- bytes of the blobs with references
	chunks  BIGINT NOT NULL, -- rows of cas_chunks
	chunked BIGINT NOT NULL, -- their size
	stored  BIGINT NOT NULL, -- their stored
	bad     BIGINT NOT NULL, -- those that are bad
	packs   BIGINT NOT NULL, -- objects that are stored or being deleted
	loose   BIGINT NOT NULL, -- rows of cas_loose that are no waste
	held    BIGINT NOT NULL, -- bytes written into those objects, and of all loose rows
	PRIMARY KEY (store, lane)
);

CREATE TABLE cas_meta (
	name  TEXT PRIMARY KEY,
	value BYTEA NOT NULL
);
