package cas

import (
	"context"
	"embed"
	"fmt"
	"strings"

	"plumb/base/errs"
	"plumb/engines/sqldb"
)

//go:embed schema/*.sql
var schemaFS embed.FS

const (
	sqlMetaPut = `INSERT INTO cas_meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`
	sqlMetaGet = `SELECT value FROM cas_meta WHERE name = $1`

	sqlTotals = `INSERT INTO cas_totals (store, lane, blobs, refs, logical, uniq, chunks, chunked, stored, bad, packs, loose, held)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
		ON CONFLICT (store, lane) DO UPDATE SET blobs = cas_totals.blobs + excluded.blobs, refs = cas_totals.refs + excluded.refs,
			logical = cas_totals.logical + excluded.logical, uniq = cas_totals.uniq + excluded.uniq,
			chunks = cas_totals.chunks + excluded.chunks, chunked = cas_totals.chunked + excluded.chunked,
			stored = cas_totals.stored + excluded.stored, bad = cas_totals.bad + excluded.bad,
			packs = cas_totals.packs + excluded.packs, loose = cas_totals.loose + excluded.loose, held = cas_totals.held + excluded.held`
	// PostgreSQL's sum of BIGINT is NUMERIC.
	sqlStats = `SELECT CAST(COALESCE(SUM(blobs), 0) AS BIGINT), CAST(COALESCE(SUM(refs), 0) AS BIGINT), CAST(COALESCE(SUM(logical), 0) AS BIGINT),
			CAST(COALESCE(SUM(uniq), 0) AS BIGINT), CAST(COALESCE(SUM(chunks), 0) AS BIGINT), CAST(COALESCE(SUM(chunked), 0) AS BIGINT),
			CAST(COALESCE(SUM(stored), 0) AS BIGINT), CAST(COALESCE(SUM(bad), 0) AS BIGINT), CAST(COALESCE(SUM(packs), 0) AS BIGINT),
			CAST(COALESCE(SUM(loose), 0) AS BIGINT), CAST(COALESCE(SUM(held), 0) AS BIGINT)
		FROM cas_totals`

	sqlBlobTake = `INSERT INTO cas_blobs (hash, id, size, parts, refs, takes) VALUES ($1, $2, $3, $4, 1, 1)
		ON CONFLICT (hash) DO UPDATE SET refs = cas_blobs.refs + 1, takes = cas_blobs.takes + 1
		RETURNING id, refs, takes`
	sqlBlobAdd  = `UPDATE cas_blobs SET refs = refs + 1 WHERE hash = $1 AND refs > 0 RETURNING size`
	sqlBlobDrop = `UPDATE cas_blobs SET refs = refs - 1 WHERE hash = $1 AND refs > 0 RETURNING size, refs`
	sqlBlobGet  = `SELECT id, size, parts FROM cas_blobs WHERE hash = $1 AND refs > 0`

	sqlMakingAdd = `INSERT INTO cas_making (id, chunk, parts, until) VALUES ($1, $2, $3, $4)
		ON CONFLICT (id) DO UPDATE SET parts = cas_making.parts + excluded.parts, until = excluded.until`
	sqlMakingTake = `DELETE FROM cas_making WHERE id = $1 AND parts = $2`
	sqlMakingEnd  = `UPDATE cas_making SET until = 0 WHERE id = $1`

	sqlPackNew    = `INSERT INTO cas_packs (id, kind, state, key, size, live, until, asleep) VALUES ($1, $2, $3, $4, 0, 0, $5, 0)`
	sqlPackStored = `UPDATE cas_packs SET state = $2, size = $3, live = $4, until = 0 WHERE id = $1 AND state = 'writing'`
	sqlPackGet    = `SELECT kind, state, key, size FROM cas_packs WHERE id = $1`
	sqlPackLive   = `UPDATE cas_packs SET live = live + $2 WHERE id = $1 AND kind = 'object'`
	sqlPackEnd    = `UPDATE cas_packs SET state = 'deleting', until = 0 WHERE id = $1 AND state = 'writing' AND live = 0`

	sqlLoosePut  = `INSERT INTO cas_loose (pack, off, data, waste) VALUES ($1, $2, $3, $4) ON CONFLICT (pack, off) DO NOTHING`
	sqlLooseGet  = `SELECT data FROM cas_loose WHERE pack = $1 AND off = $2`
	sqlLooseDrop = `DELETE FROM cas_loose WHERE pack = $1 AND off = $2 AND waste = 0`

	sqlChunkMove = `UPDATE cas_chunks SET pack = $4, off = $5, stored = $6, codec = $7, bad = 0 WHERE id = $1 AND pack = $2 AND off = $3`
	sqlChunkGet  = `SELECT c.pack, c.off, c.stored, c.size, c.codec, k.kind, k.key FROM cas_chunks c JOIN cas_packs k ON k.id = c.pack WHERE c.id = $1`
	sqlChunkPage = `SELECT p.off_end, p.chunk, c.pack, c.off, c.stored, c.size, c.codec, k.kind, k.key
		FROM cas_parts p JOIN cas_chunks c ON c.id = p.chunk JOIN cas_packs k ON k.id = c.pack
		WHERE p.blob = $1 AND p.off_end > $2 ORDER BY p.off_end LIMIT $3`
)

