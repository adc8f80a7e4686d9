package powercut

import (
	"fmt"
	"math/rand"
)

// Report says what one Cut did with the unsynced work.
type Report struct {
	Ops           int // changes and syncs served before the cut
	Kept          int // unsynced writes and truncates that survived whole
	Torn, Dropped int
	NamesKept     int
	NamesDropped  int
}

// Freeze stops service at once: from now on every call answers EIO.
func (p *Folder) Freeze() {
	p.mu.Lock()
	p.frozen = true
	p.mu.Unlock()
}

// Cut stops service, unmounts, and leaves in the backing folder what was synced
// plus a random part of what was not. The same calls and seed give the same result.
func (p *Folder) Cut(seed int64) (Report, error) {
	p.Freeze()
	if err := p.unmount(); err != nil {
		return Report{}, fmt.Errorf("cut the power of %s: %w", p.mount, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	rng := rand.New(rand.NewSource(seed))
	rep := Report{Ops: p.ops}

	keep := rng.Intn(len(p.names) + 1)
	chance := luck(rng)
	for i, op := range p.names {
		if p.opt.Ext4Names && i < keep || !p.opt.Ext4Names && rng.Float64() < chance {
			op.persist()
			rep.NamesKept++
		} else {
			rep.NamesDropped++
		}
	}
	p.names = nil
	for _, n := range p.durableNodes() {
		n.cutData(rng, &rep)
	}
	return rep, p.root.store(p.backing, map[*node]string{})
}

// luck is the chance that one unsynced step survives: often none, all or half.
func luck(rng *rand.Rand) float64 {
	return []float64{0, 0.5, 1, rng.Float64()}[rng.Intn(4)]
}

// cutData applies a random subset of the pending steps, in random order, some torn.
func (n *node) cutData(rng *rand.Rand, rep *Report) {
	ops := n.pending
	n.pending = nil
	if len(ops) == 0 {
		return
	}
	chance := luck(rng)
	for _, i := range rng.Perm(len(ops)) {
		op := ops[i]
		switch {
		case rng.Float64() >= chance:
			rep.Dropped++
		case op.cut || rng.Intn(3) > 0:
			n.durable = op.apply(n.durable)
			rep.Kept++
		default:
			for _, piece := range tear(op, rng) {
				n.durable = piece.apply(n.durable)
			}
			rep.Torn++
		}
	}
	// The size alone may survive: the tail then reads as zeros.
	if len(n.durable) < len(n.live) && rng.Intn(4) == 0 {
		n.durable = resize(n.durable, int64(len(n.live)))
	}
}

// tear splits a write at 512-byte or 4 KiB file offsets and keeps the front, the
// back or a random part of the pieces.
func tear(op dataOp, rng *rand.Rand) (kept []dataOp) {
	unit := []int64{512, 4096}[rng.Intn(2)]
	var pieces []dataOp
	for off, data := op.off, op.data; len(data) > 0; {
		size := min(unit-off%unit, int64(len(data)))
		pieces = append(pieces, dataOp{off: off, data: data[:size]})
		off, data = off+size, data[size:]
	}
	at := rng.Intn(len(pieces) + 1)
	switch rng.Intn(3) {
	case 0:
		return pieces[:at]
	case 1:
		return pieces[at:]
	}
	for _, piece := range pieces {
		if rng.Intn(2) == 0 {
			kept = append(kept, piece)
		}
	}
	return kept
}
