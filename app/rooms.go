package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"plumb/base/errs"
	"plumb/engines/web"
	"plumb/face"
	"plumb/systems/files"
	"plumb/systems/photos"
	"plumb/systems/vending"
)

// room is one system: its name and how it is opened. Rooms that need another
// room get it in corridors.go, one line each.
type room struct {
	name string
	open func(ctx context.Context, e *engines, shell web.Shell, cfg Config, url string) (face.Face, error)
}

// rooms lists the house, one short stanza a room.
func rooms() []room {
	return []room{
		{"files", func(ctx context.Context, e *engines, shell web.Shell, cfg Config, url string) (face.Face, error) {
			s, err := files.New(ctx, files.Needs{
				DB: e.db, CAS: e.cas, Links: e.links, Jobs: e.jobs, Once: e.once, Bus: e.bus, People: e.accounts, Clock: e.clock, Log: e.log, Shell: shell, URL: url,
			}, cfg.Files)
			if err != nil {
				return face.Face{}, err
			}
			e.onClose(func() error { s.Close(); return nil })
			return s.Face(), nil
		}},
		{"photos", func(ctx context.Context, e *engines, shell web.Shell, cfg Config, url string) (face.Face, error) {
			pool, err := e.farm()
			if err != nil {
				return face.Face{}, err
			}
			s, err := photos.New(ctx, photos.Needs{
				DB: e.db, Jobs: e.jobs, Bus: e.bus, People: e.accounts, Farm: pool, Hooks: e.hooks, Clock: e.clock, Log: e.log, Shell: shell, URL: url,
				Key: e.key, Folder: filepath.Join(cfg.Data, "photos"), SQL: cfg.SQL, Bucket: cfg.Bucket, NoSync: cfg.NoSync,
			}, cfg.Photos)
			if err != nil {
				return face.Face{}, err
			}
			e.onClose(func() error { s.Close(); return nil })
			return s.Face(), nil
		}},
		{"vending", func(ctx context.Context, e *engines, shell web.Shell, cfg Config, url string) (face.Face, error) {
			s, err := vending.New(ctx, vending.Needs{
				DB: e.db, Fleet: e.fleet, Jobs: e.jobs, Once: e.once, Bus: e.bus, Clock: e.clock, Log: e.log, Shell: shell, URL: url,
			}, cfg.Vending)
			if err != nil {
				return face.Face{}, err
			}
			e.onClose(func() error { s.Close(); return nil })
			return s.Face(), nil
		}},
	}
}

// Names lists the systems that this house holds.
func Names() []string {
	var list []string
	for _, r := range rooms() {
		list = append(list, r.name)
	}
	return list
}

func has(system string) bool { return slices.Contains(Names(), system) }

// chosen returns the rooms of the named systems; all, when none is named.
func chosen(names []string) ([]room, error) {
	all := rooms()
	if len(names) == 0 {
		return all, nil
	}
	for _, n := range names {
		if !has(n) {
			return nil, errs.New(errs.Invalid, "there is no system %q; there are: %s", n, strings.Join(Names(), ", "))
		}
	}
	return slices.DeleteFunc(all, func(r room) bool { return !slices.Contains(names, r.name) }), nil
}

// openRooms opens each room and refuses a face that leaves something undeclared.
func openRooms(ctx context.Context, list []room, e *engines, shell web.Shell, cfg Config, url string) ([]face.Face, error) {
	var faces []face.Face
	for _, r := range list {
		f, err := r.open(ctx, e, shell, cfg, url)
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", r.name, err)
		}
		if err := f.Valid(); err != nil {
			return nil, err
		}
		faces = append(faces, f)
	}
	return faces, nil
}

// Commands are the rooms' own command-line verbs, `plumb SYSTEM VERB`. They are
// declared without opening anything.
func Commands() []*cobra.Command {
	var list []*cobra.Command
	bySystem := map[string]*cobra.Command{}
	for _, c := range roomCommands() {
		parent := bySystem[c.System]
		if parent == nil {
			parent = &cobra.Command{Use: c.System, Short: "Commands of " + c.System}
			bySystem[c.System] = parent
			list = append(list, parent)
		}
		parent.AddCommand(c.New())
	}
	return list
}

// roomCommands joins what the rooms declare.
func roomCommands() []face.Command {
	return slices.Concat(files.Commands(openFiles), photos.Commands(), vending.Commands())
}

// openFiles opens the files room alone, on the data folder of a server that does not
// run, for commands with --data. Settings come from the environment and plumb.yaml. It
// has one user, who may know from the time it takes whether content is there already.
func openFiles(ctx context.Context, data string) (s *files.System, end func() error, err error) {
	if _, err := os.Stat(filepath.Join(data, "VERSION")); err != nil {
		return nil, nil, errs.Wrap(errs.Invalid, err, "%s is no data folder", data)
	}
	cfg, _, err := Load(map[string]string{"data": data}, os.Environ(), "")
	if err != nil {
		return nil, nil, err
	}
	cfg.Files.Trusted = true
	if cfg.LogLevel == "info" {
		cfg.LogLevel = "warn" // what happened is the command's to say
	}
	folder, err := OpenFolder(data)
	if err != nil {
		return nil, nil, err
	}
	log := newLog(cfg, os.Stderr)
	e, err := openEngines(ctx, cfg, folder, log)
	if err != nil {
		return nil, nil, errors.Join(err, folder.Close())
	}
	s, err = files.New(ctx, files.Needs{
		DB: e.db, CAS: e.cas, Links: e.links, Jobs: e.jobs, Once: e.once, Bus: e.bus, People: e.accounts, Clock: e.clock, Log: e.log, URL: "http://127.0.0.1",
	}, cfg.Files)
	if err != nil {
		return nil, nil, errors.Join(err, e.close(), folder.Close())
	}
	return s, func() error {
		s.Close()
		return errors.Join(e.close(), folder.Close())
	}, nil
}

