package prove

import (
	"context"
	"fmt"
	"math"
	"runtime"

	"golang.org/x/sync/errgroup"

	"plumb/base/units"
	"plumb/engines/lab"
	"plumb/engines/placement"
	"plumb/systems/photos/prove/names"
)

// Evenness puts real names on 26 servers.
func Evenness() lab.Experiment {
	return lab.Experiment{
		System: "photos", Name: "evenness", Title: "how evenly names spread",
		Question: "Users are put on 26 servers by their names. How much more than its share does the fullest server hold, of users, of bytes, of requests?",
		Metrics: []lab.Metric{
			{Name: "users", Text: "users: fullest over mean", Better: "less"},
			{Name: "bytes", Text: "bytes: fullest over mean", Better: "less"},
			{Name: "requests", Text: "requests: fullest over mean", Better: "less"},
			{Name: "country_users", Text: "users, a service of one country: the worst country", Better: "less"},
			{Name: "country_bytes", Text: "bytes, the worst country", Better: "less"},
			{Name: "country_requests", Text: "requests, the worst country", Better: "less"},
			{Name: "own_script", Text: "users, where names are written in their own scripts", Better: "less"},
			{Name: "over_dice", Text: "users: what is above the mean, over what dice exceed once in 1,000 tries", Better: "less"},
			{Name: "moved_pct", Unit: "%", Text: "bytes that balancing moved", Better: "less"},
			{Name: "two_shards", Text: "users, on two servers", Better: "less"},
			{Name: "fine_users", Unit: "users", Text: "up to so many on 26, letters are no worse than dice"},
		},
		Claims: []lab.Claim{
			{ID: "letters-users", Text: "a letter a server: the fullest has twice its share of users and more", Design: "naive", Metric: "users", Op: ">=", Value: new(2.0)},
			{ID: "letters-country", Text: "in a service of one country five times it", Design: "naive", Metric: "country_users", Op: ">=", Value: new(5.0)},
			{ID: "letters-script", Text: "and the alphabet has no letter for names in other scripts", Design: "naive", Metric: "own_script", Op: ">=", Value: new(4.0)},
			{ID: "hash-users", Text: "by hash users are as even as dice", Design: "hash, nothing measured", Metric: "over_dice", Op: "<=", Value: new(1.0)},
			{ID: "hash-country", Text: "whatever the country", Design: "hash, nothing measured", Metric: "country_users", Op: "<=", Value: new(1.10)},
			{ID: "hash-requests", Text: "but no hash knows who is looked at: requests stay uneven", Design: "hash, nothing measured", Metric: "country_requests", Op: ">", Value: new(bound)},
			{ID: "textbook-requests", Text: "as they do by hash mod n", Design: "textbook", Metric: "country_requests", Op: ">", Value: new(bound)},
			{ID: "built-bytes", Text: "balanced by what was measured, bytes are within 1.10", Design: "built", Metric: "country_bytes", Op: "<=", Value: new(bound)},
			{ID: "built-requests", Text: "requests too", Design: "built", Metric: "country_requests", Op: "<=", Value: new(bound)},
			{ID: "built-users", Text: "and users", Design: "built", Metric: "country_users", Op: "<=", Value: new(bound)},
			{ID: "built-better", Text: "so that the fullest server is asked for less than half of what the alphabet's is", Design: "built", Metric: "requests", Op: "<", Than: &lab.Than{Design: "naive", Metric: "requests", Times: 0.5}},
			{ID: "letters-two", Text: "cut in two, the alphabet already has one half fuller by a fifth than it should be", Design: "naive", Metric: "two_shards", Op: ">=", Value: new(1.2)},
			{ID: "letters-few", Text: "it is as good as any hash only for a few dozen users", Design: "naive", Metric: "fine_users", Op: "<=", Value: new(100.0)},
		},
		Picture: []string{"users", "country_users", "country_requests"},
		Run: func(ctx context.Context, b *lab.Bench) error {
			if b.Full {
				return evenness{1_000_000, 200_000, names.Countries(), schemes}.run(ctx, b)
			}
			return evenness{400_000, 60_000, names.Countries(), schemes}.run(ctx, b)
		},
	}
}

// scheme is a design of evenness and growth.
type scheme struct {
	name, strategy string
	kind           lab.Kind
	balanced       bool // by measured load, once it is there
	text           string
}

