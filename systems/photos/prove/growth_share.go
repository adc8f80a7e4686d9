package prove

import (
	"context"
	"fmt"
	"math"
	"slices"

	"plumb/base/units"
	"plumb/engines/lab"
	"plumb/engines/placement"
	"plumb/systems/photos/prove/names"
)

// Growth adds servers, takes one away, and counts what has to move.
func Growth() lab.Experiment {
	return lab.Experiment{
		System: "photos", Name: "growth", Title: "what moves when a server comes",
		Question: "A 27th server is added to 26, or one server becomes two and then four. Which part of the photos moves, beside the part that the new servers should get?",
		Metrics: []lab.Metric{
			{Name: "add_pct", Unit: "%", Text: "26 to 27: bytes that move", Better: "less"},
			{Name: "add_times", Text: "26 to 27: users that move, over the new server's share", Better: "less"},
			{Name: "add_even", Text: "users afterwards: fullest over mean", Better: "less"},
			{Name: "last_pct", Unit: "%", Text: "26 to 27, the new one at the end: bytes that move", Better: "less"},
			{Name: "drain_times", Text: "27 to 26: users that move, over what the one that goes should have", Better: "less"},
			{Name: "two_pct", Unit: "%", Text: "1 to 2: bytes that move", Better: "less"},
			{Name: "four_pct", Unit: "%", Text: "2 to 4: bytes that move", Better: "less"},
			{Name: "years_pct", Unit: "%", Text: "1 to 27, one by one: bytes moved, over all bytes", Better: "less"},
			{Name: "years_times", Text: "1 to 27, one by one: users moved, over the new servers' shares", Better: "less"},
		},
		Claims: []lab.Claim{
			{ID: "letters-add", Text: "the alphabet, the new server put where it moves least: four times its share and more", Design: "naive", Metric: "add_times", Op: ">=", Value: new(4.0)},
			{ID: "letters-last", Text: "put at the end, a fifth of everything and more", Design: "naive", Metric: "last_pct", Op: ">=", Value: new(20.0)},
			{ID: "letters-uneven", Text: "and it stays as uneven as it was", Design: "naive", Metric: "add_even", Op: ">=", Value: new(2.0)},
			{ID: "modulo-add", Text: "hash mod n, often called consistent: nearly everything moves", Design: "hash mod n", Metric: "add_pct", Op: ">=", Value: new(90.0)},
			{ID: "modulo-years", Text: "five times and more what it must, on the way from one to 27", Design: "hash mod n", Metric: "years_times", Op: ">=", Value: new(5.0)},
			{ID: "hash-add", Text: "the slot table moves the new server's share and no more", Design: "hash, nothing measured", Metric: "add_times", Op: "<=", Value: new(1.02)},
			{ID: "hash-drain", Text: "and of one that goes, its own", Design: "hash, nothing measured", Metric: "drain_times", Op: "<=", Value: new(1.02)},
			{ID: "hash-years", Text: "all the way from one to 27", Design: "hash, nothing measured", Metric: "years_times", Op: "<=", Value: new(1.02)},
			{ID: "built-add", Text: "also when load has been balanced: within a tenth of it", Design: "built", Metric: "add_times", Op: "<=", Value: new(1.10)},
			{ID: "built-textbook", Text: "a twentieth of what hash mod n moves", Design: "built", Metric: "add_pct", Op: "<", Than: &lab.Than{Design: "textbook", Metric: "add_pct", Times: 0.05}},
			{ID: "built-even", Text: "and users stay even", Design: "built", Metric: "add_even", Op: "<=", Value: new(bound)},
		},
		Picture: []string{"add_pct", "years_times"},
		Run: func(ctx context.Context, b *lab.Bench) error {
			if b.Full {
				return growth{1_000_000, 150_000, letters + 1, schemes}.run(ctx, b)
			}
			return growth{300_000, 40_000, letters + 1, schemes}.run(ctx, b)
		},
	}
}

// growth is one run: how many users there are, and on the way from one server to 27.
type growth struct {
	users, few int
	servers    int // how many it comes to on that way
	schemes    []scheme
}

