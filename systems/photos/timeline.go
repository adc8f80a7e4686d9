package photos

import (
	"context"
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"plumb/base/errs"
	"plumb/engines/sqldb"
	"plumb/systems/photos/internal/shard"
)

// Filter says which photos to list. Its zero value is all, but those in the bin.
type Filter struct {
	Text      string    // words, each the beginning of one in the caption, the file's name, the camera or the place
	Camera    string    // words in the camera or lens
	Place     string    // words in the place's name
	From, To  time.Time // taken from and before, by the clock on the wall; zero: whenever
	Favourite bool      // only those
	Album     string    // only those of this album, in its order
	Broken    bool      // only those
	Cursor    string    // next of the page before
	Limit     int       // 1 to 1,000; 100 when 0
}

// Get returns a photo of the person's. One in the bin is returned too. Errors: NotFound.
func (s *System) Get(ctx context.Context, p Person, id string) (Photo, error) {
	photo, _, err := s.locate(ctx, p, id)
	return photo, err
}

// locate returns a photo of the person's, and the shard on which it is.
func (s *System) locate(ctx context.Context, p Person, id string) (Photo, *shard.Shard, error) {
	var where *shard.Shard
	photo, err := read(ctx, s, "look up a photo", p, func(ctx context.Context, tx *sqldb.Tx, at *shard.Shard) (Photo, error) {
		where = at
		return own(ctx, tx, p.ID, id)
	})
	return photo, where, err
}

// own returns a photo of an owner's. Errors: NotFound.
func own(ctx context.Context, tx *sqldb.Tx, owner, id string) (Photo, error) {
	photo, found, err := photoBy(ctx, tx, byIDSQL, owner, id)
	if err == nil && !found {
		err = errNone("photo", id)
	}
	return photo, err
}

// List returns the person's photos, the last taken first, and the cursor of the next
// page; "" on the last. Those of an album come in its order. Errors: Invalid; NotFound
// for the album.
func (s *System) List(ctx context.Context, p Person, f Filter) (list []Photo, next string, err error) {
	q, err := f.query(p.ID)
	if err != nil {
		return nil, "", fmt.Errorf("list photos: %w", err)
	}
	from, err := q.spot(f.Cursor)
	if err != nil {
		return nil, "", fmt.Errorf("list photos: %w", err)
	}
	limit := page(f.Limit)
	found, err := read(ctx, s, "list photos", p, func(ctx context.Context, tx *sqldb.Tx, _ *shard.Shard) ([]spotted, error) {
		if f.Album != "" {
			if _, err := s.album(ctx, tx, p.ID, f.Album); err != nil {
				return nil, err
			}
		}
		return q.run(ctx, tx, from, false, limit+1)
	})
	found, next = trim(found, limit, func(sp spotted) string { return sp.String() })
	for _, sp := range found {
		list = append(list, sp.photo)
	}
	return list, next, err
}

// Around returns the ids of the photos before and after one in the list that a filter
// gives; "" where there is none. Errors: NotFound.
func (s *System) Around(ctx context.Context, p Person, f Filter, id string) (before, after string, err error) {
	q, err := f.query(p.ID)
	if err != nil {
		return "", "", fmt.Errorf("look around a photo: %w", err)
	}
	ids, err := read(ctx, s, "look around a photo", p, func(ctx context.Context, tx *sqldb.Tx, _ *shard.Shard) (ids [2]string, err error) {
		photo, err := own(ctx, tx, p.ID, id)
		if err != nil {
			return ids, err
		}
		from, _ := unwall(photo.Taken)
		if f.Album != "" {
			if from, err = placeOf(ctx, tx, p.ID, f.Album, id); err != nil {
				return ids, err
			}
		}
		for i, back := range []bool{true, false} {
			list, err := q.run(ctx, tx, spot{from, id}, back, 1)
			if err != nil {
				return ids, err
			}
			if len(list) > 0 {
				ids[i] = list[0].id
			}
		}
		return ids, nil
	})
	return ids[0], ids[1], err
}

