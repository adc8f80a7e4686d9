package files

import (
	"context"
	"log/slog"
	"time"

	"plumb/base/bounds"
	"plumb/base/clock"
	"plumb/engines/accounts"
	"plumb/engines/bus"
	"plumb/engines/cas"
	"plumb/engines/jobs"
	"plumb/engines/links"
	"plumb/engines/once"
	"plumb/engines/sqldb"
	"plumb/engines/web"
)

// People is who may sign in, and whom one shares with. plumb/engines/accounts has it.
type People interface {
	// Authenticate finds out who asks; see web.Authenticator.
	web.Authenticator
	// Named and ByID return somebody who may sign in. Errors: NotFound.
	Named(ctx context.Context, name string) (accounts.Person, error)
	ByID(ctx context.Context, id string) (accounts.Person, error)
}

// Needs is what the room is given.
type Needs struct {
	DB     *sqldb.DB
	CAS    *cas.Store   // contents
	Links  *links.Links // for those who have no account
	Jobs   *jobs.Queue
	Once   *once.Once // answers to requests that come again
	Bus    bus.Bus    // announcements: see events.go
	People People
	Clock  clock.Clock
	Log    *slog.Logger
	Shell  web.Shell
	URL    string // how browsers reach this house, without a slash at the end
}

// Config is what a person may set.
type Config struct {
	Quota    int64         // bytes that a person may keep, versions and bin included; 0: no limit
	Versions time.Duration // how long earlier contents are kept; 0 to 3,650 days
	Bin      time.Duration // how long removed files are kept; 0 to 3,650 days
	Collect  time.Duration // between two collections of what nothing refers to; 1 min to 7 days
	Scrub    time.Duration // between two scrubs; 1 h to 7 days, 0: never
	Trusted  bool          // skip writing content that is known: faster, and its time tells that it is known
}

// Defaults returns the configuration of a house where nobody set anything.
func Defaults() Config {
	return Config{Versions: 30 * 24 * time.Hour, Bin: 30 * 24 * time.Hour, Collect: 10 * time.Minute, Scrub: 7 * 24 * time.Hour}
}

// valid names every setting that is out of its range.
func (c Config) valid() error {
	var b bounds.Check
	const day = 24 * time.Hour
	span := func(name string, v, min, max time.Duration) {
		if v < min || v > max {
			b.Fault("files."+name, "must be %s to %s, not %s", min, max, v)
		}
	}
	b.Int("files.quota", c.Quota, 0, 1<<53)
	span("versions", c.Versions, 0, 3650*day)
	span("bin", c.Bin, 0, 3650*day)
	span("collect", c.Collect, time.Minute, 7*day)
	if c.Scrub != 0 {
		span("scrub", c.Scrub, time.Hour, 7*day)
	}
	return b.Err("the settings of files are not valid")
}
