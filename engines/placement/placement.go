// Package placement says which node holds what: which shard a user's photos are on,
// which servers hold a song.
//
//	now, err := placement.New("hash", []placement.Node{{Name: "a"}, {Name: "b", Weight: 2}})
//	node := now.Node(now.Place("ada.lovelace")) // no allocation
//	next, err := now.With(append(now.Nodes(), placement.Node{Name: "c"}))
//	for m := range placement.Diff(now, next, users) {
//		fmt.Println(m.Key, "moves from", m.From, "to", m.To)
//	}
//
// A Snapshot never changes, so any number of goroutines may ask it without a lock;
// whoever changes something makes the next snapshot, moves what Diff names, and then
// exchanges one for the other. Its owner keeps the bytes of MarshalBinary: all but the
// simplest strategies depend on how they came about, and not on the nodes alone.
//
// The strategy to take is "hash", a table of slots: a key's hash names one of 2^16
// slots or more, and the table says which node has the slot. This is what Redis
// Cluster's hash slots and Dynamo's third scheme are (DeCandia et al., "Dynamo",
// SOSP 2007, section 6.2). Shares are right to one slot whatever the weights; a node
// that comes or goes moves its own share and nothing else; and since slots can be moved
// one at a time, load can be evened that no hash knows of. Keys that are too heavy to
// share a slot's way get exceptions, which the snapshot carries. Strategies lists the
// others and says what holds for each.
//
// What holds for all of them:
//
//   - The same snapshot gives the same answers in every process, on every machine and in
//     every version: golden vectors in the tests say so.
//   - Place and Places allocate nothing.
//   - Keys are any bytes, also none.
//   - The hash is XXH64 without a secret: whoever may choose names can choose many that
//     share a slot. Balance gives those exceptions when they weigh.
//
// Costs, with n nodes and S slots (S is 64 to 128 n, at least 2^16 and at most 2^22):
// a look-up by "hash" is a hash and one read of a table of 2 S bytes, New and With are
// O(S + n log n), Balance is O(S + keys) and about O(S/n + n) for each move.
package placement

import (
	"slices"
	"strconv"

	"github.com/cespare/xxhash/v2"

	"plumb/base/bounds"
	"plumb/base/errs"
)

// Limits.
const (
	MaxNodes  = 1<<15 - 1 // nodes of a snapshot
	MaxName   = 255       // bytes of a node's name and of its domain
	MaxPlaces = 64        // places that Places finds for a key
)

// Node is one place of the placement: a shard, a server, a disk.
type Node struct {
	Name   string  // unique; 1 to MaxName bytes without control characters
	Weight float64 // its share in proportion to the others', > 0; New takes 0 for an error
	Domain string  // what fails together: a rack, a site; "" is a domain of its own
}

// Snapshot is a placement at one moment. It never changes; any number of goroutines may
// use it.
type Snapshot struct {
	strategy string
	nodes    []Node
	index    map[string]int // node by name
	order    []int32        // nodes in the order of their names, by which ties are broken
	domain   []int32        // number of each node's domain
	domains  int            // how many there are
	total    float64        // sum of weights
	even     bool           // all weights are equal
	scores   scores
	rule     rule
	pins     pins // exceptions

	// The table of the rule, when it has one: Place's short way.
	table []uint16
	shift uint
}

// rule is what a strategy does with a key. Exceptions are not its business.
type rule interface {
	// place returns the node of a key.
	place(key string) int
	// other returns the r-th candidate for a further copy of a key, r >= 1, which may be
	// any node; -1 when the strategy has no opinion.
	other(key string, r int) int
	// next returns the rule of a snapshot that follows. from has the new number of each
	// old node, -1 for those that are gone.
	next(old, s *Snapshot, from []int) (rule, error)
	// encode writes what cannot be computed from the nodes again.
	encode(w *writer)
	// bytes is the memory that it takes.
	bytes() int
}

// New makes the first snapshot of a strategy, "hash" when it is empty. Where the order of
// nodes means something, Strategies says so. Errors: Invalid, naming each fault.
func New(strategy string, nodes []Node) (*Snapshot, error) {
	s, err := frame(strategy, nodes)
	if err != nil {
		return nil, err
	}
	if s.rule, err = s.build(); err != nil {
		return nil, err
	}
	s.arm()
	return s, nil
}

