package vending

import (
	"context"
	"fmt"
	"strings"
	"time"

	"plumb/base/bounds"
	"plumb/base/errs"
	"plumb/base/ids"
	"plumb/engines/fleet/rollout"
	"plumb/engines/sqldb"
)

// Rollout is a change of what runs on the machines of a cohort: of a city, of a
// group that somebody named, or of the whole fleet. Where several apply to a
// machine, the named group's goes before the city's, and that before the fleet's.
type Rollout struct {
	Name     string
	City     string // "" with a named cohort, or for the whole fleet
	Cohort   string // "" for a city, or for the whole fleet
	Revision int    // from 1; a new target is a new one, and other machines go first
	To       rollout.Version
	Back     rollout.Version // what To replaces
	Percent  float64
	State    rollout.State
	Because  string        // why it stands so
	Brake    rollout.Brake // stops it when too many of the machines on To are late or faulty
	Changed  time.Time
}

// NewRollout is what a person says of a rollout. What is left out stays as it is,
// or gets its usual value.
type NewRollout struct {
	City, Cohort *string
	To           *rollout.Version
	Back         *rollout.Version // nil: what most of the cohort's machines run when the target is set
	Percent      *float64
	Pause        *bool // true pauses; false lets it go on, also after the brake
	BadPercent   *float64
	Least        *int
}

// The usual brake: a tenth of at least twenty machines.
const (
	usualBad   = 10
	usualLeast = 20
)

// scope is whose machines a rollout is for.
type scope struct{ city, cohort string }

func (r Rollout) scope() scope { return scope{r.City, r.Cohort} }

// For says in words whose machines the rollout is for.
func (r Rollout) For() string {
	switch {
	case r.Cohort != "":
		return "the cohort " + r.Cohort
	case r.City != "":
		return r.City
	}
	return "the whole fleet"
}

func (r Rollout) plan() rollout.Rollout {
	return rollout.Rollout{Salt: fmt.Sprintf("%s/%d", r.Name, r.Revision), To: r.To, Back: r.Back, Percent: r.Percent, State: r.State}
}

// check names every fault of r.
func (r Rollout) check() error {
	var b bounds.Check
	checkName(&b, "name", r.Name)
	if r.Cohort != "" {
		checkName(&b, "cohort", r.Cohort)
	}
	if r.City != "" && r.Cohort != "" {
		b.Fault("cohort", "and city exclude each other")
	}
	for where, v := range map[string]string{"firmware": r.To.Firmware, "config": r.To.Config, "back.firmware": r.Back.Firmware, "back.config": r.Back.Config} {
		b.Text(where, v, 0, 64)
	}
	if r.To.Empty() {
		b.Fault("firmware", "or config is needed: a rollout has a target")
	}
	b.Float("percent", r.Percent, 0, 100)
	b.Float("brake.bad_percent", r.Brake.Percent, 0, 100)
	b.Int("brake.least", int64(r.Brake.Least), 1, 1_000_000)
	return b.Err("the rollout is not valid")
}

// target returns what a machine is to change to; ok is false when it is to stay.
func (s *System) target(id, city string, runs rollout.Version) (rollout.Version, bool) {
	s.known.mu.RLock()
	defer s.known.mu.RUnlock()
	if len(s.known.rollouts) == 0 {
		return rollout.Version{}, false
	}
	if cohort := s.known.cohorts[id]; cohort != "" {
		if r, ok := s.known.rollouts[scope{cohort: cohort}]; ok {
			return r.plan().Target(id, runs)
		}
	}
	r, ok := s.known.rollouts[scope{city: city}]
	if !ok {
		r, ok = s.known.rollouts[scope{}]
	}
	if !ok {
		return rollout.Version{}, false
	}
	return r.plan().Target(id, runs)
}

