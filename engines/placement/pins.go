package placement

import (
	"cmp"
	"iter"
	"slices"

	"github.com/cespare/xxhash/v2"

	"plumb/base/errs"
)

// MaxExceptions bounds the keys that are placed by name, and MaxKey the bytes of one.
const (
	MaxExceptions = 1 << 20
	MaxKey        = 4096
)

// pins are the exceptions: keys that are where somebody said, not where the rule says.
// They are in the order of their hashes, then of their names.
type pins struct {
	hash []uint64
	key  []string
	node []uint16
}

// find returns the node of a key that is an exception.
func (p *pins) find(key string, h uint64) (int, bool) {
	lo, hi := 0, len(p.hash)
	for lo < hi {
		if m := int(uint(lo+hi) / 2); p.hash[m] < h {
			lo = m + 1
		} else {
			hi = m
		}
	}
	for ; lo < len(p.hash) && p.hash[lo] == h; lo++ {
		if p.key[lo] == key {
			return int(p.node[lo]), true
		}
	}
	return 0, false
}

func newPins(at map[string]int) pins {
	type pin struct {
		hash uint64
		key  string
		node uint16
	}
	list := make([]pin, 0, len(at))
	for k, i := range at {
		list = append(list, pin{xxhash.Sum64String(k), k, uint16(i)})
	}
	slices.SortFunc(list, func(a, b pin) int { return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.key, b.key)) })
	var p pins
	for _, v := range list {
		p.hash, p.key, p.node = append(p.hash, v.hash), append(p.key, v.key), append(p.node, v.node)
	}
	return p
}

// renumbered returns the exceptions whose nodes are still there.
func (p *pins) renumbered(from []int) pins {
	var out pins
	for i, n := range p.node {
		if j := from[n]; j >= 0 {
			out.hash, out.key, out.node = append(out.hash, p.hash[i]), append(out.key, p.key[i]), append(out.node, uint16(j))
		}
	}
	return out
}

func (p *pins) bytes() int {
	n := (8 + 16 + 2) * len(p.node)
	for _, k := range p.key {
		n += len(k)
	}
	return n
}

// Exceptions yields the keys that are placed by name, with their nodes' numbers, in an
// order that is always the same.
func (s *Snapshot) Exceptions() iter.Seq2[string, int] {
	return func(yield func(string, int) bool) {
		for i, k := range s.pins.key {
			if !yield(k, int(s.pins.node[i])) {
				return
			}
		}
	}
}

// WithExceptions returns the next snapshot, in which the keys are on the nodes of those
// names whatever the strategy says; a key whose node is "" is an exception no more.
// Errors: Invalid.
func (s *Snapshot) WithExceptions(nodes map[string]string) (*Snapshot, error) {
	at := map[string]int{}
	for k, i := range s.Exceptions() {
		at[k] = i
	}
	for k, name := range nodes {
		if name == "" {
			delete(at, k)
			continue
		}
		i, ok := s.index[name]
		if !ok {
			return nil, errs.New(errs.Invalid, "there is no node %.80q for the key %.80q", name, k)
		}
		if len(k) > MaxKey {
			return nil, errs.New(errs.Invalid, "the key %.80q… has more than %d bytes", k, MaxKey)
		}
		at[k] = i
	}
	return s.pinned(at)
}

func (s *Snapshot) pinned(at map[string]int) (*Snapshot, error) {
	if len(at) > MaxExceptions {
		return nil, errs.New(errs.Invalid, "%d exceptions are more than %d", len(at), MaxExceptions)
	}
	out := *s
	out.pins = newPins(at)
	out.arm()
	return &out, nil
}
