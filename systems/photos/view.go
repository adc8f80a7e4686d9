package photos

import "context"

// Visit is a request through a link.
type Visit struct {
	Token    string // the last part of the link's address
	Password string // "": none was given
	Remote   string // address of who asks, for which tries of passwords are counted
}

// Shared is what a link shows: a page of photos, without what is their owner's to know.
type Shared struct {
	Link   Link   // without its password, views and id
	Title  string // of the album, or the photo's caption
	Single bool   // a photo, not an album
	Total  int64  // photos
	Photos []Photo
	Next   string // cursor of the next page
}

// View opens a link and returns a page of what it shows. The first page counts as a view.
// Errors: NotFound for a link that is unknown, over, or was revoked, alike; Unknown where
// a password is wanted and the one given, if any, is wrong; Busy after too many tries.
func (s *System) View(ctx context.Context, v Visit, cursor string, limit int) (Shared, error) {
	return Shared{}, errSoon
}

// ViewImage opens one photo that a link shows, in a size; "original" where the link gives
// downloads. Neither tells where it was taken, unless the link or the photo's owner
// says so. Errors: those of View; Denied for an original that is not given.
func (s *System) ViewImage(ctx context.Context, v Visit, photo, size string) (*Image, error) {
	return nil, errSoon
}
