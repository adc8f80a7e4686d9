// Package shard keeps the photos room's owners on shards, and moves them while they are
// used. A shard is one SQL database and one bucket; all that an owner has (rows, contents,
// links, kept answers) lies on one shard.
//
//	set, err := shard.Open(ctx, shard.Needs{DB: house, Key: key, Folder: dir, Tables: tables, Schema: schema, ...}, shard.Config{})
//	defer set.Close()
//	home, err := set.Home(ctx, owner)                       // a hint, from memory
//	p, err := home.CAS.Put(ctx, body, cas.PutOptions{})
//	err = set.Write(ctx, owner, home, func(ctx context.Context, tx *sqldb.Tx, at *shard.Shard, rev int64) error {
//		if err := at.CAS.Take(ctx, tx, p); err != nil {
//			return err
//		}
//		return insertPhoto(ctx, tx, id, owner, p.Hash(), rev) // all rows that change get rev
//	})
//	// shard.ErrMoved: the owner is elsewhere by now; put the content there, and write again.
//	err = set.Read(ctx, owner, func(ctx context.Context, tx *sqldb.Tx, at *shard.Shard) error { ... })
//	s, migration, err := set.Add(ctx, shard.New{Name: "second", Weight: 1})
//
// # Who holds an owner
//
// The house's database has the map: a placement of owners on shards (engines/placement) by
// epoch, and pins, which are its exceptions: owners who stay elsewhere, or who have not
// been moved yet. Every process has both in memory, perhaps stale. What decides is a row
// of the shard itself, photos_owners, read in the very transaction of each Read and Write:
// here; leaving, to a shard that is nearly complete (writes wait for the switch, which
// takes milliseconds); gone, to another; coming and ready, from another. Who has no row is
// new, and is made only while the shard's fence stands at the epoch of the map that led
// there; a new map raises all fences, looks once more who was made meanwhile, and is
// published only then. So a stale map costs a look more and never a wrong answer.
//
// # What holds
//
//   - What Write acknowledged is read by every later Read, in every process, before, during
//     and after a move; neither is refused because of a move.
//   - No owner is held by two shards at any moment.
//   - A move that is killed at any step goes on from there, in any process.
//   - What an owner has is erased at the old shard only after Config.Grace from the switch.
//
// # What it costs
//
// Read and Write cost one look-up by owner more than the room's own statements. Memory:
// 2 bytes a slot of the placement (128 KiB and more), up to 65,536 pins and forwards
// (some 100 bytes each; more are looked up in the house when they are wanted), and what a
// Put takes (3 MiB) for each of Config.Movers while owners move. A change of the map reads
// every owner's row twice, in batches of 500, and writes one pin for each owner who is to
// move. A move costs the owner's contents once to read, once to write, and once to read
// back; their writes wait for the last changes and a few statements, whatever they have.
package shard

import (
	"context"
	"embed"
	"io/fs"
	"log/slog"
	"time"

	"plumb/base/clock"
	"plumb/base/errs"
	"plumb/engines/bucket"
	"plumb/engines/bus"
	"plumb/engines/cas"
	"plumb/engines/jobs"
	"plumb/engines/links"
	"plumb/engines/once"
	"plumb/engines/sqldb"
)

//go:embed schema
var schemas embed.FS

// State is where a shard is in its life.
type State string

// The states.
const (
	Active   State = "active"
	Draining State = "draining" // gets nobody new; who is there moves away
	Drained  State = "drained"  // nobody is there
	Lost     State = "lost"     // given up by an operator: nobody looks there
	Removed  State = "removed"  // its number and the rows about it stay
)

// Shard is a database and a bucket. It never changes; a change makes a new one with the
// same engines.
type Shard struct {
	No     int64   // from 1; never used again
	Name   string  // 1 to 32 of a-z 0-9 -
	Weight float64 // its share, in proportion to the others'
	Domain string  // what fails together; "": a domain of its own
	State  State

	DB     *sqldb.DB
	CAS    *cas.Store // below "cas/" of the bucket
	Links  *links.Links
	Once   *once.Once
	Bucket bucket.Bucket // whole
}

// Needs is what the set is given.
type Needs struct {
	DB        *sqldb.DB   // the house's: the directory lies there
	Jobs      *jobs.Queue // for what is done in the background; nil: whoever opened it calls Work's Run
	Bus       bus.Bus     // announces changes of the map; nil: others notice within seconds
	Clock     clock.Clock
	Log       *slog.Logger
	Key       []byte // the house's
	Passwords links.Passwords
	Folder    string        // for shards that name no place of their own
	SQL       string        // the house's postgres://...; "": SQLite files in Folder
	Bucket    string        // the house's s3://...; "": folders in Folder
	NoSync    bool          // see sqldb.Options
	Options   sqldb.Options // of the shards' databases; zero is right
	Schema    fs.FS         // the room's tables, as sqldb.Migrate wants them
	Tables    []Table       // the same, to be copied
}

// Config is what a person may set. The zero Config is right.
type Config struct {
	Strategy string        // of placement; "hash" when ""
	Throttle int64         // bytes a second that moves may copy, in each process; 0: no limit
	Grace    time.Duration // how long what was moved away stays; DefaultGrace when 0, negative: not at all
	Movers   int           // owners that move at once; 4 when 0
	Cache    int64         // bytes of opened contents kept at hand, over all shards; 16 MiB when 0
	Refresh  time.Duration // how often the map is compared with the house's; 3 s when 0
}

// DefaultGrace is Config.Grace when it is 0.
const DefaultGrace = time.Hour

// ErrMoved is what Write returns when the owner is not on the shard that was asked for.
var ErrMoved = errs.TryAfter(time.Second, "what you have is being moved to another shard: try again")

// New is a shard to be added.
type New struct {
	Name   string
	Weight float64 // 1 when 0
	Domain string
	SQL    string // sqlite:PATH or postgres://...; "": as the house has it
	Bucket string // dir:PATH or s3://...; "": as the house has it
}

// Migration is owners who move for one reason.
type Migration struct {
	ID                 string
	Why                string // "add second", "drain first", ...
	State              MigrationState
	Begun, Ended       time.Time // Ended is zero while it goes on
	Owners, OwnersDone int64
	Photos, PhotosDone int64
	Bytes, BytesDone   int64 // of what was to move when it began; copied so far, repeated copies included
	IdealBytes         int64 // what the new map's shares would move at least
	Kept               int64 // owners who stay where they are so that no shard gets more than its share
	Failed             int64 // tries that failed; they are made again
	Error              string
}

// MigrationState is where a migration is.
type MigrationState string

// The states of a migration.
const (
	Planning MigrationState = "planning"
	Moving   MigrationState = "moving"
	Paused   MigrationState = "paused"
	Done     MigrationState = "done"
)

// Owner is somebody on a shard.
type Owner struct {
	ID     string
	Rev    int64
	Photos int64
	Bytes  int64
	Made   time.Time
}

// ReadFn and WriteFn are bodies of transactions; see sqldb.Fn. rev is the number of the
// owner's change: it goes into all rows that the fn changes.
type (
	ReadFn  = func(ctx context.Context, tx *sqldb.Tx, at *Shard) error
	WriteFn = func(ctx context.Context, tx *sqldb.Tx, at *Shard, rev int64) error
)
