package photos

import (
	"context"
	"slices"
	"time"

	"plumb/base/errs"
	"plumb/base/ids"
	"plumb/engines/sqldb"
	"plumb/systems/photos/internal/shard"
)

// Album is photos in an order.
type Album struct {
	ID      string // UUIDv7
	Owner   string
	Title   string
	Cover   string // a photo's id: the chosen one, else the first; "" where there is none
	Photos  int64  // those in the bin are not counted
	Made    time.Time
	Changed time.Time
}

// AlbumChanges are what is to change about an album; nil leaves a field as it is.
type AlbumChanges struct {
	Title *string
	Cover *string // a photo of the album; "": the first
}

// gap is the distance between two photos of an album, so that others can come between.
const gap = 1 << 20

// MakeAlbum makes an album of photos, which may be none. Errors: Invalid; NotFound for a
// photo; TooLarge.
func (s *System) MakeAlbum(ctx context.Context, p Person, title string, photos []string) (Album, error) {
	title, err := checkTitle(title)
	if err != nil {
		return Album{}, err
	}
	if err := checkList(photos); err != nil {
		return Album{}, err
	}
	al, err := write(ctx, s, "make an album", p, nil, append([]string{title}, photos...), func(ctx context.Context, tx *sqldb.Tx, a act) (Album, error) {
		var n int64
		if err := tx.QueryRow(ctx, albumsSQL, a.owner).Scan(&n); err != nil {
			return Album{}, err
		}
		if n >= MaxAlbums {
			return Album{}, errs.New(errs.TooLarge, "%d albums are the most", MaxAlbums)
		}
		id := ids.New(a.now)
		if _, err := tx.Exec(ctx, addAlbumSQL, a.owner, id, a.rev, title, a.now.UnixMicro()); err != nil {
			return Album{}, err
		}
		return s.place(ctx, tx, a, id, photos)
	})
	if err == nil {
		s.changed(ctx, p.ID, "album", al.ID)
	}
	return al, err
}

func checkTitle(title string) (string, error) {
	title, err := checkText("title", title, MaxTitle)
	if err == nil && title == "" {
		err = errs.New(errs.Invalid, "an album needs a title")
	}
	return title, err
}

func checkList(photos []string) error {
	if len(photos) > MaxChange {
		return errs.New(errs.Invalid, "%d photos are the most at once, not %d", MaxChange, len(photos))
	}
	return nil
}

// Albums returns the person's albums, the last made first. photo, unless "", leaves only
// those that it is in.
func (s *System) Albums(ctx context.Context, p Person, photo, cursor string, limit int) (list []Album, next string, err error) {
	if cursor == "" {
		cursor = "~" // after every id
	}
	limit = page(limit)
	list, err = read(ctx, s, "list albums", p, func(ctx context.Context, tx *sqldb.Tx, _ *shard.Shard) ([]Album, error) {
		rows, err := tx.Query(ctx, listAlbumsSQL, p.ID, cursor, photo, int64(limit+1))
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		list := []Album{}
		for rows.Next() {
			al, err := scanAlbum(rows.Scan)
			if err != nil {
				return nil, err
			}
			list = append(list, al)
		}
		return list, rows.Err()
	})
	list, next = trim(list, limit, func(al Album) string { return al.ID })
	return list, next, err
}

func scanAlbum(scan func(...any) error) (al Album, err error) {
	var born, changed int64
	err = scan(&al.ID, &al.Owner, &al.Title, &al.Photos, &born, &changed, &al.Cover)
	al.Made, al.Changed = when(born), when(changed)
	return al, err
}

// Album returns an album; its photos are List's. Errors: NotFound.
func (s *System) Album(ctx context.Context, p Person, id string) (Album, error) {
	return read(ctx, s, "look up an album", p, func(ctx context.Context, tx *sqldb.Tx, _ *shard.Shard) (Album, error) {
		return s.album(ctx, tx, p.ID, id)
	})
}

// album returns an album of an owner's. Errors: NotFound.
func (s *System) album(ctx context.Context, tx *sqldb.Tx, owner, id string) (Album, error) {
	al, err := scanAlbum(tx.QueryRow(ctx, albumSQL, owner, id).Scan)
	if err == sqldb.ErrNoRows {
		err = errNone("album", id)
	}
	return al, err
}

