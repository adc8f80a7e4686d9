package photos

import (
	"context"
	"strings"
	"time"

	"plumb/engines/cas"
	"plumb/engines/sqldb"
)

// All SQL of a photo's row. Statements of albums and links stand with their verbs.

const photoColumns = `p.id, p.owner, p.rev, p.hash, p.size, p.name, p.type, p.width, p.height, p.taken, p.zone, p.known, p.stated, p.stated_by, p.stated_zone,
	p.camera, p.lens, p.exposure, p.placed, p.lat, p.lon, p.place, p.caption, p.favourite, p.keeps, p.state, p.fault, p.blur, p.sized, p.small, p.medium, p.large,
	p.made, p.bin_at, p.copies, p.owed`

const (
	insertSQL = `INSERT INTO photos_photos (owner, id, rev, gone, hash, size, name, type, width, height, taken, zone, known, stated, stated_by, stated_zone,
			camera, lens, exposure, placed, lat, lon, place, caption, words, favourite, keeps, state, fault, blur, sized, small, medium, large, made, bin_at, copies, owed)
		VALUES ($1, $2, $3, 0, $4, $5, $6, $7, $8, $9, $10, $11, $12, $10, $12, $11, $13, $14, $15, $16, $17, $18, $19, $20, $21, 0, 0, 'new', '', '', '', '', '', '', $22, 0, $23, $24)
		ON CONFLICT DO NOTHING`
	byIDSQL   = `SELECT ` + photoColumns + ` FROM photos_photos AS p WHERE p.owner = $1 AND p.id = $2 AND p.gone = 0`
	byHashSQL = `SELECT ` + photoColumns + ` FROM photos_photos AS p WHERE p.owner = $1 AND p.hash = $2 AND p.gone = 0`
	changeSQL = `UPDATE photos_photos SET rev = $3, caption = $4, words = $5, favourite = $6, keeps = $7, taken = $8, zone = $9, known = $10 WHERE owner = $1 AND id = $2 AND gone = 0`
	binSQL    = `UPDATE photos_photos SET rev = $3, bin_at = $4 WHERE owner = $1 AND id = $2 AND gone = 0`
	goneSQL   = `UPDATE photos_photos SET rev = $3, gone = $4, owed = 0 WHERE owner = $1 AND id = $2 AND gone = 0`
	sizesSQL  = `UPDATE photos_photos SET rev = $3, state = 'ready', fault = '', blur = $4, sized = $5, small = $6, medium = $7, large = $8
		WHERE owner = $1 AND id = $2 AND gone = 0`
	brokenSQL = `UPDATE photos_photos SET rev = $3, state = 'broken', fault = $4 WHERE owner = $1 AND id = $2 AND state = 'new' AND gone = 0`

	inBinSQL = `SELECT ` + photoColumns + ` FROM photos_photos AS p WHERE p.owner = $1 AND p.bin_at > 0 AND p.gone = 0
		AND (p.bin_at, p.id) < ($2, $3) ORDER BY p.bin_at DESC, p.id DESC LIMIT $4`
	binnedSQL = `SELECT count(*) FROM photos_photos WHERE owner = $1 AND bin_at > 0 AND gone = 0`
)

// scanPhoto reads a row of photoColumns.
func scanPhoto(scan func(...any) error) (Photo, error) {
	var p Photo
	var taken, zone, placed, favourite, keeps, born, bin int64
	var state string
	var hash, small, medium, large string
	if err := scan(&p.ID, &p.Owner, &p.rev, &hash, &p.Size, &p.Name, &p.Type, &p.Width, &p.Height, &taken, &zone, &p.known, &p.stated, &p.statedBy, &p.statedZone,
		&p.Camera, &p.Lens, &p.Exposure, &placed, &p.Lat, &p.Lon, &p.Place, &p.Caption, &favourite, &keeps, &state, &p.Fault, &p.Blur, &p.sized, &small, &medium, &large,
		&born, &bin, &p.copies, &p.owed); err != nil {
		return Photo{}, err
	}
	p.Taken, p.TakenKnown = wall(taken, zone), p.known != byNobody
	p.HasPlace, p.Favourite, p.KeepLocation, p.State = placed == 1, favourite == 1, keeps == 1, State(state)
	p.Made, p.Binned = when(born), when(bin)
	p.Hash = hashOf(hash)
	p.sizes = [len(Sizes)]cas.Hash{hashOf(small), hashOf(medium), hashOf(large)}
	return p, nil
}

// Who says when a photo was taken.
const (
	byNobody = iota
	byFile
	byOwner
)

// wall makes a time of what a clock on the wall showed (microseconds), and its zone
// (minutes east of UTC).
func wall(micros, zone int64) time.Time {
	t := time.UnixMicro(micros - zone*60_000_000).UTC()
	if zone != 0 {
		t = t.In(time.FixedZone("", int(zone)*60))
	}
	return t
}

// unwall is the reverse of wall. Seconds of a zone, which history knows, are dropped.
func unwall(t time.Time) (micros, zone int64) {
	_, offset := t.Zone()
	zone = int64(offset / 60)
	return t.UnixMicro() + zone*60_000_000, zone
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

// hashOf reads a stored hash; "" is the zero hash.
func hashOf(text string) cas.Hash {
	h, err := cas.ParseHash(text)
	if err != nil {
		return cas.Hash{}
	}
	return h
}

// hexOf writes a hash; the zero hash as "".
func hexOf(h cas.Hash) string {
	if h == (cas.Hash{}) {
		return ""
	}
	return h.String()
}

// photoBy runs a query for one photo; found is false when there is none.
func photoBy(ctx context.Context, tx *sqldb.Tx, query string, args ...any) (p Photo, found bool, err error) {
	p, err = scanPhoto(tx.QueryRow(ctx, query, args...).Scan)
	if err == sqldb.ErrNoRows {
		return Photo{}, false, nil
	}
	return p, err == nil, err
}

// photos runs a query for several.
func photos(ctx context.Context, tx *sqldb.Tx, query string, args ...any) (list []Photo, err error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		p, err := scanPhoto(rows.Scan)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, rows.Err()
}

// insert adds a photo's row; false where another with its content is there.
func insert(ctx context.Context, tx *sqldb.Tx, p Photo, rev int64) (bool, error) {
	taken, zone := unwall(p.Taken)
	n, err := tx.Exec(ctx, insertSQL, p.Owner, p.ID, rev, hexOf(p.Hash), p.Size, p.Name, p.Type, p.Width, p.Height, taken, zone, p.known,
		p.Camera, p.Lens, p.Exposure, bit(p.HasPlace), p.Lat, p.Lon, p.Place, p.Caption, p.index(), p.Made.UnixMicro(), p.copies, p.owed)
	return n == 1, err
}

// trim cuts a list that was read with one more than a page, and returns the cursor.
func trim[T any](list []T, limit int, key func(T) string) ([]T, string) {
	if len(list) <= limit {
		return list, ""
	}
	list = list[:limit]
	return list, key(list[limit-1])
}

// page returns a list's limit within its bounds.
func page(limit int) int {
	if limit <= 0 {
		return 100
	}
	return min(limit, mostPage)
}

// holders reads a row's copies: the numbers of shards.
func holders(text string) (list []int64) {
	for part := range strings.SplitSeq(text, ",") {
		var n int64
		for _, c := range []byte(part) {
			n = n*10 + int64(c-'0')
		}
		if part != "" {
			list = append(list, n)
		}
	}
	return list
}
