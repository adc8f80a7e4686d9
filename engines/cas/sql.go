package cas

import (
	"context"
	"embed"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

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
	sqlBlobSize = `SELECT COUNT(*) FROM (SELECT hash FROM cas_blobs WHERE size = $1 AND size > 131072 LIMIT 1) one`
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

	sqlLooseUse  = `UPDATE cas_loose SET waste = 0 WHERE pack = $1 AND off = $2 AND waste = 1`
	sqlLoosePut  = `INSERT INTO cas_loose (pack, off, data, waste) VALUES ($1, $2, $3, $4) ON CONFLICT (pack, off) DO NOTHING`
	sqlLooseGet  = `SELECT data FROM cas_loose WHERE pack = $1 AND off = $2`
	sqlLooseDrop = `DELETE FROM cas_loose WHERE pack = $1 AND off = $2 AND waste = 0`

	sqlChunkMove = `UPDATE cas_chunks SET pack = $4, off = $5, stored = $6, codec = $7, bad = 0 WHERE id = $1 AND pack = $2 AND off = $3 AND bad = $8`
	sqlChunkHas  = `SELECT COUNT(*) FROM cas_chunks WHERE id = $1 AND bad = 0`
	sqlChunkWell = `SELECT pack, off, stored, bad FROM cas_chunks WHERE id = $1`
	sqlChunkAdd  = `UPDATE cas_chunks SET refs = refs + $2 WHERE id = $1`
	sqlChunkGet  = `SELECT c.pack, c.off, c.stored, c.size, c.codec, k.kind, k.key FROM cas_chunks c JOIN cas_packs k ON k.id = c.pack WHERE c.id = $1`
	sqlChunkPage = `SELECT p.off_end, p.chunk, c.pack, c.off, c.stored, c.size, c.codec, k.kind, k.key
		FROM cas_parts p JOIN cas_chunks c ON c.id = p.chunk JOIN cas_packs k ON k.id = c.pack
		WHERE p.blob = $1 AND p.off_end > $2 ORDER BY p.off_end LIMIT $3`
)

