package placement

import (
	"math"
	"slices"
)

// leveller moves things from full nodes to empty ones, each thing whole.
type leveller struct {
	s     *Snapshot
	bound float64
	// Loads are parts of the total of their kind. held is what nodes have, of them the
	// things; what cannot move is in held only.
	held   []Load
	things []thing
	of     [][]int32 // things of each node
}

type thing struct {
	load Load
	node int32
}

func newLeveller(s *Snapshot, bound float64) *leveller {
	return &leveller{s: s, bound: bound, held: make([]Load, len(s.nodes)), of: make([][]int32, len(s.nodes))}
}

func (l *leveller) add(node int, load Load) {
	l.of[node] = append(l.of[node], int32(len(l.things)))
	l.things = append(l.things, thing{load, int32(node)})
	l.held[node].add(&load)
}

// full is what a load is of a node's share, in the kind where it is most.
func (l *leveller) full(load *Load, node int) float64 { return load.most() / l.s.Share(node) }

// targets is how many of the emptiest nodes are tried for a thing.
const targets = 8

// run moves one thing at a time: from the fullest node to one of the emptiest, what makes
// the fuller of the two least full; but of moves that leave both below the bound the one
// that brings least. It ends when all are below the bound, or what is above it stays
// whatever moves. The list of nodes by fullness falls with each move, so it does end.
func (l *leveller) run() {
	full := make([]float64, len(l.held))
	for i := range full {
		full[i] = l.full(&l.held[i], i)
	}
	stuck, moved := make([]bool, len(full)), false
	for range 4*len(l.things) + 64 {
		from := -1
		for i, f := range full {
			if !stuck[i] && f > l.bound*(1+1e-9) && (from < 0 || f > full[from]) {
				from = i
			}
		}
		if from < 0 {
			if !moved || !slices.Contains(stuck, true) {
				return
			}
			// Where nothing helped, something may since others moved.
			clear(stuck)
			moved = false
			continue
		}
		at, to := l.choose(from, full)
		if to < 0 {
			stuck[from] = true
			continue
		}
		l.move(from, at, to)
		moved = true
		full[from], full[to] = l.full(&l.held[from], from), l.full(&l.held[to], to)
	}
}

// choose returns which of a node's things should go where; -1 when no move helps.
func (l *leveller) choose(from int, full []float64) (at, to int) {
	at, to = -1, -1
	best, brings := full[from]*(1-1e-9), math.Inf(1)
	empty := l.emptiest(from, full)
	for n, i := range l.of[from] {
		t := &l.things[i]
		size := t.load.most()
		if size == 0 {
			continue
		}
		rest := l.held[from]
		rest.sub(&t.load)
		left := max(l.full(&rest, from), l.bound)
		if left > best || left == best && size >= brings {
			continue
		}
		for _, j := range empty {
			sum := l.held[j]
			sum.add(&t.load)
			got := max(left, l.full(&sum, j))
			if got < best || got == best && size < brings {
				at, to, best, brings = n, j, got, size
			}
		}
	}
	return at, to
}

// emptiest returns the nodes to try: the emptiest, and the one with most room, which may
// take a thing that is too heavy for the others.
func (l *leveller) emptiest(from int, full []float64) []int {
	var list []int
	roomiest := -1
	room := func(i int) float64 { return (l.bound - full[i]) * l.s.Share(i) }
	for i := range full {
		if i == from {
			continue
		}
		if roomiest < 0 || room(i) > room(roomiest) {
			roomiest = i
		}
		at := len(list)
		for at > 0 && full[list[at-1]] > full[i] {
			at--
		}
		if at < targets {
			list = slices.Insert(list, at, i)
			list = list[:min(len(list), targets)]
		}
	}
	if roomiest >= 0 && !slices.Contains(list, roomiest) {
		list = append(list, roomiest)
	}
	return list
}

func (l *leveller) move(from, at, to int) {
	i := l.of[from][at]
	last := len(l.of[from]) - 1
	l.of[from][at] = l.of[from][last]
	l.of[from] = l.of[from][:last]
	l.of[to] = append(l.of[to], i)
	l.held[from].sub(&l.things[i].load)
	l.held[to].add(&l.things[i].load)
	l.things[i].node = int32(to)
}

// verdict returns nil, or what could not be reached. name is a thing's key, "" when it has
// none.
func (l *leveller) verdict(name func(int) string) error {
	worst := 0
	for i := range l.held {
		if l.full(&l.held[i], i) > l.full(&l.held[worst], worst) {
			worst = i
		}
	}
	u := &Unbalanced{Reached: l.full(&l.held[worst], worst), Node: l.s.nodes[worst].Name}
	if u.Reached <= l.bound*(1+1e-9) {
		return nil
	}
	for _, i := range l.of[worst] {
		if of := l.full(&l.things[i].load, worst); of > l.bound && of > u.Of {
			u.Key, u.Of = name(int(i)), of
		}
	}
	return u
}
