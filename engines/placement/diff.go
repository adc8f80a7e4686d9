package placement

import "iter"

// Move is something that leaves one node for another: a key, or all keys of a slot that
// are no exceptions.
type Move struct {
	Key      string // what moves, when Slot is -1
	Slot     int    // the slot that moves, in the table of the newer snapshot; or -1
	From, To string // names of nodes
	// Share is the part of the measured load that it brings, of the kind that it brings
	// most of; 0 where nothing was measured.
	Share float64
}

// Diff yields exactly the moves that lead from one snapshot to another: of the keys, those
// that are on another node then.
func Diff(old, new *Snapshot, keys iter.Seq[string]) iter.Seq[Move] {
	same := renumber(old, new)
	return func(yield func(Move) bool) {
		for k := range keys {
			a, b := old.Place(k), new.Place(k)
			if same[a] != b && !yield(Move{Key: k, Slot: -1, From: old.nodes[a].Name, To: new.nodes[b].Name}) {
				return
			}
		}
	}
}

// DiffSlots yields the same without knowing the keys, for two snapshots with tables of
// slots: the slots that move, which says where their keys go that are no exceptions in
// either snapshot; then those exceptions that are on another node then. It yields nothing
// where a snapshot has no slots.
func DiffSlots(old, new *Snapshot) iter.Seq[Move] {
	same := renumber(old, new)
	return func(yield func(Move) bool) {
		a, b := len(old.table), len(new.table)
		if a == 0 || b == 0 {
			return
		}
		n := max(a, b) // each a power of two
		for i := range n {
			x, y := old.SlotNode(i/(n/a)), new.SlotNode(i/(n/b))
			if same[x] != y && !yield(Move{Slot: i, From: old.nodes[x].Name, To: new.nodes[y].Name}) {
				return
			}
		}
		for m := range Diff(old, new, exceptionsOf(old, new)) {
			if !yield(m) {
				return
			}
		}
	}
}

// exceptionsOf yields the keys that are an exception in either snapshot, each once.
func exceptionsOf(old, new *Snapshot) iter.Seq[string] {
	return func(yield func(string) bool) {
		for k := range old.Exceptions() {
			if !yield(k) {
				return
			}
		}
		for i, k := range new.pins.key {
			if _, had := old.pins.find(k, new.pins.hash[i]); !had && !yield(k) {
				return
			}
		}
	}
}

// renumber returns the new number of each old node, -1 for those that are gone.
func renumber(old, new *Snapshot) []int {
	same := make([]int, len(old.nodes))
	for i, n := range old.nodes {
		same[i] = -1
		if j, ok := new.index[n.Name]; ok {
			same[i] = j
		}
	}
	return same
}
