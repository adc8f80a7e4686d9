package placement

import (
	"iter"
	"math"
	"slices"
	"strconv"
	"time"

	"plumb/base/errs"
)

// Trial is a question to Measure: keys on nodes by a strategy, of which some are then added
// and removed.
type Trial struct {
	Strategy string
	Nodes    int       // 1 to MaxNodes
	Weights  []float64 // of the nodes; a shorter list is repeated; none: all are equal
	Add      int       // nodes that are added then, of mean weight
	Remove   int       // nodes that are removed then, evenly out of the first ones
	Keys     []string  // distinct
}

// MaxKeys bounds the keys of a trial.
const MaxKeys = 20_000_000

// Result is what Measure found.
type Result struct {
	Strategy    string  `json:"strategy"`
	Nodes       int     `json:"nodes"`
	Keys        int     `json:"keys"`
	MaxOverMean float64 `json:"max_over_mean"` // keys of the fullest node by its share of them, before the change
	Moved       float64 `json:"moved_share"`   // part of the keys that is elsewhere after the change
	Ideal       float64 `json:"ideal_share"`   // the least that must move for the shares to be right
	Lookup      float64 `json:"ns_per_lookup"` // wall time, the best of some batches
	Bytes       int     `json:"bytes"`         // memory of the snapshot
}

// Measure places the keys, counts, changes the nodes and counts what moved. A directory is
// given the keys first, ranges are cut by them; the others know none. Errors: Invalid.
func Measure(t Trial) (Result, error) {
	switch {
	case t.Nodes < 1 || t.Nodes > MaxNodes:
		return Result{}, errs.New(errs.Invalid, "there can be 1 to %d nodes, not %d", MaxNodes, t.Nodes)
	case t.Add < 0 || t.Remove < 0 || t.Add > MaxNodes-t.Nodes || t.Remove >= t.Nodes+t.Add || t.Remove > t.Nodes:
		return Result{}, errs.New(errs.Invalid, "of %d nodes %d cannot be removed with %d added: 1 to %d must stay", t.Nodes, t.Remove, t.Add, MaxNodes)
	case len(t.Weights) > t.Nodes:
		return Result{}, errs.New(errs.Invalid, "there are %d weights for %d nodes", len(t.Weights), t.Nodes)
	case len(t.Keys) == 0 || len(t.Keys) > MaxKeys:
		return Result{}, errs.New(errs.Invalid, "1 to %d keys can be placed, not %d", MaxKeys, len(t.Keys))
	}
	before, after := t.nodes()
	s, err := New(t.Strategy, before)
	if err != nil {
		return Result{}, err
	}
	if s, err = s.taught(slices.Values(t.Keys)); err != nil {
		return Result{}, err
	}
	next, err := s.With(after)
	if err != nil {
		return Result{}, err
	}
	r := Result{Strategy: s.Strategy(), Nodes: len(before), Keys: len(t.Keys), Bytes: s.Bytes(), Ideal: Ideal(s, next)}
	count := make([]int, len(before))
	for _, k := range t.Keys {
		count[s.Place(k)]++
	}
	for i, n := range count {
		r.MaxOverMean = max(r.MaxOverMean, float64(n)/float64(len(t.Keys))/s.Share(i))
	}
	moved := 0
	for range Diff(s, next, slices.Values(t.Keys)) {
		moved++
	}
	r.Moved = float64(moved) / float64(len(t.Keys))
	r.Lookup = s.pace(t.Keys)
	return r, nil
}

// nodes returns the nodes before and after the change.
func (t *Trial) nodes() (before, after []Node) {
	sum := 0.0
	for i := range t.Nodes {
		w := 1.0
		if len(t.Weights) > 0 {
			w = t.Weights[i%len(t.Weights)]
		}
		sum += w
		before = append(before, Node{Name: nodeName(i), Weight: w})
	}
	for i, n := range before {
		// Of every Nodes/Remove nodes, the middle one goes.
		if t.Remove > 0 && (i*t.Remove+t.Nodes/2)/t.Nodes != ((i+1)*t.Remove+t.Nodes/2)/t.Nodes {
			continue
		}
		after = append(after, n)
	}
	for i := range t.Add {
		after = append(after, Node{Name: nodeName(t.Nodes + i), Weight: sum / float64(t.Nodes)})
	}
	return before, after
}

func nodeName(i int) string { return "node-" + strconv.Itoa(i) }

// taught returns the snapshot that knows the keys, where a strategy can know any.
func (s *Snapshot) taught(keys iter.Seq[string]) (*Snapshot, error) {
	switch s.rule.(type) {
	case *directory:
		return s.Assign(keys)
	case *ranges:
		next, _, err := s.Balance(func(yield func(string, Load) bool) {
			for k := range keys {
				if !yield(k, Load{1}) {
					return
				}
			}
		}, 1.02)
		if next != nil {
			return next, nil // as even as it can be
		}
		return nil, err
	}
	return s, nil
}

// Ideal returns the part of everything that must move between two snapshots for each node
// to have its share: the sum of what nodes gain.
func Ideal(old, new *Snapshot) float64 {
	sum := 0.0
	for i := range new.nodes {
		was := 0.0
		if j, ok := old.index[new.nodes[i].Name]; ok {
			was = old.Share(j)
		}
		sum += max(0, new.Share(i)-was)
	}
	return sum
}

// pace returns nanoseconds a look-up: of batches over the keys, the fastest one's, since
// whatever else the machine does can only slow it.
func (s *Snapshot) pace(keys []string) float64 {
	const batch, batches = 4096, 256
	best, at, sink := math.Inf(1), 0, 0
	for until := time.Now().Add(time.Second); at < batches && time.Now().Before(until); at++ {
		from := at * batch % len(keys)
		part := keys[from:min(from+batch, len(keys))]
		start := time.Now()
		for _, k := range part {
			sink += s.Place(k)
		}
		best = min(best, float64(time.Since(start).Nanoseconds())/float64(len(part)))
	}
	if sink < 0 { // keeps the look-ups from being left out
		return 0
	}
	return best
}
