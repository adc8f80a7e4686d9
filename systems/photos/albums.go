package photos

import (
	"context"
	"time"
)

// Album is photos in an order.
type Album struct {
	ID      string // UUIDv7
	Owner   string
	Title   string
	Cover   string // a photo's id: the chosen one, else the first; "" where there is none
	Photos  int64
	Made    time.Time
	Changed time.Time

	chosen string // as Cover
	rev    int64
}

// AlbumChanges are what is to change about an album; nil leaves a field as it is.
type AlbumChanges struct {
	Title *string
	Cover *string // a photo of the album; "": the first
}

// MakeAlbum makes an album of photos, which may be none. Errors: Invalid; NotFound for a
// photo; TooLarge.
func (s *System) MakeAlbum(ctx context.Context, p Person, title string, photos []string) (Album, error) {
	return Album{}, errSoon
}

// Albums returns the person's albums, the last made first. photo, unless "", leaves only
// those that it is in.
func (s *System) Albums(ctx context.Context, p Person, photo, cursor string, limit int) (list []Album, next string, err error) {
	return nil, "", errSoon
}

// Album returns an album; its photos are List's. Errors: NotFound.
func (s *System) Album(ctx context.Context, p Person, id string) (Album, error) {
	return Album{}, errSoon
}

// ChangeAlbum changes an album. Errors: Invalid; NotFound.
func (s *System) ChangeAlbum(ctx context.Context, p Person, id string, c AlbumChanges) (Album, error) {
	return Album{}, errSoon
}

// AddTo puts photos at the end of an album; those in it stay where they are. Errors:
// Invalid; NotFound for the album or a photo; TooLarge.
func (s *System) AddTo(ctx context.Context, p Person, album string, photos ...string) (Album, error) {
	return Album{}, errSoon
}

// TakeOut takes photos out of an album; they stay photos.
func (s *System) TakeOut(ctx context.Context, p Person, album string, photos ...string) (Album, error) {
	return Album{}, errSoon
}

// Move puts photos of an album, in the order given, before another of its photos; at the
// end, where before is "". Errors: Invalid; NotFound.
func (s *System) Move(ctx context.Context, p Person, album, before string, photos ...string) (Album, error) {
	return Album{}, errSoon
}

// RemoveAlbum ends an album and its links. Its photos stay. Errors: NotFound.
func (s *System) RemoveAlbum(ctx context.Context, p Person, id string) error { return errSoon }
