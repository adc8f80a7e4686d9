package placement

import (
	"strings"
)

// Strategy is a way to place, and what can be said of it.
type Strategy struct {
	Name  string
	Does  string // one sentence
	Holds string // the bound that holds
	Not   string // and what does not
	Even  bool   // all nodes must weigh the same
}

// Strategies lists the strategies, the one to take first.
func Strategies() []Strategy {
	return []Strategy{
		{Name: "hash",
			Does:  "a table of 2^16 slots or more, filled by weights and changed by as few slots as can be",
			Holds: "each node has its share of the slots to less than one slot; a change moves the difference of shares and at most a slot a node more; Balance evens measured load",
			Not:   "load before it was measured: a heavy key is where its hash says until Balance gives it an exception"},
		{Name: "ring",
			Does:  "160 points a node on a circle, the next point clockwise has the key (Karger et al. 1997)",
			Holds: "a change moves what the node gets or had and nothing else",
			Not:   "shares: with v points a node they stray by about 1/sqrt(v), 8%, so that the fullest of 100 nodes has about 1.2 of its share"},
		{Name: "rendezvous",
			Does:  "every node gets a score for the key, the best has it (Thaler & Ravishankar 1998; weights by Schindelhauer & Schomaker 2005)",
			Holds: "keys spread as evenly as dice; a change moves what the node gets or had and nothing else; no state beyond the nodes",
			Not:   "speed: a look-up costs O(nodes)"},
		{Name: "jump", Even: true,
			Does:  "the key jumps through growing numbers of nodes (Lamping & Veach 2014)",
			Holds: "keys spread as evenly as dice; a node at the end moves its share and nothing else; no state beyond the order of nodes",
			Not:   "weights; and when a node that is not the last goes, the last takes its place: twice the moves"},
		{Name: "maglev",
			Does:  "nodes take turns at filling a table of prime size, each in an order of its own (Eisenbud et al. 2016)",
			Holds: "each node has its share of the table to about one part in a hundred; no state beyond the nodes",
			Not:   "moves: some per cent of the keys of nodes that did not change move too"},
		{Name: "bounded",
			Does:  "slots walk a ring to the first node that is not full, full being 1.1 of its share (Mirrokni, Thorup & Zadimoghaddam 2018)",
			Holds: "no node has more than 1.1 of its share of the slots, or after Balance of the measured load as long as no slot is heavier than the room that is left; no state beyond the nodes and the loads",
			Not:   "moves: a change moves more than the share, by theory up to a factor of about 1/0.1^2"},
		{Name: "range",
			Does:  "keys in their order, cut at boundaries, 16 ranges a node at first; Balance splits, merges and moves ranges by load",
			Holds: "neighbours stay together; after Balance the measured load is even as long as no key is heavier than a node's share; a change moves whole ranges",
			Not:   "anything before the first Balance: then it is the alphabet"},
		{Name: "directory",
			Does:  "a table says where each key is; Assign puts new keys on the node that has the least for its weight",
			Holds: "after Assign each node has its share of the keys to less than one key; a change moves the difference of shares; Balance evens measured load",
			Not:   "memory: about 15 to 30 bytes a key. Keys that were not assigned are placed as by hash"},
		{Name: "modulo", Even: true,
			Does:  "hash mod nodes; the order of nodes counts",
			Holds: "keys spread as evenly as dice",
			Not:   "moves: n of n+1 keys move when a node is added; and weights"},
		{Name: "alphabetical", Even: true,
			Does:  "the alphabet cut into even pieces by the first two letters; the order of nodes counts",
			Holds: "neighbours stay together",
			Not:   "evenness: names do not begin with all letters alike; a new node moves a third of everything; more than 676 nodes stay empty in part"},
	}
}

func names(list []Strategy) string {
	var out []string
	for _, s := range list {
		out = append(out, s.Name)
	}
	return strings.Join(out, ", ")
}

// build makes the first rule of a framed snapshot.
func (s *Snapshot) build() (rule, error) {
	switch s.strategy {
	case "ring":
		return newRing(s, 0), nil
	case "rendezvous":
		return &rendezvous{s}, nil
	case "jump":
		return newJump(s), nil
	case "maglev":
		return newMaglev(s), nil
	case "bounded":
		return newBounded(s, nil), nil
	case "range":
		return newRanges(s), nil
	case "directory":
		return newDirectory(s), nil
	case "modulo":
		return &modulo{len(s.nodes)}, nil
	case "alphabetical":
		return &alphabetical{len(s.nodes)}, nil
	}
	return newSlots(s), nil
}
