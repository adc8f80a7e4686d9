package shard

// The house's directory.
const (
	sqlStateMake = `INSERT INTO photos_state (id, house, version, last) VALUES (1, $1, 1, 1) ON CONFLICT (id) DO NOTHING`
	sqlHouse     = `SELECT house FROM photos_state WHERE id = 1`
	sqlVersion   = `SELECT version FROM photos_state WHERE id = 1`
	sqlBump      = `UPDATE photos_state SET version = version + 1 WHERE id = 1`
	sqlNextNo    = `UPDATE photos_state SET last = last + 1, version = version + 1 WHERE id = 1 RETURNING last`

	sqlShards = `SELECT no, name, weight, domain, state, sql, bucket FROM photos_shards WHERE state <> 'removed' ORDER BY no`

	sqlShardMake = `INSERT INTO photos_shards (no, name, weight, domain, state, sql, bucket, made) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`

	sqlMapMake = `INSERT INTO photos_maps (epoch, state, snapshot, migration, bounded, step, lease, made) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`

	sqlMapCurrent = `SELECT epoch, snapshot FROM photos_maps WHERE state = 'current'`

	sqlPins = `SELECT owner, shard FROM photos_pins ORDER BY owner LIMIT $1`
	sqlPin  = `SELECT shard FROM photos_pins WHERE owner = $1`

	sqlSchemaThere = `SELECT count(*) FROM information_schema.schemata WHERE schema_name = $1`
)

// States of a map.
const (
	mapPending = "pending"
	mapCurrent = "current"
)

// A shard's own rows about itself and its owners.
const (
	sqlClaim   = `INSERT INTO photos_shard (id, no, house, epoch) VALUES (1, $1, $2, 0) ON CONFLICT (id) DO NOTHING`
	sqlClaimed = `SELECT no, house FROM photos_shard WHERE id = 1`

	sqlRaise         = `UPDATE photos_shard SET epoch = $1 WHERE id = 1 AND epoch < $1`
	sqlFence         = `SELECT epoch FROM photos_shard WHERE id = 1`
	sqlFencePostgres = sqlFence + ` FOR SHARE`

	sqlOwners = `SELECT owner, rev, photos, bytes, made FROM photos_owners
		WHERE owner > $1 AND state IN ('here', 'leaving') ORDER BY owner LIMIT $2`

	sqlOwner      = `SELECT state, peer, turn, rev, photos, bytes, made, until, copied FROM photos_owners WHERE owner = $1`
	sqlOwnerState = `SELECT state, peer, turn FROM photos_owners WHERE owner = $1`
	sqlOwnerEnter = `UPDATE photos_owners SET rev = rev + 1 WHERE owner = $1 AND state = 'here' RETURNING rev`
	sqlOwnerTally = `UPDATE photos_owners SET photos = photos + $2, bytes = bytes + $3 WHERE owner = $1`
	sqlOwnerMake  = `INSERT INTO photos_owners (owner, state, peer, turn, rev, photos, bytes, made, until, copied)
		VALUES ($1, 'here', 0, 0, 1, 0, 0, $2, 0, '')`
	sqlOwnerSettle = `UPDATE photos_owners SET state = 'here', peer = 0, turn = turn + 1 WHERE owner = $1 AND state = 'ready' AND turn = $2`
)