// SetRollout begins or changes a rollout on somebody's behalf. Another target than
// before is a new revision, active, in its first stage; another percentage alone
// adds machines, or takes those back into waiting that have not changed. A change of
// the target or of pause lets a braked or undone rollout go on. Errors: Invalid;
// Conflict when another rollout is for the same machines.
func (s *System) SetRollout(ctx context.Context, by, name string, in NewRollout) (Rollout, error) {
	var r Rollout
	now := s.n.Clock.Now()
	step := ids.New(now)
	err := s.n.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		old, known, err := s.store.rollout(ctx, tx, name)
		if err != nil {
			return err
		}
		if r, err = s.changed(name, old, known, in); err != nil {
			return err
		}
		if r.Revision != old.Revision && in.Back == nil {
			if r.Back, err = s.store.mostRun(ctx, tx, r); err != nil {
				return err
			}
		}
		r.Changed = now.UTC().Truncate(time.Microsecond)
		if err := s.store.setRollout(ctx, tx, r); err != nil {
			return err
		}
		return s.store.addStep(ctx, tx, r, step, by, r.describe(old, known), now)
	})
	if err != nil {
		return Rollout{}, fmt.Errorf("set rollout %.64s: %w", name, err)
	}
	return r, s.opsChanged(ctx)
}

// changed lays in over the rollout as it was, and checks the whole.
func (s *System) changed(name string, old Rollout, known bool, in NewRollout) (Rollout, error) {
	r := old
	if !known {
		r = Rollout{Name: name, Brake: rollout.Brake{Percent: usualBad, Least: usualLeast}}
	}
	set(&r.City, in.City)
	set(&r.Cohort, in.Cohort)
	set(&r.To, in.To)
	set(&r.Back, in.Back)
	set(&r.Percent, in.Percent)
	set(&r.Brake.Percent, in.BadPercent)
	set(&r.Brake.Least, in.Least)
	if r.City != "" {
		c, ok := s.city(r.City)
		if !ok {
			return r, errs.WithDetails(fmt.Sprintf("there is no city %.64q", r.City), []errs.Detail{{Where: "city", What: "is not defined"}})
		}
		r.City = c.Name
	}
	if err := r.check(); err != nil {
		return r, err
	}
	if known && r.scope() != old.scope() {
		return r, errs.New(errs.Conflict, "rollout %s is for %s: begin another one for %s", name, old.For(), r.For())
	}
	if !known || r.To != old.To {
		r.Revision++
		r.State, r.Because = rollout.Active, "a new target"
	}
	switch {
	case in.Pause == nil:
	case *in.Pause:
		r.State, r.Because = rollout.Paused, "paused"
	default:
		r.State, r.Because = rollout.Active, "resumed"
	}
	return r, nil
}

// describe says in a few words how r differs from old, for its history.
func (r Rollout) describe(old Rollout, known bool) string {
	var list []string
	if !known || r.To != old.To {
		list = append(list, fmt.Sprintf("target %s in place of %s", words(r.To), words(r.Back)))
	}
	if !known || r.Percent != old.Percent {
		list = append(list, fmt.Sprintf("%g%%", r.Percent))
	}
	if known && r.State != old.State {
		list = append(list, r.Because)
	}
	if !known || r.Brake != old.Brake {
		list = append(list, fmt.Sprintf("brake at %g%% of at least %d", r.Brake.Percent, r.Brake.Least))
	}
	if len(list) == 0 {
		return "no change"
	}
	return strings.Join(list, ", ")
}

// words writes a version as people say it.
func words(v rollout.Version) string {
	switch {
	case v.Empty():
		return "nothing known"
	case v.Config == "":
		return "firmware " + v.Firmware
	case v.Firmware == "":
		return "settings " + v.Config
	}
	return "firmware " + v.Firmware + " and settings " + v.Config
}

// UndoRollout takes a rollout back on somebody's behalf: machines that run its
// target are told what ran before, and no other is told anything. Errors: NotFound;
// Conflict when nobody knows what ran before.
func (s *System) UndoRollout(ctx context.Context, by, name string) (Rollout, error) {
	return s.turn(ctx, by, name, func(r *Rollout) (string, error) {
		if r.Back.Empty() {
			return "", errs.New(errs.Conflict, "rollout %s does not know what ran before its target: set back first", name)
		}
		r.State, r.Because = rollout.Undone, "undone"
		return "undone: back to " + words(r.Back), nil
	})
}

