package placement

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"

	"github.com/cespare/xxhash/v2"

	"plumb/base/errs"
)

// Kinds is how many kinds of load can be evened at a time: say bytes, objects, requests
// and CPU time. Each is measured in what unit the caller likes; a kind that is 0 for all
// keys does not count.
const Kinds = 4

// Load is what a key weighs, of each kind.
type Load [Kinds]float64

func (l *Load) add(m *Load) {
	for k := range l {
		l[k] += m[k]
	}
}

func (l *Load) sub(m *Load) {
	for k := range l {
		l[k] -= m[k]
	}
}

// most is the part of the kind of which it is the largest.
func (l *Load) most() float64 { return max(l[0], l[1], l[2], l[3]) }

// Unbalanced is the error of Balance when the bound was not reached. The snapshot and the
// moves that come with it are the best that was found.
type Unbalanced struct {
	Reached float64 // greatest part of a node's share that is left, after the moves
	Node    string  // where
	// The heaviest key on that node, when it alone is more than the bound allows: no
	// placement of whole keys will do. Of is its load as a multiple of the node's share.
	Key string
	Of  float64
}

func (u *Unbalanced) Error() string {
	if u.Key != "" {
		return fmt.Sprintf("node %s stays at %.3g of its share: the key %.80q alone is %.3g of it", u.Node, u.Reached, u.Key, u.Of)
	}
	return fmt.Sprintf("node %s stays at %.3g of its share, and no move of a single thing helps", u.Node, u.Reached)
}

// Tally returns what each node has of the loads. Errors: Invalid for a load that is
// negative or no number.
func (s *Snapshot) Tally(loads iter.Seq2[string, Load]) ([]Load, error) {
	out := make([]Load, len(s.nodes))
	for k, l := range loads {
		if err := l.valid(k); err != nil {
			return nil, err
		}
		out[s.Place(k)].add(&l)
	}
	return out, nil
}

// Worst returns how much the fullest node has of its share, over all kinds: max/mean when
// weights are equal. It is 1 when there is no load.
func (s *Snapshot) Worst(tally []Load) float64 {
	var total Load
	for i := range tally {
		total.add(&tally[i])
	}
	worst := 0.0
	for i := range tally {
		for k, v := range tally[i] {
			if total[k] > 0 {
				worst = max(worst, v/total[k]/s.Share(i))
			}
		}
	}
	return cmp.Or(worst, 1)
}

func (l *Load) valid(key string) error {
	for _, v := range l {
		if !(v >= 0 && v <= math.MaxFloat64/(1<<40)) {
			return errs.New(errs.Invalid, "the load of the key %.80q is %g", key, v)
		}
	}
	return nil
}

// Balance returns the next snapshot, in which no node has more than bound times its share
// of the measured loads, in any kind, and the moves that lead there, those that bring most
// first. It makes few moves: each takes from the fullest node what helps most. Each key
// should come once; keys that do not come have no load.
//
// What can be moved depends on the strategy: slots and, for keys too heavy for a slot,
// exceptions ("hash"); slots to where the bounded walk with measured sizes puts them, which
// are many, and exceptions ("bounded"); ranges, after splitting and merging them ("range");
// entries ("directory"); with the others only heavy keys, as exceptions.
//
// Memory is O(slots + nodes/(bound-1)), and 2 million keys at most; but O(keys) by "range"
// and "directory".
// Errors: Invalid; *Unbalanced beside the best that was found.
func (s *Snapshot) Balance(loads iter.Seq2[string, Load], bound float64) (*Snapshot, []Move, error) {
	if !(bound >= 1.001 && bound <= 1000) {
		return nil, nil, errs.New(errs.Invalid, "the bound must be 1.001 to 1000, not %g", bound)
	}
	switch r := s.rule.(type) {
	case *ranges:
		return s.balanceRanges(r, loads, bound)
	case *directory:
		return s.balanceDirectory(r, loads, bound)
	}
	return s.balanceSlots(loads, bound)
}

// weighed is what one pass over the loads leaves: sums for slots, and the heavy keys.
type weighed struct {
	total Load
	slots []Load // of each slot, heavy keys apart; nil where there are no slots
	nodes []Load // of each node, heavy keys apart; where there are no slots
	heavy map[string]Load
}

const mostHeavy = 1 << 21

// weigh reads the loads. A key is heavy when it has more than part of a node's mean share
// in some kind, or when it is an exception already. Keys that might be are kept, while it is
// not known yet how much there is in all: at most twice Kinds*nodes/part of them, and no
// more than mostHeavy, above which keys count as heavy only when they are heavier.
func (s *Snapshot) weigh(loads iter.Seq2[string, Load], part float64) (*weighed, error) {
	w := &weighed{heavy: map[string]Load{}}
	for k := range s.Exceptions() {
		w.heavy[k] = Load{}
	}
	fixed := len(w.heavy)
	if s.table != nil {
		w.slots = make([]Load, len(s.table))
	} else {
		w.nodes = make([]Load, len(s.nodes))
	}
	part = max(part/float64(len(s.nodes)), 2.*Kinds/mostHeavy)
	sift := func() {
		// In the order of names: sums of floats must not depend on a map's.
		for _, k := range slices.Sorted(maps.Keys(w.heavy)) {
			l := w.heavy[k]
			if l.of(&w.total) <= part && !s.isException(k) {
				w.light(s, k, &l)
				delete(w.heavy, k)
			}
		}
	}
	most := fixed + max(1024, int(2*Kinds/part))
	for k, l := range loads {
		if err := l.valid(k); err != nil {
			return nil, err
		}
		w.total.add(&l)
		had, is := w.heavy[k]
		if !is && l.of(&w.total) <= part {
			w.light(s, k, &l)
			continue
		}
		had.add(&l)
		w.heavy[k] = had
		if len(w.heavy) > most {
			sift()
		}
	}
	sift()
	return w, nil
}

