package prove

import (
	"context"
	"fmt"
	"math"

	"plumb/base/units"
	"plumb/engines/lab"
	"plumb/engines/placement"
	"plumb/systems/photos/prove/names"
)

// Celebrity lets one user be looked at far more than others.
func Celebrity() lab.Experiment {
	return lab.Experiment{
		System: "photos", Name: "celebrity", Title: "when one user is looked at by all",
		Question: "One user of a service on 26 servers is looked at far more than the others: a tenth less than a server's share of all requests, then a tenth of all, then a hundred times as much as the next. How hot does the hottest server get?",
		Metrics: []lab.Metric{
			{Name: "plain", Text: "requests without the celebrity: hottest over mean", Better: "less"},
			{Name: "below", Text: "with one of 0.9 of a server's share", Better: "less"},
			{Name: "tenth", Text: "with one of a tenth of all requests", Better: "less"},
			{Name: "hundred", Text: "with one of a hundred times the next", Better: "less"},
			{Name: "hottest", Text: "requests: hottest over mean", Better: "less"},
			{Name: "reach_pct", Unit: "%", Text: "the celebrity's part of all requests up to which the hottest is within 1.10", Better: "more"},
			{Name: "copies", Unit: "copies", Text: "that keep a hundred times the next within 1.10", Better: "less"},
			{Name: "moved_pct", Unit: "%", Text: "bytes moved, for the one below a server's share", Better: "less"},
			{Name: "stored_times", Text: "bytes stored, over one copy of all", Better: "less"},
		},
		Claims: []lab.Claim{
			{ID: "letters-hot", Text: "by letters the celebrity comes on top of what is uneven anyhow", Design: "naive", Metric: "below", Op: ">=", Value: new(2.0)},
			{ID: "hash-hot", Text: "by hash its server has half as much again as others, and more", Design: "textbook", Metric: "below", Op: ">=", Value: new(1.5)},
			{ID: "bounded-hot", Text: "a bound on slots that is not told of requests does not help", Design: "bounded", Metric: "below", Op: ">=", Value: new(1.5)},
			{ID: "exception", Text: "below a server's share, an exception and moving others away even it", Design: "built", Metric: "below", Op: "<=", Value: new(bound)},
			{ID: "exception-cost", Text: "for less than a tenth of the bytes", Design: "built", Metric: "moved_pct", Op: "<=", Value: new(10.0)},
			{ID: "no-placement", Text: "above it no placement helps: the server has what the celebrity has", Design: "built", Metric: "tenth", Op: ">=", Value: new(2.0)},
			{ID: "reach", Text: "an exception reaches to one who has a server's share", Design: "built", Metric: "reach_pct", Op: ">=", Value: new(100.0 / letters)},
			{ID: "reach-end", Text: "and ends at 1.10 of it", Design: "built", Metric: "reach_pct", Op: "<=", Value: new(100 * bound / letters * 1.001)},
			{ID: "copies-blind", Text: "three copies of everybody, read in turn, do not even a tenth of all requests", Design: "3 copies, read in turn", Metric: "tenth", Op: ">", Value: new(bound)},
			{ID: "copies", Text: "three copies where the less busy one answers, do", Design: "3 copies, the less busy answers", Metric: "tenth", Op: "<=", Value: new(bound)},
			{ID: "copies-end", Text: "and end where three servers' shares end", Design: "3 copies, the less busy answers", Metric: "hundred", Op: ">", Value: new(bound)},
			{ID: "cache", Text: "a cache that answers nineteen of twenty of the celebrity's viewers reaches to three in ten of all requests", Design: "balanced, and a cache", Metric: "reach_pct", Op: ">=", Value: new(30.0)},
			{ID: "both", Text: "and with three copies behind it even to a hundred times the next", Design: "3 copies, and a cache", Metric: "hundred", Op: "<=", Value: new(bound)},
		},
		Picture: []string{"below", "tenth", "hundred"},
		Run: func(ctx context.Context, b *lab.Bench) error {
			if b.Full {
				return celebrity{400_000, fame, shows}.run(ctx, b)
			}
			return celebrity{40_000, fame, shows}.run(ctx, b)
		},
	}
}

// helpings is in how many parts each user's requests come, so that users meet at the
// servers as they would in time; the celebrity's come in more.
const helpings = 16

// How many copies there are, and what the cache answers of the celebrity's requests.
// A viewer's browser and a proxy before the servers do this where the answer may be
// kept; Huang et al. ("An Analysis of Facebook Photo Caching", SOSP 2013) found it to
// work best for what is most looked at.
const (
	copies = 3
	cached = 0.95
)

// stage is a crowd on its servers, and the celebrity in it.
type stage struct {
	crowd *crowd
	at    int     // the celebrity
	rest  float64 // all requests but the celebrity's
}

