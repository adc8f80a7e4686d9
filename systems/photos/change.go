package photos

import (
	"context"
	"time"

	"plumb/base/errs"
	"plumb/engines/cas"
	"plumb/engines/sqldb"
	"plumb/systems/photos/internal/shard"
)

// Changes are what is to change about a photo; nil leaves a field as it is.
type Changes struct {
	Caption      *string
	Favourite    *bool
	Taken        *time.Time // the zero time: what the file says
	KeepLocation *bool
}

// Change changes a photo. Errors: Invalid; NotFound.
func (s *System) Change(ctx context.Context, p Person, id string, c Changes) (Photo, error) {
	if c.Caption != nil {
		clean, err := checkText("caption", *c.Caption, MaxCaption)
		if err != nil {
			return Photo{}, err
		}
		c.Caption = &clean
	}
	if c.Taken != nil && !c.Taken.IsZero() && !plausible(*c.Taken, s.now()) {
		return Photo{}, errs.New(errs.Invalid, "a photo can be taken from 1826 on, and not in the future")
	}
	type asked struct {
		ID string
		C  Changes
	}
	photo, err := write(ctx, s, "change a photo", p, nil, asked{id, c}, func(ctx context.Context, tx *sqldb.Tx, a act) (Photo, error) {
		photo, err := own(ctx, tx, a.owner, id)
		if err != nil {
			return Photo{}, err
		}
		return photo, s.apply(ctx, tx, a, &photo, c)
	})
	if err == nil {
		s.changed(ctx, p.ID, "changed", id)
	}
	return photo, err
}

// apply makes the changes, in the photo and in its row.
func (s *System) apply(ctx context.Context, tx *sqldb.Tx, a act, photo *Photo, c Changes) error {
	if c.Caption != nil {
		photo.Caption = *c.Caption
	}
	if c.Favourite != nil {
		photo.Favourite = *c.Favourite
	}
	if c.KeepLocation != nil {
		photo.KeepLocation = *c.KeepLocation
	}
	taken, zone := unwall(photo.Taken)
	switch {
	case c.Taken == nil:
	case c.Taken.IsZero():
		taken, zone, photo.known = photo.stated, photo.statedZone, photo.statedBy
	default:
		taken, zone = unwall(c.Taken.Truncate(time.Microsecond))
		photo.known = byOwner
	}
	photo.Taken, photo.TakenKnown = wall(taken, zone), photo.known != byNobody
	_, err := tx.Exec(ctx, changeSQL, a.owner, photo.ID, a.rev, photo.Caption, photo.index(), bit(photo.Favourite), bit(photo.KeepLocation), taken, zone, photo.known)
	return err
}

// Favour makes photos favourites, or no longer, and says how many were there.
func (s *System) Favour(ctx context.Context, p Person, yes bool, photos ...string) (int, error) {
	return s.each(ctx, p, "favour", yes, photos, func(ctx context.Context, tx *sqldb.Tx, a act, photo Photo) (bool, error) {
		return true, s.apply(ctx, tx, a, &photo, Changes{Favourite: &yes})
	})
}

// Remove puts photos into the bin, and says how many were there to be put. Links show
// them no longer. Errors: Invalid for more than MaxChange.
func (s *System) Remove(ctx context.Context, p Person, photos ...string) (int, error) {
	return s.each(ctx, p, "remove", nil, photos, func(ctx context.Context, tx *sqldb.Tx, a act, photo Photo) (bool, error) {
		if !photo.Binned.IsZero() {
			return false, nil
		}
		return s.binned(ctx, tx, a, photo, a.now)
	})
}

// Restore takes photos out of the bin, into the albums that they were in.
func (s *System) Restore(ctx context.Context, p Person, photos ...string) (int, error) {
	return s.each(ctx, p, "restore", nil, photos, func(ctx context.Context, tx *sqldb.Tx, a act, photo Photo) (bool, error) {
		if photo.Binned.IsZero() {
			return false, nil
		}
		return s.binned(ctx, tx, a, photo, time.Time{})
	})
}

// Purge ends photos of the bin for good.
func (s *System) Purge(ctx context.Context, p Person, photos ...string) (int, error) {
	return s.each(ctx, p, "purge", nil, photos, func(ctx context.Context, tx *sqldb.Tx, a act, photo Photo) (bool, error) {
		return !photo.Binned.IsZero(), s.end(ctx, tx, a, photo)
	})
}