// filesSettings are the keys of the files room.
func filesSettings(c *files.Config) []Setting {
	return []Setting{
		{Key: "files.quota", Value: &c.Quota, Help: "bytes that a person may keep, versions and bin included (0: no limit)"},
		{Key: "files.versions", Value: &c.Versions, Help: "how long earlier contents of a file are kept"},
		{Key: "files.bin", Value: &c.Bin, Help: "how long removed files are kept"},
		{Key: "files.collect", Value: &c.Collect, Help: "time between two collections of contents that nothing refers to"},
		{Key: "files.scrub", Value: &c.Scrub, Help: "time between two readings of everything (0: never by itself)"},
		{Key: "files.trusted", Value: &c.Trusted, Help: "skip storing content that is known: for a store with one owner, because its time tells that it is known"},
	}
}

// photosSettings are the keys of the photos room.
func photosSettings(c *photos.Config) []Setting {
	return []Setting{
		{Key: "photos.copies", Value: &c.Copies, Help: "copies of each original, in as many shards' buckets (fewer with fewer shards)"},
		{Key: "photos.max-bytes", Value: &c.MaxBytes, Help: "bytes that one photo may have"},
		{Key: "photos.max-pixels", Value: &c.MaxPixels, Help: "pixels that one photo may have, width times height"},
		{Key: "photos.quota", Value: &c.Quota, Help: "bytes of originals that a person may keep, bin included (0: no limit)"},
		{Key: "photos.bin", Value: &c.Bin, Help: "how long removed photos are kept"},
		{Key: "photos.link-life", Value: &c.LinkLife, Help: "how long a link is good when its maker says nothing"},
		{Key: "photos.strategy", Value: &c.Strategy, Help: "how people are placed on shards, when the first shard is made: plumb photos place --help lists them"},
		{Key: "photos.throttle", Value: &c.Throttle, Help: "bytes a second that moves between shards may copy (0: no limit)"},
		{Key: "photos.grace", Value: &c.Grace, Help: "how long what was moved away stays on the old shard"},
		{Key: "photos.cache", Value: &c.Cache, Help: "memory for opened photos that are looked at again and again, over all shards"},
		{Key: "photos.collect", Value: &c.Collect, Help: "time between two collections of contents that nothing refers to"},
		{Key: "photos.alarm-full", Value: &c.AlarmFull, Help: "share of a shard's disk above which an alarm is told (0: none)"},
		{Key: "photos.alarm-slow", Value: &c.AlarmSlow, Help: "p99 of a shard above which an alarm is told (0: none)"},
		{Key: "photos.alarm-uneven", Value: &c.AlarmUneven, Help: "bytes of the fullest shard over its share above which an alarm is told (0: none)"},
		{Key: "photos.webhook", Value: &c.Webhook, Help: "address that is told of alarms, signed as Standard Webhooks has it"},
		{Key: "photos.webhook-secret", Value: &c.WebhookSecret, Secret: true, Help: "whsec_..., with which it is signed"},
		{Key: "photos.scrub", Value: &c.Scrub, Help: "time between two readings of everything (0: never by itself)"},
	}
}

// vendingSettings are the keys of the vending room.
func vendingSettings(c *vending.Config) []Setting {
	return []Setting{
		{Key: "vending.window", Value: &c.Window, Help: "time after a city's midnight in which its machines report"},
		{Key: "vending.grace", Value: &c.Grace, Help: "how long after its time a machine counts as late"},
		{Key: "vending.rate", Value: &c.Rate, Help: "reports a second that one machine may send"},
		{Key: "vending.ahead", Value: &c.Ahead, Help: "how far ahead a machine's clock may be"},
		{Key: "vending.retention", Value: &c.Retention, Help: "how long reports are kept"},
		{Key: "vending.capacity", Value: &c.Capacity, Help: "reports a second that the database is thought to store, until that is measured"},
		{Key: "vending.queue", Value: &c.Queue, Help: "work that may wait before machines get a later slot"},
		{Key: "vending.gate-share", Value: &c.GateShare, Help: "share of a city's machines that must be in before its night is planned"},
		{Key: "vending.gate-earliest", Value: &c.GateEarliest, Help: "how much of a night must be over before it is planned"},
		{Key: "vending.gate-deadline", Value: &c.GateDeadline, Help: "how much of a night may be over when it is planned, whoever is late"},
		{Key: "vending.leave", Value: &c.Leave, Help: "when vehicles leave, after midnight by the city's clock"},
		{Key: "vending.plan-cpu", Value: &c.PlanCPU, Help: "processor time for the routes of a city"},
		{Key: "vending.region", Value: &c.Region, Help: "name of the region that this house serves (default: all)"},
	}
}