// newStage makes the most popular user the celebrity.
func newStage(c *crowd) *stage {
	s := &stage{crowd: c}
	for i := range c.load {
		if c.load[i][requests] > c.load[s.at][requests] {
			s.at = i
		}
	}
	s.rest = c.total(requests) - c.load[s.at][requests]
	return s
}

// set gives the celebrity a part of all requests.
func (s *stage) set(share float64) {
	s.crowd.load[s.at][requests] = s.rest * share / (1 - share)
}

// next is what the most popular of the others has, as a part of all others' requests.
func (s *stage) next() float64 {
	most := 0.0
	for i := range s.crowd.load {
		if i != s.at {
			most = max(most, s.crowd.load[i][requests])
		}
	}
	return most / s.rest
}

// answer is a way to serve the celebrity: it returns max/mean of requests over the servers.
type answer func(s *stage) (hottest float64, err error)

// show is a design of celebrity.
type show struct {
	name   string
	kind   lab.Kind
	text   string
	copies int
	by     func(*stage) (answer, error)
}

// placed serves from where a strategy says, which knows nothing of loads.
func placed(strategy string) func(*stage) (answer, error) {
	return func(s *stage) (answer, error) {
		p, err := s.crowd.place(strategy, shards(letters))
		return func(s *stage) (float64, error) { return s.crowd.on(p)[requests], nil }, err
	}
}

// evened serves from where Balance says, measured with the celebrity. Of the celebrity's
// requests, a cache answers the part hit, which the servers never see.
func evened(strategy string, hit float64) func(*stage) (answer, error) {
	return func(s *stage) (answer, error) {
		p, err := s.crowd.place(strategy, shards(letters))
		return func(s *stage) (float64, error) {
			asked := s.crowd.load[s.at][requests]
			defer func() { s.crowd.load[s.at][requests] = asked }()
			s.crowd.load[s.at][requests] *= 1 - hit
			q, err := s.crowd.balance(p)
			if err != nil {
				return 0, err
			}
			return s.crowd.on(q)[requests], nil
		}, err
	}
}

// copied serves from r copies: in turn, or always from the least busy one.
func copied(strategy string, r int, turns bool, hit float64) func(*stage) (answer, error) {
	return func(s *stage) (answer, error) {
		p, err := s.crowd.place(strategy, shards(letters))
		if err != nil {
			return nil, err
		}
		// Where the copies are does not change with the celebrity.
		where := make([]int, r*len(s.crowd.name))
		for i, n := range s.crowd.name {
			if got := p.Places(where[i*r:(i+1)*r], n); got < r {
				return nil, fmt.Errorf("%d copies of %s have only %d places", r, n, got)
			}
		}
		return func(s *stage) (float64, error) {
			busy := make([]float64, letters)
			rounds := helpings
			if turns {
				rounds = 1
			}
			for range rounds {
				for i := range s.crowd.load {
					of, load := where[i*r:(i+1)*r], s.crowd.load[i][requests]/float64(rounds)
					if i != s.at {
						helping(busy, of, load, turns)
						continue
					}
					for range 4 * helpings {
						helping(busy, of, load*(1-hit)/(4*helpings), turns)
					}
				}
			}
			sum, most := 0.0, 0.0
			for _, v := range busy {
				sum, most = sum+v, max(most, v)
			}
			return most / sum * letters, nil
		}, nil
	}
}

// helping adds one user's requests to the servers of its copies.
func helping(busy []float64, where []int, load float64, turns bool) {
	if turns {
		for _, w := range where {
			busy[w] += load / float64(len(where))
		}
		return
	}
	least := where[0]
	for _, w := range where[1:] {
		if busy[w] < busy[least] {
			least = w
		}
	}
	busy[least] += load
}

var shows = []show{
	{"alphabetical", lab.Naive, "A letter a server.", 1, placed("alphabetical")},
	{"hash mod n", lab.Textbook, "The remainder of the name's hash.", 1, placed("modulo")},
	{"bounded", lab.Textbook, "Consistent hashing with bounded loads, the load being slots.", 1, placed("bounded")},
	{"bounded, measured", lab.Textbook, "The same, the load being measured requests and bytes.", 1, evened("bounded", 0)},
	{"3 copies, read in turn", lab.Textbook, "Everybody's photos on three servers that take turns.", copies, copied("hash", copies, true, 0)},
	{"3 copies, the less busy answers", lab.Step, "Everybody's photos on three servers, of which the less busy one answers.", copies, copied("hash", copies, false, 0)},
	{"directory, balanced", lab.Step, "A table of users, each moved by measured load.", 1, evened("directory", 0)},
	{"balanced, and a cache", lab.Step, "The built one behind a cache that answers nineteen of twenty of the celebrity's viewers.", 1, evened("hash", cached)},
	{"3 copies, and a cache", lab.Step, "The same cache before three copies, of which the less busy one answers.", copies, copied("hash", copies, false, cached)},
	{"hash, balanced", lab.Built, "The slot table evened by measured load, with exceptions: what serve runs.", 1, evened("hash", 0)},
}

