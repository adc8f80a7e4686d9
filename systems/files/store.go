package files

import (
	"context"
	"time"

	"plumb/engines/cas"
	"plumb/engines/sqldb"
)

// store holds the room's SQL. Its methods take the transaction.
type store struct{}

const nodeColumns = `n.id, n.owner, n.parent, n.name, n.folder, n.hash, n.size, n.type, n.modified, n.made, n.n, n.public, n.bin_at, n.gone,
	EXISTS (SELECT 1 FROM files_blocked AS b WHERE n.folder = 0 AND b.hash = n.hash)`

const (
	byIDSQL   = `SELECT ` + nodeColumns + ` FROM files_nodes AS n WHERE n.id = $1`
	childSQL  = `SELECT ` + nodeColumns + ` FROM files_nodes AS n WHERE n.owner = $1 AND n.parent = $2 AND n.name = $3 AND n.bin_at = 0 AND n.gone = 0`
	listSQL   = `SELECT ` + nodeColumns + ` FROM files_nodes AS n WHERE n.owner = $1 AND n.parent = $2 AND n.name > $3 AND n.bin_at = 0 AND n.gone = 0 ORDER BY n.name LIMIT $4`
	belowSQL  = `SELECT ` + nodeColumns + ` FROM files_nodes AS n WHERE n.parent = $1 ORDER BY n.id LIMIT $2`
	insertSQL = `INSERT INTO files_nodes (id, owner, parent, name, folder, hash, size, type, modified, made, n, public, bin_at, gone)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, 0, $12) ON CONFLICT DO NOTHING`
	contentSQL = `UPDATE files_nodes SET hash = $2, size = $3, type = $4, modified = $5, n = $6 WHERE id = $1`
	placeSQL   = `UPDATE files_nodes SET parent = $2, name = $3, bin_at = 0, gone = 0 WHERE id = $1`
	binSQL     = `UPDATE files_nodes SET bin_at = $2 WHERE id = $1 AND bin_at = 0`
	goneSQL    = `UPDATE files_nodes SET gone = $2 WHERE id = $1 AND gone = 0`
	publicSQL  = `UPDATE files_nodes SET public = $2 WHERE id = $1`
	deleteSQL  = `DELETE FROM files_nodes WHERE id = $1`

	// What a node is given from itself and from the folders above it.
	rightsSQL = `WITH RECURSIVE up (id, parent, public, bin_at, gone, depth) AS (
			SELECT id, parent, public, bin_at, gone, 0 FROM files_nodes WHERE id = $1
			UNION ALL
			SELECT n.id, n.parent, n.public, n.bin_at, n.gone, up.depth + 1 FROM up JOIN files_nodes AS n ON n.id = up.parent WHERE up.depth < 256)
		SELECT COALESCE(max(up.bin_at), 0), COALESCE(max(up.public), 0), COALESCE(max(up.gone), 0), COALESCE(max(s.rights), 0),
			COALESCE(max(CASE WHEN up.depth > 0 THEN up.bin_at ELSE 0 END), 0)
		FROM up LEFT JOIN files_shares AS s ON s.node = up.id AND s.person = $2`
	flaggedSQL = `SELECT count(*) FROM files_flags WHERE node = $1 AND state = 'open'`
	// The folders above a node, itself included: their ids and names, the root last.
	chainSQL = `WITH RECURSIVE up (id, parent, name, depth) AS (
			SELECT id, parent, name, 0 FROM files_nodes WHERE id = $1
			UNION ALL
			SELECT n.id, n.parent, n.name, up.depth + 1 FROM up JOIN files_nodes AS n ON n.id = up.parent WHERE up.depth < 256)
		SELECT id, name FROM up ORDER BY depth`
	// How many folders nest below a node; no more than a few thousand are looked at.
	heightSQL = `WITH RECURSIVE down (id, depth) AS (
			SELECT id, 0 FROM files_nodes WHERE id = $1
			UNION ALL
			SELECT n.id, down.depth + 1 FROM down JOIN files_nodes AS n ON n.parent = down.id WHERE n.folder = 1 AND n.bin_at = 0 AND down.depth < 256)
		SELECT COALESCE(max(depth), 0) FROM (SELECT depth FROM down LIMIT 20000) AS d`

	addWordSQL   = `INSERT INTO files_words (owner, word, node) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`
	dropWordsSQL = `DELETE FROM files_words WHERE node = $1`

	quotaSQL = `INSERT INTO files_quota (person, most, used, files) VALUES ($1, 0, $2, $3)
		ON CONFLICT (person) DO UPDATE SET used = files_quota.used + $2, files = files_quota.files + $3 RETURNING most, used`
	usedSQL    = `SELECT most, used, files FROM files_quota WHERE person = $1`
	setMostSQL = `INSERT INTO files_quota (person, most, used, files) VALUES ($1, $2, 0, 0) ON CONFLICT (person) DO UPDATE SET most = $2`
	totalSQL   = `SELECT CAST(COALESCE(sum(used), 0) AS BIGINT), CAST(COALESCE(sum(files), 0) AS BIGINT) FROM files_quota`

	addVersionSQL   = `INSERT INTO files_versions (node, n, hash, size, type, modified, at) VALUES ($1, $2, $3, $4, $5, $6, $7)`
	versionsSQL     = `SELECT n, hash, size, type, modified, at FROM files_versions WHERE node = $1 AND n < $2 ORDER BY n DESC LIMIT $3`
	versionSQL      = `SELECT n, hash, size, type, modified, at FROM files_versions WHERE node = $1 AND n = $2`
	dropVersionSQL  = `DELETE FROM files_versions WHERE node = $1 AND n = $2`
	oldVersionsSQL  = `SELECT v.node, v.n, v.hash, v.size, n.owner FROM files_versions AS v JOIN files_nodes AS n ON n.id = v.node WHERE v.at < $1 ORDER BY v.at LIMIT $2`
	someVersionsSQL = `SELECT n, hash, size FROM files_versions WHERE node = $1 ORDER BY n LIMIT $2`

	inBinSQL = `SELECT ` + nodeColumns + ` FROM files_nodes AS n WHERE n.owner = $1 AND n.bin_at > 0 AND n.gone = 0 AND (n.bin_at, n.id) < ($2, $3)
		ORDER BY n.bin_at DESC, n.id DESC LIMIT $4`
	oldBinSQL     = `SELECT ` + nodeColumns + ` FROM files_nodes AS n WHERE n.bin_at > 0 AND n.bin_at < $1 AND n.gone = 0 ORDER BY n.bin_at, n.id LIMIT $2`
	goneNodesSQL  = `SELECT ` + nodeColumns + ` FROM files_nodes AS n WHERE n.gone > 0 AND n.gone < $1 ORDER BY n.gone, n.id LIMIT $2`
	dropSharesSQL = `DELETE FROM files_shares WHERE node = $1`

	ownHashSQL   = `SELECT count(*) FROM (SELECT 1 FROM files_nodes WHERE hash = $1 AND owner = $2 AND folder = 0 AND size = $3 AND gone = 0 LIMIT 1) AS one`
	isBlockedSQL = `SELECT count(*) FROM files_blocked WHERE hash = $1`
)

