package prove

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"plumb/engines/lab"
	"plumb/engines/lab/load"
	"plumb/engines/sqldb"
)

// HotLink serves a link that is opened a hundred times as often as any other.
func HotLink() lab.Experiment {
	return lab.Experiment{
		System: "photos", Name: "hotlink", Title: "one link is opened by all",
		Question: "On four shards one person's link is opened a hundred times as often as anybody else's. Who shares a shard with it, how hot is that shard, and what does the operator's board do about it while people look?",
		Metrics: []lab.Metric{
			{Name: "views", Unit: "views", Text: "views, the celebrity's and all others'"},
			{Name: "failed", Unit: "views", Text: "views that failed, also while people were moved", Better: "less"},
			{Name: "neighbours", Unit: "people", Text: "on the celebrity's shard", Better: "less"},
			{Name: "exposed_pct", Unit: "%", Text: "of the others' views, those that the celebrity's shard answers", Better: "less"},
			{Name: "hottest", Text: "views: hottest shard over mean", Better: "less"},
			{Name: "rest", Text: "views of the others' alone: hottest shard over mean, the celebrity's left out", Better: "less"},
			{Name: "moved", Unit: "people", Text: "moved by the proposal", Better: "less"},
			{Name: "move_s", Unit: "s", Text: "until they had moved", Better: "less"},
			{Name: "p99_neighbours_ms", Unit: "ms", Text: "p99 of neighbours' views", Better: "less"},
			{Name: "p99_others_ms", Unit: "ms", Text: "p99 of views on other shards", Better: "less"},
			{Name: "p99_celebrity_ms", Unit: "ms", Text: "p99 of the celebrity's", Better: "less"},
		},
		Claims: []lab.Claim{
			{ID: "letters", Text: "with letters, people share a shard with the celebrity", Design: "naive", Metric: "neighbours", Op: ">", Value: new(0.0)},
			{ID: "hash", Text: "with hash mod n, too", Design: "textbook", Metric: "neighbours", Op: ">", Value: new(0.0)},
			{ID: "first", Text: "with the built one too, as long as nobody asks what the load is", Design: "as placed", Metric: "neighbours", Op: ">", Value: new(0.0)},
			{ID: "alone", Text: "a proposal by requests leaves the celebrity's shard with a tenth of the others' views at most", Design: "built", Metric: "exposed_pct", Op: "<=", Value: new(10.0)},
			{ID: "seamless", Text: "and fails no view while people move", Design: "built", Metric: "failed", Op: "==", Value: new(0.0)},
			{ID: "limit", Text: "the hottest shard has what the celebrity has, wherever it is placed", Design: "built", Metric: "hottest", Op: ">", Value: new(2.0)},
			{ID: "fewer", Text: "fewer of the others' views meet the celebrity than with letters", Design: "built", Metric: "exposed_pct", Op: "<", Than: &lab.Than{Design: "naive", Metric: "exposed_pct"}},
		},
		Picture: []string{"exposed_pct", "hottest"},
		Run: func(ctx context.Context, b *lab.Bench) error {
			if b.Full {
				return famous{people: 48, rate: 0.8, span: 15 * time.Second}.run(ctx, b)
			}
			return famous{people: 20, rate: 0.5, span: 2500 * time.Millisecond}.run(ctx, b)
		},
	}
}

// famous is the size of the experiment.
type famous struct {
	people int
	rate   float64 // views a second of each of the others
	span   time.Duration
	idle   bool // nobody looks at the board: a broken design
}

const (
	fameTimes = 100 // the celebrity's views over another's
	star      = 0   // the celebrity
)