// brakeRollout stops a rollout whose machines do badly, unless it changed meanwhile.
func (s *System) brakeRollout(ctx context.Context, was Rollout, because string) error {
	_, err := s.turn(ctx, "", was.Name, func(r *Rollout) (string, error) {
		if r.State != rollout.Active || r.Revision != was.Revision || r.Brake != was.Brake {
			return "", nil
		}
		r.State, r.Because = rollout.Braked, because
		return "braked: " + because, nil
	})
	return err
}

// turn changes one rollout; to says what it did, or "" for nothing.
func (s *System) turn(ctx context.Context, by, name string, to func(*Rollout) (string, error)) (Rollout, error) {
	var r Rollout
	now := s.n.Clock.Now()
	step := ids.New(now)
	err := s.n.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		known := false
		if r, known, err = s.store.rollout(ctx, tx, name); err != nil {
			return err
		}
		if !known {
			return errs.New(errs.NotFound, "there is no rollout %.64q", name)
		}
		what, err := to(&r)
		if err != nil || what == "" {
			return err
		}
		r.Changed = now.UTC().Truncate(time.Microsecond)
		if err := s.store.setRollout(ctx, tx, r); err != nil {
			return err
		}
		return s.store.addStep(ctx, tx, r, step, by, what, now)
	})
	if err != nil {
		return Rollout{}, fmt.Errorf("change rollout %.64s: %w", name, err)
	}
	return r, s.opsChanged(ctx)
}

// EndRollout forgets a rollout and its history: machines stay as they are. Errors:
// NotFound.
func (s *System) EndRollout(ctx context.Context, name string) error {
	err := s.n.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		n, err := tx.Exec(ctx, endRolloutSQL, name)
		if err != nil {
			return err
		}
		if n == 0 {
			return errs.New(errs.NotFound, "there is no rollout %.64q", name)
		}
		_, err = tx.Exec(ctx, endStepsSQL, name)
		return err
	})
	if err != nil {
		return fmt.Errorf("end rollout %.64s: %w", name, err)
	}
	return s.opsChanged(ctx)
}

// RolloutCount is how far a rollout has come.
type RolloutCount struct {
	Machines int // of the cohort, in good standing
	Arrived  int // run the target
	Bad      int // of those, late or faulty
}

// RolloutStep is one entry of a rollout's history.
type RolloutStep struct {
	At   time.Time
	By   string // "": the brake
	What string
}

// RolloutDetail is a rollout with how far it has come and what was done to it.
type RolloutDetail struct {
	Rollout
	RolloutCount
	Steps []RolloutStep // the newest first; 100 at most
}

// Rollouts returns all rollouts by name, each with how far it has come.
func (s *System) Rollouts(ctx context.Context) ([]RolloutDetail, error) {
	var list []RolloutDetail
	err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		list = nil
		all, err := s.store.rollouts(ctx, tx)
		if err != nil {
			return err
		}
		for _, r := range all {
			n, err := s.countRollout(ctx, tx, r)
			if err != nil {
				return err
			}
			list = append(list, RolloutDetail{Rollout: r, RolloutCount: n})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list rollouts: %w", err)
	}
	return list, nil
}

// RolloutOf returns one rollout with its history. Errors: NotFound.
func (s *System) RolloutOf(ctx context.Context, name string) (RolloutDetail, error) {
	var d RolloutDetail
	err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		known := false
		if d.Rollout, known, err = s.store.rollout(ctx, tx, name); err != nil {
			return err
		}
		if !known {
			return errs.New(errs.NotFound, "there is no rollout %.64q", name)
		}
		if d.RolloutCount, err = s.countRollout(ctx, tx, d.Rollout); err != nil {
			return err
		}
		d.Steps, err = s.store.steps(ctx, tx, name)
		return err
	})
	if err != nil {
		return RolloutDetail{}, fmt.Errorf("rollout %.64s: %w", name, err)
	}
	return d, nil
}
