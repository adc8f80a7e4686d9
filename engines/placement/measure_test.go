package placement

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// TestMeasure holds what the answers to the question say of each strategy.
func TestMeasure(t *testing.T) {
	keys := People(200_000) // 2000 a node: one deviation is 2.2%, the fullest of 100 has 2.5 of them
	for _, c := range []struct {
		trial            Trial
		least, most      float64 // max/mean
		fewest, farthest float64 // moved by ideal
	}{
		{Trial{Strategy: "hash", Add: 1}, 1, 1.10, .9, 1.1},
		{Trial{Strategy: "hash", Remove: 3}, 1, 1.10, .9, 1.1},
		{Trial{Strategy: "hash", Add: 2, Remove: 2, Weights: []float64{1, 2}}, 1, 1.12, .9, 1.1},
		{Trial{Strategy: "rendezvous", Add: 1}, 1, 1.10, .9, 1.1},
		{Trial{Strategy: "jump", Add: 1}, 1, 1.10, .9, 1.1},
		{Trial{Strategy: "jump", Remove: 1}, 1, 1.10, 1.8, 2.2},
		{Trial{Strategy: "ring", Add: 1}, 1.1, 1.5, .7, 1.4},
		{Trial{Strategy: "maglev", Add: 1}, 1, 1.10, 1, 3},
		{Trial{Strategy: "bounded", Add: 1}, 1, 1.2, .8, 2},
		{Trial{Strategy: "range", Add: 1}, 1, 1.021, .8, 1.01},
		{Trial{Strategy: "directory", Add: 1}, 1, 1.0001, .99, 1.01},
		{Trial{Strategy: "modulo", Add: 1}, 1, 1.10, 98, 101},
		{Trial{Strategy: "alphabetical", Add: 1}, 2, 10, 20, 60},
	} {
		c.trial.Nodes, c.trial.Keys = 100, keys
		r, err := Measure(c.trial)
		if err != nil {
			t.Fatal(err)
		}
		if !(r.MaxOverMean >= c.least && r.MaxOverMean <= c.most && r.Moved >= c.fewest*r.Ideal && r.Moved <= c.farthest*r.Ideal && r.Lookup > 0 && r.Bytes > 1000) {
			t.Errorf("add %d, remove %d: %+v", c.trial.Add, c.trial.Remove, r)
		}
	}
	r, err := Measure(Trial{Nodes: 100, Add: 1, Keys: keys[:1000]})
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(r.Ideal-1./101) > 1e-12 || r.Strategy != "hash" {
		t.Errorf("%+v", r)
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"strategy", "nodes", "keys", "max_over_mean", "moved_share", "ideal_share", "ns_per_lookup", "bytes"} {
		if !strings.Contains(string(text), `"`+word+`"`) {
			t.Errorf("%s lacks %s", text, word)
		}
	}
}

func TestMeasureRefuses(t *testing.T) {
	keys := []string{"ada"}
	for want, trial := range map[string]Trial{
		"1 to 32767 nodes, not 0":              {Keys: keys},
		"must stay":                            {Nodes: 3, Remove: 3, Keys: keys},
		"3 weights for 2 nodes":                {Nodes: 2, Weights: []float64{1, 2, 3}, Keys: keys},
		"keys can be placed, not 0":            {Nodes: 2},
		"there is no strategy":                 {Strategy: "luck", Nodes: 2, Keys: keys},
		"cannot weigh nodes":                   {Strategy: "jump", Nodes: 2, Weights: []float64{1, 2}, Keys: keys},
		"weight must be 1e-06 to 1e+09, not 0": {Nodes: 2, Weights: []float64{1, 0}, Keys: keys},
	} {
		_, err := Measure(trial)
		check(t, err, want)
	}
}

// TestTrialRemovesSome: as many as were asked for, not all beside each other.
func TestTrialRemovesSome(t *testing.T) {
	for n := 1; n < 40; n++ {
		for gone := range n {
			tr := Trial{Nodes: n, Remove: gone}
			before, after := tr.nodes()
			if len(before) != n || len(after) != n-gone {
				t.Errorf("%d nodes without %d are %d", n, gone, len(after))
			}
		}
	}
	tr := Trial{Nodes: 100, Remove: 1}
	if _, after := tr.nodes(); slices.ContainsFunc(after, func(n Node) bool { return n.Name == "node-49" }) && slices.ContainsFunc(after, func(n Node) bool { return n.Name == "node-50" }) {
		t.Error("the middle one stays")
	}
}

// TestPeople: distinct, the same in every run, with initials as the table says.
func TestPeople(t *testing.T) {
	names := People(100_000)
	seen, count := map[string]bool{}, [26]float64{}
	for _, n := range names {
		seen[n] = true
		count[n[0]-'a']++
	}
	if len(seen) != len(names) {
		t.Errorf("%d names are the same", len(names)-len(seen))
	}
	total := 0.0
	for _, v := range initials {
		total += float64(v)
	}
	for i, n := range count {
		if want := float64(initials[i]) / total * float64(len(names)); math.Abs(n-want) > 5*math.Sqrt(want)+1 {
			t.Errorf("%c: %g names, want %.0f", 'a'+i, n, want)
		}
	}
	if got := fmt.Sprint(People(3)); got != fmt.Sprint(names[:3]) || got != "[keria.0 hilin.1 mhna.2]" {
		t.Errorf("the first are %s", got)
	}
}

func TestReadKeys(t *testing.T) {
	got, err := ReadKeys(strings.NewReader("ada\r\n\nbob\nada\n\xff"))
	if err != nil || !slices.Equal(got, []string{"ada", "bob", "\xff"}) {
		t.Errorf("%q, %v", got, err)
	}
	_, err = ReadKeys(strings.NewReader("\n\n"))
	check(t, err, "there are no keys")
	long := strings.Repeat("x", MaxKey)
	if got, err := ReadKeys(strings.NewReader("a\n" + long + "\n")); err != nil || len(got) != 2 {
		t.Errorf("%d keys, %v", len(got), err)
	}
	for _, more := range []string{"x", "xy", "xyz"} {
		_, err = ReadKeys(strings.NewReader("a\n" + long + more + "\n"))
		check(t, err, "line 2: the key has more than 4096 bytes")
	}
	_, err = ReadKeys(iotest.ErrReader(io.ErrUnexpectedEOF))
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}
