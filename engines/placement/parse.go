package placement

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/cespare/xxhash/v2"

	"plumb/base/errs"
)

// Parse reads what MarshalBinary wrote. It takes memory in proportion to the bytes, but for
// "maglev" and "ring", whose tables are made anew: 200 bytes and up to 20 KB a node. Errors: Invalid (not a snapshot, damaged, or a version of later).
func Parse(b []byte) (*Snapshot, error) {
	if len(b) > MaxBytes {
		return nil, errs.New(errs.TooLarge, "a snapshot has %d bytes at most, not %d", MaxBytes, len(b))
	}
	if len(b) < len(magic)+sumBytes || string(b[:4]) != magic[:4] {
		return nil, errs.New(errs.Invalid, "these bytes are no placement snapshot")
	}
	if b[4] != magic[4] {
		return nil, errs.New(errs.Invalid, "the snapshot has format version %d, this program reads %d", b[4], magic[4])
	}
	body := b[:len(b)-sumBytes]
	if binary.LittleEndian.Uint64(b[len(body):]) != xxhash.Sum64(body) {
		return nil, errs.New(errs.Invalid, "the snapshot is damaged: its checksum does not fit")
	}
	r := &reader{b: body, at: len(magic)}
	s := r.snapshot()
	if r.err == nil && r.at != len(r.b) {
		r.fail("%d bytes are left over", len(r.b)-r.at)
	}
	if r.err != nil {
		return nil, r.err
	}
	s.arm()
	return s, nil
}

// reader reads bytes that anybody may have written; after a fault it gives zeros.
type reader struct {
	b   []byte
	at  int
	err error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = errs.New(errs.Invalid, "the snapshot cannot be read at byte %d: %s", r.at, fmt.Sprintf(format, args...))
	}
}

// take returns the next n bytes.
func (r *reader) take(n int) []byte {
	if r.err == nil && n > len(r.b)-r.at {
		r.fail("it ends too early")
	}
	if r.err != nil {
		return make([]byte, min(n, 8))
	}
	r.at += n
	return r.b[r.at-n : r.at]
}

// int reads a number of 0 to most.
func (r *reader) int(what string, most int) int {
	v, n := binary.Uvarint(r.b[r.at:])
	if r.err != nil {
		return 0
	}
	if n <= 0 || v > uint64(most) || n > 1 && r.b[r.at+n-1] == 0 {
		r.fail("the %s is not a number of 0 to %d", what, most)
		return 0
	}
	r.at += n
	return int(v)
}

// list reads how many things follow, each of which has at least so many bytes.
func (r *reader) list(what string, most, each int) int {
	n := r.int(what, most)
	if r.err == nil && n > (len(r.b)-r.at)/each {
		r.fail("the %s cannot be %d, with %d bytes left", what, n, len(r.b)-r.at)
		return 0
	}
	return n
}

func (r *reader) text(what string, most int) string {
	n := r.list("length of the "+what, most, 1)
	if r.err != nil {
		return ""
	}
	return string(r.take(n))
}

func (r *reader) u16() uint16    { return binary.LittleEndian.Uint16(r.take(2)) }
func (r *reader) u64() uint64    { return binary.LittleEndian.Uint64(r.take(8)) }
func (r *reader) float() float64 { return math.Float64frombits(r.u64()) }

// node reads the number of one of n nodes in two bytes.
func (r *reader) node(n int) uint16 {
	v := r.u16()
	if int(v) >= n {
		r.fail("there is no node %d of %d", v, n)
		return 0
	}
	return v
}

// floats reads none or n numbers between least and most.
func (r *reader) floats(what string, n int, least, most float64) []float64 {
	got := r.list(what, n, 8)
	if got == 0 {
		return nil
	}
	if got != n {
		r.fail("the %s are %d, not %d", what, got, n)
		return nil
	}
	out := make([]float64, n)
	for i := range out {
		if out[i] = r.float(); !(out[i] >= least && out[i] <= most) {
			r.fail("%s: %g is not %g to %g", what, out[i], least, most)
			return nil
		}
	}
	return out
}

