package cas

import (
	"os"
)

// Extents returns where n bytes from off on lie bare in files, in order; false where
// they are sealed, compressed or not in files. Nothing verifies what is read from there.
// The files are the reader's, until it is closed.
func (r *Reader) Extents(off, n int64) ([]Extent, bool) {
	n = min(n, r.size-off)
	if off < 0 || n <= 0 || r.s.files.opener == nil {
		return nil, false
	}
	var list []Extent
	for n > 0 && len(list) < maxExtents {
		p, err := r.part(off)
		if err != nil || len(p.key) > 0 || p.codec != codecNone || p.loose {
			return nil, false
		}
		file, err := r.lend(p.pack)
		if err != nil {
			return nil, false // it has moved, or the disk says why when it is read
		}
		e := Extent{Off: p.off + off - p.from, N: min(n, p.end-off), File: file}
		if last := len(list) - 1; last >= 0 && list[last].File == e.File && list[last].Off+list[last].N == e.Off {
			list[last].N += e.N
		} else {
			list = append(list, e)
		}
		off, n = off+e.N, n-e.N
	}
	return list, n == 0
}

const maxExtents = 1024 // more, and reading them is as good

// lend opens a pack's file until the reader is closed.
func (r *Reader) lend(pack string) (*os.File, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f := r.lent[pack]; f != nil {
		return f, nil
	}
	f, err := r.s.files.take(r.ctx, pack)
	if err == nil {
		if r.lent == nil {
			r.lent = map[string]*os.File{}
		}
		r.lent[pack] = f
	}
	return f, err
}