func (g growth) run(ctx context.Context, b *lab.Bench) error {
	b.Progress(0, "drawing users")
	c, err := newCrowd(b.Seed, g.users, names.Mix{}, requestsTail)
	if err != nil {
		return err
	}
	b.Note("%s users (from one to 27: %s) with real names of %s, in equal parts. The least that can move is the new server's share: %.1f%% from 26 to 27, half from one to two and from two to four. "+
		"The alphabet may put its new servers where it moves least (all places were tried); elsewhere the order of servers counts for hash mod n alone, which it does not help. "+
		"Directories know all users, and balanced designs were balanced before the step from 26; on the way from one to 27 they are balanced after each step, and what that moves counts. The same step on a served system, with files and readers, is another experiment.",
		units.Count(int64(g.users)), units.Count(int64(g.few)), codes(), 100.0/27)
	rows := make([]*lab.Design, len(g.schemes))
	for i, d := range g.schemes {
		rows[i] = b.Design(d.name, d.kind).Describe(d.text)
	}
	err = each(ctx, len(g.schemes), func(i int) error {
		b.Progress(0.2+0.7*float64(i)/float64(len(g.schemes)), "%s", g.schemes[i].name)
		if err := g.schemes[i].grow(ctx, rows[i], c, c.first(g.few), g.servers); err != nil {
			return fmt.Errorf("growth, %s: %w", g.schemes[i].name, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return g.sweepServers(b, c.first(g.few))
}

// sweepServers adds one server to other numbers of them.
func (g growth) sweepServers(b *lab.Bench, c *crowd) error {
	for _, n := range []int{1, 2, 3, 5, 8, 13, 26, 52, 100} {
		for _, d := range []scheme{g.schemes[0], g.schemes[1], g.schemes[len(g.schemes)-1]} {
			s, _, err := d.start(c, shards(n))
			if err != nil {
				return err
			}
			next, err := d.more(c, s, 1)
			if err != nil {
				return err
			}
			moved := c.moved(s, next)
			b.Point(map[string]float64{"servers": float64(n)}, d.name, map[string]float64{"add_pct": 100 * moved[stored], "add_times": moved[users] * float64(n+1)})
		}
	}
	return nil
}

// grow takes a scheme through the steps.
func (d scheme) grow(ctx context.Context, row *lab.Design, c, few *crowd, servers int) error {
	before, _, err := d.start(c, shards(letters))
	if err != nil {
		return err
	}
	after, err := d.more(c, before, 1)
	if err != nil {
		return err
	}
	moved := c.moved(before, after)
	row.Set("add_pct", 100*moved[stored]).Set("add_times", moved[users]*(letters+1)).Set("add_even", c.on(after)[users])
	last, err := before.With(shards(letters + 1))
	if err != nil {
		return err
	}
	row.Set("last_pct", 100*c.moved(before, last)[stored])

	// One in the middle goes.
	rest := slices.Delete(after.Nodes(), letters/2, letters/2+1)
	less, err := after.With(rest)
	if err != nil {
		return err
	}
	row.Set("drain_times", c.moved(after, less)[users]*(letters+1))

	one, _, err := d.start(c, shards(1))
	if err != nil {
		return err
	}
	two, err := d.more(c, one, 1)
	if err != nil {
		return err
	}
	four, err := d.more(c, two, 2)
	if err != nil {
		return err
	}
	row.Set("two_pct", 100*c.moved(one, two)[stored]).Set("four_pct", 100*c.moved(two, four)[stored])
	return d.years(ctx, row, few, servers)
}

// years adds one server after another; what is balanced is balanced after each, which
// moves too.
func (d scheme) years(ctx context.Context, row *lab.Design, c *crowd, servers int) error {
	s, _, err := d.start(c, shards(1))
	if err != nil {
		return err
	}
	var sum uneven
	least := 0.0
	for s.Len() < servers {
		if err := ctx.Err(); err != nil {
			return err
		}
		next, err := d.more(c, s, 1)
		if err == nil && d.balanced {
			next, err = c.balance(next)
		}
		if err != nil {
			return err
		}
		for k, share := range c.moved(s, next) {
			sum[k] += share
		}
		least += 1 / float64(next.Len())
		s = next
	}
	row.Set("years_pct", 100*sum[stored]).Set("years_times", sum[users]/least)
	return nil
}

// more is the placement with so many servers more. The alphabet gets each where it
// moves least.
func (d scheme) more(c *crowd, s *placement.Snapshot, n int) (*placement.Snapshot, error) {
	lists := [][]placement.Node{s.Nodes()}
	for i := range n {
		fresh := placement.Node{Name: fmt.Sprintf("shard-%02d", s.Len()+i), Weight: 1}
		var longer [][]placement.Node
		for _, list := range lists {
			for at := range len(list) + 1 {
				if at == len(list) || d.strategy == "alphabetical" {
					longer = append(longer, slices.Insert(slices.Clone(list), at, fresh))
				}
			}
		}
		lists = longer
	}
	if len(lists) == 1 {
		return s.With(lists[0])
	}
	var best *placement.Snapshot
	least, cells := math.Inf(1), c.cells()
	for _, list := range lists {
		next, err := s.With(list)
		if err != nil {
			return nil, err
		}
		if moves := cells.moved(s, next)[stored]; moves < least {
			best, least = next, moves
		}
	}
	return best, nil
}

// first is the crowd of those who came first.
func (c *crowd) first(n int) *crowd {
	return &crowd{name: c.name[:n], country: c.country[:n], load: c.load[:n]}
}

// cells is the crowd by the two letters with which names begin, which is all that the
// alphabet looks at.
func (c *crowd) cells() *crowd {
	at, out := map[string]int{}, &crowd{}
	for i, n := range c.name {
		cell := n[:min(2, len(n))]
		k, ok := at[cell]
		if !ok {
			k = len(out.name)
			at[cell], out.name, out.load = k, append(out.name, cell), append(out.load, placement.Load{})
		}
		for kind := range kinds {
			out.load[k][kind] += c.load[i][kind]
		}
	}
	return out
}