// of is what part of a total the load is, in the kind where it is most.
func (l *Load) of(total *Load) float64 {
	p := l.parts(total)
	return p.most()
}

// parts divides by a total.
func (l *Load) parts(total *Load) (p Load) {
	for k := range l {
		if total[k] > 0 {
			p[k] = l[k] / total[k]
		}
	}
	return p
}

func (w *weighed) light(s *Snapshot, key string, l *Load) {
	if w.slots != nil {
		w.slots[s.Slot(key)].add(l)
	} else {
		w.nodes[s.Place(key)].add(l)
	}
}

func (s *Snapshot) isException(key string) bool {
	_, is := s.pins.find(key, xxhash.Sum64String(key))
	return is
}

// balanceSlots moves slots and heavy keys, each a thing of its own.
func (s *Snapshot) balanceSlots(loads iter.Seq2[string, Load], bound float64) (*Snapshot, []Move, error) {
	w, err := s.weigh(loads, min(bound-1, 1)/8)
	if err != nil {
		return nil, nil, err
	}
	t, _ := s.rule.(*slots)
	out := *s
	if b, ok := s.rule.(*bounded); ok {
		out.rule = newBounded(s, sizes(b, w))
		out.pins = pins{}
		out.arm()
	}
	l := newLeveller(&out, bound)
	for i := range w.nodes {
		l.held[i] = w.nodes[i].parts(&w.total)
	}
	for i := range w.slots {
		load := w.slots[i].parts(&w.total)
		if t == nil {
			l.held[out.SlotNode(i)].add(&load)
		} else {
			l.add(out.SlotNode(i), load)
		}
	}
	keys := slices.Sorted(maps.Keys(w.heavy))
	first := len(l.things)
	for _, k := range keys {
		load := w.heavy[k]
		if t == nil && w.slots != nil { // walked anew
			l.add(out.Place(k), load.parts(&w.total))
		} else {
			l.add(s.Place(k), load.parts(&w.total))
		}
	}
	l.run()

	if t != nil {
		moved := slices.Clone(t.node)
		for i := range moved {
			moved[i] = uint16(l.things[i].node)
		}
		out.rule = &slots{node: moved, shift: t.shift, tilt: tilts(s, moved)}
	}
	at := map[string]int{}
	for i, k := range keys {
		if to := int(l.things[first+i].node); out.rule.place(k) != to {
			at[k] = to
		}
	}
	if len(at) > MaxExceptions {
		return nil, nil, errs.New(errs.TooLarge, "%d keys would have to be exceptions, %d can be", len(at), MaxExceptions)
	}
	out.pins = newPins(at)
	out.arm()
	moves := s.moved(&out, w, keys)
	return &out, moves, l.verdict(func(thing int) string {
		if thing < first {
			return ""
		}
		return keys[thing-first]
	})
}

// moved lists the moves between two snapshots with the loads they bring.
func (s *Snapshot) moved(out *Snapshot, w *weighed, keys []string) []Move {
	var moves []Move
	for i := range w.slots {
		if a, b := s.SlotNode(i), out.SlotNode(i); a != b {
			moves = append(moves, Move{Slot: i, From: s.nodes[a].Name, To: s.nodes[b].Name, Share: w.slots[i].of(&w.total)})
		}
	}
	for _, k := range keys {
		if a, b := s.Place(k), out.Place(k); a != b {
			load := w.heavy[k]
			moves = append(moves, Move{Key: k, Slot: -1, From: s.nodes[a].Name, To: s.nodes[b].Name, Share: load.of(&w.total)})
		}
	}
	slices.SortStableFunc(moves, func(a, b Move) int { return cmp.Compare(b.Share, a.Share) })
	return moves
}

// Tilts outside of these are as good as none, or all.
const minTilt, maxTilt = 1e-6, 1e6

// tilts returns how many things each node has for its share of them; nil when no node is
// off by a whole thing, which is no more than a rounding.
func tilts(s *Snapshot, owner []uint16) []float64 {
	out, quota, off := make([]float64, len(s.nodes)), s.quotas(len(owner), nil), false
	for _, i := range owner {
		out[i]++
	}
	for i := range out {
		off = off || math.Abs(out[i]-quota[i]) >= 1
		out[i] = min(max(out[i]/quota[i], minTilt), maxTilt)
	}
	if !off {
		return nil
	}
	return out
}

// sizes returns the slots' parts of the load, heavy keys with them: the mean over kinds.
func sizes(b *bounded, w *weighed) []float32 {
	out, kinds := make([]float32, len(b.node)), 0
	for k := range w.total {
		if w.total[k] > 0 {
			kinds++
		}
	}
	if kinds == 0 {
		return nil
	}
	all := slices.Clone(w.slots)
	for _, k := range slices.Sorted(maps.Keys(w.heavy)) {
		l := w.heavy[k]
		all[b.slot(k)].add(&l)
	}
	for i := range out {
		p, sum := all[i].parts(&w.total), 0.0
		for _, v := range p {
			sum += v
		}
		out[i] = float32(sum / float64(kinds))
	}
	return out
}
