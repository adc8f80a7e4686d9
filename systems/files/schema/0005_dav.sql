-- WebDAV's locks: on the paths of a person's tree, so that also a name that nothing has
-- yet can be locked. They hold in every process, until they expire.
CREATE TABLE files_locks (
	token   TEXT PRIMARY KEY, -- plumb:...
	person  TEXT NOT NULL,    -- whose tree
	path    TEXT NOT NULL,    -- names by slashes, '' for the root
	deep    BIGINT NOT NULL,  -- 1: it holds for all that is below
	shared  BIGINT NOT NULL,  -- 1: others may hold shared ones too
	owner   TEXT NOT NULL,    -- an XML element, as the client sent it
	life    BIGINT NOT NULL,  -- microseconds from a refresh
	expires BIGINT NOT NULL
);
CREATE INDEX files_locks_person ON files_locks (person, expires);

-- What WebDAV's clients store as properties: kept, and never looked into.
CREATE TABLE files_props (
	node   TEXT NOT NULL REFERENCES files_nodes (id) ON DELETE CASCADE,
	ns     TEXT NOT NULL, -- the name's namespace
	name   TEXT NOT NULL,
	person TEXT NOT NULL, -- who owns the node
	value  TEXT NOT NULL, -- the whole element, with its namespaces
	PRIMARY KEY (node, ns, name)
);
CREATE INDEX files_props_person ON files_props (person);
