package photos

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"plumb/base/errs"
	"plumb/base/units"
)

// watchView is the part of the board about what is wrong, what mends it, and who is told.
type watchView struct {
	Alarms     []alarmLine
	Going      []*Repair // repairs that go on
	Over       []*Repair // and those that are over
	Deliveries []Delivery
	Limits     []limitLine
	Told       bool   // there is a webhook
	Place      string // as it was typed
}

// alarmLine is an alarm in words.
type alarmLine struct {
	Text  string
	Since time.Time
}

// limitLine is a threshold: its setting and what it is.
type limitLine struct{ Name, What, Value string }

// say writes an alarm as a sentence.
func (a Alarm) say() string {
	switch a.What {
	case alarmFull:
		return fmt.Sprintf("The disk of %s is %.0f%% full; the threshold is %.0f%%.", a.Shard, a.Value*100, a.Most*100)
	case alarmSlow:
		return fmt.Sprintf("One of a hundred answers of %s takes longer than %s; the threshold is %s.", a.Shard, milliseconds(a.Value), milliseconds(a.Most))
	case alarmDown:
		return a.Shard + " does not answer."
	case alarmUneven:
		return fmt.Sprintf("The fullest shard has %.2f × its share; the threshold is %.2f.", a.Value, a.Most)
	}
	return a.Shard + " " + a.What
}

func milliseconds(v float64) string {
	return units.Duration(time.Duration(v * float64(time.Millisecond)))
}

// limits are the thresholds as they are set.
func (c Config) limits() []limitLine {
	or := func(on bool, text string) string {
		if !on {
			return "none"
		}
		return text
	}
	return []limitLine{
		{"photos.alarm-full", "a shard's disk", or(c.AlarmFull > 0, fmt.Sprintf("%.0f%% full", c.AlarmFull*100))},
		{"photos.alarm-slow", "one answer of a hundred", or(c.AlarmSlow > 0, "slower than "+units.Duration(c.AlarmSlow))},
		{"photos.alarm-uneven", "the fullest shard", or(c.AlarmUneven > 0, fmt.Sprintf("%.2f × its share", c.AlarmUneven))},
	}
}

// watchOf fetches it.
func (s *System) watchOf(ctx context.Context, who Person) (v watchView, err error) {
	alarms, err := s.Alarms(ctx, who)
	if err != nil {
		return v, err
	}
	for _, a := range alarms {
		v.Alarms = append(v.Alarms, alarmLine{a.say(), a.Since})
	}
	list, _, err := s.Repairs(ctx, who, "", 20)
	if err != nil {
		return v, err
	}
	for _, r := range list {
		if r.State == Running {
			v.Going = append(v.Going, r)
		} else {
			v.Over = append(v.Over, r)
		}
	}
	if v.Deliveries, err = s.Deliveries(ctx, who); err != nil {
		return v, err
	}
	v.Deliveries = v.Deliveries[:min(len(v.Deliveries), 20)]
	v.Limits, v.Told = s.c.limits(), s.c.Webhook != ""
	return v, nil
}

// What says what a repair does.
func (watchView) What(r *Repair) string {
	switch r.Kind {
	case Heal:
		return "put back what " + r.Shard + " lost"
	case Leave:
		return "make the copies that " + r.Shard + " holds elsewhere"
	case Rebuild:
		return "make anew what lay on " + r.Shard
	case Backup:
		return "back " + r.Shard + " up to " + r.Place
	case Restore:
		return "restore from " + r.Place
	}
	return string(r.Kind)
}

// doRepair begins a repair, a backup or a restore.
func (s *System) doRepair(w http.ResponseWriter, r *http.Request) error {
	ctx, who := r.Context(), asker(r)
	name, place := r.PostFormValue("shard"), strings.TrimSpace(r.PostFormValue("place"))
	var err error
	switch r.PostFormValue("do") {
	case "heal":
		_, err = s.HealShard(ctx, who, name)
	case "lost":
		if r.PostFormValue("sure") == "" {
			err = errs.New(errs.Invalid, "tick that you are sure: %s would be given up for good", name)
			break
		}
		_, err = s.LoseShard(ctx, who, name)
	case "backup":
		_, err = s.BackupShard(ctx, who, name, place)
	case "restore":
		_, err = s.RestoreFrom(ctx, who, place)
	default:
		err = errs.New(errs.Invalid, "the form says nothing to do")
	}
	if err != nil && (mayFail(err) || errs.Is(err, errs.NotFound)) {
		return s.showShards(w, r, boardPage{watchView: watchView{Place: place}}, err)
	}
	return s.shardsAfter(w, r, "repairing", err)
}
