package photos

import (
	"context"
	"time"
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
	return Photo{}, errSoon
}

// Remove puts photos into the bin, and says how many were there to be put. Links show
// them no longer. Errors: Invalid for more than MaxChange.
func (s *System) Remove(ctx context.Context, p Person, photos ...string) (int, error) {
	return 0, errSoon
}

// Restore takes photos out of the bin, into the albums that they were in.
func (s *System) Restore(ctx context.Context, p Person, photos ...string) (int, error) {
	return 0, errSoon
}

// Purge ends photos of the bin for good.
func (s *System) Purge(ctx context.Context, p Person, photos ...string) (int, error) {
	return 0, errSoon
}

// EmptyBin ends all photos of the bin for good.
func (s *System) EmptyBin(ctx context.Context, p Person) (int, error) { return 0, errSoon }

// Bin returns the photos in the bin, the last removed first.
func (s *System) Bin(ctx context.Context, p Person, cursor string, limit int) (list []Photo, next string, err error) {
	return nil, "", errSoon
}

// Favour makes photos favourites, or no longer.
func (s *System) Favour(ctx context.Context, p Person, yes bool, photos ...string) (int, error) {
	return 0, errSoon
}