// scanNode reads a row of nodeColumns.
func scanNode(scan func(...any) error) (Node, error) {
	var n Node
	var folder, public, modified, made, bin int64
	var hash []byte
	if err := scan(&n.ID, &n.Owner, &n.Parent, &n.Name, &folder, &hash, &n.Size, &n.Type, &modified, &made, &n.Version, &public, &bin, &n.gone, &n.Blocked); err != nil {
		return Node{}, err
	}
	n.Folder, n.Public, n.Modified, n.Made, n.Binned = folder == 1, public == 1, when(modified), when(made), when(bin)
	copy(n.Hash[:], hash)
	return n, nil
}

// when reads a stored time; 0 is the zero time.
func when(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// node runs a query for one node; found is false when there is none.
func (store) node(ctx context.Context, tx *sqldb.Tx, query string, args ...any) (n Node, found bool, err error) {
	n, err = scanNode(tx.QueryRow(ctx, query, args...).Scan)
	if err == sqldb.ErrNoRows {
		return Node{}, false, nil
	}
	return n, err == nil, err
}

func (st store) byID(ctx context.Context, tx *sqldb.Tx, id string) (Node, bool, error) {
	return st.node(ctx, tx, byIDSQL, id)
}

func (st store) child(ctx context.Context, tx *sqldb.Tx, owner, parent, name string) (Node, bool, error) {
	return st.node(ctx, tx, childSQL, owner, parent, name)
}

// nodes runs a query for several.
func (store) nodes(ctx context.Context, tx *sqldb.Tx, query string, args ...any) (list []Node, err error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		n, err := scanNode(rows.Scan)
		if err != nil {
			return nil, err
		}
		list = append(list, n)
	}
	return list, rows.Err()
}

// insert adds a node; false where its name is taken.
func (store) insert(ctx context.Context, tx *sqldb.Tx, n Node) (bool, error) {
	hash := []byte{}
	if !n.Folder {
		hash = n.Hash[:]
	}
	rows, err := tx.Exec(ctx, insertSQL, n.ID, n.Owner, n.Parent, n.Name, bit(n.Folder), hash, n.Size, n.Type,
		n.Modified.UnixMicro(), n.Made.UnixMicro(), n.Version, n.gone)
	return rows == 1, err
}

// index makes the node findable by the words of its name.
func (store) index(ctx context.Context, tx *sqldb.Tx, n Node, anew bool) error {
	if anew {
		if _, err := tx.Exec(ctx, dropWordsSQL, n.ID); err != nil {
			return err
		}
	}
	for _, w := range words(n.Name) {
		if _, err := tx.Exec(ctx, addWordSQL, n.Owner, w, n.ID); err != nil {
			return err
		}
	}
	return nil
}

// hashOf reads a stored hash.
func hashOf(b []byte) (h cas.Hash) {
	copy(h[:], b)
	return h
}