// schemes are all strategies, those that Balance evens also with it.
var schemes = []scheme{
	{"alphabetical", "alphabetical", lab.Naive, false, "One letter a server, or an even cut through pairs of letters."},
	{"hash mod n", "modulo", lab.Textbook, false, "The remainder of the name's hash."},
	{"ring", "ring", lab.Textbook, false, "160 points a server on a circle (Karger et al. 1997)."},
	{"rendezvous", "rendezvous", lab.Textbook, false, "The server with the best score for the name (Thaler & Ravishankar 1998)."},
	{"jump", "jump", lab.Textbook, false, "Jumps through growing numbers of servers (Lamping & Veach 2014)."},
	{"maglev", "maglev", lab.Textbook, false, "A table of prime size, filled in turns (Eisenbud et al. 2016)."},
	{"bounded", "bounded", lab.Textbook, false, "The next server on the ring that is not full (Mirrokni et al. 2018)."},
	{"ranges, balanced", "range", lab.Step, true, "Names in their order, cut, merged and moved by measured load."},
	{"directory, balanced", "directory", lab.Step, true, "A table of users, each moved by measured load."},
	{"hash, nothing measured", "hash", lab.Step, false, "A table of 2^16 slots, before any load is known."},
	{"hash, balanced", "hash", lab.Built, true, "The table of slots, evened by measured load, with exceptions for heavy users: what serve runs."},
}

// start makes a scheme's placement of a crowd, and says which part of the bytes was moved
// for balance.
func (d scheme) start(c *crowd, nodes []placement.Node) (s *placement.Snapshot, moved float64, err error) {
	s, err = c.place(d.strategy, nodes)
	if err != nil || !d.balanced {
		return s, 0, err
	}
	next, err := c.balance(s)
	if err != nil {
		return nil, 0, err
	}
	return next, c.moved(s, next)[stored], nil
}

// evenness is one run: how many users there are, and in a service of one country.
type evenness struct {
	users, country int
	countries      []names.Country
	schemes        []scheme
}

func (e evenness) run(ctx context.Context, b *lab.Bench) error {
	b.Note("%s users, and %s of each country alone (%s), with real names; how they make user names of them is assumed (84 of 100 begin with the given name). "+
		"Bytes by a stretched exponential of shape %g, requests by a power law with tail %g; nobody has more than half of a server's share of requests. The sources stand in the package's crowd.go. All servers weigh the same.",
		units.Count(int64(e.users)), units.Count(int64(e.country)), codes(), storedShape, requestsTail)
	mixes := []names.Mix{{}, {}}
	for _, c := range e.countries {
		mixes[1].Shares = append(mixes[1].Shares, names.Share{Country: c.Code, Weight: 1, Native: true})
		mixes = append(mixes, only(c.Code))
	}
	b.Progress(0, "drawing users")
	crowds := make([]*crowd, len(mixes))
	err := each(ctx, len(mixes), func(i int) (err error) {
		size := e.country
		if i == 0 {
			size = e.users
		}
		crowds[i], err = newCrowd(b.Seed+uint64(i), size, mixes[i], requestsTail)
		return err
	})
	if err != nil {
		return err
	}
	floor := dice(b.Seed, e.users, letters)
	rows := make([]*lab.Design, len(e.schemes))
	for i, d := range e.schemes {
		rows[i] = b.Design(d.name, d.kind).Describe(d.text)
	}
	b.Note("Dice on 26 servers with as many users exceed %.4f of the mean once in a thousand tries.", floor)
	for i, d := range e.schemes {
		b.Progress(0.3+0.5*float64(i)/float64(len(e.schemes)), "%s", d.name)
		if err := d.even(ctx, rows[i], crowds, floor); err != nil {
			return fmt.Errorf("evenness: %w", err)
		}
	}
	b.Progress(0.8, "other numbers of shards and users")
	return e.breakEvens(ctx, b, rows[0], crowds[0])
}

// even measures a scheme on the mixed crowd, the one in its own scripts, and each
// country's.
func (d scheme) even(ctx context.Context, row *lab.Design, crowds []*crowd, floor float64) error {
	got, moved := make([]uneven, len(crowds)), make([]float64, len(crowds))
	err := each(ctx, len(crowds), func(i int) error {
		s, share, err := d.start(crowds[i], shards(letters))
		if err != nil {
			return err
		}
		got[i], moved[i] = crowds[i].on(s), share
		return nil
	})
	if err != nil {
		return err
	}
	var worst uneven
	for _, u := range got[2:] {
		worst = worst.worse(u)
	}
	row.Set("users", got[0][users]).Set("bytes", got[0][stored]).Set("requests", got[0][requests])
	row.Set("country_users", worst[users]).Set("country_bytes", worst[stored]).Set("country_requests", worst[requests])
	row.Set("own_script", got[1][users]).Set("over_dice", (got[0][users]-1)/(floor-1))
	if d.balanced {
		row.Set("moved_pct", 100*moved[0])
	}
	return nil
}