// spot is a place in a list: what it is ordered by, and a photo's id.
type spot struct {
	at int64 // taken, or the place in an album
	id string
}

type spotted struct {
	spot
	photo Photo
}

// String writes a spot as a cursor.
func (sp spot) String() string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(sp.at, 36) + "." + sp.id))
}

func readSpot(cursor string) (spot, error) {
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	at, id, ok := strings.Cut(string(text), ".")
	v, bad := strconv.ParseInt(at, 36, 64)
	if err != nil || !ok || bad != nil || len(id) > 64 || strings.Trim(id, "0123456789abcdef-~") != "" {
		return spot{}, errs.New(errs.Invalid, "this is no cursor of a list of photos")
	}
	return spot{v, id}, nil
}

// query is a filter as SQL: a narrow one finds ids, in the index that has the words, and
// a wide one their rows.
type query struct {
	owner string
	album string
	where []string
	args  []any
}

func (q *query) arg(v any) string {
	q.args = append(q.args, v)
	return "$" + strconv.Itoa(len(q.args))
}

func (q *query) and(condition string, args ...any) {
	names := make([]any, len(args))
	for i, a := range args {
		names[i] = q.arg(a)
	}
	q.where = append(q.where, fmt.Sprintf(condition, names...))
}

// query checks the filter and turns it into SQL.
func (f Filter) query(owner string) (*query, error) {
	q := &query{owner: owner, album: f.Album}
	q.and("p.owner = %s AND p.gone = 0 AND p.bin_at = 0", owner)
	if f.Album != "" {
		q.and("a.owner = %s AND a.album = %s AND a.gone = 0", owner, f.Album)
	}
	for _, asks := range []struct {
		mark byte
		text string
	}{{0, f.Text}, {markCamera, f.Camera}, {markPlace, f.Place}} {
		patterns, err := asked(asks.mark, asks.text)
		if err != nil {
			return nil, err
		}
		for _, like := range patterns {
			q.and("p.words LIKE %s", like)
		}
	}
	if !f.From.IsZero() {
		at, _ := unwall(f.From)
		q.and("p.taken >= %s", at)
	}
	if !f.To.IsZero() {
		at, _ := unwall(f.To)
		q.and("p.taken < %s", at)
	}
	if f.Favourite {
		q.and("p.favourite = 1")
	}
	if f.Broken {
		q.and("p.state = 'broken'")
	}
	return q, nil
}

// spot reads a cursor; "" is the list's beginning.
func (q *query) spot(cursor string) (spot, error) {
	switch {
	case cursor != "":
		return readSpot(cursor)
	case q.album != "":
		return spot{math.MinInt64, ""}, nil
	}
	return spot{math.MaxInt64, "~"}, nil // after every id
}

