package prove

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"plumb/engines/lab"
	"plumb/engines/placement"
	"plumb/systems/photos/prove/names"
)

// The kinds of load that are tallied, and balanced.
const (
	users    = iota // how many: rows, and what each costs whatever it does
	stored          // bytes
	requests        // of viewers
	kinds
)

// bound is what is claimed of each kind after Balance, which is asked for a little less.
const bound, asked = 1.10, 1.09

// What is assumed of users. How much people put in is a stretched exponential (L. Guo
// et al., "Analyzing Patterns of User Content Generation in Online Social Networks",
// KDD 2009); its shape here, 0.4, has the busiest tenth store seven tenths of all. How
// much people are looked at follows a power law, as the followers on Flickr do (A.
// Mislove et al., "Measurement and Analysis of Online Social Networks", IMC 2007: a
// tail of 0.7 to 0.8); 1.2 is milder, since followers do not all look, and is swept.
const (
	storedShape  = 0.4
	requestsTail = 1.2
)

// crowd is the users of a service.
type crowd struct {
	name    []string
	country []string // code of each
	load    []placement.Load
}

// newCrowd draws n users. Whoever alone would be asked for more than half of what one of
// 26 servers should do is cut to that: what becomes of more is the celebrity experiment.
func newCrowd(seed uint64, n int, mix names.Mix, tail float64) (*crowd, error) {
	list, err := names.Users(seed, n, mix)
	if err != nil {
		return nil, fmt.Errorf("draw %d users: %w", n, err)
	}
	c := &crowd{name: make([]string, 0, n), country: make([]string, 0, n), load: make([]placement.Load, n)}
	rng := lab.Rand(seed, "loads")
	for u := range list {
		i := len(c.name)
		c.name, c.country = append(c.name, u.Name), append(c.country, u.Country)
		c.load[i] = placement.Load{users: 1, stored: weibull(rng, storedShape), requests: pareto(rng, tail)}
	}
	c.capRequests(1.0 / (2 * letters))
	return c, nil
}

// letters is the number of servers of the question.
const letters = 26

// weibull draws from the stretched exponential with scale 1.
func weibull(rng *rand.Rand, shape float64) float64 { return math.Pow(rng.ExpFloat64(), 1/shape) }

// pareto draws from the power law whose least value is 1.
func pareto(rng *rand.Rand, tail float64) float64 { return math.Exp(rng.ExpFloat64() / tail) }

// capRequests cuts users to a share of all requests.
func (c *crowd) capRequests(share float64) {
	for range 20 { // each cut makes the sum smaller, and so the cap
		total, cut := c.total(requests), false
		for i := range c.load {
			if most := share * total; c.load[i][requests] > most*1.001 {
				c.load[i][requests], cut = most, true
			}
		}
		if !cut {
			return
		}
	}
}

func (c *crowd) total(kind int) (sum float64) {
	for i := range c.load {
		sum += c.load[i][kind]
	}
	return sum
}

// most returns the largest part that one user has of a kind.
func (c *crowd) most(kind int) (share float64) {
	for i := range c.load {
		share = max(share, c.load[i][kind])
	}
	return share / c.total(kind)
}

// loads yields each user with its load.
func (c *crowd) loads() iter.Seq2[string, placement.Load] {
	return func(yield func(string, placement.Load) bool) {
		for i, n := range c.name {
			if !yield(n, c.load[i]) {
				return
			}
		}
	}
}

func (c *crowd) keys() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, n := range c.name {
			if !yield(n) {
				return
			}
		}
	}
}

// uneven is max/mean over the servers, of each kind.
type uneven [kinds]float64

// on returns how unevenly the crowd lies on a placement.
func (c *crowd) on(s *placement.Snapshot) uneven {
	held := make([]placement.Load, s.Len())
	for i, n := range c.name {
		at := s.Place(n)
		for k := range kinds {
			held[at][k] += c.load[i][k]
		}
	}
	return unevenness(held)
}

func unevenness(held []placement.Load) (u uneven) {
	for k := range kinds {
		sum, most := 0.0, 0.0
		for i := range held {
			sum, most = sum+held[i][k], max(most, held[i][k])
		}
		u[k] = most / sum * float64(len(held))
	}
	return u
}

// worse takes the larger of each kind.
func (u uneven) worse(v uneven) uneven {
	for k := range u {
		u[k] = max(u[k], v[k])
	}
	return u
}

// shards are n nodes of equal weight.
func shards(n int) []placement.Node {
	nodes := make([]placement.Node, n)
	for i := range nodes {
		nodes[i] = placement.Node{Name: fmt.Sprintf("shard-%02d", i), Weight: 1}
	}
	return nodes
}

// place makes the first placement of a crowd. A directory is told of everybody, in the
// order in which they came.
func (c *crowd) place(strategy string, nodes []placement.Node) (*placement.Snapshot, error) {
	s, err := placement.New(strategy, nodes)
	if err == nil && strategy == "directory" {
		s, err = s.Assign(c.keys())
	}
	if err != nil {
		return nil, fmt.Errorf("place by %s: %w", strategy, err)
	}
	return s, nil
}

// balance is Balance as the room asks for it: what cannot be reached is no error here,
// the figures show it.
func (c *crowd) balance(s *placement.Snapshot) (*placement.Snapshot, error) {
	next, _, err := s.Balance(c.loads(), asked)
	if short := (*placement.Unbalanced)(nil); err != nil && !errors.As(err, &short) {
		return nil, fmt.Errorf("balance %s: %w", s.Strategy(), err)
	}
	return next, nil
}

// moved is the part of each kind that is on another server afterwards.
func (c *crowd) moved(before, after *placement.Snapshot) (share uneven) {
	same := make([]int, before.Len())
	for i := range same {
		same[i] = -1
		if j, ok := after.Index(before.Node(i).Name); ok {
			same[i] = j
		}
	}
	var all uneven
	for i, n := range c.name {
		gone := same[before.Place(n)] != after.Place(n)
		for k := range kinds {
			all[k] += c.load[i][k]
			if gone {
				share[k] += c.load[i][k]
			}
		}
	}
	for k := range share {
		share[k] /= all[k]
	}
	return share
}

// dice is how uneven a perfect hash is for as many users on as many servers: max/mean
// that is exceeded once in a thousand tries. A sum of so many independent throws is
// normal enough.
func dice(seed uint64, users, servers int) float64 {
	const tries = 20_000
	rng := lab.Rand(seed, "dice")
	mean := float64(users) / float64(servers)
	top := make([]float64, 0, tries)
	for range tries {
		sum, most := 0.0, math.Inf(-1)
		for range servers {
			x := rng.NormFloat64()
			sum, most = sum+x, max(most, x)
		}
		// What all servers have too much or too little is no difference between them.
		top = append(top, 1+(most-sum/float64(servers))/math.Sqrt(mean))
	}
	slices.Sort(top)
	return top[len(top)-1-tries/1000]
}

// only is a mix of one country.
func only(code string) names.Mix {
	return names.Mix{Shares: []names.Share{{Country: code, Weight: 1}}}
}

// codes lists the countries' codes, for notes.
func codes() string {
	var out []string
	for _, c := range names.Countries() {
		out = append(out, c.Code)
	}
	return strings.Join(out, ", ")
}
