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

	// Those who are to move, of migrations that are under way.
	sqlPinsDue = `SELECT p.owner, p.shard, p.want, p.migration, p.why, p.bytes, p.moved, p.tries FROM photos_pins AS p
		JOIN photos_migrations AS m ON m.id = p.migration
		WHERE p.want > 0 AND m.state = 'moving' AND p.after <= $1 AND p.lease <= $1
			AND p.epoch <= (SELECT epoch FROM photos_maps WHERE state = 'current')
		ORDER BY p.migration, p.after LIMIT $2`
	sqlPinLease  = `UPDATE photos_pins SET lease = $2, moved = $3 WHERE owner = $1`
	sqlPinFailed = `UPDATE photos_pins SET moved = $2, tries = tries + $3, after = $4, error = $5, lease = 0 WHERE owner = $1`
	sqlPinWant   = `SELECT want FROM photos_pins WHERE owner = $1`
	sqlPinOn     = `UPDATE photos_pins SET shard = $2, moved = $4, lease = 0, after = 0, tries = 0 WHERE owner = $1 AND want = $3`
	sqlPinStay   = `UPDATE photos_pins SET shard = $2, want = 0, migration = '', moved = 0, lease = 0 WHERE owner = $1`
	sqlPinRemove = `DELETE FROM photos_pins WHERE owner = $1`

	sqlShardWeigh  = `UPDATE photos_shards SET weight = $2 WHERE no = $1`
	sqlShardState  = `UPDATE photos_shards SET state = $2 WHERE no = $1`
	sqlShardRemove = `UPDATE photos_shards SET state = 'removed' WHERE no = $1 AND state = $2`

	sqlPinList = `SELECT owner, shard, want, why, migration, bytes, tries, error FROM photos_pins WHERE owner > $1 ORDER BY owner LIMIT $2`

	migrationColumns = `m.id, m.why, m.state, m.begun, m.ended, m.owners, m.owners_done, m.photos, m.photos_done, m.bytes,
		m.bytes_done + (SELECT CAST(COALESCE(sum(p.moved), 0) AS BIGINT) FROM photos_pins AS p WHERE p.migration = m.id AND p.want > 0 AND m.state <> 'done'),
		m.ideal, m.kept, m.failed, m.error FROM photos_migrations AS m`
	sqlMigrations     = `SELECT ` + migrationColumns + ` WHERE m.id < $1 ORDER BY m.id DESC LIMIT $2`
	sqlMigration      = `SELECT ` + migrationColumns + ` WHERE m.id = $1`
	sqlMigrationState = `SELECT state FROM photos_migrations WHERE id = $1`
	sqlMigrationTurn  = `UPDATE photos_migrations SET state = $2 WHERE id = $1`

	sqlLoadPut = `INSERT INTO photos_load (process, shard, slot, requests, bytes_in, bytes_out, cpu, times) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (process, shard, slot) DO UPDATE SET requests = excluded.requests, bytes_in = excluded.bytes_in, bytes_out = excluded.bytes_out,
			cpu = excluded.cpu, times = excluded.times`
	sqlLoadSince  = `SELECT shard, slot, requests, bytes_in, bytes_out, cpu, times FROM photos_load WHERE slot > $1`
	sqlLoadForget = `DELETE FROM photos_load WHERE slot < $1`
	sqlHotPut     = `INSERT INTO photos_hot (process, owner, slot, requests, bytes_in, bytes_out, cpu) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (process, owner, slot) DO UPDATE SET requests = excluded.requests, bytes_in = excluded.bytes_in, bytes_out = excluded.bytes_out, cpu = excluded.cpu`
	sqlHotSince  = `SELECT owner, slot, requests, bytes_in, bytes_out, cpu FROM photos_hot WHERE slot > $1`
	sqlHotForget = `DELETE FROM photos_hot WHERE slot < $1`
	sqlWays      = `SELECT shard, want, count(*) FROM photos_pins WHERE want > 0 GROUP BY shard, want`
	sqlPinWhy    = `SELECT why, want FROM photos_pins WHERE owner = $1`

	sqlProposalPut     = `INSERT INTO photos_proposals (id, made, body, migration) VALUES ($1, $2, $3, '')`
	sqlProposalsForget = `DELETE FROM photos_proposals WHERE made < $1`
	sqlProposal        = `SELECT body, migration FROM photos_proposals WHERE id = $1`
	sqlProposalUse     = `UPDATE photos_proposals SET migration = 'begun' WHERE id = $1`

	sqlMapsPending = `SELECT count(*) FROM photos_maps WHERE state = 'pending'`
	sqlMapPending  = `SELECT epoch, snapshot, migration, bounded, lease FROM photos_maps WHERE state = 'pending'`
	sqlMapState    = `SELECT state FROM photos_maps WHERE epoch = $1`
	sqlMapLease    = `UPDATE photos_maps SET lease = $2 WHERE epoch = $1 AND state = 'pending'`
	sqlMapOld      = `UPDATE photos_maps SET state = 'old', snapshot = $2 WHERE state = 'current' AND epoch < $1`
	sqlMapPublish  = `UPDATE photos_maps SET state = 'current' WHERE epoch = $1 AND state = 'pending'`

	sqlPinRange = `SELECT owner, shard, want, epoch, migration, why, photos, bytes FROM photos_pins WHERE owner >= $1 AND owner <= $2`
	sqlPinsInto = `INSERT INTO photos_pins (owner, shard, want, epoch, migration, why, photos, bytes, moved, lease, tries, after, error) VALUES `
	sqlPinsOver = ` ON CONFLICT (owner) DO UPDATE SET shard = excluded.shard, want = excluded.want, epoch = excluded.epoch, migration = excluded.migration,
		why = excluded.why, photos = excluded.photos, bytes = excluded.bytes, tries = 0, after = 0`
	sqlPinsLost      = `DELETE FROM photos_pins WHERE shard = $1`
	sqlPinsComing    = `SELECT want, CAST(COALESCE(sum(bytes), 0) AS BIGINT) FROM photos_pins WHERE migration = $1 AND want > 0 GROUP BY want`
	sqlPinsDropThere = `SELECT count(*) FROM (SELECT 1 AS one FROM photos_pins WHERE why = 'drop'
		AND epoch <= (SELECT epoch FROM photos_maps WHERE state = 'current') LIMIT 1) AS there`
	sqlPinsDrop = `DELETE FROM photos_pins WHERE owner IN (SELECT owner FROM photos_pins WHERE why = 'drop'
		AND epoch <= (SELECT epoch FROM photos_maps WHERE state = 'current') LIMIT $1)`

	sqlMigrationMake = `INSERT INTO photos_migrations (id, why, state, begun, ended, owners, owners_done, photos, photos_done, bytes, bytes_done, ideal, kept, failed, error)
		VALUES ($1, $2, $3, $4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '')`
	sqlMigrationPlanned = `UPDATE photos_migrations SET state = 'moving', ideal = $2,
		owners = (SELECT count(*) FROM photos_pins AS p WHERE p.migration = $1 AND p.want > 0),
		photos = (SELECT CAST(COALESCE(sum(p.photos), 0) AS BIGINT) FROM photos_pins AS p WHERE p.migration = $1 AND p.want > 0),
		bytes = (SELECT CAST(COALESCE(sum(p.bytes), 0) AS BIGINT) FROM photos_pins AS p WHERE p.migration = $1 AND p.want > 0),
		kept = (SELECT count(*) FROM photos_pins AS p WHERE p.why = 'bound')
		WHERE id = $1`
	sqlMigrationFailed = `UPDATE photos_migrations SET failed = failed + $2, error = $3 WHERE id = $1`
	sqlMigrationDone   = `UPDATE photos_migrations SET owners_done = owners_done + 1, photos_done = photos_done + $2, bytes_done = bytes_done + $3 WHERE id = $1`
	// Owners whom a later migration took over are its own.
	sqlMigrationsEnd = `UPDATE photos_migrations SET state = 'done', ended = $1, owners = owners_done, photos = photos_done
		WHERE state = 'moving' AND NOT EXISTS (SELECT 1 FROM photos_pins AS p WHERE p.migration = photos_migrations.id AND p.want > 0)`
	sqlPinsOf       = `SELECT count(*) FROM (SELECT 1 AS one FROM photos_pins WHERE shard = $1 LIMIT 1) AS there`
	sqlShardDrained = `UPDATE photos_shards SET state = 'drained' WHERE no = $1 AND state = 'draining'`

	sqlSchemaThere = `SELECT count(*) FROM information_schema.schemata WHERE schema_name = $1`
)

