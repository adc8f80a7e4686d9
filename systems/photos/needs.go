package photos

import (
	"context"
	"log/slog"
	"time"

	"plumb/base/bounds"
	"plumb/base/clock"
	"plumb/base/units"
	"plumb/engines/accounts"
	"plumb/engines/bus"
	"plumb/engines/farm"
	"plumb/engines/hooks"
	"plumb/engines/jobs"
	"plumb/engines/links"
	"plumb/engines/sqldb"
	"plumb/engines/web"
)

// People is who may sign in. plumb/engines/accounts has it.
type People interface {
	// Authenticate finds out who asks; see web.Authenticator.
	web.Authenticator
	// Named and ByID return somebody who may sign in. Errors: NotFound.
	Named(ctx context.Context, name string) (accounts.Person, error)
	ByID(ctx context.Context, id string) (accounts.Person, error)
	// HashPassword and CheckPassword are for links; see links.Passwords.
	links.Passwords
}

// Needs is what the room is given.
type Needs struct {
	DB     *sqldb.DB // the house's: the directory of shards, jobs
	Jobs   *jobs.Queue
	Bus    bus.Bus
	People People
	Clock  clock.Clock
	Log    *slog.Logger
	Shell  web.Shell
	URL    string // how browsers reach this house, without a slash at the end
	Key    []byte // the house's, 32 bytes
	Folder string // for shards that lie in folders, and for uploads on their way
	SQL    string // the house's postgres://... in which shards are schemas; "": SQLite files in Folder
	Bucket string // the house's s3://... below which shards' objects lie; "": folders in Folder
	NoSync bool   // the lab's broken twin

	Options sqldb.Options // of the shards' databases; zero is right
	Farm    *farm.Pool    // children that decode pixels: see Works
	Hooks   *hooks.Hooks  // tells of alarms; nil: nobody is told
}

// Config is what a person may set.
type Config struct {
	Copies    int           // copies of each original, in as many shards; 1 to 5. With fewer shards there are fewer
	MaxBytes  int64         // of one photo
	MaxPixels int64         // of one photo, width times height
	Quota     int64         // bytes of originals that a person may keep, bin included; 0: no limit
	Bin       time.Duration // how long removed photos are kept; 1 h to 3,650 days
	LinkLife  time.Duration // of a link when nothing else is said; 1 h to 3,650 days
	Strategy  string        // of the placement of people on shards: see plumb/engines/placement
	Throttle  int64         // bytes a second that moves between shards may copy; 0: no limit
	Grace     time.Duration // how long what was moved away stays; 0 to 30 days
	Cache     int64         // bytes of opened contents kept for who looks again, over all shards; 0: 16 MiB, negative: none
	Collect   time.Duration // between two collections of what nothing refers to; 1 min to 7 days
	Scrub     time.Duration // between two readings of everything; 1 h to 30 days, 0: never

	// Thresholds of alarms; 0: none. See Alarm.
	AlarmFull   float64       // of a shard's disk, 0 to 1
	AlarmSlow   time.Duration // of a shard's p99
	AlarmUneven float64       // bytes of the fullest shard over its share, 1 or more

	Webhook       string // http(s) address that is told of alarms; "": none
	WebhookSecret string // signs: "whsec_..." as Standard Webhooks has it
}

// Defaults returns the configuration of a house where nobody set anything.
func Defaults() Config {
	const day = 24 * time.Hour
	return Config{Copies: 2, MaxBytes: 200 << 20, MaxPixels: 200_000_000, Bin: 30 * day, LinkLife: 30 * day,
		Strategy: "hash", Throttle: 50_000_000, Grace: time.Hour, Cache: 16 << 20, Collect: 10 * time.Minute, Scrub: 7 * day, AlarmFull: 0.85, AlarmUneven: 1.5}
}

// valid names every setting that is out of its range.
func (c Config) valid() error {
	var b bounds.Check
	const day = 24 * time.Hour
	span := func(name string, v, min, max time.Duration) {
		if v < min || v > max {
			b.Fault("photos."+name, "must be %s to %s, not %s", min, max, v)
		}
	}
	b.Int("photos.copies", int64(c.Copies), 1, 5)
	b.Int("photos.max-bytes", c.MaxBytes, 1<<20, 1<<32)
	b.Int("photos.max-pixels", c.MaxPixels, 1<<20, 1<<30)
	b.Int("photos.quota", c.Quota, 0, 1<<53)
	span("bin", c.Bin, time.Hour, 3650*day)
	span("link-life", c.LinkLife, time.Hour, 3650*day)
	b.Int("photos.throttle", c.Throttle, 0, 1<<53)
	if c.Throttle > 0 && c.Throttle < 100_000 {
		b.Fault("photos.throttle", "must be at least %s a second, or 0 for no limit", units.Bytes(100_000))
	}
	b.Int("photos.cache", c.Cache, -1, 1<<40)
	span("grace", c.Grace, 0, 30*day)
	span("collect", c.Collect, time.Minute, 7*day)
	if c.Scrub != 0 {
		span("scrub", c.Scrub, time.Hour, 30*day)
	}
	b.Float("photos.alarm-full", c.AlarmFull, 0, 1)
	span("alarm-slow", c.AlarmSlow, 0, time.Minute)
	if c.AlarmUneven != 0 {
		b.Float("photos.alarm-uneven", c.AlarmUneven, 1, 1000)
	}
	return b.Err("the settings of photos are not valid")
}