func (a famous) run(ctx context.Context, b *lab.Bench) error {
	b.Note("%d people, %.1f views a second of each and %.0f of the celebrity's, all through links. One process on one machine serves all shards here, so that times say how busy that machine is and not what a shard is spared: what is shown is who shares a shard with the celebrity, and that nobody notices the move. "+
		"No placement makes one person's load less than it is: for that there are copies and caches (photos/celebrity has the arithmetic).", a.people, a.rate, a.rate*fameTimes)
	people, err := called(b.Seed, a.people)
	if err != nil {
		return err
	}
	for i, d := range []struct {
		name, strategy string
		kind           lab.Kind
	}{{"alphabetical", "alphabetical", lab.Naive}, {"hash mod n", "modulo", lab.Textbook}} {
		b.Progress(float64(i)/4, "%s", d.name)
		row := b.Design(d.name, d.kind)
		s, err := newStopCopy(ctx, b, d.strategy, fourShards, people)
		if err != nil {
			return err
		}
		l := newLibrary(b, d.name, s)
		if err = l.fill(ctx, a.people, 1, 20<<10); err == nil {
			where := map[int]string{}
			for i := range people {
				where[i] = s.at.Node(s.at.Place(people[i])).Name
			}
			err = a.look(ctx, row, l, where)
		}
		s.close()
		if err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
	}
	b.Progress(0.5, "as served")
	if err := a.served(ctx, b); err != nil {
		return fmt.Errorf("as served: %w", err)
	}
	return nil
}

// served looks at the built design before and after the board was asked.
func (a famous) served(ctx context.Context, b *lab.Bench) error {
	h, err := newHouse(ctx, b, a.people)
	if err != nil {
		return err
	}
	defer func() { h.Kill9() }()
	for i := range fourShards - 1 {
		if _, err := h.addShard(ctx, fmt.Sprintf("shard-%02d", i+2)); err != nil {
			return err
		}
	}
	l := newLibrary(b, "as served", h)
	if err := l.fill(ctx, a.people, 1, 20<<10); err != nil {
		return err
	}
	if err := h.sizesMade(ctx); err != nil {
		return err
	}
	where, err := h.where(ctx)
	if err != nil {
		return err
	}
	if err := a.look(ctx, b.Design("as placed", lab.Step).Describe("plumb serve photos, as its hash placed people."), l, where); err != nil {
		return err
	}
	row := b.Design("as served", lab.Built).Describe("The same after the board's proposal by requests was carried out, under the same load.")
	failed := l.failedViews.Load()
	var move func(context.Context) error
	if !a.idle {
		move = func(ctx context.Context) error {
			began := time.Now()
			var p struct {
				ID    string
				Moves []struct{ Person, From, To string }
			}
			err := h.admin(ctx, "POST", "/proposals", map[string]string{"by": "requests"}, &p)
			var m migration
			if err == nil && len(p.Moves) > 0 {
				if err = h.admin(ctx, "POST", "/proposals/"+p.ID+"/execute", nil, &m); err == nil {
					_, err = h.moved(ctx, m)
				}
			}
			b.Event("proposal", p)
			row.Set("moved", float64(len(p.Moves))).Set("move_s", time.Since(began).Seconds())
			return err
		}
	}
	if _, err := a.views(ctx, l, where, move); err != nil {
		return err
	}
	if where, err = h.where(ctx); err != nil {
		return err
	}
	if err := a.look(ctx, row, l, where); err != nil {
		return err
	}
	row.Set("failed", float64(l.failedViews.Load()-failed))
	return nil
}

// crowdViews is what came of views: the celebrity's, of those on its shard, and of others.
type crowdViews [3]load.Report

