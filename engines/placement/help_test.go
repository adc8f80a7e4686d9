package placement

import (
	"flag"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestMain draws fewer cases than usual where nobody asks for a number: each makes tables.
func TestMain(m *testing.M) {
	flag.Parse()
	asked := false
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "rapid.checks" })
	if !asked {
		if err := flag.Set("rapid.checks", "25"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// list returns n nodes of weight 1.
func list(n int) []Node {
	out := make([]Node, n)
	for i := range out {
		out[i] = Node{Name: fmt.Sprintf("shard-%d", i), Weight: 1}
	}
	return out
}

// ids returns n different keys of about 30 bytes.
func ids(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("user%06d/photo/%016x", i%50_000, fmix(uint64(i)*golden))
	}
	return out
}

func must(tb interface {
	Helper()
	Fatal(...any)
}, s *Snapshot, err error) *Snapshot {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// anyNodes draws nodes; with equal weights when they must be.
func anyNodes(t *rapid.T, most int, even bool) []Node {
	n := rapid.IntRange(1, most).Draw(t, "nodes")
	domains := rapid.IntRange(0, n).Draw(t, "domains")
	out := make([]Node, n)
	for i := range out {
		out[i] = Node{Name: fmt.Sprintf("n%d", i), Weight: 1}
		if !even {
			out[i].Weight = rapid.SampledFrom([]float64{.5, 1, 1, 1, 2, 3.7, 10}).Draw(t, "weight")
		}
		if domains > 0 {
			out[i].Domain = fmt.Sprintf("rack-%d", rapid.IntRange(1, domains).Draw(t, "domain"))
		}
	}
	return out
}

// anyChange draws what the nodes are afterwards: some gone, some new, some weighed anew.
func anyChange(t *rapid.T, nodes []Node, even bool) []Node {
	var out []Node
	for _, n := range nodes {
		switch rapid.IntRange(0, 9).Draw(t, "change") {
		case 0, 1:
			continue
		case 2:
			if !even {
				n.Weight *= rapid.SampledFrom([]float64{.1, .9, 2}).Draw(t, "factor")
			}
		}
		out = append(out, n)
	}
	for range rapid.IntRange(0, 4).Draw(t, "more") {
		name := fmt.Sprintf("m%d", len(out))
		for slices.ContainsFunc(slices.Concat(out, nodes), func(n Node) bool { return n.Name == name }) {
			name += "'"
		}
		out = append(out, Node{Name: name, Weight: 1})
	}
	if len(out) == 0 {
		out = nodes[:1]
	}
	return out
}

// anyTaught makes a snapshot that knows some of the keys, if its strategy can, and that
// has an exception or two.
func anyTaught(t *rapid.T, strategy Strategy, nodes []Node, keys []string) *Snapshot {
	s, err := New(strategy.Name, nodes)
	s = must(t, s, err)
	if rapid.Bool().Draw(t, "taught") {
		s, err = s.taught(slices.Values(keys[:len(keys)/2]))
		s = must(t, s, err)
	}
	if rapid.Bool().Draw(t, "balanced") {
		next, _, err := s.Balance(pareto(keys, 1.3, rapid.Uint64().Draw(t, "seed")), 1.2)
		if next == nil {
			t.Fatal(err)
		}
		s = next
	}
	if rapid.Bool().Draw(t, "exceptions") {
		s, err = s.WithExceptions(map[string]string{keys[0]: nodes[0].Name, keys[1]: nodes[len(nodes)-1].Name})
		s = must(t, s, err)
	}
	return s
}

// pareto yields loads whose tail falls with the power alpha, up to 2000 times the least:
// bytes, and requests that have only a little to do with them.
func pareto(keys []string, alpha float64, seed uint64) iter.Seq2[string, Load] {
	return func(yield func(string, Load) bool) {
		r := rand.New(rand.NewPCG(seed, 1))
		// Rounded, so that no machine's last bit changes a golden vector.
		draw := func() float64 { return math.Round(1000 * min(2000, math.Pow(1-r.Float64(), -1/alpha))) }
		for _, k := range keys {
			bytes := draw()
			if !yield(k, Load{0: 2000 * bytes, 2: bytes + float64(3*draw())}) {
				return
			}
		}
	}
}

// places returns the name of each key's node.
func places(s *Snapshot, keys []string) []string {
	out := make([]string, len(keys))
	for i, k := range keys {
		out[i] = s.Node(s.Place(k)).Name
	}
	return out
}

// each runs a test for every strategy.
func each(t *testing.T, fn func(*testing.T, Strategy)) {
	t.Helper()
	for _, k := range Strategies() {
		t.Run(k.Name, func(t *testing.T) { fn(t, k) })
	}
}
