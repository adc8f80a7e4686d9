package placement

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cespare/xxhash/v2"
	"pgregory.net/rapid"

	"plumb/base/errs"
)

var update = flag.Bool("update", false, "write the golden vectors anew: every stored snapshot then means something else")

// TestGolden holds every strategy to answers and bytes that are written down: other
// processes, machines and versions must give the same.
func TestGolden(t *testing.T) {
	var got strings.Builder
	keys := slices.Concat(ids(3000), []string{"", "\x00", "\xff\xfe", "Ada", "ada", "żółw", strings.Repeat("x", MaxKey)})
	for _, k := range Strategies() {
		nodes := list(7)
		if !k.Even {
			for i := range nodes {
				nodes[i].Weight = 1 + float64(i)/3
			}
		}
		for i := range nodes {
			nodes[i].Domain = fmt.Sprint("rack", i/2)
		}
		s, err := New(k.Name, nodes)
		show(t, &got, k.Name+" new", must(t, s, err), keys)
		s, err = s.taught(slices.Values(keys))
		show(t, &got, k.Name+" taught", must(t, s, err), keys)
		s, err = s.With(slices.Concat(nodes[:2], nodes[3:], []Node{{Name: "fresh", Weight: 1}}))
		show(t, &got, k.Name+" changed", must(t, s, err), keys)
		s, _, err = s.Balance(pareto(keys, 1.2, 7), 1.05)
		if s == nil {
			t.Fatal(err)
		}
		show(t, &got, k.Name+" balanced", s, keys)
	}
	name := filepath.Join("testdata", "golden.txt")
	if *update {
		if err := os.WriteFile(name, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	g, w := strings.Split(got.String(), "\n"), strings.Split(string(want), "\n")
	if len(g) != len(w) {
		t.Fatalf("%d lines, want %d", len(g), len(w))
	}
	for i := range g {
		if g[i] != w[i] {
			t.Errorf("got  %s\nwant %s", g[i], w[i])
		}
	}
}

// show writes a line: the first places, a hash of all of them, one of copies, one of bytes.
func show(t *testing.T, out *strings.Builder, what string, s *Snapshot, keys []string) {
	t.Helper()
	var copies []byte
	dst := make([]int, 4)
	for _, k := range keys {
		for _, i := range dst[:s.Places(dst, k)] {
			copies = append(copies, s.Node(i).Name...)
		}
		copies = append(copies, 0)
	}
	all := places(s, keys)
	b, err := s.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(out, "%-22s %016x %016x %016x %7d %s\n", what, xxhash.Sum64String(strings.Join(all, "\n")), xxhash.Sum64(copies), xxhash.Sum64(b), len(b), strings.Join(all[:4], " "))
}

func TestNodesThatCannotBe(t *testing.T) {
	bad := map[string][]Node{
		"at least one node":  {},
		"more than 32767":    list(MaxNodes + 1),
		"not 0":              {{Name: "a"}},
		"not NaN":            {{Name: "a", Weight: math.NaN()}},
		"not +Inf":           {{Name: "a", Weight: math.Inf(1)}},
		"not -1":             {{Name: "a", Weight: -1}},
		"not 1e-300":         {{Name: "a", Weight: 1e-300}},
		"is missing":         {{Weight: 1}},
		"that of node 0 too": {{Name: "a", Weight: 1}, {Name: "a", Weight: 1}},
		"control character":  {{Name: "a\n", Weight: 1}},
		"1 to 255 bytes":     {{Name: strings.Repeat("a", 256), Weight: 1}},
		"0 to 255 bytes":     {{Name: "a", Weight: 1, Domain: strings.Repeat("a", 256)}},
		"is not valid UTF-8": {{Name: "a\xff", Weight: 1}},
	}
	each(t, func(t *testing.T, k Strategy) {
		good := must2(New(k.Name, list(3)))(t)
		for want, nodes := range bad {
			_, err := New(k.Name, nodes)
			check(t, err, want)
			_, err = good.With(nodes)
			check(t, err, want)
		}
		if _, err := New(k.Name, []Node{{Name: "a", Weight: 1}, {Name: "b", Weight: 2}}); k.Even != (err != nil) {
			t.Errorf("weights: %v", err)
		}
	})
	_, err := New("karma", list(1))
	check(t, err, "there is no strategy")
}

func must2(s *Snapshot, err error) func(*testing.T) *Snapshot {
	return func(t *testing.T) *Snapshot { t.Helper(); return must(t, s, err) }
}

// check wants an Invalid error that says so, in its text or its details.
func check(t *testing.T, err error, want string) {
	t.Helper()
	text := fmt.Sprint(err, errs.Details(err))
	if !errs.Is(err, errs.Invalid) || !strings.Contains(text, want) {
		t.Errorf("got %s, want %q", text, want)
	}
}

// TestKeysOfAllKinds has no key that a strategy cannot place.
func TestKeysOfAllKinds(t *testing.T) {
	each(t, func(t *testing.T, k Strategy) {
		for _, n := range []int{1, 2, 1000, 10_000} {
			s := must2(New(k.Name, list(n)))(t)
			for _, key := range []string{"", "a", "zz", "~~", "\x00", "\xff\xff\xff", strings.Repeat("long", 1<<18)} {
				dst := make([]int, 3)
				if i, m := s.Place(key), s.Places(dst, key); i < 0 || i >= n || m != min(n, 3) || dst[0] != i {
					t.Errorf("%d nodes: %.10q is on %d, copies on %v", n, key, i, dst[:m])
				}
			}
		}
	})
}

// TestNothingIsAllocated holds for look-ups of every strategy, with exceptions.
func TestNothingIsAllocated(t *testing.T) {
	keys := ids(1000)
	nodes := list(12)
	for i := range nodes {
		nodes[i].Domain = fmt.Sprint(i % 4)
	}
	each(t, func(t *testing.T, k Strategy) {
		s := must2(New(k.Name, nodes))(t)
		s = must2(s.taught(slices.Values(keys)))(t)
		s = must2(s.WithExceptions(map[string]string{keys[1]: "shard-3", keys[2]: "shard-4"}))(t)
		dst, i := make([]int, 6), 0
		if n := testing.AllocsPerRun(1000, func() {
			s.Place(keys[i])
			s.Places(dst, keys[i])
			i = (i + 1) % len(keys)
		}); n != 0 {
			t.Errorf("%g allocations", n)
		}
	})
}

// TestAtOnce asks one snapshot from many goroutines, while others make new ones of it.
func TestAtOnce(t *testing.T) {
	keys := ids(500)
	each(t, func(t *testing.T, k Strategy) {
		s := must2(New(k.Name, list(5)))(t)
		s = must2(s.taught(slices.Values(keys)))(t)
		want := places(s, keys)
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				dst := make([]int, 3)
				for i, key := range keys {
					if s.Node(s.Place(key)).Name != want[i] {
						t.Errorf("%s moved", key)
					}
					s.Places(dst, key)
				}
				next, err := s.With(list(6 + g))
				if err != nil {
					t.Error(err)
				}
				if _, err := next.WithExceptions(map[string]string{keys[g]: "shard-1"}); err != nil {
					t.Error(err)
				}
				if b, _, err := s.Balance(pareto(keys, 2, uint64(g)), 1.3); b == nil {
					t.Error(err)
				}
				if _, err := s.MarshalBinary(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
}

// TestOrderOfNodes does not matter, but where Strategies says so.
func TestOrderOfNodes(t *testing.T) {
	keys := ids(300)
	each(t, func(t *testing.T, k Strategy) {
		if k.Name == "jump" || k.Name == "modulo" || k.Name == "alphabetical" || k.Name == "range" {
			return
		}
		rapid.Check(t, func(t *rapid.T) {
			nodes := anyNodes(t, 12, k.Even)
			a, err := New(k.Name, nodes)
			a = must(t, a, err)
			a, err = a.taught(slices.Values(keys))
			a = must(t, a, err)
			b, err := New(k.Name, rapid.Permutation(nodes).Draw(t, "order"))
			b = must(t, b, err)
			b, err = b.taught(slices.Values(keys))
			b = must(t, b, err)
			if !slices.Equal(places(a, keys), places(b, keys)) {
				t.Fatal("another order of nodes puts keys elsewhere")
			}
		})
	})
}

// TestSharesFollowWeights: the nodes have keys in proportion to their weights, to what dice
// allow or what the strategy says; and only proportions count.
func TestSharesFollowWeights(t *testing.T) {
	keys := ids(100_000)
	each(t, func(t *testing.T, k Strategy) {
		if k.Even {
			return
		}
		nodes := list(10)
		for i := range nodes {
			nodes[i].Weight = float64(i + 1)
		}
		s := must2(New(k.Name, nodes))(t)
		if k.Name == "range" || k.Name == "directory" {
			s = must2(s.taught(slices.Values(keys)))(t)
		}
		count := make([]float64, len(nodes))
		for _, key := range keys {
			count[s.Place(key)]++
		}
		for i, n := range count {
			want := s.Share(i) * float64(len(keys))
			may := 4.5 * math.Sqrt(want)
			switch k.Name {
			case "ring":
				may += .4 * want
			case "bounded": // as a ring, but for what is too much
				if may += slack * want; n < want {
					may += .4 * want
				}
			case "maglev", "range":
				may += .02 * want
			}
			if math.Abs(n-want) > may {
				t.Errorf("node %d has %g keys, not %.0f", i, n, want)
			}
		}
		for i := range nodes {
			nodes[i].Weight *= 1000
		}
		heavy := must2(New(k.Name, nodes))(t)
		if k.Name == "range" || k.Name == "directory" {
			heavy = must2(heavy.taught(slices.Values(keys)))(t)
		}
		if !slices.Equal(places(s, keys), places(heavy, keys)) {
			t.Error("with all weights 1000 times greater, keys are elsewhere")
		}
	})
}

// TestExceptionsShareAHash: their names say which is which.
func TestExceptionsShareAHash(t *testing.T) {
	p := pins{hash: []uint64{3, 5, 5, 9}, key: []string{"x", "a", "b", "y"}, node: []uint16{0, 1, 2, 3}}
	for _, c := range []struct {
		key  string
		hash uint64
		node int
		ok   bool
	}{{"a", 5, 1, true}, {"b", 5, 2, true}, {"c", 5, 0, false}, {"x", 3, 0, true}, {"y", 9, 3, true}, {"y", 10, 0, false}, {"x", 1, 0, false}} {
		if i, ok := p.find(c.key, c.hash); i != c.node || ok != c.ok {
			t.Errorf("%s of hash %d: %d, %v", c.key, c.hash, i, ok)
		}
	}
}

// TestExceptions are where they were put, until their node goes or they are given up.
func TestExceptions(t *testing.T) {
	keys := ids(200)
	each(t, func(t *testing.T, k Strategy) {
		rapid.Check(t, func(t *rapid.T) {
			nodes := anyNodes(t, 9, k.Even)
			s, err := New(k.Name, nodes)
			s = must(t, s, err)
			at := map[string]string{}
			for _, key := range rapid.SliceOfDistinct(rapid.SampledFrom(keys), rapid.ID).Draw(t, "keys") {
				at[key] = rapid.SampledFrom(nodes).Draw(t, "node").Name
			}
			p, err := s.WithExceptions(at)
			p = must(t, p, err)
			next, err := p.With(anyChange(t, nodes, k.Even))
			next = must(t, next, err)
			back := map[string]string{}
			for _, key := range keys {
				back[key] = ""
				want := s.Node(s.Place(key)).Name
				if name, is := at[key]; is {
					want = name
				}
				if got := p.Node(p.Place(key)).Name; got != want {
					t.Fatalf("%s is on %s, not %s", key, got, want)
				}
				if _, there := next.Index(at[key]); there && next.Node(next.Place(key)).Name != at[key] {
					t.Fatalf("after a change, %s is on %s, not %s", key, next.Node(next.Place(key)).Name, at[key])
				}
			}
			p, err = p.WithExceptions(back)
			p = must(t, p, err)
			if !slices.Equal(places(p, keys), places(s, keys)) {
				t.Fatal("giving exceptions up does not bring them back")
			}
		})
	})
	s := must2(New("hash", list(2)))(t)
	_, err := s.WithExceptions(map[string]string{"a": "nowhere"})
	check(t, err, "there is no node")
	_, err = s.WithExceptions(map[string]string{strings.Repeat("a", MaxKey+1): "shard-1"})
	check(t, err, "more than 4096 bytes")
}
