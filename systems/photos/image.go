package photos

import (
	"context"
	"io"
	"time"
)

// Image is a photo in one of its sizes, open. Its owner closes it.
type Image struct {
	io.ReadSeekCloser
	Photo    Photo
	Type     string // a media type
	ETag     string // in quotes
	Bytes    int64
	Modified time.Time
	Name     string // for who saves it
}

// OpenImage opens a photo of the person's in a size: "small", "medium", "large" or
// "original". A size that is not made yet is made at once. Errors: NotFound; Invalid for
// a size of a broken photo; Busy where too many are being made.
func (s *System) OpenImage(ctx context.Context, p Person, id, size string) (*Image, error) {
	return nil, errSoon
}
