// Package rollout says which devices of a fleet change to a new version, and when
// that is to stop. It does no I/O and reads no clock: a server, a device and a
// test run the same code.
//
//	r := rollout.Rollout{Salt: "spring/3", To: rollout.Version{Firmware: "2.1"}, Back: rollout.Version{Firmware: "2.0"}, Percent: 5, State: rollout.Active}
//	want, change := r.Target("machine-17", rollout.Version{Firmware: "2.0"})
//	...
//	if (rollout.Brake{Percent: 10, Least: 20}).Pulled(on, bad) { r.State = rollout.Braked }
//
// What holds:
//   - A device is in the first n percent or not by a hash of its id: the answer is
//     the same in every process and at every time, and stored nowhere.
//   - Raising the percentage only adds devices.
//   - Two rollouts with different salts choose independently, so that it is not
//     the same devices that go first every time.
//   - A device is told a version only where it says that it runs another one.
package rollout

import "plumb/engines/fleet/slots"

// Version is what runs on a device. An empty text of a target leaves that part as
// it is; of a device, it does not say.
type Version struct {
	Firmware string
	Config   string
}

// Empty says whether v names nothing.
func (v Version) Empty() bool { return v == Version{} }

// State is how a rollout stands.
type State string

// The states. A braked rollout was stopped by its Brake, a paused one by a person.
const (
	Active State = "active" // devices of the first Percent change to To
	Paused State = "paused" // nobody changes
	Braked State = "braked" // nobody changes
	Undone State = "undone" // devices that run To change to Back
)

// Rollout is one change of version under way.
type Rollout struct {
	Salt    string // of the choice: another for every new target
	To      Version
	Back    Version // what To replaces; empty where that is not known
	Percent float64 // of the devices that are to change, 0 to 100
	State   State
}

// Point returns the device's place on the scale from 0 to below 100 on which a
// rollout's percentage moves up.
func Point(salt, id string) float64 {
	// The upper 53 bits are what a float64 holds exactly.
	return float64(slots.Hash(salt+"\x00"+id)>>11) / (1 << 53) * 100
}

// In says whether the device is one of the first Percent.
func (r Rollout) In(id string) bool { return Point(r.Salt, id) < r.Percent }

// Target returns what a device that runs a version is to change to. change is
// false when it is to stay as it is, and for one that says nothing of itself.
func (r Rollout) Target(id string, runs Version) (want Version, change bool) {
	if runs.Empty() {
		return Version{}, false // it could not even say that it obeyed
	}
	switch {
	case r.State == Active && r.In(id):
		if r.To.Firmware != runs.Firmware {
			want.Firmware = r.To.Firmware
		}
		if r.To.Config != runs.Config {
			want.Config = r.To.Config
		}
	case r.State == Undone:
		// Only what this rollout brought is taken back: a device that runs
		// something else got it from somewhere else.
		if r.To.Firmware != "" && r.To.Firmware == runs.Firmware && r.Back.Firmware != runs.Firmware {
			want.Firmware = r.Back.Firmware
		}
		if r.To.Config != "" && r.To.Config == runs.Config && r.Back.Config != runs.Config {
			want.Config = r.Back.Config
		}
	}
	return want, !want.Empty()
}

// Arrived says whether a device that runs a version has all of the target.
func (r Rollout) Arrived(runs Version) bool {
	return !r.To.Empty() && (r.To.Firmware == "" || r.To.Firmware == runs.Firmware) && (r.To.Config == "" || r.To.Config == runs.Config)
}

// Brake stops a rollout whose devices do badly.
type Brake struct {
	Percent float64 // of the devices on the new version that may do badly, 0 to 100
	Least   int     // devices that must be on it before anything is concluded, from 1
}

// Pulled says whether to stop: of on devices on the new version, bad do badly. It
// does not ask how the others do: an outage for which the version is not to blame
// stops the rollout too, which costs a day, where going on may cost the fleet.
func (b Brake) Pulled(on, bad int) bool {
	return on >= b.Least && on > 0 && float64(bad)*100 > b.Percent*float64(on)
}
