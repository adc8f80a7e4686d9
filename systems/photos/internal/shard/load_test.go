package shard

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"plumb/base/clock"
	"plumb/base/errs"
	"plumb/engines/cas"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

func TestTheBoardAddsUpWhatAllProcessesDid(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		c := clock.NewManual(noon)
		h := newHouse(t, kind, func(n *Needs, c *Config) { c.Refresh = time.Hour })
		h.clock = c
		a, b, ctx := h.process(), h.process(), context.Background()
		must(t, put(ctx, a, "ada", "p", "text"))
		_, _, err := a.Add(ctx, New{Name: "second", Weight: 3, Domain: "there"})
		must(t, err)
		must(t, b.reload(ctx))
		settled(t, a)
		for i := range 100 {
			for _, s := range []*Set{a, b} {
				took := time.Millisecond
				if i >= 98 {
					took = time.Second
				}
				s.Count("ada", 1000, 2000, took, 2*time.Millisecond)
			}
		}
		must(t, a.flushLoad(ctx))
		must(t, a.flushLoad(ctx)) // twice counts once
		c.Advance(slotTime)
		must(t, b.flushLoad(ctx))
		list, err := b.Board(ctx)
		must(t, err)
		if len(list) != 2 || list[1].Name != "second" || list[1].Share != 0.75 || !list[0].Up || list[1].Domain != "there" {
			t.Fatalf("%+v", list)
		}
		home, err := a.Home(ctx, "ada")
		must(t, err)
		l := list[home.No-1]
		near := func(what string, got, want float64) {
			t.Helper()
			if math.Abs(got-want) > want/100 {
				t.Errorf("%s: %g, want %g", what, got, want)
			}
		}
		near("requests", l.Requests, 200/slotTime.Seconds())
		near("in", l.In, 200_000/slotTime.Seconds())
		near("out", l.Out, 400_000/slotTime.Seconds())
		near("cpu", l.CPU, 0.4/slotTime.Seconds())
		if l.Owners != 1 || l.Photos != 1 || l.Bytes != 4 || l.Objects != 2 || l.Size == 0 {
			t.Errorf("%+v", l)
		}
		if l.P50 < 800*time.Microsecond || l.P50 > 1200*time.Microsecond || l.P99 < 800*time.Millisecond || l.P99 > 1200*time.Millisecond {
			t.Errorf("p50 %v, p99 %v", l.P50, l.P99)
		}
		hot, err := a.Hot(ctx)
		if err != nil || len(hot) != 1 || hot[0].Owner != "ada" || hot[0].Shard != home.Name || hot[0].Requests != 20 {
			t.Errorf("%+v, %v", hot, err)
		}
		c.Advance(keepLoad + time.Hour)
		must(t, a.forgetLoad(ctx))
		a.boards = boards{}
		list, err = a.Board(ctx)
		if err != nil || list[0].Requests != 0 || list[1].Requests != 0 {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

// Whoever does more than their part of the work of a slot is found among 100,000 others.
func TestTheSketchFindsTheBusy(t *testing.T) {
	k, r := newSketch(hotTracked), rand.New(rand.NewPCG(1, 2))
	for range 50_000 {
		owner := fmt.Sprint("owner ", r.IntN(100_000))
		if n := r.IntN(100); n < 5 {
			owner = fmt.Sprint("busy ", n) // 1% each
		}
		k.add(owner, counts{requests: 1})
	}
	if len(k.at) > hotTracked {
		t.Errorf("%d owners are kept", len(k.at))
	}
	top := k.top(5)
	for i := range 5 {
		if !slices.ContainsFunc(top, func(x tracked) bool { return x.owner == fmt.Sprint("busy ", i) && x.requests > 350 }) {
			t.Errorf("busy %d is not among %+v", i, top)
		}
	}
}

func TestLatenciesAreRightWithinAFifth(t *testing.T) {
	for _, want := range []time.Duration{time.Microsecond, 3 * time.Microsecond, 999 * time.Microsecond, 47 * time.Millisecond, 2 * time.Second, 100 * time.Second} {
		var l, other latencies
		l.add(want)
		other.merge(l.encode())
		if got := other.quantile(0.99); math.Abs(float64(got-want)) > 0.2*float64(want) {
			t.Errorf("%v becomes %v", want, got)
		}
	}
	var none latencies
	none.merge([]byte{255, 255, 255})
	if none.quantile(0.5) != 0 {
		t.Error("nothing took some time")
	}
}

func TestProposalsEvenTheLoad(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		h := newHouse(t, kind)
		s, ctx := h.process(), context.Background()
		_, _, err := s.Add(ctx, New{Name: "second"})
		must(t, err)
		want := map[string]map[string]string{}
		for i, n := 0, 0; n < 10; i++ { // ten owners on one shard
			owner := name(i)
			if home, err := s.Home(ctx, owner); err != nil || home.No != 1 {
				continue
			}
			n++
			text := strings.Repeat("x", 1000*n)
			must(t, put(ctx, s, owner, owner, text))
			want[owner] = map[string]string{owner: text}
			s.Count(owner, 0, int64(1000*n), time.Millisecond, 0)
		}
		if _, err := s.Propose(ctx, "colour"); !errs.Is(err, errs.Invalid) {
			t.Errorf("by colour: %v", err)
		}
		for _, by := range []string{"bandwidth", "bytes"} {
			p, err := s.Propose(ctx, by)
			must(t, err)
			if p.Before < 1.99 || p.After > 1.1 || len(p.Moves) == 0 || len(p.Moves) > 6 || p.Moves[0].To != "second" || p.Moves[0].Bytes == 0 {
				t.Fatalf("by %s: %+v", by, p)
			}
			if by == "bandwidth" {
				continue
			}
			m, err := s.Execute(ctx, p.ID)
			must(t, err)
			if int(m.Owners) != len(p.Moves) {
				t.Errorf("%+v", m)
			}
			if _, err := s.Execute(ctx, p.ID); !errs.Is(err, errs.Conflict) {
				t.Errorf("a second time: %v", err)
			}
		}
		settled(t, s)
		whole(t, s, want)
		s.boards = boards{}
		p, err := s.Propose(ctx, "bytes")
		if err != nil || p.Before > 1.1 || len(p.Moves) > 0 && p.Before <= evenEnough {
			t.Errorf("after it: %+v, %v", p, err)
		}
		if _, err := s.Execute(ctx, "none"); !errs.Is(err, errs.NotFound) {
			t.Errorf("no proposal: %v", err)
		}
		// Who is pinned stays through a change of the map, and comes back when unpinned.
		_, err = s.Pin(ctx, "pinned", "second")
		must(t, err)
		settled(t, s)
		_, err = s.Weigh(ctx, "second", 0.01)
		must(t, err)
		settled(t, s)
		if at, err := s.Home(ctx, "pinned"); err != nil || at.Name != "second" {
			t.Errorf("who is pinned is on %v, %v", at, err)
		}
		_, err = s.Unpin(ctx, "pinned")
		must(t, err)
		settled(t, s)
		want["pinned"] = nil
		if at, err := s.Home(ctx, "pinned"); err != nil || at.No != s.dir.Load().mapped("pinned") {
			t.Errorf("who is unpinned is on %v, %v", at, err)
		}
		whole(t, h.process(), want)
	})
}