// ChangeAlbum changes an album. Errors: Invalid; NotFound.
func (s *System) ChangeAlbum(ctx context.Context, p Person, id string, c AlbumChanges) (Album, error) {
	if c.Title != nil {
		title, err := checkTitle(*c.Title)
		if err != nil {
			return Album{}, err
		}
		c.Title = &title
	}
	return s.changeAlbum(ctx, p, "change an album", id, c, func(ctx context.Context, tx *sqldb.Tx, a act) error {
		al, err := s.album(ctx, tx, a.owner, id)
		if err != nil {
			return err
		}
		if c.Title != nil {
			al.Title = *c.Title
		}
		var chosen string
		if err := tx.QueryRow(ctx, chosenSQL, a.owner, id).Scan(&chosen); err != nil {
			return err
		}
		if c.Cover != nil {
			if chosen = *c.Cover; chosen != "" {
				if _, err := placeOf(ctx, tx, a.owner, id, chosen); err != nil {
					return err
				}
			}
		}
		_, err = tx.Exec(ctx, changeAlbumSQL, a.owner, id, a.rev, al.Title, chosen, a.now.UnixMicro())
		return err
	})
}

// changeAlbum runs fn in a write, and returns the album as it is then.
func (s *System) changeAlbum(ctx context.Context, p Person, what, id string, how any, fn func(ctx context.Context, tx *sqldb.Tx, a act) error) (Album, error) {
	al, err := write(ctx, s, what, p, nil, []any{id, how}, func(ctx context.Context, tx *sqldb.Tx, a act) (Album, error) {
		if err := fn(ctx, tx, a); err != nil {
			return Album{}, err
		}
		return s.album(ctx, tx, a.owner, id)
	})
	if err == nil {
		s.changed(ctx, p.ID, "album", id)
	}
	return al, err
}

// AddTo puts photos at the end of an album; those in it stay where they are. Errors:
// Invalid; NotFound for the album or a photo; TooLarge.
func (s *System) AddTo(ctx context.Context, p Person, album string, photos ...string) (Album, error) {
	if err := checkList(photos); err != nil {
		return Album{}, err
	}
	return s.changeAlbum(ctx, p, "add to an album", album, photos, func(ctx context.Context, tx *sqldb.Tx, a act) error {
		_, err := s.place(ctx, tx, a, album, photos)
		return err
	})
}

// place is AddTo within a write.
func (s *System) place(ctx context.Context, tx *sqldb.Tx, a act, album string, photos []string) (Album, error) {
	if _, err := s.album(ctx, tx, a.owner, album); err != nil {
		return Album{}, err
	}
	var last, held, added int64
	if err := tx.QueryRow(ctx, lastPlaceSQL, a.owner, album).Scan(&last, &held); err != nil {
		return Album{}, err
	}
	for _, id := range photos {
		photo, err := own(ctx, tx, a.owner, id)
		if err != nil {
			return Album{}, err
		}
		last += gap
		n, err := tx.Exec(ctx, placeSQL, a.owner, album, id, a.rev, last)
		if err != nil {
			return Album{}, err
		}
		if held += n; held > MaxPhotosAlbum {
			return Album{}, errs.New(errs.TooLarge, "an album holds %d photos at most", MaxPhotosAlbum)
		}
		if photo.Binned.IsZero() {
			added += n
		}
	}
	if _, err := tx.Exec(ctx, countAlbumSQL, a.owner, album, a.rev, added, a.now.UnixMicro()); err != nil {
		return Album{}, err
	}
	return s.album(ctx, tx, a.owner, album)
}

// TakeOut takes photos out of an album; they stay photos.
func (s *System) TakeOut(ctx context.Context, p Person, album string, photos ...string) (Album, error) {
	if err := checkList(photos); err != nil {
		return Album{}, err
	}
	return s.changeAlbum(ctx, p, "take out of an album", album, photos, func(ctx context.Context, tx *sqldb.Tx, a act) error {
		if _, err := s.album(ctx, tx, a.owner, album); err != nil {
			return err
		}
		gone := int64(0)
		for _, id := range photos {
			n, err := tx.Exec(ctx, unplaceSQL, a.owner, album, id, a.rev, a.now.UnixMicro())
			if err != nil {
				return err
			}
			if photo, found, err := photoBy(ctx, tx, byIDSQL, a.owner, id); err != nil {
				return err
			} else if found && photo.Binned.IsZero() {
				gone += n
			}
		}
		_, err := tx.Exec(ctx, countAlbumSQL, a.owner, album, a.rev, -gone, a.now.UnixMicro())
		return err
	})
}