// States of a map.
const (
	mapPending = "pending"
	mapCurrent = "current"
)

// A shard's own rows about itself and its owners.
const (
	sqlShardBegun = `SELECT claimed FROM photos_shards WHERE no = $1`
	sqlShardBegin = `UPDATE photos_shards SET claimed = 1 WHERE no = $1`
	sqlClaim      = `INSERT INTO photos_shard (id, no, house, epoch) VALUES (1, $1, $2, 0) ON CONFLICT (id) DO NOTHING`
	sqlClaimed    = `SELECT no, house FROM photos_shard WHERE id = 1`

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
	sqlOwnerTurn   = `UPDATE photos_owners SET peer = $2, turn = $3 WHERE owner = $1`
	sqlOwnerComing = `INSERT INTO photos_owners (owner, state, peer, turn, rev, photos, bytes, made, until, copied) VALUES ($1, 'coming', $2, 0, 0, 0, 0, $3, 0, '')
		ON CONFLICT (owner) DO NOTHING`
	sqlOwnerComeAgain = `UPDATE photos_owners SET state = 'coming', peer = $3, turn = turn + 1, rev = $4, copied = $5, photos = 0, bytes = 0, until = 0 WHERE owner = $1 AND turn = $2`
	sqlOwnerProgress  = `UPDATE photos_owners SET copied = $2 WHERE owner = $1`
	sqlOwnerCopied    = `UPDATE photos_owners SET rev = $2, copied = $3 WHERE owner = $1`
	sqlOwnerLeave     = `UPDATE photos_owners SET state = 'leaving', peer = $3, turn = turn + 1 WHERE owner = $1 AND state = 'here' AND turn = $2`
	sqlOwnerStay      = `UPDATE photos_owners SET state = 'here', turn = turn + 1 WHERE owner = $1 AND state = 'leaving' AND turn = $2`
	sqlOwnerReady     = `UPDATE photos_owners SET state = 'ready', turn = turn + 1, rev = $3, photos = $4, bytes = $5, made = $6, copied = '' WHERE owner = $1 AND turn = $2`
	sqlOwnerGone      = `UPDATE photos_owners SET state = 'gone', peer = $3, turn = turn + 1, until = $4 WHERE owner = $1 AND state = 'leaving' AND turn = $2`
	sqlOwnersGone     = `SELECT owner, turn, until FROM photos_owners WHERE state = 'gone' AND until > 0 AND until <= $1 LIMIT $2`
	sqlOwnerErased    = `UPDATE photos_owners SET until = 0, turn = turn + 1 WHERE owner = $1 AND state = 'gone' AND turn = $2`

	sqlOwnersPlaced = `SELECT owner, CASE WHEN state = 'here' THEN peer ELSE 0 END, photos, bytes FROM photos_owners
		WHERE owner > $1 AND state IN ('here', 'leaving') ORDER BY owner LIMIT $2`
	sqlOwnersSum = `SELECT count(*), CAST(COALESCE(sum(photos), 0) AS BIGINT), CAST(COALESCE(sum(bytes), 0) AS BIGINT) FROM photos_owners
		WHERE state IN ('here', 'leaving')`
	sqlOwnersStranded = `SELECT owner FROM photos_owners WHERE peer = $1 AND owner > $2
		AND (state IN ('coming', 'ready', 'leaving') OR state = 'gone' AND until > 0) ORDER BY owner LIMIT $3`
	// made tells a rebuild that what is here may not be all.
	sqlOwnerRescue = `UPDATE photos_owners SET made = CASE WHEN state = 'leaving' THEN made ELSE $3 END,
		state = 'here', peer = 0, turn = turn + 1, until = 0, copied = ''
		WHERE owner = $1 AND peer = $2 AND (state IN ('coming', 'ready', 'leaving') OR state = 'gone' AND until > 0)`
	sqlOwnerStranded = `UPDATE photos_owners SET state = 'gone', peer = $3, turn = turn + 1, until = CASE WHEN until > 0 THEN until ELSE 1 END, copied = ''
		WHERE owner = $1 AND peer = $2 AND (state IN ('coming', 'ready') OR state = 'gone' AND until > 0)`
	sqlOwnerTakeOver = `UPDATE photos_owners SET state = 'here', peer = 0, turn = turn + 1, until = 0, copied = '', made = $3 WHERE owner = $1 AND turn = $2`
	sqlOwnerAbandon  = `UPDATE photos_owners SET state = 'gone', peer = $3, turn = turn + 1, until = $4, copied = '' WHERE owner = $1 AND turn = $2`
	sqlOwnerAlone    = `UPDATE photos_owners SET peer = 0, turn = turn + 1 WHERE owner = $1 AND state = 'here' AND turn = $2`
	sqlOwnersLeft    = `SELECT COALESCE(sum(CASE WHEN state <> 'gone' THEN 1 ELSE 0 END), 0), COALESCE(sum(CASE WHEN state = 'gone' AND until > 0 THEN 1 ELSE 0 END), 0)
		FROM photos_owners`
	sqlOwnersComing  = `SELECT owner FROM photos_owners WHERE state IN ('coming', 'ready') AND owner > $1 ORDER BY owner LIMIT $2`
	sqlOwnersLed     = `SELECT owner FROM photos_owners WHERE peer = $1 AND state = 'gone' AND owner > $2 ORDER BY owner LIMIT $3`
	sqlOwnerLead     = `UPDATE photos_owners SET peer = $3 WHERE owner = $1 AND state = 'gone' AND peer = $2`
	sqlOwnersHeavy   = `SELECT owner, bytes FROM photos_owners WHERE state = 'here' ORDER BY bytes DESC LIMIT $1`
	sqlOwnerReach    = `UPDATE photos_owners SET rev = CASE WHEN rev < $2 THEN $2 ELSE rev END WHERE owner = $1`
	sqlOwnerSetTally = `UPDATE photos_owners SET photos = $2, bytes = $3 WHERE owner = $1`
)