// each runs fn for each of the person's photos among some, in one transaction, and says
// for how many it returned true. Those that are not there are passed over.
func (s *System) each(ctx context.Context, p Person, what string, how any, list []string, fn func(ctx context.Context, tx *sqldb.Tx, a act, photo Photo) (bool, error)) (int, error) {
	if len(list) > MaxChange {
		return 0, errs.New(errs.Invalid, "%d photos are the most at once, not %d", MaxChange, len(list))
	}
	n, err := write(ctx, s, what, p, nil, []any{how, list}, func(ctx context.Context, tx *sqldb.Tx, a act) (n int, err error) {
		for _, id := range list {
			photo, found, err := photoBy(ctx, tx, byIDSQL, a.owner, id)
			if err != nil {
				return 0, err
			}
			if !found {
				continue
			}
			did, err := fn(ctx, tx, a, photo)
			if err != nil {
				return 0, err
			}
			if did {
				n++
			}
		}
		return n, nil
	})
	if err == nil && n > 0 {
		s.changed(ctx, p.ID, what, list...)
	}
	return n, err
}

// binned puts a photo into the bin, or takes it out when at is zero, and counts it in its
// albums.
func (s *System) binned(ctx context.Context, tx *sqldb.Tx, a act, photo Photo, at time.Time) (bool, error) {
	one, binAt := int64(1), int64(0)
	if !at.IsZero() {
		one, binAt = -1, at.UnixMicro()
	}
	if _, err := tx.Exec(ctx, binSQL, a.owner, photo.ID, a.rev, binAt); err != nil {
		return false, err
	}
	_, err := tx.Exec(ctx, countAlbumsSQL, a.owner, photo.ID, a.rev, one)
	return true, err
}

// end ends a photo of the bin: its row says when, its references go.
func (s *System) end(ctx context.Context, tx *sqldb.Tx, a act, photo Photo) error {
	if photo.Binned.IsZero() {
		return nil
	}
	if _, err := tx.Exec(ctx, goneSQL, a.owner, photo.ID, a.rev, a.now.UnixMicro()); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, unplaceAllSQL, a.owner, photo.ID, a.rev, a.now.UnixMicro()); err != nil {
		return err
	}
	for _, h := range append([]cas.Hash{photo.Hash}, photo.sizes[:]...) {
		if h == (cas.Hash{}) {
			continue
		}
		if err := a.at.CAS.Drop(ctx, tx, h); err != nil {
			return err
		}
	}
	return s.set.Tally(ctx, tx, a.owner, -1, -photo.Size)
}

// EmptyBin ends all photos of the bin for good.
func (s *System) EmptyBin(ctx context.Context, p Person) (n int, err error) {
	for {
		list, _, err := s.Bin(ctx, p, "", MaxChange)
		if err != nil || len(list) == 0 {
			return n, err
		}
		names := make([]string, len(list))
		for i, photo := range list {
			names[i] = photo.ID
		}
		m, err := s.Purge(ctx, p, names...)
		if n += m; err != nil || m == 0 {
			return n, err
		}
	}
}

// Bin returns the photos in the bin, the last removed first.
func (s *System) Bin(ctx context.Context, p Person, cursor string, limit int) (list []Photo, next string, err error) {
	from := spot{1 << 62, "~"}
	if cursor != "" {
		if from, err = readSpot(cursor); err != nil {
			return nil, "", err
		}
	}
	limit = page(limit)
	list, err = read(ctx, s, "list the bin", p, func(ctx context.Context, tx *sqldb.Tx, _ *shard.Shard) ([]Photo, error) {
		return photos(ctx, tx, inBinSQL, p.ID, from.at, from.id, int64(limit+1))
	})
	list, next = trim(list, limit, func(photo Photo) string { return spot{photo.Binned.UnixMicro(), photo.ID}.String() })
	return list, next, err
}

const (
	// The albums that hold a photo count one more, or less.
	countAlbumsSQL = `UPDATE photos_albums SET rev = $3, photos = photos + $4 WHERE owner = $1 AND gone = 0
		AND id IN (SELECT album FROM photos_placed WHERE owner = $1 AND photo = $2 AND gone = 0)`
	unplaceAllSQL = `UPDATE photos_placed SET rev = $3, gone = $4 WHERE owner = $1 AND photo = $2 AND gone = 0`
)
