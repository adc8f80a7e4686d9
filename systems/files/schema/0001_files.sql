-- Names and folders are rows; contents are immutable and live in cas. Each person
-- has a root, which has no parent and no name. Times are microseconds.
CREATE TABLE files_nodes (
	id       TEXT PRIMARY KEY, -- UUIDv7
	owner    TEXT NOT NULL,    -- a person's id
	parent   TEXT NOT NULL,    -- '' for a root
	name     TEXT NOT NULL,    -- NFC; '' for a root
	folder   BIGINT NOT NULL,  -- 1 for a folder
	hash     BYTEA NOT NULL,   -- SHA-256 of a file's content, one reference in cas; empty for a folder
	size     BIGINT NOT NULL,  -- bytes
	type     TEXT NOT NULL,    -- of the content
	modified BIGINT NOT NULL,  -- as whoever wrote it says
	made     BIGINT NOT NULL,
	n        BIGINT NOT NULL,  -- version of the content, from 1
	public   BIGINT NOT NULL,  -- 1: everybody may read it and what is below it
	bin_at   BIGINT NOT NULL,  -- when it was removed; 0: it was not. What is below it says nothing
	gone     BIGINT NOT NULL   -- when a purge or a copy of it began, which is not done; 0: none. Nobody sees it
);
CREATE UNIQUE INDEX files_nodes_name ON files_nodes (owner, parent, name) WHERE bin_at = 0 AND gone = 0;
CREATE INDEX files_nodes_below ON files_nodes (parent, id);
CREATE INDEX files_nodes_folders ON files_nodes (parent, name) WHERE folder = 1 AND bin_at = 0;
CREATE INDEX files_nodes_hash ON files_nodes (hash, owner) WHERE folder = 0;
CREATE INDEX files_nodes_public ON files_nodes (id) WHERE public = 1;
CREATE INDEX files_nodes_bin ON files_nodes (owner, bin_at, id) WHERE bin_at > 0;
CREATE INDEX files_nodes_binned ON files_nodes (bin_at, id) WHERE bin_at > 0;
CREATE INDEX files_nodes_gone ON files_nodes (gone, id) WHERE gone > 0;

-- Earlier contents of a file. Each holds one reference in cas.
CREATE TABLE files_versions (
	node     TEXT NOT NULL,
	n        BIGINT NOT NULL,
	hash     BYTEA NOT NULL,
	size     BIGINT NOT NULL,
	type     TEXT NOT NULL,
	modified BIGINT NOT NULL,
	at       BIGINT NOT NULL, -- when it was replaced
	PRIMARY KEY (node, n)
);
CREATE INDEX files_versions_at ON files_versions (at, node, n);

CREATE TABLE files_shares (
	node   TEXT NOT NULL,
	person TEXT NOT NULL,
	rights BIGINT NOT NULL, -- 1 read, 2 write
	at     BIGINT NOT NULL,
	PRIMARY KEY (node, person)
);
CREATE INDEX files_shares_person ON files_shares (person, node);

-- What a person's files take, versions and bin included, kept in the transaction of
-- each change.
CREATE TABLE files_quota (
	person TEXT PRIMARY KEY,
	most   BIGINT NOT NULL, -- bytes; 0: the house's usual quota, -1: no limit
	used   BIGINT NOT NULL, -- bytes
	files  BIGINT NOT NULL
);

-- Contents that nobody may read or store any more.
CREATE TABLE files_blocked (
	hash   BYTEA PRIMARY KEY,
	reason TEXT NOT NULL,
	person TEXT NOT NULL, -- who blocked it
	at     BIGINT NOT NULL
);

-- Reports of abuse.
CREATE TABLE files_flags (
	id     TEXT PRIMARY KEY,
	node   TEXT NOT NULL,
	hash   BYTEA NOT NULL,
	name   TEXT NOT NULL, -- as it was then
	reason TEXT NOT NULL,
	person TEXT NOT NULL, -- who reported it; '' for a stranger
	at     BIGINT NOT NULL,
	state  TEXT NOT NULL  -- open, blocked, dismissed
);
CREATE INDEX files_flags_state ON files_flags (state, id);
CREATE INDEX files_flags_node ON files_flags (node) WHERE state = 'open';

-- The folded words of names, for search by their beginnings.
CREATE TABLE files_words (
	owner TEXT NOT NULL,
	word  TEXT NOT NULL,
	node  TEXT NOT NULL,
	PRIMARY KEY (owner, word, node)
);
CREATE INDEX files_words_node ON files_words (node);
