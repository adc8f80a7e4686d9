// Package photos shares photos, spread evenly over machines (questions 5 and 14). The
// question's design shards photos alphabetically by user name, a letter a server: names
// are not spread evenly over letters, a letter gets hot, and one more server moves
// nearly everything.
//
// The answer in five lines:
//
//   - A shard is a database and a bucket. A person's photos, albums and links lie on one
//     shard, together, and move together.
//   - Which one says a placement (a table of slots by hash, with weights) and a directory
//     of exceptions, for people who are on their way or too large for any hash.
//   - The shard's own row of a person is the authority, read in the transaction of each
//     read and write, so that no stale map ever answers.
//   - A shard joins, leaves or gets another weight while people read and write: a person
//     is copied, verified, switched in one transaction, and cleaned up.
//   - Originals have copies in other shards' buckets, each with its rows, so that a lost
//     shard's photos are served from there and made anew.
//
// What holds:
//
//   - What Upload acknowledged is there byte for byte, until its owner removes it and
//     the bin's time is over: beside a move, a crash, the loss of a bucket.
//   - A photo is its owner's alone; what others may see they see through a link, and
//     without the place where it was taken, unless the owner said otherwise.
//   - The same bytes of one owner are one photo, however many times they come at once.
//   - Nothing of a photo is kept in memory: costs grow with the database's indexes. An
//     upload holds 4 MiB in memory, pixels are decoded in children with limits.
//
// Everything is done for a person:
//
//	me := photos.Person{ID: who.ID}
//	photo, again, err := s.Upload(ctx, me, body, photos.UploadOptions{Name: "IMG_1.jpg", Size: -1})
//	list, next, err := s.List(ctx, me, photos.Filter{Text: "berlin"})
//	album, err := s.MakeAlbum(ctx, me, "Holiday", []string{photo.ID})
//	link, err := s.MakeLink(ctx, me, photos.Target{Album: album.ID}, photos.LinkOptions{Password: "sesame"})
//	fmt.Println(link.URL) // for people without an account
package photos

import (
	"context"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/singleflight"

	"plumb/base/errs"
	"plumb/engines/cas"
	"plumb/engines/once"
	"plumb/engines/sqldb"
	"plumb/systems/photos/internal/shard"
	"plumb/systems/photos/internal/vault"
)

// realm is the room's name.
const realm = "photos"

//go:embed schema/*.sql
var schema embed.FS

// System is the room. It is safe for concurrent use.
type System struct {
	n        Needs
	c        Config
	set      *shard.Set
	vault    *vault.Vault
	spools   *spooler
	making   singleflight.Group // sizes, by photo
	views    views
	measures measures
	demoEdge int // pixels of the demonstration's photos, in tests; 0: as it is meant
}

// New opens the room and its shards, and brings their tables up to date.
func New(ctx context.Context, n Needs, c Config) (*System, error) {
	if err := c.valid(); err != nil {
		return nil, err
	}
	dir := os.TempDir()
	if n.Folder != "" {
		dir = filepath.Join(n.Folder, "tmp")
	}
	grace := c.Grace
	if grace == 0 {
		grace = -1 // the set's word for none
	}
	cache := c.Cache
	if cache < 0 {
		cache = -1 << 20 // the set deals it out among the shards
	}
	set, err := shard.Open(ctx, shard.Needs{
		DB: n.DB, Jobs: n.Jobs, Bus: n.Bus, Clock: n.Clock, Log: n.Log, Key: n.Key, Passwords: n.People, Folder: n.Folder, SQL: n.SQL, Bucket: n.Bucket,
		NoSync: n.NoSync, Options: n.Options, Schema: schema, Tables: tables(),
	}, shard.Config{Strategy: c.Strategy, Throttle: c.Throttle, Grace: grace, Cache: cache})
	if err != nil {
		return nil, fmt.Errorf("open photos: %w", err)
	}
	s := &System{n: n, c: c, set: set, spools: newSpooler(dir), views: newViews()}
	if s.vault, err = vault.New(vault.Needs{Places: s.places, Key: n.Key, Log: n.Log}); err != nil {
		set.Close()
		return nil, fmt.Errorf("open photos: %w", err)
	}
	for _, open := range []func(context.Context) error{s.openRepairs, s.openAlarms} {
		if err := open(ctx); err != nil {
			set.Close()
			return nil, fmt.Errorf("open photos: %w", err)
		}
	}
	s.measures = newMeasures(s)
	return s, nil
}

// Close counts what was viewed, and closes the shards.
func (s *System) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	s.countViews(ctx)
	s.set.Close()
}

// places are where copies of originals may lie.
func (s *System) places() []vault.Place {
	var list []vault.Place
	for _, at := range s.set.Shards() {
		list = append(list, vault.Place{No: at.No, Domain: at.Domain, Bucket: at.Bucket, Takes: at.State == shard.Active})
	}
	return list
}

// Person is who asks. The zero Person is a stranger.
type Person struct {
	ID       string
	Operator bool // may see the shards, and change them
}

// State is how far a photo is.
type State string

// The states.
const (
	Fresh  State = "new"    // its sizes are not made yet
	Ready  State = "ready"  // they are
	Broken State = "broken" // they cannot be made: Fault says why; the original is there
)