func (r *reader) snapshot() *Snapshot {
	strategy := r.text("strategy", 32)
	nodes := make([]Node, r.list("nodes", MaxNodes, 11))
	for i := range nodes {
		nodes[i] = Node{Name: r.text("name", MaxName), Weight: r.float(), Domain: r.text("domain", MaxName)}
	}
	if r.err != nil {
		return nil
	}
	s, err := frame(strategy, nodes)
	if err != nil || strategy == "" {
		r.fail("its nodes or its strategy are wrong: %v", err)
		return nil
	}
	at := map[string]int{}
	var keys []string
	for range r.list("exceptions", MaxExceptions, 2) {
		k := r.text("key", MaxKey)
		at[k] = r.int("node of an exception", len(nodes)-1)
		keys = append(keys, k)
	}
	if s.pins = newPins(at); r.err == nil && !slices.Equal(s.pins.key, keys) {
		r.fail("the exceptions are not in order")
	}
	if r.err == nil {
		s.rule = r.rule(s)
	}
	return s
}

// rule reads what a strategy's encode wrote.
func (r *reader) rule(s *Snapshot) rule {
	switch s.strategy {
	case "hash":
		return r.slots(s)
	case "bounded":
		return r.bounded(s)
	case "ring":
		unit := r.float()
		if !(unit > 0 && unit*s.total <= mostPoints(len(s.nodes))) {
			r.fail("%g points for a weight of 1 are not possible", unit)
			return nil
		}
		return newRing(s, unit)
	case "range":
		return r.ranges(s)
	case "directory":
		return r.directory(s)
	case "jump":
		j := &jump{}
		seen := make([]bool, len(s.nodes))
		for range s.nodes {
			i := r.node(len(s.nodes))
			if r.err == nil && seen[i] {
				r.fail("node %d has two buckets", i)
			}
			seen[i] = true
			j.node = append(j.node, i)
		}
		return j
	}
	fresh, err := s.build() // nothing but the nodes counts
	if err != nil {
		r.fail("%v", err)
	}
	return fresh
}

func (r *reader) slots(s *Snapshot) *slots {
	b := r.int("bits of a slot's number", maxBits)
	if r.err == nil && (b < minBits || 2<<b > len(r.b)-r.at) {
		r.fail("there are no 2^%d slots", b)
	}
	if r.err != nil {
		return nil
	}
	t := &slots{node: make([]uint16, 1<<b), shift: uint(64 - b)}
	for i, raw := 0, r.take(2<<b); i < len(t.node); i++ {
		if t.node[i] = binary.LittleEndian.Uint16(raw[2*i:]); int(t.node[i]) >= len(s.nodes) {
			r.fail("slot %d is on node %d of %d", i, t.node[i], len(s.nodes))
			return nil
		}
	}
	t.tilt = r.floats("tilts", len(s.nodes), minTilt, maxTilt)
	return t
}

func (r *reader) bounded(s *Snapshot) *bounded {
	t := r.slots(s)
	if t == nil {
		return nil
	}
	n := r.list("sizes of slots", len(t.node), 4)
	if n != 0 && n != len(t.node) {
		r.fail("%d slots have %d sizes", len(t.node), n)
		return nil
	}
	out := &bounded{slots: *t}
	for range n {
		v := math.Float32frombits(binary.LittleEndian.Uint32(r.take(4)))
		if !(v >= 0 && v <= 1) {
			r.fail("a slot's size is %g, not 0 to 1", v)
			return nil
		}
		out.size = append(out.size, v)
	}
	return out
}

func (r *reader) ranges(s *Snapshot) *ranges {
	out := &ranges{}
	n := r.list("ranges", MaxRanges, 11)
	for i := range n {
		start, node, load := r.text("beginning of a range", MaxKey), r.node(len(s.nodes)), r.float()
		if i == 0 && start != "" || i > 0 && start <= out.start[i-1] {
			r.fail("range %d does not begin after the one before it", i)
		}
		if !(load >= 0 && load <= 1) {
			r.fail("range %d has a load of %g, not 0 to 1", i, load)
		}
		if r.err != nil {
			return nil
		}
		out.add(start, int(node), load)
	}
	if n == 0 {
		r.fail("there are no ranges")
	}
	return out
}

func (r *reader) directory(s *Snapshot) *directory {
	n := r.list("entries", MaxEntries, 10)
	d := (&directory{hash: make([]uint64, 2), node: make([]uint16, 2)}).sized(n)
	last := uint64(0)
	for range n {
		h, i := r.u64(), r.node(len(s.nodes))
		if h <= last {
			r.fail("the entries are not in order")
		}
		if c, mask := d.cell(h), uint64(len(d.hash)-1); (uint64(c)-h)&mask > farthest {
			r.fail("the entries collide as no keys do") // and would take for ever
		}
		if r.err != nil {
			return nil
		}
		d.put(h, int(i))
		last = h
	}
	d.rest = r.slots(s)
	return d
}

// farthest bounds how far from its place an entry is. Where hashes are random it is some
// hundred for MaxEntries.
const farthest = 10_000