// frame checks the nodes and makes a snapshot of them that lacks its rule.
func frame(strategy string, nodes []Node) (*Snapshot, error) {
	if strategy == "" {
		strategy = "hash"
	}
	known := Strategies()
	i := slices.IndexFunc(known, func(k Strategy) bool { return k.Name == strategy })
	switch {
	case i < 0:
		return nil, errs.New(errs.Invalid, "there is no strategy %.40q; there are %s", strategy, names(known))
	case len(nodes) == 0:
		return nil, errs.New(errs.Invalid, "a placement needs at least one node")
	case len(nodes) > MaxNodes:
		return nil, errs.New(errs.Invalid, "%d nodes are more than %d", len(nodes), MaxNodes)
	}
	s := &Snapshot{strategy: strategy, nodes: slices.Clone(nodes), index: make(map[string]int, len(nodes)), even: true}
	var b bounds.Check
	byDomain := map[string]int32{}
	for i, n := range s.nodes {
		at := "node " + strconv.Itoa(i)
		b.Text(at+" name", n.Name, 1, MaxName)
		b.Text(at+" domain", n.Domain, 0, MaxName)
		if !(n.Weight >= minWeight && n.Weight <= maxWeight) {
			b.Fault(at+" weight", "must be %g to %g, not %g", minWeight, maxWeight, n.Weight)
		}
		if j, twice := s.index[n.Name]; twice {
			b.Fault(at+" name", "is that of node %d too: %q", j, n.Name)
		}
		s.index[n.Name] = i
		d, seen := byDomain[n.Domain]
		if !seen || n.Domain == "" {
			d = int32(s.domains)
			s.domains++
			byDomain[n.Domain] = d
		}
		s.domain = append(s.domain, d)
		s.order = append(s.order, int32(i))
		s.total += n.Weight
		s.even = s.even && n.Weight == s.nodes[0].Weight
	}
	if !s.even && known[i].Even {
		b.Fault("weights", "strategy %q cannot weigh nodes: all must be equal", strategy)
	}
	if err := b.Err("these nodes cannot be placed on"); err != nil {
		return nil, err
	}
	slices.SortFunc(s.order, func(a, b int32) int { return cmpString(s.nodes[a].Name, s.nodes[b].Name) })
	s.scores = newScores(s)
	return s, nil
}

// Weights outside of these are mistakes, and sums of them would lose their digits.
const minWeight, maxWeight = 1e-6, 1e9

func cmpString(a, b string) int {
	if a < b {
		return -1
	}
	if a > b {
		return 1
	}
	return 0
}

// arm sets the short way of Place, once rule and exceptions stand.
func (s *Snapshot) arm() {
	var t *slots
	switch r := s.rule.(type) {
	case *slots:
		t = r
	case *bounded:
		t = &r.slots
	default:
		return
	}
	s.table, s.shift = t.node, t.shift
	if len(s.pins.node) == 0 {
		return
	}
	// The rule's own table stays without marks.
	s.table = slices.Clone(t.node)
	for _, h := range s.pins.hash {
		s.table[h>>t.shift] |= marked
	}
}

// marked is the bit of a table's entry that says: the slot has exceptions.
const marked = 1 << 15

// Place returns the number of the node that holds the key.
func (s *Snapshot) Place(key string) int {
	if s.table == nil {
		return s.placeSlow(key)
	}
	h := xxhash.Sum64String(key)
	v := s.table[h>>(s.shift&63)]
	if v < marked {
		return int(v)
	}
	if i, ok := s.pins.find(key, h); ok {
		return i
	}
	return int(v &^ marked)
}

func (s *Snapshot) placeSlow(key string) int {
	if len(s.pins.node) > 0 {
		if i, ok := s.pins.find(key, xxhash.Sum64String(key)); ok {
			return i
		}
	}
	return s.rule.place(key)
}

// Strategy returns the strategy's name.
func (s *Snapshot) Strategy() string { return s.strategy }

// Nodes returns a copy of the nodes.
func (s *Snapshot) Nodes() []Node { return slices.Clone(s.nodes) }

// Len returns how many nodes there are.
func (s *Snapshot) Len() int { return len(s.nodes) }

// Node returns node i, 0 <= i < Len().
func (s *Snapshot) Node(i int) Node { return s.nodes[i] }

// Index returns the number of the node of that name.
func (s *Snapshot) Index(name string) (int, bool) {
	i, ok := s.index[name]
	return i, ok
}

// Share returns the part of everything that node i should hold by its weight.
func (s *Snapshot) Share(i int) float64 { return s.nodes[i].Weight / s.total }

// Domains returns how many failure domains the nodes are in.
func (s *Snapshot) Domains() int { return s.domains }

// Bytes returns about how much memory the snapshot takes.
func (s *Snapshot) Bytes() int {
	n := s.rule.bytes() + s.pins.bytes() + s.scores.bytes()
	for _, v := range s.nodes {
		n += len(v.Name) + len(v.Domain) + 2*40 + 4 + 4
	}
	if len(s.pins.node) > 0 {
		n += 2 * len(s.table)
	}
	return n
}

// fmix is MurmurHash3's finaliser (Appleby 2011): a bijection that spreads every bit.
func fmix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// golden is 2^64 divided by the golden ratio, made odd: steps of it never meet.
const golden = 0x9e3779b97f4a7c15