// celebrity is one run.
type celebrity struct {
	users int
	fame  []float64 // parts of all requests that are tried, per cent
	shows []show
}

// fame is tried in these steps; one is just below what an exception reaches.
var fame = []float64{0.5, 1, 2, 3, 100 * bound / letters * 0.99, 4.5, 6, 8, 10, 12, 15, 20, 30, 50, 80}

func (e celebrity) run(ctx context.Context, b *lab.Bench) error {
	b.Progress(0, "drawing users")
	c, err := newCrowd(b.Seed, e.users, names.Mix{}, requestsTail)
	if err != nil {
		return err
	}
	s := newStage(c)
	hundred := 100 * s.next() / (1 + 100*s.next())
	below := 0.9 / letters
	b.Note("%s users with real names of %s. The celebrity is the most popular of them, given more requests yet; the next has %.2g%% of the others' requests, so that a hundred times as much is %.0f%% of all. "+
		"A server's share is %.2f%%. Requests that a cache answers do not count.",
		units.Count(int64(e.users)), codes(), 100*s.next(), 100*hundred, 100.0/letters)
	rows := make([]*lab.Design, len(e.shows))
	for i, d := range e.shows {
		rows[i] = b.Design(d.name, d.kind).Describe(d.text)
	}
	points := make([][]lab.SweepPoint, len(e.shows))
	err = each(ctx, len(e.shows), func(i int) (err error) {
		b.Progress(0.1+0.8*float64(i)/float64(len(e.shows)), "%s", e.shows[i].name)
		own := *s // each has its own loads to change
		mine := *c
		mine.load = append([]placement.Load(nil), c.load...)
		own.crowd = &mine
		if points[i], err = e.shows[i].measure(ctx, rows[i], &own, e.fame, below, hundred); err != nil {
			return fmt.Errorf("celebrity, %s: %w", e.shows[i].name, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, list := range points {
		for _, p := range list {
			b.Point(p.Assumptions, p.Design, p.Metrics)
		}
	}
	built := rows[len(rows)-1]
	b.BreakEven("the celebrity's part of all requests from which on no placement keeps servers within 1.10", built.Metrics["reach_pct"], "celebrity_pct")
	return e.howManyCopies(ctx, rows, s, hundred)
}

// measure takes a design through the celebrity's fame.
func (d show) measure(ctx context.Context, row *lab.Design, s *stage, fame []float64, below, hundred float64) (points []lab.SweepPoint, err error) {
	usual := s.next() / (1 + s.next())
	s.set(usual) // no more than the next
	serve, err := d.by(s)
	if err != nil {
		return nil, err
	}
	row.Set("stored_times", float64(d.copies))
	for _, step := range []struct {
		metric string
		share  float64
	}{{"plain", usual}, {"below", below}, {"tenth", 0.1}, {"hundred", hundred}} {
		s.set(step.share)
		hottest, err := serve(s)
		if err != nil {
			return nil, err
		}
		row.Set(step.metric, hottest)
	}
	if d.kind == lab.Built {
		s.set(below)
		p, err := s.crowd.place("hash", shards(letters))
		if err != nil {
			return nil, err
		}
		q, err := s.crowd.balance(p)
		if err != nil {
			return nil, err
		}
		row.Set("moved_pct", 100*s.crowd.moved(p, q)[stored])
	}
	reach := 0.0
	for _, pct := range fame {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s.set(pct / 100)
		hottest, err := serve(s)
		if err != nil {
			return nil, err
		}
		points = append(points, lab.SweepPoint{Assumptions: map[string]float64{"celebrity_pct": pct}, Design: d.name, Metrics: map[string]float64{"hottest": hottest}})
		if hottest > bound {
			break
		}
		reach = pct
	}
	row.Set("reach_pct", reach)
	return points, nil
}

// howManyCopies looks for the number of copies of everybody with which the less busy one
// keeps a hundred times the next within the bound.
func (e celebrity) howManyCopies(ctx context.Context, rows []*lab.Design, s *stage, hundred float64) error {
	s.set(hundred)
	var row *lab.Design
	for i, d := range e.shows {
		if row == nil && d.copies > 1 && d.kind == lab.Step {
			row = rows[i]
		}
	}
	if row == nil {
		return nil
	}
	for r := int(math.Ceil(hundred * letters / bound)); r <= letters; r++ {
		serve, err := copied("hash", r, false, 0)(s)
		if err != nil {
			return err
		}
		hottest, err := serve(s)
		if err != nil {
			return err
		}
		if hottest <= bound {
			row.Set("copies", float64(r))
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}
