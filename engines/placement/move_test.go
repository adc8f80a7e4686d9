package placement

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// minimal says for a strategy whether a change moves nothing but what nodes get that are new
// or heavier, or what those had that are gone or lighter.
func minimal(strategy string) bool {
	return slices.Contains([]string{"hash", "ring", "rendezvous", "directory", "range"}, strategy)
}

// TestNothingElseMoves: when nodes only come, keys move only to them; when nodes only go,
// only their keys move.
func TestNothingElseMoves(t *testing.T) {
	keys := People(2000)
	each(t, func(t *testing.T, k Strategy) {
		if !minimal(k.Name) {
			return
		}
		rapid.Check(t, func(t *rapid.T) {
			nodes := anyNodes(t, 20, k.Even)
			s := anyTaught(t, k, nodes, keys)
			if k.Name == "directory" {
				d, err := s.Assign(slices.Values(keys))
				s = must(t, d, err)
			}
			more := slices.Clone(nodes)
			for i := range rapid.IntRange(1, 3).Draw(t, "more") {
				more = append(more, Node{Name: fmt.Sprint("new", i), Weight: 1})
			}
			next, err := s.With(more)
			next = must(t, next, err)
			check := func(old, next *Snapshot, what string, fits func(Move) bool) {
				wrong, moves := 0, Diff(old, next, slices.Values(keys))
				if k.Name == "hash" {
					moves = DiffSlots(old, next)
				}
				for m := range moves {
					if !fits(m) {
						wrong++
					}
				}
				// Where shares are not equal, roundings may move a slot or an entry a node.
				if wrong > 0 && k.Name != "hash" && k.Name != "directory" || wrong > old.Len() {
					t.Fatalf("%s, and %d other things moved", what, wrong)
				}
			}
			check(s, next, "nodes came", func(m Move) bool { _, old := s.Index(m.To); return !old })
			gone := rapid.IntRange(0, len(more)-1).Draw(t, "gone")
			fewer, err := next.With(slices.Delete(slices.Clone(more), gone, gone+1))
			fewer = must(t, fewer, err)
			check(next, fewer, "a node went", func(m Move) bool { return m.From == more[gone].Name })
			if again, err := fewer.With(fewer.Nodes()); err != nil || !slices.Equal(places(again, keys), places(fewer, keys)) {
				t.Fatalf("the same nodes again move something: %v", err)
			}
		})
	})
}

// TestSlotsFollowWeights holds "hash" to less than one slot of each share, and to as many
// moves as the gains are, after any changes.
func TestSlotsFollowWeights(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes := anyNodes(t, 40, false)
		s, err := New("hash", nodes)
		s = must(t, s, err)
		for range rapid.IntRange(1, 4).Draw(t, "changes") {
			next, err := s.With(anyChange(t, s.Nodes(), false))
			next = must(t, next, err)
			moved, gain := 0, 0.0
			for range DiffSlots(s, next) {
				moved++
			}
			was, is := slotCounts(s, next.Slots()), slotCounts(next, next.Slots())
			for i, n := range is {
				if d := float64(n) - next.Share(i)*float64(next.Slots()); math.Abs(d) >= 1 {
					t.Fatalf("node %d has %g slots more than its share", i, d)
				}
				old := 0
				if j, ok := s.Index(next.Node(i).Name); ok {
					old = was[j]
				}
				gain += max(0, float64(n-old))
			}
			if float64(moved) != gain {
				t.Fatalf("%d slots moved for a gain of %g", moved, gain)
			}
			// Rounding alone may move a slot a node.
			if ideal := Ideal(s, next) * float64(next.Slots()); float64(moved) > ideal+float64(len(is)) {
				t.Fatalf("%d slots moved, %g would do", moved, ideal)
			}
			s = next
		}
	})
}

func slotCounts(s *Snapshot, slots int) []int {
	out := make([]int, s.Len())
	for i := range s.Slots() {
		out[s.SlotNode(i)] += slots / s.Slots()
	}
	return out
}

// TestMovesPerNode adds and removes each node in turn: at most 1.02 of the ideal moves.
func TestMovesPerNode(t *testing.T) {
	for _, n := range []int{1, 2, 10, 100, 1000} {
		nodes := list(n)
		s := must2(New("hash", nodes))(t)
		grow := must2(s.With(append(s.Nodes(), Node{Name: "new", Weight: 1})))(t)
		within(t, fmt.Sprintf("%d nodes and one", n), s, grow)
		for i := range n {
			if i%max(1, n/50) == 0 && n > 1 {
				within(t, fmt.Sprintf("%d nodes without %d", n, i), s, must2(s.With(slices.Delete(s.Nodes(), i, i+1)))(t))
			}
		}
	}
}

func within(t *testing.T, what string, s, next *Snapshot) {
	t.Helper()
	moved := 0
	for range DiffSlots(s, next) {
		moved++
	}
	share, ideal := float64(moved)/float64(max(s.Slots(), next.Slots())), Ideal(s, next)
	if share > 1.02*ideal {
		t.Errorf("%s: %.6f moved, ideal is %.6f", what, share, ideal)
	}
}

