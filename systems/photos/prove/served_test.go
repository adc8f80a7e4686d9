package prove

import (
	"bytes"
	"context"
	"os"
	"slices"
	"testing"
	"time"

	"plumb/engines/lab"
	"plumb/engines/lab/labtest"
)

// The tests here drive the real program: $PLUMB, or one that is built for them.
func TestMain(m *testing.M) { os.Exit(labtest.Main(m)) }

// compare fails where a claim of those that chance has no part in does not hold, or where
// one of those that a broken design must fail does.
func compare(t *testing.T, what string, refuted, hold, fail []string) {
	t.Helper()
	for _, id := range hold {
		if slices.Contains(refuted, id) {
			t.Errorf("%s: claim %s does not hold", what, id)
		}
	}
	for _, id := range fail {
		if !slices.Contains(refuted, id) {
			t.Errorf("%s: claim %s holds all the same", what, id)
		}
	}
}

// A shard is added and drained under load: no call fails and no more moves than may; with
// something else in the built one's place the claims fail.
func TestAddShardServed(t *testing.T) {
	small := adding{from: 2, people: 14, most: 2, typical: 20 << 10, rate: 40, calm: 200 * time.Millisecond, throttle: 400_000}
	compare(t, "as served", refuted(t, AddShard(), small.run), []string{"reads", "views", "writes", "ideal", "drained", "kept", "once"}, nil)
	small.instead = "modulo"
	compare(t, "hash mod n in its place", refuted(t, AddShard(), small.run), nil, []string{"ideal", "less-moved"})
}

// A lost shard's photos are served from copies, and come back; without copies they do not.
func TestLostShardServed(t *testing.T) {
	small := losing{adding: adding{people: 20, most: 2, typical: 10 << 10, rate: 20}}
	compare(t, "as served", refuted(t, LostShard(), small.run), []string{"none", "for-good", "restored-down", "restored-lost", "served", "reads", "kept", "kept-db"}, nil)
	small.args = []string{"--photos-copies", "1"}
	compare(t, "without copies", refuted(t, LostShard(), small.run), nil, []string{"kept-db"}) // small photos wait in the database until they are packed: a lost bucket alone takes few
}

// The board's proposal leaves the celebrity alone; where nobody asks the board it does not.
func TestHotLinkServed(t *testing.T) {
	small := famous{people: 40, rate: 0.3, span: 500 * time.Millisecond}
	compare(t, "as served", refuted(t, HotLink(), small.run), []string{"alone", "seamless", "limit"}, nil)
	small.idle = true
	compare(t, "nobody asks", refuted(t, HotLink(), small.run), nil, []string{"alone"})
}

// Nothing acknowledged is lost when the power goes while people move; and with the syncs
// switched off something is: else this test would say nothing.
func TestPowerCutsServed(t *testing.T) {
	labtest.NeedFUSE(t)
	rounds := 2
	if os.Getenv("PLUMB_SOAK") != "" {
		rounds = 200
	}
	compare(t, "as served", refuted(t, PowerCut(), func(ctx context.Context, b *lab.Bench) error { return cutAll(ctx, b, rounds, 1, nil) }),
		[]string{"worked", "photos", "words", "albums", "links", "opens", "once", "void", "less"}, nil)
	compare(t, "without syncs", refuted(t, PowerCut(), func(ctx context.Context, b *lab.Bench) error {
		return cutAll(ctx, b, 1, 1, []string{"--unsafe-no-sync"})
	}),
		nil, []string{"photos"})
}

// Photos are of the size that was asked, never twice the same, and the same for a seed.
func TestPainter(t *testing.T) {
	p, again := &painter{seed: 7}, &painter{seed: 7}
	a, b := p.photo("a", 30<<10), p.photo("b", 30<<10)
	if bytes.Equal(a, b) || !bytes.Equal(a, again.photo("a", 30<<10)) {
		t.Error("photos are not their names'")
	}
	if len(a) < 30<<10 || len(a) > 60<<10 || !bytes.HasPrefix(a, []byte("\xff\xd8")) {
		t.Errorf("a photo has %d bytes", len(a))
	}
}

// The design that stops and copies keeps what it was given, wherever it moves.
func TestStopCopyKeeps(t *testing.T) {
	e := AddShard()
	e.Claims, e.Picture = []lab.Claim{{ID: "there", Text: "there are photos", Design: "naive", Metric: "photos", Op: ">", Value: new(0.0)}}, nil
	refuted(t, e, func(ctx context.Context, b *lab.Bench) error {
		b.Design("one", lab.Naive).Set("photos", 1)
		b.Design("two", lab.Built)
		people, err := called(1, 30)
		if err != nil {
			return err
		}
		for _, strategy := range []string{"alphabetical", "modulo"} {
			s, err := newStopCopy(ctx, b, strategy, 2, people)
			if err != nil {
				return err
			}
			l := newLibrary(b, strategy, s)
			err = l.fill(ctx, len(people), 3, 1000)
			for _, n := range []int{3, 5, 1} {
				if err != nil {
					break
				}
				var moved tally
				if moved, err = s.recut(ctx, n); err == nil && moved.photos == 0 {
					t.Errorf("%s: nothing moved to %d shards", strategy, n)
				}
				if lost, err := l.lost(ctx); err != nil || lost != 0 {
					t.Errorf("%s: %d photos are lost on %d shards: %v", strategy, lost, n, err)
				}
			}
			s.close()
			if err != nil {
				return err
			}
		}
		return nil
	})
}