// Statements over several rows at once: texts for a few numbers of rows only, so that
// they stay prepared.
var (
	sqlChunkPut = rowsText(`INSERT INTO cas_chunks (id, pack, off, stored, size, codec, refs, bad) VALUES `, 8,
		` ON CONFLICT (id) DO UPDATE SET refs = cas_chunks.refs + excluded.refs RETURNING id, pack, off, stored, size, codec, bad`)
	sqlPartPut = rowsText(`INSERT INTO cas_parts (blob, off_end, chunk) VALUES `, 3, ``)
)

var rowSizes = [...]int{32, 8, 1}

type rowTexts [len(rowSizes)]string

func rowsText(head string, columns int, tail string) (t rowTexts) {
	for i, rows := range rowSizes {
		var b strings.Builder
		b.WriteString(head)
		for n := range rows * columns {
			switch {
			case n == 0:
				b.WriteString("(")
			case n%columns == 0:
				b.WriteString("), (")
			default:
				b.WriteString(", ")
			}
			fmt.Fprintf(&b, "$%d", n+1)
		}
		b.WriteString(")" + tail)
		t[i] = b.String()
	}
	return t
}

// inRows calls fn with a text for the next rows of n, and with which rows they are,
// until all were done.
func inRows(t *rowTexts, n int, fn func(text string, from, to int) error) error {
	for from := 0; from < n; {
		i := 0
		for rowSizes[i] > n-from {
			i++
		}
		if err := fn(t[i], from, from+rowSizes[i]); err != nil {
			return err
		}
		from += rowSizes[i]
	}
	return nil
}

// delta is a change of the totals. Its fields are the columns of cas_totals.
type delta struct {
	blobs, refs, logical, uniq, chunks, chunked, stored, bad, packs, loose, held int64
}

// count adds d to the store's own row of a lane.
func (s *Store) count(ctx context.Context, tx *sqldb.Tx, lane int64, d delta) error {
	if d == (delta{}) {
		return nil
	}
	_, err := tx.Exec(ctx, sqlTotals, s.id, lane, d.blobs, d.refs, d.logical, d.uniq, d.chunks, d.chunked, d.stored, d.bad, d.packs, d.loose, d.held)
	return err
}

// Lanes of cas_totals: one for each first half byte of a hash, and one for what the
// store does by itself.
const (
	hashLanes = 16
	ownLane   = hashLanes
)

func laneOf(h Hash) int64 { return int64(h[0] >> 4) }

// write is a transaction of the store's own. They wait for each other in this process,
// and for those of other processes only where both want the same rows.
func (s *Store) write(ctx context.Context, fn sqldb.Fn) error {
	for try := 0; ; try++ {
		err := s.n.DB.BatchBy(ctx, "cas", fn)
		if try == 4 || !errs.Is(err, errs.Busy) || sqldb.IsFull(err) || sqldb.IsAway(err) || ctx.Err() != nil {
			return err
		}
	}
}
