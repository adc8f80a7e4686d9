package fleet

// All SQL of the engine, for both databases.
const (
	enrolSQL = `
		INSERT INTO fleet_machines (realm, id, cohort, token, enrolled_at, revoked_at, seen_at)
		VALUES ($1, $2, $3, $4, $5, 0, 0) ON CONFLICT DO NOTHING`

	standingSQL = `SELECT cohort, token, enrolled_at, revoked_at, seen_at FROM fleet_machines WHERE realm = $1 AND id = $2`

	byTokenSQL = `SELECT realm, id, cohort FROM fleet_machines WHERE token = $1 AND token <> '' AND revoked_at = 0`

	byIDSQL = `SELECT cohort FROM fleet_machines WHERE realm = $1 AND id = $2 AND revoked_at = 0`

	setTokenSQL = `UPDATE fleet_machines SET token = $3 WHERE realm = $1 AND id = $2 AND revoked_at = 0 RETURNING cohort`

	revokeSQL = `UPDATE fleet_machines SET revoked_at = $3 WHERE realm = $1 AND id = $2`

	seenSQL = `UPDATE fleet_machines SET seen_at = $3 WHERE realm = $1 AND id = $2 AND seen_at < $3`

	endCodesSQL = `DELETE FROM fleet_codes WHERE realm = $1 AND id = $2 AND used_at = 0`

	newCodeSQL = `INSERT INTO fleet_codes (code, realm, id, expires_at, used_at) VALUES ($1, $2, $3, $4, 0)`

	redeemSQL = `
		UPDATE fleet_codes SET used_at = $3
		WHERE code = $1 AND realm = $2 AND used_at = 0 AND expires_at > $3
		RETURNING id`
)