// Photo is one photo of a person.
type Photo struct {
	ID            string // UUIDv7
	Owner         string // a person's id
	Name          string // of the file that came
	Type          string // a media type, by the file's bytes
	Hash          cas.Hash
	Size          int64 // bytes of the original
	Width, Height int64 // pixels, upright
	Taken         time.Time
	TakenKnown    bool // by the camera or its owner; else Taken is the file's time, or when it came
	Camera, Lens  string
	Exposure      string // "1/250 s, f/2.8, ISO 100, 35 mm", as far as it is known
	HasPlace      bool
	Lat, Lon      float64 // degrees, north and east positive
	Place         string  // a name, such as "Lisbon, Portugal"
	Caption       string
	Favourite     bool
	KeepLocation  bool   // viewers may see where it was taken
	Blur          string // a placeholder: 12 colours, 4 by 3, as 72 hexadecimal digits; "" before Ready
	State         State
	Fault         string    // why it is Broken
	Made          time.Time // when it came
	Binned        time.Time // when it was removed; zero: it was not

	rev        int64
	known      int64                // who says when it was taken
	stated     int64                // what the file said, or when it came
	statedBy   int64                // known, then
	statedZone int64                // and its zone, minutes
	sizes      [len(Sizes)]cas.Hash // zero: not made
	sized      string               // a media type
	copies     string               // shards with copies of the original
	owed       int64                // copies to be made
}

// Size is a size that photos are made in, for pages.
type Size struct {
	Name string
	Edge int // pixels of the longer side, at most
}

// Sizes are the sizes, the smallest first.
var Sizes = [...]Size{{"small", 400}, {"medium", 1000}, {"large", 2000}}

// Original names the original among the sizes.
const Original = "original"

// Fit returns the pixels of a size of the photo: never more than the original's.
func (p Photo) Fit(s Size) (width, height int64) {
	long := max(p.Width, p.Height)
	if long <= int64(s.Edge) {
		return p.Width, p.Height
	}
	fit := func(v int64) int64 { return max((v*int64(s.Edge)*2+long)/(2*long), 1) }
	return fit(p.Width), fit(p.Height)
}

// Limits of lists and texts.
const (
	MaxPhotosAlbum = 10_000 // photos of an album
	MaxAlbums      = 10_000 // albums of a person
	MaxChange      = 1_000  // photos that one change of an album, a removal or a selection names
	MaxTitle       = 200    // bytes
	MaxCaption     = 1_000  // bytes
	MaxName        = 255    // bytes of a file's name
	mostPage       = 1_000  // of any list
)

// errNone is the one answer for what is not there and for what is somebody else's.
func errNone(what, id string) error {
	return errs.New(errs.NotFound, "there is no %s %.64q", what, id)
}

// errStranger refuses who did not say who they are.
func errStranger() error {
	return errs.New(errs.Unknown, "photos are somebody's: sign in, or send a token")
}

// act is a change of one person's photos: where they are, and what its rows carry.
type act struct {
	at    *shard.Shard
	owner string
	rev   int64
	now   time.Time
}

// read runs fn on one snapshot of the shard that holds the person.
func read[T any](ctx context.Context, s *System, what string, p Person, fn func(ctx context.Context, tx *sqldb.Tx, at *shard.Shard) (T, error)) (T, error) {
	var out T
	err := errStranger()
	if p.ID != "" {
		err = s.set.Read(ctx, p.ID, func(ctx context.Context, tx *sqldb.Tx, at *shard.Shard) (err error) {
			out, err = fn(ctx, tx, at)
			return err
		})
	}
	if err != nil {
		var none T
		return none, fmt.Errorf("%s: %w", what, err)
	}
	return out, nil
}

// write runs fn in a transaction of the shard that holds the person, once for a request
// that may come again (see Again), and gives what it returned. asked is the request. on,
// unless nil, is where contents that fn takes were put: elsewhere it is shard.ErrMoved.
func write[T any](ctx context.Context, s *System, what string, p Person, on *shard.Shard, asked any, fn func(ctx context.Context, tx *sqldb.Tx, a act) (T, error)) (T, error) {
	var out T
	err := errStranger()
	if p.ID != "" {
		err = s.set.Write(ctx, p.ID, on, func(ctx context.Context, tx *sqldb.Tx, at *shard.Shard, rev int64) (err error) {
			a := act{at, p.ID, rev, s.now()}
			again, _ := ctx.Value(againKey{}).(once.Request)
			again.Scope, again.Body, again.Now = p.ID+"/"+realm+"."+what, asked, a.now
			out, err = once.Give(ctx, at.Once, tx, again, func() (T, error) { return fn(ctx, tx, a) })
			return err
		})
	}
	if err != nil {
		var none T
		return none, fmt.Errorf("%s: %w", what, err)
	}
	return out, nil
}

type againKey struct{}

// Again returns ctx for a request that its sender may repeat under a key: the verb's
// effect happens once, and each repetition gets the same answer, for a day. Keys are a
// person's own. An empty key changes nothing.
func Again(ctx context.Context, key string) context.Context {
	if key == "" {
		return ctx
	}
	return context.WithValue(ctx, againKey{}, once.Request{Key: key})
}

// now is the time as rows keep it.
func (s *System) now() time.Time { return s.n.Clock.Now().UTC().Truncate(time.Microsecond) }