// TestJumpTakesTheLast has a node at the end move its share, and one that goes twice that.
func TestJumpTakesTheLast(t *testing.T) {
	keys := ids(40_000)
	s := must2(New("jump", list(20)))(t)
	for m := range Diff(s, must2(s.With(list(21)))(t), slices.Values(keys)) {
		if m.To != "shard-20" {
			t.Fatalf("%+v", m)
		}
	}
	next := must2(s.With(slices.Delete(s.Nodes(), 4, 5)))(t)
	for m := range Diff(s, next, slices.Values(keys)) {
		if m.From != "shard-4" && m.From != "shard-19" {
			t.Fatalf("%+v", m)
		}
	}
	// A node in another's place moves what that one had.
	other := s.Nodes()
	other[4].Name = "other"
	for m := range Diff(s, must2(s.With(other))(t), slices.Values(keys)) {
		if m.From != "shard-4" || m.To != "other" {
			t.Fatalf("%+v", m)
		}
	}
}

// TestThereAndBack adds a node and removes it: what depends on the nodes alone is as it was.
func TestThereAndBack(t *testing.T) {
	keys := ids(2000)
	each(t, func(t *testing.T, k Strategy) {
		rapid.Check(t, func(t *rapid.T) {
			s, err := New(k.Name, anyNodes(t, 15, k.Even))
			s = must(t, s, err)
			mid, err := s.With(append(s.Nodes(), Node{Name: "guest", Weight: 1}))
			mid = must(t, mid, err)
			back, err := mid.With(s.Nodes())
			back = must(t, back, err)
			if k.Name == "hash" || k.Name == "directory" || k.Name == "range" {
				// A table remembers; but what the guest did not get never moved.
				for i, key := range keys {
					if name := mid.Node(mid.Place(key)).Name; name != "guest" && back.Node(back.Place(key)).Name != name {
						t.Fatalf("%d: %s", i, key)
					}
				}
				return
			}
			if !slices.Equal(places(s, keys), places(back, keys)) {
				t.Fatal("a guest who left is felt")
			}
		})
	})
}

// TestDiffIsExact compares with what a look at every key says; and slots say the same.
func TestDiffIsExact(t *testing.T) {
	keys := ids(1500)
	each(t, func(t *testing.T, k Strategy) {
		rapid.Check(t, func(t *rapid.T) {
			s := anyTaught(t, k, anyNodes(t, 12, k.Even), keys)
			next, err := s.With(anyChange(t, s.Nodes(), k.Even))
			next = must(t, next, err)
			if rapid.Bool().Draw(t, "more exceptions") {
				next, err = next.WithExceptions(map[string]string{keys[1]: "", keys[5]: next.Node(0).Name})
				next = must(t, next, err)
			}
			moves := map[string]Move{}
			for m := range Diff(s, next, slices.Values(keys)) {
				moves[m.Key] = m
			}
			slots, named := map[int]Move{}, map[string]Move{}
			for m := range DiffSlots(s, next) {
				if m.Slot >= 0 {
					slots[m.Slot] = m
				} else {
					named[m.Key] = m
				}
			}
			for _, key := range keys {
				a, b := s.Node(s.Place(key)).Name, next.Node(next.Place(key)).Name
				m, moved := moves[key]
				if moved != (a != b) || moved && (m.From != a || m.To != b) {
					t.Fatalf("%s goes from %s to %s: %+v", key, a, b, m)
				}
				if s.Slots() == 0 {
					continue
				}
				m, moved = slots[next.Slot(key)]
				if s.Slots() > next.Slots() {
					t.Fatal("a table shrank")
				}
				if excepted(s, key) || excepted(next, key) {
					m, moved = named[key]
				}
				if moved != (a != b) || moved && (m.From != a || m.To != b) {
					t.Fatalf("by slots, %s goes from %s to %s: %+v", key, a, b, m)
				}
			}
			// Who takes only some of the moves gets no more.
			for range Diff(s, next, slices.Values(keys)) {
				break
			}
			for range DiffSlots(s, next) {
				break
			}
		})
	})
}

func excepted(s *Snapshot, key string) bool {
	for k := range s.Exceptions() {
		if k == key {
			return true
		}
	}
	return false
}

// TestTableGrows has a table with twice the slots move nothing by itself, copies neither.
func TestTableGrows(t *testing.T) {
	keys := ids(5000)
	s := must2(New("hash", list(1020)))(t)
	next := must2(s.With(list(1030)))(t)
	if s.Slots() != 1<<16 || next.Slots() != 1<<17 {
		t.Fatalf("%d slots, then %d", s.Slots(), next.Slots())
	}
	was, is := make([]int, 3), make([]int, 3)
	moved, copies := 0, 0
	for _, k := range keys {
		s.Places(was, k)
		next.Places(is, k)
		if was[0] != is[0] {
			moved++
			if is[0] < 1020 {
				t.Fatalf("%s moved between old nodes", k)
			}
		}
		for i := range was {
			if !slices.Contains(is, was[i]) {
				copies++
			}
		}
	}
	if moved > 100 || copies > 300 { // ideal are 49 and 146
		t.Errorf("%d keys and %d copies moved", moved, copies)
	}
}