// views has links opened, and runs a move beside that.
func (a famous) views(ctx context.Context, l *library, where map[int]string, move func(context.Context) error) (out crowdViews, err error) {
	var groups [3][]int
	for i := range a.people {
		switch {
		case i == star:
			groups[0] = append(groups[0], i)
		case where[i] == where[star]:
			groups[1] = append(groups[1], i)
		default:
			groups[2] = append(groups[2], i)
		}
	}
	links := map[int]string{}
	for _, k := range l.kept {
		if links[k.owner] == "" {
			if links[k.owner], err = l.s.share(ctx, k.owner, k.id); err != nil {
				return out, err
			}
		}
	}
	var all sync.WaitGroup
	for g, list := range groups {
		rate := a.rate * float64(len(list))
		if g == 0 {
			rate = a.rate * fameTimes
		}
		if rate == 0 {
			continue
		}
		rng := lab.Rand(l.b.Seed, fmt.Sprint("views of ", l.design, g))
		all.Go(func() {
			out[g] = load.Run(ctx, load.Plan{Times: load.Poisson(rng, rate), For: a.span, Flying: 64}, func(ctx context.Context, i int) error {
				err := l.s.view(ctx, links[list[i%len(list)]])
				if err != nil {
					l.failedViews.Add(1)
					l.first.CompareAndSwap(nil, &err)
				}
				return err
			})
		})
	}
	if move != nil {
		pause(ctx, a.span/4)
		err = move(ctx)
	}
	all.Wait()
	return out, err
}

// look has links opened for a while, and says who met whom.
func (a famous) look(ctx context.Context, row *lab.Design, l *library, where map[int]string) error {
	failed := l.failedViews.Load()
	v, err := a.views(ctx, l, where, nil)
	if err != nil {
		return err
	}
	on, mean, hottest, rest, neighbours := map[string]float64{}, float64(v[0].Calls+v[1].Calls+v[2].Calls)/fourShards, 0.0, 0.0, 0
	on[where[star]] = float64(v[0].Calls)
	others := map[string]float64{}
	for i := range a.people {
		if i == star {
			continue
		}
		if where[i] == where[star] {
			neighbours++
		}
		on[where[i]] += a.rate * a.span.Seconds()
		others[where[i]]++
	}
	for shard, n := range on {
		hottest = max(hottest, n/mean)
		if shard != where[star] {
			rest = max(rest, others[shard]/(float64(a.people-1-neighbours)/(fourShards-1)))
		}
	}
	row.Set("views", float64(v[0].Calls+v[1].Calls+v[2].Calls)).Set("failed", float64(l.failedViews.Load()-failed)).Set("neighbours", float64(neighbours)).
		Set("exposed_pct", 100*float64(neighbours)/float64(a.people-1)).Set("hottest", hottest).Set("rest", rest).
		Set("p99_celebrity_ms", inMillis(v[0].Quantile(0.99))).Set("p99_others_ms", inMillis(v[2].Quantile(0.99)))
	if neighbours > 0 {
		row.Set("p99_neighbours_ms", inMillis(v[1].Quantile(0.99)))
	}
	return nil
}

// where says on which shard each person is, as the shards' databases do.
func (h *house) where(ctx context.Context) (map[int]string, error) {
	files, err := filepath.Glob(filepath.Join(h.data, "photos", "*", "shard.db"))
	if err != nil {
		return nil, err
	}
	number := map[string]int{}
	for i, p := range h.people {
		number[p.id] = i
	}
	out := map[int]string{}
	for _, path := range files {
		owners, err := ownersAt(ctx, path)
		if err != nil {
			return nil, err
		}
		for _, owner := range owners {
			if i, known := number[owner]; known {
				out[i] = filepath.Base(filepath.Dir(path))
			}
		}
	}
	return out, nil
}

// ownersAt lists who is on a shard.
func ownersAt(ctx context.Context, path string) (list []string, err error) {
	db, err := sqldb.Open(ctx, "sqlite:"+path, sqldb.Options{})
	if err != nil {
		return nil, fmt.Errorf("see who is where: %w", err)
	}
	defer db.Close()
	err = db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		list = nil
		rows, err := tx.Query(ctx, `SELECT owner FROM photos_owners WHERE state IN ('here', 'leaving')`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var owner string
			if err := rows.Scan(&owner); err != nil {
				return err
			}
			list = append(list, owner)
		}
		return rows.Err()
	})
	return list, err
}