// run returns the photos after a spot, or those before it, the nearest first.
func (q *query) run(ctx context.Context, tx *sqldb.Tx, from spot, back bool, limit int) ([]spotted, error) {
	all := *q
	all.args, all.where = append([]any{}, q.args...), append([]string{}, q.where...)
	order, table, by, id := "DESC", "photos_photos AS p", "p.taken", "p.id"
	if q.album != "" {
		order, table, by, id = "ASC", "photos_placed AS a JOIN photos_photos AS p ON p.owner = a.owner AND p.id = a.photo", "a.at", "a.photo"
	}
	less := "<"
	if (q.album != "") != back {
		less = ">"
	}
	if back {
		order = map[string]string{"ASC": "DESC", "DESC": "ASC"}[order]
	}
	all.and("("+by+", "+id+") "+less+" (%s, %s)", from.at, from.id)
	narrow := `SELECT ` + id + ` AS id, ` + by + ` AS spot FROM ` + table + ` WHERE ` + strings.Join(all.where, " AND ") +
		` ORDER BY ` + by + ` ` + order + `, ` + id + ` ` + order + ` LIMIT ` + all.arg(int64(limit))
	text := `SELECT f.spot, ` + photoColumns + ` FROM (` + narrow + `) AS f JOIN photos_photos AS p ON p.owner = ` + all.arg(q.owner) + ` AND p.id = f.id
		ORDER BY f.spot ` + order + `, p.id ` + order
	rows, err := tx.Query(ctx, text, all.args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []spotted
	for rows.Next() {
		var sp spotted
		if sp.photo, err = scanPhoto(func(dest ...any) error { return rows.Scan(append([]any{&sp.at}, dest...)...) }); err != nil {
			return nil, err
		}
		sp.id = sp.photo.ID
		list = append(list, sp)
	}
	return list, rows.Err()
}

// Month is the photos of a month.
type Month struct {
	Year  int
	Month time.Month
	Count int64
	First string // a cursor: a List with it begins with the month's last taken photo
}

// mostMonths bounds Months: a century.
const mostMonths = 1200

// Months returns the months in which the person's photos were taken, the latest first;
// 1,200 at most. Each month costs a look into the index and the count of its photos there.
func (s *System) Months(ctx context.Context, p Person) ([]Month, error) {
	return read(ctx, s, "count months", p, func(ctx context.Context, tx *sqldb.Tx, _ *shard.Shard) ([]Month, error) {
		list := []Month{}
		for before := int64(math.MaxInt64); len(list) < mostMonths; {
			var last int64
			err := tx.QueryRow(ctx, lastTakenSQL, p.ID, before).Scan(&last)
			if err == sqldb.ErrNoRows {
				break
			}
			if err != nil {
				return nil, err
			}
			t := time.UnixMicro(last).UTC()
			from := time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
			end := from.AddDate(0, 1, 0).UnixMicro()
			m := Month{Year: t.Year(), Month: t.Month(), First: spot{end, ""}.String()}
			if err := tx.QueryRow(ctx, countTakenSQL, p.ID, from.UnixMicro(), end).Scan(&m.Count); err != nil {
				return nil, err
			}
			list = append(list, m)
			before = from.UnixMicro()
		}
		return list, nil
	})
}

// Totals is what a person keeps.
type Totals struct {
	Photos int64 // bin included
	Bytes  int64 // of originals, bin included
	Limit  int64 // of Bytes; 0: none
	Binned int64 // photos in the bin
	Albums int64
}

// Totals returns what the person keeps, and may keep.
func (s *System) Totals(ctx context.Context, p Person) (Totals, error) {
	return read(ctx, s, "count photos", p, func(ctx context.Context, tx *sqldb.Tx, _ *shard.Shard) (t Totals, err error) {
		t.Limit = s.c.Quota
		if t.Photos, t.Bytes, err = tallied(ctx, tx, p.ID); err != nil {
			return t, err
		}
		if err := tx.QueryRow(ctx, binnedSQL, p.ID).Scan(&t.Binned); err != nil {
			return t, err
		}
		return t, tx.QueryRow(ctx, albumsSQL, p.ID).Scan(&t.Albums)
	})
}

// tallied returns what a person keeps, by the row that counts it.
func tallied(ctx context.Context, tx *sqldb.Tx, owner string) (photos, bytes int64, err error) {
	err = tx.QueryRow(ctx, talliedSQL, owner).Scan(&photos, &bytes)
	if err == sqldb.ErrNoRows {
		err = nil
	}
	return photos, bytes, err
}

const (
	talliedSQL    = `SELECT photos, bytes FROM photos_owners WHERE owner = $1`
	lastTakenSQL  = `SELECT taken FROM photos_photos WHERE owner = $1 AND bin_at = 0 AND gone = 0 AND taken < $2 ORDER BY taken DESC, id DESC LIMIT 1`
	countTakenSQL = `SELECT count(*) FROM photos_photos WHERE owner = $1 AND bin_at = 0 AND gone = 0 AND taken >= $2 AND taken < $3`
)