// breakEvens looks for the number of shards and of users up to which the alphabet does.
func (e evenness) breakEvens(ctx context.Context, b *lab.Bench, naive *lab.Design, c *crowd) error {
	const fine = 1.25
	compared := []scheme{e.schemes[0], e.schemes[len(e.schemes)-1]}
	upTo := 1
	for n := 2; n <= 2*letters; n++ {
		s, err := c.place("alphabetical", shards(n))
		if err != nil {
			return err
		}
		if c.on(s)[users] > fine {
			break
		}
		upTo = n
	}
	b.BreakEven("shards from which on the fullest of the alphabet has more than 1.25 of its share", float64(upTo+1), "shards")
	for _, n := range []int{2, 3, 4, 6, 8, 13, 26, 52} {
		for _, d := range compared {
			if err := ctx.Err(); err != nil {
				return err
			}
			s, _, err := d.start(c, shards(n))
			if err != nil {
				return err
			}
			u := c.on(s)
			if n == 2 && d.kind == lab.Naive {
				naive.Set("two_shards", u[users])
			}
			b.Point(map[string]float64{"shards": float64(n)}, d.name, map[string]float64{"users": u[users], "bytes": u[stored], "requests": u[requests]})
		}
	}
	few, err := fewUsers(b, c)
	if err != nil {
		return err
	}
	naive.Set("fine_users", few)
	if b.Sweep {
		if err := sweepHabits(ctx, b, compared); err != nil {
			return err
		}
	}
	return nil
}

// fewUsers returns up to how many users dice are hardly better than the alphabet: of the
// mean of max/mean over many draws, a hash has at least four fifths of what letters
// have.
func fewUsers(b *lab.Bench, c *crowd) (float64, error) {
	letter, err := placement.New("alphabetical", shards(letters))
	if err != nil {
		return 0, err
	}
	hash, err := placement.New("hash", shards(letters))
	if err != nil {
		return 0, err
	}
	fine := 0.0
	for _, n := range []int{10, 20, 50, 100, 200, 500, 1000} {
		var by [2]float64
		draws := min(200, len(c.name)/n)
		for d := range draws {
			for k, s := range []*placement.Snapshot{letter, hash} {
				part := &crowd{name: c.name[d*n : (d+1)*n], load: c.load[d*n : (d+1)*n]}
				by[k] += part.on(s)[users] / float64(draws)
			}
		}
		b.Point(map[string]float64{"few_users": float64(n)}, "alphabetical", map[string]float64{"users": by[0]})
		b.Point(map[string]float64{"few_users": float64(n)}, "hash, balanced", map[string]float64{"users": by[1]})
		if by[1] >= 0.8*by[0] {
			fine = float64(n)
		}
	}
	return fine, nil
}

// sweepHabits varies what is assumed: how many user names begin with the surname, and
// how heavy the tail of requests is.
func sweepHabits(ctx context.Context, b *lab.Bench, compared []scheme) error {
	const n = 60_000
	point := func(key string, value float64, mix names.Mix, tail float64) error {
		c, err := newCrowd(b.Seed, n, mix, tail)
		if err != nil {
			return err
		}
		for _, d := range compared {
			s, _, err := d.start(c, shards(letters))
			if err != nil {
				return err
			}
			u := c.on(s)
			b.Point(map[string]float64{key: value}, d.name, map[string]float64{"users": u[users], "bytes": u[stored], "requests": u[requests]})
		}
		return ctx.Err()
	}
	for _, share := range []float64{0, 0.25, 0.5, 0.75, 1} {
		var habits []names.Habit
		for _, h := range names.GivenFirst() {
			habits = append(habits, names.Habit{Form: h.Form, Weight: math.Max(1e-9, 1-share)})
		}
		for _, h := range names.SurnameFirst() {
			habits = append(habits, names.Habit{Form: h.Form, Weight: math.Max(1e-9, share)})
		}
		if err := point("surname_first", share, names.Mix{Habits: habits}, requestsTail); err != nil {
			return err
		}
	}
	for _, tail := range []float64{1.05, 1.2, 1.5, 2, 3} {
		if err := point("requests_tail", tail, names.Mix{}, tail); err != nil {
			return err
		}
	}
	return nil
}

// each does n things, as many at a time as there are processors.
func each(ctx context.Context, n int, do func(i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.NumCPU())
	for i := range n {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return do(i)
		})
	}
	return g.Wait()
}
