package slots

import (
	"sync"
	"time"
)

// Rate bounds how often each machine may call: PerSecond on average, and Burst
// at once. It is the generic cell rate algorithm (ITU-T I.371), which needs one
// instant a machine. Safe for concurrent use.
type Rate struct {
	PerSecond float64 // above 0
	Burst     int     // at least 1

	mu    sync.Mutex
	due   map[uint64]int64 // when all that a machine sent would have been due at PerSecond, in nanoseconds
	sweep int              // entries at which those that are over are forgotten
}

// Take asks for n calls of id at now. They are granted all or not at all; if
// not, wait is how long until they would be. More than Burst never are.
func (r *Rate) Take(now time.Time, id string, n int) (wait time.Duration, ok bool) {
	each := float64(time.Second) / r.PerSecond
	r.mu.Lock()
	defer r.mu.Unlock()
	at, key := now.UnixNano(), Hash(id)
	due := max(r.due[key], at) + int64(each*float64(n))
	if over := due - at - int64(each*float64(r.Burst)); over > 0 {
		return time.Duration(over), false
	}
	if r.due == nil || len(r.due) >= r.sweep {
		r.forget(at)
	}
	r.due[key] = due
	return 0, true
}

// forget drops whoever has been silent long enough to start anew.
func (r *Rate) forget(at int64) {
	kept := make(map[uint64]int64)
	for key, due := range r.due {
		if due > at {
			kept[key] = due
		}
	}
	r.due, r.sweep = kept, 2*len(kept)+1024
}
