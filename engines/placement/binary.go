package placement

import (
	"encoding/binary"
	"math"

	"github.com/cespare/xxhash/v2"
)

// The format of a snapshot's bytes. All numbers are little-endian or unsigned varints,
// texts and lists are preceded by their lengths:
//
//	"plpl" 1                          magic and version
//	strategy                          text
//	nodes: name, weight, domain       list of text, float64, text
//	exceptions: key, node             list of text, varint; by hash, then key
//	what the strategy adds            see each encode
//	XXH64 of everything before        8 bytes
const (
	magic    = "plpl\x01"
	sumBytes = 8
	// MaxBytes bounds what Parse reads.
	MaxBytes = 512 << 20
)

// writer appends to the bytes of a snapshot.
type writer struct{ b []byte }

func (w *writer) int(v int)       { w.b = binary.AppendUvarint(w.b, uint64(v)) }
func (w *writer) text(s string)   { w.int(len(s)); w.b = append(w.b, s...) }
func (w *writer) u16(v uint16)    { w.b = binary.LittleEndian.AppendUint16(w.b, v) }
func (w *writer) u64(v uint64)    { w.b = binary.LittleEndian.AppendUint64(w.b, v) }
func (w *writer) float(v float64) { w.u64(math.Float64bits(v)) }

func (w *writer) floats(list []float64) {
	w.int(len(list))
	for _, v := range list {
		w.float(v)
	}
}

// MarshalBinary returns the snapshot as bytes, which every later version can read. Equal
// snapshots have equal bytes. It never fails.
func (s *Snapshot) MarshalBinary() ([]byte, error) {
	w := &writer{b: []byte(magic)}
	w.text(s.strategy)
	w.int(len(s.nodes))
	for _, n := range s.nodes {
		w.text(n.Name)
		w.float(n.Weight)
		w.text(n.Domain)
	}
	w.int(len(s.pins.key))
	for i, k := range s.pins.key {
		w.text(k)
		w.int(int(s.pins.node[i]))
	}
	s.rule.encode(w)
	w.u64(xxhash.Sum64(w.b))
	return w.b, nil
}

// encode writes the slots and the tilts, which are none or one a node.
func (t *slots) encode(w *writer) {
	w.int(t.bits())
	for _, i := range t.node {
		w.u16(i)
	}
	w.floats(t.tilt)
}

// encode writes the slots and their sizes, which are none or one a slot.
func (t *bounded) encode(w *writer) {
	t.slots.encode(w)
	w.int(len(t.size))
	for _, v := range t.size {
		w.b = binary.LittleEndian.AppendUint32(w.b, math.Float32bits(v))
	}
}

// encode writes how many points a weight of 1 has.
func (r *ring) encode(w *writer) { w.float(r.unit) }

// encode writes beginnings, nodes and loads of ranges.
func (r *ranges) encode(w *writer) {
	w.int(len(r.start))
	for i, s := range r.start {
		w.text(s)
		w.u16(r.node[i])
		w.float(r.load[i])
	}
}

// encode writes the entries in the order of their hashes, and the slots of the rest.
func (d *directory) encode(w *writer) {
	w.int(d.count)
	for _, c := range d.sorted() {
		w.u64(d.hash[c])
		w.u16(d.node[c])
	}
	d.rest.encode(w)
}

// encode writes the nodes of the buckets.
func (j *jump) encode(w *writer) {
	for _, i := range j.node {
		w.u16(i)
	}
}