// Move puts photos of an album, in the order given, before another of its photos; at the
// end, where before is "". Errors: Invalid; NotFound.
func (s *System) Move(ctx context.Context, p Person, album, before string, photos ...string) (Album, error) {
	if err := checkList(photos); err != nil {
		return Album{}, err
	}
	if slices.Contains(photos, before) {
		return Album{}, errs.New(errs.Invalid, "a photo cannot be put before itself")
	}
	return s.changeAlbum(ctx, p, "order an album", album, []any{before, photos}, func(ctx context.Context, tx *sqldb.Tx, a act) error {
		if _, err := s.album(ctx, tx, a.owner, album); err != nil {
			return err
		}
		for _, id := range photos {
			if _, err := placeOf(ctx, tx, a.owner, album, id); err != nil {
				return err
			}
		}
		from, step, err := s.between(ctx, tx, a, album, before, int64(len(photos)))
		if err != nil {
			return err
		}
		for i, id := range photos {
			if _, err := tx.Exec(ctx, replaceSQL, a.owner, album, id, a.rev, from+step*int64(i+1)); err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, countAlbumSQL, a.owner, album, a.rev, int64(0), a.now.UnixMicro())
		return err
	})
}

// between returns room for n photos before one of the album: a place, and the distance
// from it of the first, and so on. Where there is none left, the album's places are
// numbered anew.
func (s *System) between(ctx context.Context, tx *sqldb.Tx, a act, album, before string, n int64) (from, step int64, err error) {
	for try := 0; ; try++ {
		var last, held int64
		if err := tx.QueryRow(ctx, lastPlaceSQL, a.owner, album).Scan(&last, &held); err != nil {
			return 0, 0, err
		}
		if before == "" {
			return last, gap, nil
		}
		to, err := placeOf(ctx, tx, a.owner, album, before)
		if err != nil {
			return 0, 0, err
		}
		if err := tx.QueryRow(ctx, placeBeforeSQL, a.owner, album, to, before).Scan(&from); err != nil {
			return 0, 0, err
		}
		if step = (to - from) / (n + 1); step > 0 {
			return from, step, nil
		}
		if try > 0 {
			return 0, 0, errs.New(errs.Internal, "the places of album %s do not spread", album)
		}
		if err := s.renumber(ctx, tx, a, album); err != nil {
			return 0, 0, err
		}
	}
}

// renumber spreads an album's photos.
func (s *System) renumber(ctx context.Context, tx *sqldb.Tx, a act, album string) error {
	rows, err := tx.Query(ctx, allPlacesSQL, a.owner, album)
	if err != nil {
		return err
	}
	var list []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			rows.Close()
			return err
		}
		list = append(list, id)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for i, id := range list {
		if _, err := tx.Exec(ctx, replaceSQL, a.owner, album, id, a.rev, int64(i+1)*gap); err != nil {
			return err
		}
	}
	return nil
}

// placeOf returns a photo's place in an album. Errors: NotFound.
func placeOf(ctx context.Context, tx *sqldb.Tx, owner, album, photo string) (at int64, err error) {
	err = tx.QueryRow(ctx, placeOfSQL, owner, album, photo).Scan(&at)
	if err == sqldb.ErrNoRows {
		err = errs.New(errs.NotFound, "photo %.64q is not in this album", photo)
	}
	return at, err
}

// RemoveAlbum ends an album and its links. Its photos stay. Errors: NotFound.
func (s *System) RemoveAlbum(ctx context.Context, p Person, id string) error {
	_, err := write(ctx, s, "remove an album", p, nil, id, func(ctx context.Context, tx *sqldb.Tx, a act) (int, error) {
		if _, err := s.album(ctx, tx, a.owner, id); err != nil {
			return 0, err
		}
		if _, err := s.revokeTo(ctx, tx, a, Target{Album: id}); err != nil {
			return 0, err
		}
		if _, err := tx.Exec(ctx, emptyAlbumSQL, a.owner, id, a.rev, a.now.UnixMicro()); err != nil {
			return 0, err
		}
		_, err := tx.Exec(ctx, endAlbumSQL, a.owner, id, a.rev, a.now.UnixMicro())
		return 0, err
	})
	if err == nil {
		s.changed(ctx, p.ID, "album", id)
	}
	return err
}

