// Package alerts decides what somebody should look at: it turns how a fleet stands
// into conditions, and conditions into alerts to raise and to close. It does no I/O
// and reads no clock.
//
//	now := alerts.OfCity(alerts.City{Name: "Berlin", Late: alerts.Many{First: late, All: 1234}, ...})
//	raise, change, end := alerts.Diff(open, now)
//
// What holds:
//   - A cause has one alert while it lasts, however often it is looked at, and none
//     once it is over.
//   - A city where everything is late gets Most alerts and one that counts the
//     rest, not five thousand.
package alerts

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Most is how many machines of a city get an alert of their own of one kind.
const Most = 20

// The kinds of alerts. Those of many machines count what is beyond Most.
const (
	Late     = "late_machine"   // subject: the machine
	LateMany = "late_machines"  // subject: the city
	Fault    = "grave_fault"    // the machine
	Faults   = "grave_faults"   // the city
	Bare     = "stock_out"      // the machine: half of its slots are sold out
	BareMany = "stock_outs"     // the city
	LowShare = "low_share"      // the city: more than one, and more than its share allows, had not reported by the deadline
	Plan     = "plan_failed"    // the city
	Rollout  = "rollout_braked" // the rollout
)

// Kinds lists all kinds.
func Kinds() []string {
	return []string{Late, LateMany, Fault, Faults, Bare, BareMany, LowShare, Plan, Rollout}
}

// Severities of alerts.
const (
	Medium = "medium"
	High   = "high"
)

// Condition is a cause that lasts now.
type Condition struct {
	Kind     string
	Subject  string
	City     string // "" where there is none
	Severity string
	What     string
}

// Machine is one that has a cause.
type Machine struct {
	ID    string
	Since time.Time // Late: when it was due
	Empty int       // Bare: slots sold out
	Slots int       // Bare: of so many
}

// Many is machines that have the same cause.
type Many struct {
	First []Machine // in an order that does not jump about: the longest late, or by id
	All   int       // how many there are
}

// City is how a city stands.
type City struct {
	Name     string
	Zone     *time.Location // for the times in texts
	Late     Many
	Grave    Many
	Bare     Many
	Past     bool // the night's deadline is over
	Expected int  // machines that should have reported in this night
	Reported int
	Share    float64 // that should have by the deadline, 0 to 1
	Plan     string  // why the newest plan failed; "" where it did not
	Date     string  // of the night which that plan is for
}

// OfCity returns the conditions of a city.
func OfCity(c City) []Condition {
	var list []Condition
	each := func(kind, rest, severity, many string, m Many, what func(Machine) string) {
		first := m.First[:min(len(m.First), Most)]
		for _, one := range first {
			list = append(list, Condition{kind, one.ID, c.Name, severity, what(one)})
		}
		if more := m.All - len(first); more > 0 {
			list = append(list, Condition{rest, c.Name, c.Name, High, fmt.Sprintf("%d machines in %s %s: %d have an alert of their own", m.All, c.Name, many, len(first))})
		}
	}
	each(Late, LateMany, Medium, "are late", c.Late, func(m Machine) string {
		return fmt.Sprintf("%s in %s was due on %s", m.ID, c.Name, m.Since.In(c.zone()).Format("2 January at 15:04"))
	})
	each(Fault, Faults, High, "have a grave fault", c.Grave, func(m Machine) string {
		return fmt.Sprintf("%s in %s has a grave fault", m.ID, c.Name)
	})
	each(Bare, BareMany, Medium, "are half sold out", c.Bare, func(m Machine) string {
		return fmt.Sprintf("%s in %s is half sold out", m.ID, c.Name)
	})
	// One machine of a small city may be away: it has an alert of its own.
	allowed := max(1, int((1-c.Share)*float64(c.Expected)+1e-9))
	if c.Past && c.Expected-c.Reported > allowed {
		list = append(list, Condition{LowShare, c.Name, c.Name, High,
			fmt.Sprintf("%s: %d of %d machines had reported after the deadline; %g%% are wanted", c.Name, c.Reported, c.Expected, 100*c.Share)})
	}
	if c.Plan != "" {
		list = append(list, Condition{Plan, c.Name, c.Name, High, fmt.Sprintf("the plan of %s for %s failed: %s", c.Name, c.Date, c.Plan)})
	}
	return list
}

func (c City) zone() *time.Location {
	if c.Zone == nil {
		return time.UTC
	}
	return c.Zone
}

// Open is an alert that is raised.
type Open struct {
	ID, Kind, Subject string
	What              string
}

// Change is a new text for an open alert.
type Change struct{ ID, What string }

// Diff returns the conditions to raise alerts for, the open alerts whose text is
// another by now, and the ids of those whose cause is over; each in a fixed order.
func Diff(open []Open, now []Condition) (raise []Condition, change []Change, end []string) {
	type key struct{ kind, subject string }
	left := make(map[key]Open, len(open))
	for _, o := range open {
		left[key{o.Kind, o.Subject}] = o
	}
	seen := make(map[key]bool, len(now))
	for _, c := range now {
		k := key{c.Kind, c.Subject}
		if seen[k] {
			continue
		}
		seen[k] = true
		o, ok := left[k]
		if !ok {
			raise = append(raise, c)
			continue
		}
		delete(left, k)
		if o.What != c.What {
			change = append(change, Change{o.ID, c.What})
		}
	}
	for _, o := range left {
		end = append(end, o.ID)
	}
	slices.SortFunc(raise, func(a, b Condition) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Subject, b.Subject))
	})
	slices.SortFunc(change, func(a, b Change) int { return cmp.Compare(a.ID, b.ID) })
	slices.Sort(end)
	return raise, change, end
}
