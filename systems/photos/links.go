package photos

import (
	"context"
	"strings"
	"time"

	"plumb/base/errs"
	"plumb/engines/links"
	"plumb/engines/sqldb"
	"plumb/systems/photos/internal/shard"
)

// Target is what a link leads to: an album or a photo. The zero Target is everything.
type Target struct{ Album, Photo string }

// String writes a target as the links' engine keeps it.
func (t Target) String() string {
	switch {
	case t.Album != "":
		return "album/" + t.Album
	case t.Photo != "":
		return "photo/" + t.Photo
	}
	return ""
}

func readTarget(text string) (t Target) {
	kind, id, _ := strings.Cut(text, "/")
	switch kind {
	case "album":
		t.Album = id
	case "photo":
		t.Photo = id
	}
	return t
}

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

// linkOf joins what the engine and the room know of a link.
func linkOf(l links.Link, downloads, keeps int64, title string) Link {
	return Link{ID: l.ID, Target: readTarget(l.Target), Title: title, Password: l.Password, Downloads: downloads == 1, KeepLocation: keeps == 1,
		Views: l.Used, Made: l.Made, Expires: l.Expires, Revoked: l.Revoked}
}

// title returns what a target is called. Errors: NotFound; Invalid for the zero Target.
func (s *System) title(ctx context.Context, tx *sqldb.Tx, owner string, t Target) (string, error) {
	switch {
	case t.Album != "" && t.Photo != "":
		return "", errs.New(errs.Invalid, "a link leads to an album or to a photo, not to both")
	case t.Album != "":
		al, err := s.album(ctx, tx, owner, t.Album)
		return al.Title, err
	case t.Photo != "":
		photo, err := own(ctx, tx, owner, t.Photo)
		return photo.title(), err
	}
	return "", errs.New(errs.Invalid, "a link leads to an album or to a photo")
}

// title is what to call a photo.
func (p Photo) title() string {
	if line, _, _ := strings.Cut(p.Caption, "\n"); line != "" {
		return cut(line, MaxTitle)
	}
	return p.Name
}

// MakeLink makes a link to an album or a photo of the person's, for people without an
// account. Errors: Invalid; NotFound.
func (s *System) MakeLink(ctx context.Context, p Person, t Target, o LinkOptions) (Link, error) {
	var at *shard.Shard
	if _, err := read(ctx, s, "make a link", p, func(ctx context.Context, tx *sqldb.Tx, here *shard.Shard) (string, error) {
		at = here
		return s.title(ctx, tx, p.ID, t)
	}); err != nil {
		return Link{}, err
	}
	life := o.Life
	switch {
	case life == 0:
		life = s.c.LinkLife
	case life < 0:
		life = 0
	}
	ready, err := at.Links.Prepare(ctx, links.New{Realm: realm, Owner: p.ID, Target: t.String(), Life: life, Password: o.Password})
	if err != nil {
		return Link{}, err
	}
	return write(ctx, s, "make a link", p, nil, []any{t, o}, func(ctx context.Context, tx *sqldb.Tx, a act) (Link, error) {
		title, err := s.title(ctx, tx, a.owner, t)
		if err != nil {
			return Link{}, err
		}
		made, err := a.at.Links.Add(ctx, tx, ready)
		if err != nil {
			return Link{}, err
		}
		if _, err := tx.Exec(ctx, addLinkSQL, a.owner, made.ID, a.rev, bit(o.Downloads), bit(o.KeepLocation)); err != nil {
			return Link{}, err
		}
		l := linkOf(made, bit(o.Downloads), bit(o.KeepLocation), title)
		l.URL = s.n.URL + "/p/" + s.set.Hint(a.at.No, made.Token)
		return l, nil
	})
}

// Links returns the person's links, the newest first; those to a target only, where one
// is given.
func (s *System) Links(ctx context.Context, p Person, t Target, cursor string, limit int) (list []Link, next string, err error) {
	var at *shard.Shard
	if _, err := read(ctx, s, "list links", p, func(_ context.Context, _ *sqldb.Tx, here *shard.Shard) (int, error) { at = here; return 0, nil }); err != nil {
		return nil, "", err
	}
	found, next, err := at.Links.List(ctx, links.Filter{Realm: realm, Owner: p.ID, Target: t.String(), Cursor: cursor, Limit: page(limit)})
	if err != nil {
		return nil, "", err
	}
	list, err = read(ctx, s, "list links", p, func(ctx context.Context, tx *sqldb.Tx, _ *shard.Shard) ([]Link, error) {
		list := []Link{}
		for _, l := range found {
			var downloads, keeps int64
			if err := tx.QueryRow(ctx, linkSQL, p.ID, l.ID).Scan(&downloads, &keeps); err != nil && err != sqldb.ErrNoRows {
				return nil, err
			}
			title, err := s.title(ctx, tx, p.ID, readTarget(l.Target))
			if err != nil && !errs.Is(err, errs.NotFound) {
				return nil, err
			}
			list = append(list, linkOf(l, downloads, keeps, title))
		}
		return list, nil
	})
	return list, next, err
}

// RevokeLink ends a link, at once. Ending it again is no error. Errors: NotFound.
func (s *System) RevokeLink(ctx context.Context, p Person, id string) error {
	_, err := write(ctx, s, "revoke a link", p, nil, id, func(ctx context.Context, tx *sqldb.Tx, a act) (bool, error) {
		known, err := a.at.Links.RevokeOne(ctx, tx, realm, a.owner, id)
		if err == nil && !known {
			err = errNone("link", id)
		}
		return known, err
	})
	return err
}

// RevokeAll ends all links to a target, or all of the person's, and says how many were
// good. Errors: NotFound for the target.
func (s *System) RevokeAll(ctx context.Context, p Person, t Target) (int, error) {
	return write(ctx, s, "revoke links", p, nil, t, func(ctx context.Context, tx *sqldb.Tx, a act) (int, error) {
		if t != (Target{}) {
			if _, err := s.title(ctx, tx, a.owner, t); err != nil {
				return 0, err
			}
		}
		return s.revokeTo(ctx, tx, a, t)
	})
}

func (s *System) revokeTo(ctx context.Context, tx *sqldb.Tx, a act, t Target) (int, error) {
	n, err := a.at.Links.RevokeAll(ctx, tx, realm, a.owner, t.String())
	return int(n), err
}

const (
	addLinkSQL = `INSERT INTO photos_links (owner, id, rev, gone, downloads, keeps) VALUES ($1, $2, $3, 0, $4, $5)`
	linkSQL    = `SELECT downloads, keeps FROM photos_links WHERE owner = $1 AND id = $2 AND gone = 0`
)
