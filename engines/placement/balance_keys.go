package placement

import (
	"cmp"
	"iter"
	"slices"

	"github.com/cespare/xxhash/v2"

	"plumb/base/errs"
)

// balanceDirectory moves entries, one for each key that has a load.
func (s *Snapshot) balanceDirectory(d *directory, loads iter.Seq2[string, Load], bound float64) (*Snapshot, []Move, error) {
	var keys []string
	var list []Load
	var total Load
	for k, l := range loads {
		if err := l.valid(k); err != nil {
			return nil, nil, err
		}
		if len(keys) == MaxEntries {
			return nil, nil, errs.New(errs.TooLarge, "a directory has %d keys at most", MaxEntries)
		}
		keys, list = append(keys, k), append(list, l)
		total.add(&l)
	}
	lev := newLeveller(s, bound)
	for i, k := range keys {
		lev.add(s.Place(k), list[i].parts(&total))
	}
	lev.run()
	next, pinned := d.sized(min(d.count+len(keys), MaxEntries)), map[string]int{}
	for k, i := range s.Exceptions() {
		pinned[k] = i
	}
	var moves []Move
	for i, k := range keys {
		from, to := s.Place(k), int(lev.things[i].node)
		if from == to {
			continue
		}
		moves = append(moves, Move{Key: k, Slot: -1, From: s.nodes[from].Name, To: s.nodes[to].Name, Share: list[i].of(&total)})
		delete(pinned, k)
		next.put(fingerprint(k), to)
	}
	if next.count > MaxEntries {
		return nil, nil, errs.New(errs.TooLarge, "a directory has %d keys at most", MaxEntries)
	}
	out := *s
	out.rule, out.pins = next, newPins(pinned)
	slices.SortStableFunc(moves, func(a, b Move) int { return cmp.Compare(b.Share, a.Share) })
	return &out, moves, lev.verdict(func(i int) string { return keys[i] })
}

// balanceRanges splits ranges that are heavy, merges those that are light, and moves them.
func (s *Snapshot) balanceRanges(r *ranges, loads iter.Seq2[string, Load], bound float64) (*Snapshot, []Move, error) {
	type weight struct {
		key  string
		load Load
	}
	var keys []weight
	var total Load
	for k, l := range loads {
		if err := l.valid(k); err != nil {
			return nil, nil, err
		}
		if len(k) > MaxKey {
			return nil, nil, errs.New(errs.Invalid, "the key %.80q… has more than %d bytes", k, MaxKey)
		}
		keys = append(keys, weight{k, l})
		total.add(&l)
	}
	slices.SortFunc(keys, func(a, b weight) int { return cmp.Compare(a.key, b.key) })
	cut := &cutter{piece: min(bound-1, 1) / float64(4*len(s.nodes))}
	cut.piece = min(cut.piece, 1/float64(rangesANode*len(s.nodes)))
	at := 0
	for i, start := range r.start {
		cut.begin(start, int(r.node[i]))
		for ; at < len(keys) && (i+1 == len(r.start) || keys[at].key < r.start[i+1]); at++ {
			if _, apart := s.pins.find(keys[at].key, xxhash.Sum64String(keys[at].key)); apart {
				continue
			}
			cut.key(keys[at].key, keys[at].load.parts(&total))
		}
	}
	if len(cut.list) > MaxRanges {
		return nil, nil, errs.New(errs.TooLarge, "%d ranges would be needed, %d can be", len(cut.list), MaxRanges)
	}
	lev := newLeveller(s, bound)
	for _, c := range cut.list {
		lev.add(c.node, c.load)
	}
	for i := range keys {
		if n, apart := s.pins.find(keys[i].key, xxhash.Sum64String(keys[i].key)); apart {
			p := keys[i].load.parts(&total)
			lev.held[n].add(&p)
		}
	}
	lev.run()
	next := &ranges{}
	for i, c := range cut.list {
		next.add(c.start, int(lev.things[i].node), mean(&c.load, &total))
	}
	out := *s
	out.rule = next
	var moves []Move
	for _, k := range keys {
		if a, b := s.Place(k.key), out.Place(k.key); a != b {
			moves = append(moves, Move{Key: k.key, Slot: -1, From: s.nodes[a].Name, To: s.nodes[b].Name, Share: k.load.of(&total)})
		}
	}
	slices.SortStableFunc(moves, func(a, b Move) int { return cmp.Compare(b.Share, a.Share) })
	return &out, moves, lev.verdict(func(i int) string {
		if cut.list[i].keys == 1 {
			return cut.list[i].only
		}
		return ""
	})
}

// mean is the part of the load over the kinds that count.
func mean(l, total *Load) float64 {
	sum, kinds := 0.0, 0.0
	for k := range l {
		if total[k] > 0 {
			sum += l[k]
			kinds++
		}
	}
	return min(1, sum/max(1, kinds))
}

// cutter makes ranges of about a piece of the load each.
type cutter struct {
	piece float64
	list  []cutRange
}

type cutRange struct {
	start string
	node  int
	load  Load
	keys  int
	only  string // the first key
}

// begin begins where a range began before: with a range of its own, unless the one before
// is on the same node and light.
func (c *cutter) begin(start string, node int) {
	if n := len(c.list); n > 0 {
		if last := &c.list[n-1]; last.node == node && last.load.most() < c.piece/2 {
			return
		}
	}
	c.list = append(c.list, cutRange{start: start, node: node})
}

// key adds a key, in a new range when the last one would grow too heavy.
func (c *cutter) key(key string, load Load) {
	last := &c.list[len(c.list)-1]
	sum := last.load
	sum.add(&load)
	if last.keys > 0 && sum.most() > c.piece {
		c.list = append(c.list, cutRange{start: key, node: last.node})
		last, sum = &c.list[len(c.list)-1], load
	}
	if last.keys == 0 {
		last.only = key
	}
	last.load = sum
	last.keys++
}
