// Package files is public file storage that stores a thing once (question 4). The
// question's design compares an upload byte by byte with every file of its length and
// makes a symbolic link to the one it finds: that gets slower with every file, two
// uploads at the same moment miss each other, and a link breaks, or shows something
// else, when the original goes or changes.
//
// The answer in five lines:
//
//   - Content has a name of its own, its SHA-256, and lies in engines/cas once, however
//     many refer to it; an edited copy of a large file costs its changes.
//   - Names and folders are rows that refer to content: renaming, moving and removing
//     change a row, and nobody else's file.
//   - A reference is counted in the transaction that makes its row, so that the last
//     one's end is known exactly, also after a crash.
//   - Every upload is taken, hashed and stored alike, whether or not the content is
//     known, so that nobody can find out what others keep.
//   - Files are private: one function decides who may read or write, and what one may
//     not see is not found.
//
// What holds:
//
//   - What Write acknowledged can be read, whole and verified, until its owner removes
//     it and the bin's time is over: after a crash, beside the collector.
//   - A file is never seen half written, a folder never half copied.
//   - Used quota is exact: the sum of a person's files, versions and bin.
//   - No file's tree ever loses its root: two moves at once make no circle.
//
// Paths are "a/b.txt", in one's own tree, or "@ID/b.txt", below a node, which may be
// somebody else's:
//
//	me := files.Person{ID: who.ID}
//	node, created, err := s.Write(ctx, me, "trips/2026/map.pdf", body, files.WriteOptions{Size: -1})
//	list, next, err := s.List(ctx, me, "trips/2026", "", 100)
//	f, err := s.Open(ctx, me, "@"+node.ID)
//	defer f.Close()
package files

import (
	"context"
	"embed"
	"fmt"
	"hash/maphash"
	"strings"
	"time"

	"plumb/base/errs"
	"plumb/engines/cas"
	"plumb/engines/once"
	"plumb/engines/sqldb"
	"plumb/engines/upload"
)

//go:embed schema/*.sql
var schema embed.FS

// realm is the room's name.
const realm = "files"

// lane is the queue of all writes of the room in this process: they change the same
// rows (quotas, contents), which on PostgreSQL two groups might lock in opposite orders.
const lane = realm

// System is the room.
type System struct {
	n        Needs
	c        Config
	store    store
	measures measures
	began    time.Time
	uploads  *upload.Engine // see web_tus.go
	contents *contents
	lookups  lookups
}

// New opens the room and brings its tables up to date.
func New(ctx context.Context, n Needs, c Config) (*System, error) {
	if err := c.valid(); err != nil {
		return nil, err
	}
	if err := n.DB.Migrate(ctx, realm, schema); err != nil {
		return nil, fmt.Errorf("open files: %w", err)
	}
	s := &System{n: n, c: c, began: n.Clock.Now(), contents: newContents(n.CAS, n.Clock)}
	s.lookups.on, s.lookups.seed, s.lookups.kept = !n.DB.Postgres(), maphash.MakeSeed(), map[lookup]looked{}
	s.measures = newMeasures(s)
	if err := s.openUploads(ctx); err != nil {
		return nil, fmt.Errorf("open files: %w", err)
	}
	return s, nil
}

// Close closes the contents that are at hand.
func (s *System) Close() { s.contents.sweep(time.Time{}, true) }

// Person is who asks. The zero Person is a stranger.
type Person struct {
	ID       string
	Operator bool // may see totals, and what was reported
}

// Rights are what somebody may do with a node, each with those before it.
type Rights int64

// The rights.
const (
	None  Rights = iota
	Read         // see it and what is below it
	Write        // change what is below it, and the content
	Own          // share, publish, link, and decide about its place
)

// Node is a file or folder.
type Node struct {
	ID       string
	Owner    string // a person's id
	Parent   string // "" for a root
	Name     string // "" for a root
	Folder   bool
	Hash     cas.Hash // of a file's content
	Size     int64    // bytes; 0 for a folder
	Type     string   // of the content, as MIME has it; "" for a folder
	Modified time.Time
	Made     time.Time
	Version  int64     // of the content, from 1
	Public   bool      // itself; a folder above it may be public too
	Binned   time.Time // when it was removed; zero: it was not
	Blocked  bool      // its content was taken down

	gone int64
}

// ETag is the node's entity tag: its content's hash, in quotes.
func (n Node) ETag() string { return `"` + n.Hash.String() + `"` }

// errNone is the one answer for what is not there and for what one may not see.
func errNone(p place) error {
	return errs.New(errs.NotFound, "there is nothing at %q", p.String())
}

// errDenied refuses a change of what may only be read.
func errDenied(p place) error {
	return errs.New(errs.Denied, "%q may be read only", p.String())
}

// write runs fn in the room's line of writers, once for a request that may come again
// (see Again), and gives what it returned.
func write[T any](ctx context.Context, s *System, operation string, asked any, fn func(ctx context.Context, tx *sqldb.Tx) (T, error)) (T, error) {
	var out T
	err := s.n.DB.BatchBy(ctx, lane, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		again, _ := ctx.Value(againKey{}).(once.Request)
		again.Scope, again.Body, again.Now = realm+"."+operation+"/"+again.Scope, asked, s.n.Clock.Now()
		out, err = once.Give(ctx, s.n.Once, tx, again, func() (out T, err error) {
			if err = allowed(ctx, tx); err != nil {
				return out, err
			}
			return fn(ctx, tx)
		})
		return err
	})
	if err != nil {
		var none T
		return none, fmt.Errorf("%s: %w", operation, err)
	}
	return out, nil
}

type againKey struct{}

// Again returns ctx for a request that its sender may repeat under a key: the verb's
// effect happens once, and each repetition gets the same answer. scope says whose key
// it is. An empty key changes nothing.
func Again(ctx context.Context, scope, key string) context.Context {
	if key == "" {
		return ctx
	}
	return context.WithValue(ctx, againKey{}, once.Request{Scope: scope, Key: key})
}

// read runs fn on one snapshot.
func read[T any](ctx context.Context, s *System, what string, fn func(ctx context.Context, tx *sqldb.Tx) (T, error)) (T, error) {
	var out T
	err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		out, err = fn(ctx, tx)
		return err
	})
	if err != nil {
		var none T
		return none, fmt.Errorf("%s: %w", what, err)
	}
	return out, nil
}

// fileType returns the content's type: what the sender said, where that is a type,
// else by the name's ending, else by the first bytes.
func fileType(said, name string, head []byte) string {
	kind, _, _ := strings.Cut(said, ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	if !isType(kind) || kind == "application/octet-stream" || kind == "application/x-www-form-urlencoded" || kind == "binary/octet-stream" {
		kind = typeOf(name, head)
	}
	return kind
}
