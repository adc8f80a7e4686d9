package photos

import (
	"context"
	"time"
)

// Filter says which photos to list. Its zero value is all, but those in the bin.
type Filter struct {
	Text      string    // words, each the beginning of one in the caption, the file's name, the camera or the place
	Camera    string    // words in the camera or lens
	Place     string    // words in the place's name
	From, To  time.Time // taken from and before; zero: whenever
	Favourite bool      // only those
	Album     string    // only those of this album, in its order
	Broken    bool      // only those
	Cursor    string    // next of the page before
	Limit     int       // 1 to 1,000; 100 when 0
}

// Get returns a photo of the person's. One in the bin is returned too. Errors: NotFound.
func (s *System) Get(ctx context.Context, p Person, id string) (Photo, error) {
	return Photo{}, errSoon
}

// List returns the person's photos, the last taken first, and the cursor of the next
// page; "" on the last. Those of an album come in its order. Errors: Invalid; NotFound
// for the album.
func (s *System) List(ctx context.Context, p Person, f Filter) (list []Photo, next string, err error) {
	return nil, "", errSoon
}

// Around returns the ids of the photos before and after one in the list that a filter
// gives; "" where there is none. Errors: NotFound.
func (s *System) Around(ctx context.Context, p Person, f Filter, id string) (before, after string, err error) {
	return "", "", errSoon
}

// Month is the photos of a month.
type Month struct {
	Year  int
	Month time.Month
	Count int64
	First string // a cursor: a List with it begins with the month's last taken photo
}

// Months returns the months in which the person's photos were taken, the latest first;
// 1,200 at most.
func (s *System) Months(ctx context.Context, p Person) ([]Month, error) { return nil, errSoon }

// Totals is what a person keeps.
type Totals struct {
	Photos int64
	Bytes  int64 // of originals, bin included
	Limit  int64 // of Bytes; 0: none
	Binned int64 // photos in the bin
	Albums int64
}

// Totals returns what the person keeps, and may keep.
func (s *System) Totals(ctx context.Context, p Person) (Totals, error) { return Totals{}, errSoon }