// A celebrity who is most of a shard's load cannot be moved to anybody's good, and the
// proposal says so.
func TestAProposalSaysWhatItCannotReach(t *testing.T) {
	a, b := &side{name: "a", weight: 1, load: 100, owners: []heavy{{"star", 90}, {"small", 1}}}, &side{name: "b", weight: 1, load: 5}
	_, _, h := bestMove([]*side{a, b}, map[string]bool{})
	if h == nil || h.owner != "star" {
		t.Errorf("%+v", h) // 95 to 10 and 95 on the other side: better by 5 than 100
	}
	b.load = 20
	if _, _, h = bestMove([]*side{a, b}, map[string]bool{}); h == nil || h.owner != "small" {
		t.Errorf("%+v", h)
	}
	if note := whyNot([]*side{a, b}, "requests"); !strings.Contains(note, "star alone has 90%") {
		t.Error(note)
	}
	a.owners = a.owners[1:]
	if note := whyNot([]*side{a, b}, "requests"); !strings.Contains(note, "weights") {
		t.Error(note)
	}
}

// What was exported, as JSON, brings an owner back in another house, in any order and
// more than once.
func TestExportBringsAnOwnerBack(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		from, to := newHouse(t, kind).process(), newHouse(t, kind).process()
		ctx := context.Background()
		if _, err := from.Export(ctx, "ada", 0, nil); !errs.Is(err, errs.NotFound) {
			t.Errorf("of nobody: %v", err)
		}
		want := map[string]string{}
		for i := range 70 {
			id := fmt.Sprintf("p%03d", i)
			want[id] = "text of " + id
			must(t, put(ctx, from, "ada", id, want[id]))
		}
		l, _, err := makeLink(ctx, from, "ada")
		must(t, err)
		export := func(since int64) (rows []Row, upto int64) {
			t.Helper()
			upto, err := from.Export(ctx, "ada", since, func(r Row) error {
				text, err := json.Marshal(r)
				if err != nil {
					return err
				}
				var back Row
				err = json.Unmarshal(text, &back)
				rows = append(rows, back)
				return err
			})
			must(t, err)
			return rows, upto
		}
		all, upto := export(0)
		must(t, deleteOne(ctx, from, "ada", "p003"))
		delete(want, "p003")
		later, _ := export(upto)
		if len(all) != 71 || len(later) != 2 {
			t.Fatalf("%d rows, then %d", len(all), len(later))
		}
		_, source, err := photosOf(ctx, from, "ada")
		must(t, err)
		fetch := func(ctx context.Context, at *Shard, h cas.Hash) (*cas.Pending, error) {
			text, err := content(source, h.String())
			if errs.Is(err, errs.NotFound) || strings.HasPrefix(text, "small") { // not in the vault
				return nil, nil
			}
			if err != nil {
				return nil, err
			}
			return at.CAS.Put(ctx, strings.NewReader(text), cas.PutOptions{})
		}
		must(t, put(ctx, to, "ada", "own", "begun anew")) // before they were brought back
		for range 2 {
			must(t, to.Import(ctx, "ada", later, fetch))
			must(t, to.Import(ctx, "ada", all, fetch))
		}
		must(t, to.Write(ctx, "ada", nil, func(ctx context.Context, tx *sqldb.Tx, _ *Shard, rev int64) error {
			if rev <= upto {
				t.Errorf("the owner's number is %d, below what was brought back", rev)
			}
			return to.SetTally(ctx, tx, "ada", int64(len(want)+1), 1)
		}))
		list, at, err := photosOf(ctx, to, "ada")
		if err != nil || len(list) != len(want)+1 {
			t.Fatalf("%d photos, want %d, %v", len(list), len(want)+1, err)
		}
		for _, p := range list[1:] {
			text, err := content(at, p.hash)
			if err != nil || text != want[p.id] || p.small != "" || p.name != "name of "+p.id {
				t.Errorf("%+v: %q, %v", p, text, err)
			}
		}
		if _, err := at.Links.Open(ctx, Realm, l.Token, "", "1.2.3.4"); err != nil {
			t.Error(err)
		}
		must(t, at.CAS.Check(ctx))
		for what, r := range map[string]Row{
			"another's row": {"photos_photo", map[string]any{"id": "x", "owner": "bob"}},
			"no such table": {"photos_none", nil}, "a wrong kind": {"photos_photo", map[string]any{"owner": "ada", "rev": "x"}},
			"another's link": {LinksTable, map[string]any{"id": "x", "owner": "bob", "realm": Realm}},
		} {
			if err := to.Import(ctx, "ada", []Row{r}, fetch); !errs.Is(err, errs.Invalid) {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}

func TestTablesAreChecked(t *testing.T) {
	good := testTables()[0]
	for what, change := range map[string]func(*Table){
		"no rev":        func(t *Table) { t.Columns = t.Columns[:5] },
		"no key":        func(t *Table) { t.Key = nil },
		"a strange key": func(t *Table) { t.Key = []string{"lat"} },
		"an evil name":  func(t *Table) { t.Name = "x; DROP TABLE y" },
		"hash of bytes": func(t *Table) { t.Hashes = []string{"mark"} },
		"twice":         func(t *Table) { t.Columns = append(slices.Clone(t.Columns), Text("id")...) },
		"links":         func(t *Table) { t.Name = LinksTable },
	} {
		bad := good
		change(&bad)
		if _, err := texts([]Table{bad}); err == nil {
			t.Errorf("%s: nobody minds", what)
		}
	}
	if _, err := texts([]Table{good, good}); err == nil {
		t.Error("a table may be there twice")
	}
}

func TestHintsAreNotGuessed(t *testing.T) {
	h := newHouse(t, sqldbtest.SQLite)
	s, ctx := h.process(), context.Background()
	must(t, put(ctx, s, "ada", "p", "text"))
	l, hint, err := makeLink(ctx, s, "ada")
	must(t, err)
	if token, at, err := s.Find(ctx, hint); err != nil || token != l.Token || at.No != 1 {
		t.Fatalf("%q on %v, %v", token, at, err)
	}
	if token, at, err := s.Find(ctx, s.Hint(77, l.Token)); err != nil || token != l.Token || at.No != 1 {
		t.Errorf("of a shard that is gone: %q on %v, %v", token, at, err)
	}
	if _, _, err := s.Find(ctx, s.Hint(1, "no such token")); !errs.Is(err, errs.NotFound) {
		t.Errorf("of no link: %v", err)
	}
	must(t, s.dir.Load().shards[1].DB.Close()) // no look at any database from here on
	for _, guess := range []string{"", "x", hint[:10], hint[:len(hint)-1], hint + "x", "A" + hint, strings.ToLower(hint), strings.Repeat("x", 54), strings.Repeat("x", 1<<16), "\x00" + hint[1:]} {
		if _, _, err := s.Find(ctx, guess); !errs.Is(err, errs.NotFound) {
			t.Errorf("%.60q: %v", guess, err)
		}
	}
}

func TestTheThrottleKeepsItsRate(t *testing.T) {
	c := clock.NewManual(noon)
	b := newThrottle(c, 1_000_000)
	total := int64(0)
	for i := range 50 {
		n := int64(10_000 + 4000*i)
		done := make(chan error, 1)
		go func() { done <- b.wait(context.Background(), n) }()
		for waiting := true; waiting; {
			select {
			case err := <-done:
				must(t, err)
				waiting = false
			case <-time.After(100 * time.Microsecond):
				c.Advance(5 * time.Millisecond)
			}
		}
		total += n
	}
	took := c.Now().Sub(noon).Seconds()
	if rate := float64(total-250_000) / took; rate > 1_010_000 {
		t.Errorf("%.0f bytes a second pass, and 1,000,000 may", rate)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := b.wait(ctx, 1<<40); err == nil {
		t.Error("who gives up waits on")
	}
}