// The collector's.
const (
	sqlUnused     = `SELECT hash, id, parts FROM cas_blobs WHERE refs = 0 LIMIT $1`
	sqlUnusedDrop = `DELETE FROM cas_blobs WHERE hash = $1 AND refs = 0`

	sqlEnded      = `SELECT id, chunk, parts FROM cas_making WHERE until <= $1 ORDER BY until LIMIT $2`
	sqlEndedParts = `SELECT off_end, chunk FROM cas_parts WHERE blob = $1 ORDER BY off_end LIMIT $2`
	sqlPartsDrop  = `DELETE FROM cas_parts WHERE blob = $1 AND off_end <= $2`
	sqlMakingLess = `UPDATE cas_making SET parts = parts - $2, until = 0 WHERE id = $1`
	sqlMakingDrop = `DELETE FROM cas_making WHERE id = $1`

	sqlChunkUnref = `UPDATE cas_chunks SET refs = refs - $2 WHERE id = $1 RETURNING refs, pack, off, stored, size, bad`
	sqlChunkDrop  = `DELETE FROM cas_chunks WHERE id = $1`

	sqlWaste     = `SELECT pack, off, LENGTH(data) FROM cas_loose WHERE waste = 1 LIMIT $1`
	sqlWasteDrop = `DELETE FROM cas_loose WHERE pack = $1 AND off = $2 AND waste = 1`

	sqlWriting  = `SELECT id FROM cas_packs WHERE state = 'writing' AND until <= $1 LIMIT $2`
	sqlPackKeep = `UPDATE cas_packs SET state = 'stored' WHERE id = $1 AND state = 'writing' AND live > 0`
	sqlEmpty    = `SELECT id FROM cas_packs WHERE state = 'stored' AND kind = 'object' AND live * 4 < size * 3 AND live = 0 LIMIT $1`
	sqlEmptyEnd = `UPDATE cas_packs SET state = 'deleting' WHERE id = $1 AND state = 'stored' AND kind = 'object' AND live = 0`
	sqlDeleting = `SELECT id FROM cas_packs WHERE state = 'deleting' LIMIT $1`
	sqlPackDrop = `DELETE FROM cas_packs WHERE id = $1 AND state = 'deleting' RETURNING size`

	// A loose pack goes when nobody can have a place in it any more.
	sqlLooseEnded = `SELECT id FROM cas_packs k WHERE kind = 'loose' AND until <= $1
		AND NOT EXISTS (SELECT 1 FROM cas_loose l WHERE l.pack = k.id) LIMIT $2`
	sqlLooseEnd = `DELETE FROM cas_packs WHERE id = $1 AND kind = 'loose'
		AND NOT EXISTS (SELECT 1 FROM cas_loose l WHERE l.pack = cas_packs.id)`

	sqlPackChunks = `SELECT id, off, stored, size, codec, bad FROM cas_chunks WHERE pack = $1 AND off > $2 ORDER BY off LIMIT $3`
	sqlLooseIDs   = `SELECT id FROM cas_packs WHERE kind = 'loose' ORDER BY id`
	sqlLooseSome  = `SELECT LENGTH(data) FROM cas_loose WHERE waste = 0 LIMIT $1`
	sqlSparse     = `SELECT id, live FROM cas_packs WHERE state = 'stored' AND kind = 'object' AND live * 4 < size * 3 AND live > 0 AND asleep <= $1 LIMIT $2`
	sqlSmall      = `SELECT id, live FROM cas_packs WHERE state = 'stored' AND kind = 'object' AND size < 4194304 AND live > 0 AND asleep <= $1 LIMIT $2`
	sqlPackSleep  = `UPDATE cas_packs SET asleep = $2 WHERE id = $1`
	sqlPackSized  = `UPDATE cas_packs SET size = $2 WHERE id = $1 AND state = 'writing'`
	sqlPackGrow   = `UPDATE cas_packs SET live = live + $2 WHERE id = $1 AND state = 'writing'`
	sqlPackDone   = `UPDATE cas_packs SET state = 'stored', until = 0 WHERE id = $1 AND state = 'writing'`

	sqlChunkMark   = `UPDATE cas_chunks SET bad = $4 WHERE id = $1 AND pack = $2 AND off = $3 AND bad <> $4`
	sqlPackIDs     = `SELECT id FROM cas_packs WHERE id > $1 AND state <> 'deleting' ORDER BY id LIMIT $2`
	sqlPackThereID = `SELECT id FROM cas_packs WHERE id = $1`
	sqlPackThere   = `SELECT COUNT(*) FROM cas_packs WHERE id = $1`

	sqlKeyPage  = `SELECT id, key FROM cas_packs WHERE id > $1 ORDER BY id LIMIT $2`
	sqlPackKey  = `UPDATE cas_packs SET key = $3 WHERE id = $1 AND key = $2`
	sqlMetaSwap = `UPDATE cas_meta SET value = $3 WHERE name = $1 AND value = $2`

	sqlTotalsOld  = `SELECT store, lane, blobs, refs, logical, uniq, chunks, chunked, stored, bad, packs, loose, held FROM cas_totals WHERE store < $1 ORDER BY store, lane LIMIT $2`
	sqlTotalsDrop = `DELETE FROM cas_totals WHERE store = $1 AND lane = $2`

	sqlAloneMaking = `UPDATE cas_making SET until = 0 WHERE until > 0`
	sqlAlonePacks  = `UPDATE cas_packs SET until = 0 WHERE until > 0`
)

// Statements over several rows at once: texts for a few numbers of rows only, so that
// they stay prepared.
var (
	sqlChunkPut = rowsText(`INSERT INTO cas_chunks (id, pack, off, stored, size, codec, refs, bad) VALUES `, 8,
		` ON CONFLICT (id) DO UPDATE SET refs = cas_chunks.refs + excluded.refs RETURNING id, pack, off, stored, bad, refs`)
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
	return again(ctx, func() error { return s.n.DB.BatchBy(ctx, "cas", fn) })
}

// Write runs fn, which takes, adds or drops references to h, in one transaction that is
// tried again while other processes are first, some seconds long. In this process all
// that change the same blob wait in line (sqldb.DB.BatchBy with h.Lane).
func (s *Store) Write(ctx context.Context, h Hash, fn sqldb.Fn) error {
	return again(ctx, func() error { return s.n.DB.BatchBy(ctx, h.Lane(), fn) })
}

// again calls fn until it is not too busy, with pauses that grow and differ, so that no
// process starves beside one that never stops.
func again(ctx context.Context, fn func() error) error {
	for try := 0; ; try++ {
		err := fn()
		if try == 15 || !errs.Is(err, errs.Busy) || sqldb.IsFull(err) || sqldb.IsAway(err) {
			return err
		}
		select {
		case <-time.After(rand.N(time.Millisecond << min(try+3, 10))):
		case <-ctx.Done():
			return err
		}
	}
}
