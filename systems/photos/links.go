package photos

import (
	"context"
	"time"
)

// Target is what a link leads to: an album or a photo. The zero Target is everything.
type Target struct{ Album, Photo string }

// LinkOptions say how long a link opens its target, and for whom.
type LinkOptions struct {
	Life         time.Duration // 0: the house's usual time; negative: for good
	Password     string        // "": none; else up to 256 bytes
	Downloads    bool          // originals may be saved, without their places
	KeepLocation bool          // what this link gives tells where it was taken
}

// Link is a link as its owner sees it.
type Link struct {
	ID           string
	Target       Target
	Title        string // of the album, or the photo's caption or name
	URL          string // of a link that was made just now; told this once
	Password     bool
	Downloads    bool
	KeepLocation bool
	Views        int64
	Made         time.Time
	Expires      time.Time // zero: never
	Revoked      time.Time // zero: good
}

// Over says whether the link opens nothing any more.
func (l Link) Over(now time.Time) bool {
	return !l.Revoked.IsZero() || !l.Expires.IsZero() && !l.Expires.After(now)
}

// MakeLink makes a link to an album or a photo of the person's, for people without an
// account. Errors: Invalid; NotFound.
func (s *System) MakeLink(ctx context.Context, p Person, t Target, o LinkOptions) (Link, error) {
	return Link{}, errSoon
}

// Links returns the person's links, the newest first; those to a target only, where one
// is given.
func (s *System) Links(ctx context.Context, p Person, t Target, cursor string, limit int) (list []Link, next string, err error) {
	return nil, "", errSoon
}

// RevokeLink ends a link, at once. Ending it again is no error. Errors: NotFound.
func (s *System) RevokeLink(ctx context.Context, p Person, id string) error { return errSoon }

// RevokeAll ends all links to a target, or all of the person's, and says how many were
// good. Errors: NotFound for the target.
func (s *System) RevokeAll(ctx context.Context, p Person, t Target) (int, error) { return 0, errSoon }
