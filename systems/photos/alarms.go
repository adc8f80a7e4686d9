package photos

import (
	"cmp"
	"context"
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"plumb/engines/hooks"
	"plumb/engines/sqldb"
	"plumb/systems/photos/internal/shard"
)

//go:embed alarms/schema/*.sql
var alarmSchema embed.FS

// Alarm is a threshold that was passed. A webhook tells when it begins and when it ends,
// so that whoever runs the house, or a program of theirs, adds a shard.
type Alarm struct {
	Shard string    `json:"shard,omitempty"` // its name; "": all of them together
	What  string    `json:"what"`            // full, slow, down, uneven
	Value float64   `json:"value"`           // share of the disk; p99 in ms; 1 where it is down; fullest over mean
	Most  float64   `json:"most"`
	Since time.Time `json:"since"`
}

// The words of an alarm.
const (
	alarmFull   = "full"
	alarmSlow   = "slow"
	alarmDown   = "down"
	alarmUneven = "uneven"
)

// easing is the part of a threshold below which an alarm ends, so that it does not begin
// and end all the time.
const easing = 0.95

// minUneven is how many bytes of originals a mean shard holds before it matters that
// another holds more.
const minUneven = 1 << 30

// hookName is the room's webhook.
const hookName = realm

// Events of the webhook.
const (
	eventRaised  = "photos.alarm.raised"
	eventCleared = "photos.alarm.cleared"
)

// openAlarms brings the house's table up to date, and names the webhook.
func (s *System) openAlarms(ctx context.Context) error {
	tables, err := fs.Sub(alarmSchema, "alarms")
	if err != nil {
		return err
	}
	if err := s.n.DB.Migrate(ctx, "photos_alarms", tables); err != nil || s.n.Hooks == nil {
		return err
	}
	return s.n.Hooks.Declare(hookName, hooks.Hook{URL: s.c.Webhook, Secret: s.c.WebhookSecret})
}

// gauge is a measure with its threshold; 0: none.
type gauge struct {
	shard, what string
	value, most float64
}

// gauges are what alarms are about.
func (c Config) gauges(board []Load) (list []gauge) {
	weights, bytes := 0.0, 0.0
	for _, l := range board {
		if l.State == shard.Active {
			weights, bytes = weights+l.Weight, bytes+float64(l.Bytes)
		}
	}
	fullest, active := 0.0, 0.0
	for _, l := range board {
		if l.State == shard.Lost || l.State == shard.Removed {
			continue
		}
		down := gauge{shard: l.Name, what: alarmDown, most: 0.5}
		if !l.Up {
			down.value = 1
		}
		list = append(list, down)
		if l.Size > 0 {
			list = append(list, gauge{l.Name, alarmFull, 1 - float64(l.Free)/float64(l.Size), c.AlarmFull})
		}
		list = append(list, gauge{l.Name, alarmSlow, float64(l.P99.Microseconds()) / 1000, float64(c.AlarmSlow.Microseconds()) / 1000})
		if l.State == shard.Active && l.Weight > 0 && bytes > 0 {
			active++
			fullest = max(fullest, float64(l.Bytes)/(bytes*l.Weight/weights))
		}
	}
	if active > 1 && bytes/active >= minUneven {
		list = append(list, gauge{what: alarmUneven, value: fullest, most: c.AlarmUneven})
	}
	return list
}

// watch compares the board with the thresholds, and tells what began and what ended.
func (s *System) watch(ctx context.Context) error {
	board, err := s.set.Board(ctx)
	if err != nil {
		return fmt.Errorf("watch the shards: %w", err)
	}
	return s.watchBoard(ctx, board)
}

func (s *System) watchBoard(ctx context.Context, board []Load) error {
	now := s.now()
	seen := map[[2]string]bool{}
	err := s.n.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		clear(seen)
		old, err := alarms(ctx, tx)
		if err != nil {
			return err
		}
		for _, g := range s.c.gauges(board) {
			a := Alarm{g.shard, g.what, g.value, g.most, now}
			key := [2]string{g.shard, g.what}
			was, on := old[key]
			switch {
			case g.most > 0 && !on && g.value > g.most:
				err = s.alarm(ctx, tx, addAlarmSQL, eventRaised, a)
			case g.most > 0 && on && g.value > easing*g.most:
				a.Since = was.Since
				err = s.alarm(ctx, tx, addAlarmSQL, "", a)
			default:
				continue
			}
			if seen[key] = true; err != nil {
				return err
			}
		}
		for key, a := range old {
			if !seen[key] {
				if err := s.alarm(ctx, tx, endAlarmSQL, eventCleared, a); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("watch the shards: %w", err)
	}
	return nil
}

// alarm writes or ends an alarm, and tells so.
func (s *System) alarm(ctx context.Context, tx *sqldb.Tx, query, event string, a Alarm) error {
	args := []any{a.Shard, a.What}
	if query == addAlarmSQL {
		args = append(args, a.Value, a.Most, a.Since.UnixMicro())
	}
	if _, err := tx.Exec(ctx, query, args...); err != nil || event == "" {
		return err
	}
	s.n.Log.Warn("a threshold of the shards", "event", event, "shard", a.Shard, "what", a.What, "value", a.Value, "most", a.Most)
	if s.n.Hooks == nil {
		return nil
	}
	return s.n.Hooks.Send(ctx, tx, hookName, event, a)
}

func alarms(ctx context.Context, tx *sqldb.Tx) (map[[2]string]Alarm, error) {
	rows, err := tx.Query(ctx, alarmsSQL)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	list := map[[2]string]Alarm{}
	for rows.Next() {
		var a Alarm
		var since int64
		if err := rows.Scan(&a.Shard, &a.What, &a.Value, &a.Most, &since); err != nil {
			return nil, err
		}
		a.Since = when(since)
		list[[2]string{a.Shard, a.What}] = a
	}
	return list, rows.Err()
}

// Alarms returns the thresholds that are passed now. Errors: Denied.
func (s *System) Alarms(ctx context.Context, p Person) ([]Alarm, error) {
	return operate(p, "look at alarms", func() (list []Alarm, err error) {
		err = s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			found, err := alarms(ctx, tx)
			list = []Alarm{}
			for _, a := range found {
				list = append(list, a)
			}
			slices.SortFunc(list, func(a, b Alarm) int {
				return cmp.Or(strings.Compare(a.Shard, b.Shard), strings.Compare(a.What, b.What))
			})
			return err
		})
		return list, err
	})
}

// Delivery is a message of the webhook.
type Delivery = hooks.Message

// Deliveries returns the newest messages of the webhook. Errors: Denied.
func (s *System) Deliveries(ctx context.Context, p Person) ([]Delivery, error) {
	return operate(p, "look at deliveries", func() ([]Delivery, error) {
		list := []Delivery{}
		if s.n.Hooks == nil {
			return list, nil
		}
		all, err := s.n.Hooks.List(ctx)
		for _, m := range all {
			if m.Hook == hookName {
				list = append(list, m)
			}
		}
		return list, err
	})
}

const (
	alarmsSQL   = `SELECT shard, what, value, most, since FROM photos_alarms`
	addAlarmSQL = `INSERT INTO photos_alarms (shard, what, value, most, since) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (shard, what) DO UPDATE SET value = $3, most = $4`
	endAlarmSQL = `DELETE FROM photos_alarms WHERE shard = $1 AND what = $2`
)
