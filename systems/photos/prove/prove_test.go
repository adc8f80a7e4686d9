package prove

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"plumb/engines/lab"
	"plumb/engines/lab/labtest"
	"plumb/engines/placement"
	"plumb/systems/photos/prove/names"
)

func TestShippedResults(t *testing.T) { labtest.Shipped(t, Results, Experiments()) }

func TestClaimsAreWellFormed(t *testing.T) { labtest.WellFormed(t, "photos", Experiments()) }

// refuted runs an experiment in a small size, and returns the claims that do not hold.
func refuted(t *testing.T, e lab.Experiment, run func(context.Context, *lab.Bench) error) []string {
	t.Helper()
	e.Run = run
	var out, errors bytes.Buffer
	lab.Run(t.Context(), []lab.Experiment{e}, lab.Options{JSON: true, Progress: "none"}, &out, &errors)
	var report lab.Report
	if err := json.Unmarshal(out.Bytes(), &report); err != nil || len(report.Results) != 1 || report.Results[0].Error != "" {
		t.Fatalf("%s: %v: %s%s", e.Name, err, errors.Bytes(), out.Bytes())
	}
	var ids []string
	for _, c := range report.Results[0].Claims {
		if c.Control != "" && c.Control != "fails" && c.Control != "not comparable" {
			t.Errorf("%s: claim %s: %s, control %s", e.Name, c.ID, c.Figure, c.Control)
		}
		if !c.Holds {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// broken returns a list with the question's design and one that is changed.
func broken[T any](naive, d T, change func(*T)) []T {
	change(&d)
	return []T{naive, d}
}

// The claims hold in a small run, and those about the built design do not hold where
// something else stands in its place.
func TestClaimsCanFail(t *testing.T) {
	// Those that claims are about.
	slots, built := schemes[len(schemes)-2], schemes[len(schemes)-1]
	few := []scheme{schemes[0], schemes[1], slots, built}
	kept, shown := keepers[len(keepers)-1], shows[len(shows)-1]
	if built.kind != lab.Built || kept.kind != lab.Built || shown.kind != lab.Built {
		t.Fatal("the built designs are not last")
	}
	three := slices.DeleteFunc(slices.Clone(names.Countries()), func(c names.Country) bool { return !strings.Contains("US KR RU", c.Code) })
	steps := []float64{3, fame[4], 4.5, 12, 30}
	unbalanced := func(s *scheme) { s.balanced = false }
	modulo := func(s *scheme) { s.strategy, s.balanced = "modulo", false }
	letter := func(s *scheme) { s.strategy = "alphabetical" }
	for _, c := range []struct {
		what string
		e    lab.Experiment
		run  func(context.Context, *lab.Bench) error
		want string
	}{
		{"evenness", Evenness(), evenness{40_000, 30_000, three, few}.run, ""},
		{"evenness, never balanced", Evenness(), evenness{10_000, 5_000, three, broken(schemes[0], built, unbalanced)}.run, "built-bytes built-requests"},
		{"evenness, by letters", Evenness(), evenness{10_000, 5_000, three, broken(schemes[0], built, letter)}.run, "built-users"},
		{"evenness, slots by letters", Evenness(), evenness{10_000, 5_000, three, broken(schemes[0], slots, letter)}.run, "hash-users hash-country"},
		{"growth", Growth(), growth{50_000, 2_000, 16, few}.run, ""},
		{"growth by hash mod n", Growth(), growth{10_000, 1_000, 5, broken(schemes[0], built, modulo)}.run, "built-add"},
		{"growth, slots by hash mod n", Growth(), growth{10_000, 1_000, 5, broken(schemes[0], slots, modulo)}.run, "hash-add hash-drain hash-years"},
		{"skew", Skew(), skew{6_000, keepers}.run, ""},
		{"skew, by letters", Skew(), skew{1_200, broken(keepers[0], kept, func(k *keeper) { k.strategy = "alphabetical" })}.run, "built-bytes"},
		{"celebrity", Celebrity(), celebrity{5_000, steps, shows}.run, ""},
		{"celebrity without exceptions", Celebrity(), celebrity{2_000, steps, broken(shows[0], shown, func(s *show) { s.by = placed("hash") })}.run, "exception reach"},
		{"celebrity, copies in turn", Celebrity(), celebrity{2_000, steps, broken(shows[0], shows[5], func(s *show) { s.by = copied("hash", copies, true, 0) })}.run, "copies"},
	} {
		got := refuted(t, c.e, c.run)
		for _, id := range strings.Fields(c.want) {
			if !slices.Contains(got, id) {
				t.Errorf("%s: claim %s holds all the same; refuted are only %v", c.what, id, got)
			}
		}
		if c.want == "" && len(got) > 0 {
			t.Errorf("%s: refuted are %v", c.what, got)
		}
	}
}

// Every strategy places, is balanced where it can be, and grows, also those that no
// claim is about.
func TestEveryScheme(t *testing.T) {
	c := small(t, 2_000)
	for _, d := range schemes {
		s, _, err := d.start(c, shards(letters))
		if err != nil {
			t.Errorf("%s: %v", d.name, err)
			continue
		}
		next, err := d.more(c, s, 1)
		if err != nil || next.Len() != letters+1 || c.on(s)[users] < 1 || c.on(next)[users] < 1 {
			t.Errorf("%s: %v", d.name, err)
			continue
		}
		if moved := c.moved(s, next)[users]; moved <= 0 || d.kind == lab.Built && moved > 0.06 {
			t.Errorf("%s: %.3f of users move to a 27th server", d.name, moved)
		}
	}
}

func small(t *testing.T, n int) *crowd {
	t.Helper()
	c, err := newCrowd(7, n, names.Mix{}, requestsTail)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What is assumed of loads is what is drawn.
func TestCrowdIsAsStated(t *testing.T) {
	c := small(t, 50_000)
	if most := c.most(requests); most > 1.01/(2*letters) {
		t.Errorf("one user has %.4f of all requests", most)
	}
	var bytes []float64
	for i := range c.load {
		bytes = append(bytes, c.load[i][stored])
	}
	slices.Sort(bytes)
	top := 0.0
	for _, v := range bytes[len(bytes)*9/10:] {
		top += v
	}
	if share := top / c.total(stored); math.Abs(share-0.71) > 0.03 {
		t.Errorf("the busiest tenth stores %.3f of all, must be 0.71", share)
	}
	above := 0 // of a power law with tail 1.2, one in 10^1.2 has ten times the least
	for i := range c.load {
		if c.load[i][requests] > 10 {
			above++
		}
	}
	if share := float64(above) / float64(len(c.load)); math.Abs(share-math.Pow(10, -requestsTail)) > 0.005 {
		t.Errorf("%.4f are asked for ten times as much as the least", share)
	}
}

func TestUnevennessAndMovesByHand(t *testing.T) {
	c := &crowd{name: []string{"adam", "bob", "zoe", "yan"}, load: []placement.Load{{1, 10, 1}, {1, 10, 1}, {1, 20, 4}, {1, 0, 2}}}
	two, err := c.place("alphabetical", shards(2))
	if err != nil {
		t.Fatal(err)
	}
	if u := c.on(two); u != (uneven{1, 1, 1.5}) {
		t.Errorf("%v", u)
	}
	other, err := two.With([]placement.Node{{Name: "shard-01", Weight: 1}, {Name: "shard-00", Weight: 1}})
	if err != nil {
		t.Fatal(err)
	}
	if m := c.moved(two, other); m != (uneven{1, 1, 1}) {
		t.Errorf("with servers exchanged, %v moved", m)
	}
	if m := c.moved(two, two); m != (uneven{}) {
		t.Errorf("with nothing changed, %v moved", m)
	}
	if m := c.cells().moved(two, other); m != (uneven{1, 1, 1}) {
		t.Errorf("by cells, %v moved", m)
	}
}

// The place where the alphabet's new server moves least is found by cells as it would be
// by users.
func TestLeastMovesByHand(t *testing.T) {
	c := small(t, 3000)
	s, err := c.place("alphabetical", shards(5))
	if err != nil {
		t.Fatal(err)
	}
	next, err := schemes[0].more(c, s, 1)
	if err != nil {
		t.Fatal(err)
	}
	least := 1.0
	for at := range 6 {
		other, err := s.With(slices.Insert(s.Nodes(), at, placement.Node{Name: "new", Weight: 1}))
		if err != nil {
			t.Fatal(err)
		}
		least = min(least, c.moved(s, other)[stored])
	}
	if got := c.moved(s, next)[stored]; math.Abs(got-least) > 1e-9 {
		t.Errorf("%.6f moved, %.6f would do", got, least)
	}
}

// The stated quantile of dice is that of real throws.
func TestDice(t *testing.T) {
	rng := lab.Rand(3, "throws")
	bar, above := dice(1, 5000, letters), 0
	for range 4000 {
		var n [letters]float64
		for range 5000 {
			n[rng.IntN(letters)]++
		}
		if slices.Max(n[:])/5000*letters > bar {
			above++
		}
	}
	if above > 16 { // 4 in the mean
		t.Errorf("%d of 4,000 throws exceed %.3f", above, bar)
	}
}

func TestHoursByHand(t *testing.T) {
	// Two countries twelve hours apart, each on a server of its own: over the day both
	// have the same, at the worst hour one has nine times the other.
	c := &crowd{name: []string{"a", "z"}, country: []string{"GB", "NZ"}, load: []placement.Load{{1, 1, 1}, {1, 1, 1}}}
	s, err := c.place("alphabetical", shards(2))
	if err != nil {
		t.Fatal(err)
	}
	day, hour, needed := c.hours(s)
	if math.Abs(day-1) > 1e-9 || math.Abs(hour-1.8) > 1e-9 || math.Abs(needed-1.8) > 1e-9 {
		t.Errorf("day %v, hour %v, needed %v", day, hour, needed)
	}
	if p := thirds(0); math.Abs(p[0]+p[1]+p[2]-1) > 1e-9 || p[2] < p[0] || p[2] < p[1] {
		t.Errorf("thirds of a day: %v; most is asked for in the evening", p)
	}
}

func TestJoining(t *testing.T) {
	j, err := newJoining(1, 1200)
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, c := range j.country {
		count[c]++
	}
	if len(j.name) != 1200*(1+2+6) || count[secondCountry] != 2*count[firstCountry] {
		t.Errorf("%d users, %v", len(j.name), count)
	}
	seen := map[string]bool{}
	for _, n := range j.name {
		if seen[n] {
			t.Fatalf("%s is two users", n)
		}
		seen[n] = true
	}
	first, last := j.at(before-1), j.at(before+after-1)
	if len(first.name) != 1200 || last.load[0][stored] != first.load[0][stored]/before*(before+after) {
		t.Errorf("%d users at first; who came first stores %v, then %v", len(first.name), first.load[0][stored], last.load[0][stored])
	}
}

func TestHelpings(t *testing.T) {
	busy := []float64{3, 1, 2, 0}
	helping(busy, []int{0, 1, 2}, 3, true)
	if !slices.Equal(busy, []float64{4, 2, 3, 0}) {
		t.Errorf("in turn: %v", busy)
	}
	helping(busy, []int{0, 2, 1}, 3, false)
	if !slices.Equal(busy, []float64{4, 5, 3, 0}) {
		t.Errorf("the less busy: %v", busy)
	}
}