// An album with its cover: the chosen photo while it is in the album and not in the bin,
// else the first that is there.
const albumColumns = `al.id, al.owner, al.title, al.photos, al.made, al.changed, COALESCE(
		(SELECT c.photo FROM photos_placed AS c JOIN photos_photos AS p ON p.owner = c.owner AND p.id = c.photo
			WHERE c.owner = al.owner AND c.album = al.id AND c.photo = al.cover AND c.gone = 0 AND p.bin_at = 0 AND p.gone = 0),
		(SELECT c.photo FROM photos_placed AS c JOIN photos_photos AS p ON p.owner = c.owner AND p.id = c.photo
			WHERE c.owner = al.owner AND c.album = al.id AND c.gone = 0 AND p.bin_at = 0 AND p.gone = 0 ORDER BY c.at, c.photo LIMIT 1), '')`

const (
	addAlbumSQL   = `INSERT INTO photos_albums (owner, id, rev, gone, title, cover, photos, made, changed) VALUES ($1, $2, $3, 0, $4, '', 0, $5, $5)`
	albumsSQL     = `SELECT count(*) FROM photos_albums WHERE owner = $1 AND gone = 0`
	albumSQL      = `SELECT ` + albumColumns + ` FROM photos_albums AS al WHERE al.owner = $1 AND al.id = $2 AND al.gone = 0`
	listAlbumsSQL = `SELECT ` + albumColumns + ` FROM photos_albums AS al WHERE al.owner = $1 AND al.id < $2 AND al.gone = 0
		AND ($3 = '' OR EXISTS (SELECT 1 FROM photos_placed AS q WHERE q.owner = al.owner AND q.album = al.id AND q.photo = $3 AND q.gone = 0))
		ORDER BY al.id DESC LIMIT $4`
	chosenSQL      = `SELECT cover FROM photos_albums WHERE owner = $1 AND id = $2`
	changeAlbumSQL = `UPDATE photos_albums SET rev = $3, title = $4, cover = $5, changed = $6 WHERE owner = $1 AND id = $2`
	countAlbumSQL  = `UPDATE photos_albums SET rev = $3, photos = photos + $4, changed = $5 WHERE owner = $1 AND id = $2`
	endAlbumSQL    = `UPDATE photos_albums SET rev = $3, gone = $4 WHERE owner = $1 AND id = $2`
	emptyAlbumSQL  = `UPDATE photos_placed SET rev = $3, gone = $4 WHERE owner = $1 AND album = $2 AND gone = 0`

	lastPlaceSQL = `SELECT COALESCE(max(at), 0), count(*) FROM photos_placed WHERE owner = $1 AND album = $2 AND gone = 0`
	placeSQL     = `INSERT INTO photos_placed (owner, album, photo, rev, gone, at) VALUES ($1, $2, $3, $4, 0, $5)
		ON CONFLICT (owner, album, photo) DO UPDATE SET rev = $4, gone = 0, at = $5 WHERE photos_placed.gone > 0`
	unplaceSQL     = `UPDATE photos_placed SET rev = $4, gone = $5 WHERE owner = $1 AND album = $2 AND photo = $3 AND gone = 0`
	replaceSQL     = `UPDATE photos_placed SET rev = $4, at = $5 WHERE owner = $1 AND album = $2 AND photo = $3`
	placeOfSQL     = `SELECT at FROM photos_placed WHERE owner = $1 AND album = $2 AND photo = $3 AND gone = 0`
	placeBeforeSQL = `SELECT COALESCE(max(at), 0) FROM photos_placed WHERE owner = $1 AND album = $2 AND gone = 0 AND (at, photo) < ($3, $4)`
	allPlacesSQL   = `SELECT photo FROM photos_placed WHERE owner = $1 AND album = $2 AND gone = 0 ORDER BY at, photo`
)
