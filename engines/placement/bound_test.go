package placement

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestBoundedIsBounded: no node has more slots than 1.1 of its share, after any change; and
// of measured load, no more than that and one slot.
func TestBoundedIsBounded(t *testing.T) {
	keys := People(3000)
	rapid.Check(t, func(t *rapid.T) {
		s, err := New("bounded", anyNodes(t, 40, false))
		s = must(t, s, err)
		next, err := s.With(anyChange(t, s.Nodes(), false))
		next = must(t, next, err)
		for _, s := range []*Snapshot{s, next} {
			for i, n := range slotCounts(s, s.Slots()) {
				if most := math.Ceil((1 + slack) * s.Share(i) * float64(s.Slots())); float64(n) > most {
					t.Fatalf("node %d has %d slots, %g are its bound", i, n, most)
				}
			}
		}
		loads := pareto(keys, 3, rapid.Uint64().Draw(t, "seed"))
		next, _, _ = next.Balance(loads, 1000) // measures, and moves no single key
		b := next.rule.(*bounded)
		sum, held, heaviest := 0.0, make([]float64, next.Len()), 0.0
		for i, v := range b.size {
			sum += float64(v)
			held[b.node[i]] += float64(v)
			heaviest = max(heaviest, float64(v))
		}
		for i, v := range held {
			if v > (1+slack)*next.Share(i)*sum+heaviest+1e-6 {
				t.Fatalf("node %d has %.4f of the load, its share is %.4f", i, v/sum, next.Share(i))
			}
		}
	})
}

// TestAssignKeepsCounting: however keys come, nodes have theirs to less than one; what was
// assigned stays.
func TestAssignKeepsCounting(t *testing.T) {
	keys := People(2000)
	rapid.Check(t, func(t *rapid.T) {
		s, err := New("directory", anyNodes(t, 15, false))
		s = must(t, s, err)
		for from := 0; from < len(keys); {
			to := min(len(keys), from+rapid.IntRange(1, 1000).Draw(t, "some"))
			was := places(s, keys[:from])
			s, err = s.Assign(slices.Values(keys[:to]))
			s = must(t, s, err)
			if !slices.Equal(was, places(s, keys[:from])) {
				t.Fatal("what was assigned moves")
			}
			from = to
		}
		count := make([]float64, s.Len())
		for _, k := range keys {
			count[s.Place(k)]++
		}
		for i, n := range count {
			// The next key goes where one more is least, so none is a whole one ahead of any.
			for j := range count {
				if (n-1)/s.Node(i).Weight > (count[j]+1)/s.Node(j).Weight {
					t.Fatalf("node %d has %g keys and node %d has %g", i, n, j, count[j])
				}
			}
		}
	})
	_, err := must2(New("hash", list(2)))(t).Assign(slices.Values(keys))
	check(t, err, "in a directory only")
}
