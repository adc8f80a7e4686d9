package cas

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"

	"plumb/base/errs"
	"plumb/engines/cas/seal"
	"plumb/engines/sqldb"
)

const (
	readStep = 4 * seal.FrameSize // bytes of a chunk that are read at once
	fewRows  = 8                  // parts that are looked up at first,
	pageRows = 256                // and at once at most
)

// place is where one chunk lies, as a blob's part.
type place struct {
	from, end   int64 // in the blob
	chunk       Hash
	pack        string
	off, stored int64
	size        int64
	codec       int64
	bad         int64
	loose       bool
	key         []byte // wrapped
	until       int64  // where the pack ends, for who reads all of it
}

// Reader reads one blob: io.ReadSeekCloser, io.WriterTo and io.ReaderAt. ReadAt may be
// called by several goroutines at once, the rest by one at a time.
type Reader struct {
	s     *Store
	ctx   context.Context
	hash  Hash
	id    string
	size  int64
	parts int64

	mu    sync.Mutex
	page  []place             // in order, maybe with gaps; guarded by mu; never changed in place
	looks int                 // guarded by mu
	lent  map[string]*os.File // by Extents; guarded by mu

	sake string // for whom it reads, see OpenFor

	pos int64
	src *source // of Read and WriteTo; made by the first, ended by Close
}

// Open returns the content, to be read as long as ctx lasts. Errors: NotFound. A reader
// that is still open when the last reference goes may end with NotFound too.
func (s *Store) Open(ctx context.Context, h Hash) (*Reader, error) { return s.OpenFor(ctx, h, "") }

// OpenFor is Open for somebody's sake: what is kept at hand for one's readers is not for
// another's, who could tell by the time that the content is read at all.
func (s *Store) OpenFor(ctx context.Context, h Hash, sake string) (*Reader, error) {
	r := &Reader{s: s, ctx: ctx, hash: h, sake: sake}
	err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		err := tx.QueryRow(ctx, sqlBlobGet, h[:]).Scan(&r.id, &r.size, &r.parts)
		if errors.Is(err, sqldb.ErrNoRows) {
			return absent(h)
		}
		if r.page = s.places.get(r.id); err == nil && r.parts == 0 && r.page == nil {
			if r.page, err = r.look(ctx, tx, 0, 1); err == nil {
				r.page = s.places.add(r.id, r.page)
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open blob %s: %w", h, err)
	}
	return r, nil
}

// look returns where the parts from off on lie, some of them.
func (r *Reader) look(ctx context.Context, tx *sqldb.Tx, off, limit int64) ([]place, error) {
	if r.parts == 0 {
		p, err := chunkPlace(ctx, tx, r.hash)
		if err != nil {
			return nil, err
		}
		p.end = r.size
		return []place{p}, nil
	}
	rows, err := tx.Query(ctx, sqlChunkPage, r.id, off, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var page []place
	for rows.Next() {
		var p place
		var id []byte
		var kind string
		if err := rows.Scan(&p.end, &id, &p.pack, &p.off, &p.stored, &p.size, &p.codec, &kind, &p.key); err != nil {
			return nil, err
		}
		p.chunk, p.loose, p.from = Hash(id), kind == "loose", p.end-p.size
		page = append(page, p)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	for i, p := range page {
		if i > 0 && p.from != page[i-1].end || p.from > off && i == 0 {
			return nil, fmt.Errorf("the parts of blob %s have a gap at %d", r.hash, p.from)
		}
	}
	return page, nil
}

// chunkPlace looks one chunk up.
func chunkPlace(ctx context.Context, tx *sqldb.Tx, id Hash) (place, error) {
	p := place{chunk: id}
	var kind string
	err := tx.QueryRow(ctx, sqlChunkGet, id[:]).Scan(&p.pack, &p.off, &p.stored, &p.size, &p.codec, &kind, &p.key)
	if errors.Is(err, sqldb.ErrNoRows) {
		return p, errs.New(errs.NotFound, "there is no chunk %s any more", id)
	}
	p.loose = kind == "loose"
	return p, err
}

// Size returns the blob's bytes.
func (r *Reader) Size() int64 { return r.size }

// part returns the place that holds the byte at off. It looks up a few parts first, and
// more of a reader that goes on.
func (r *Reader) part(off int64) (place, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p, ok := find(r.page, off); ok {
		return p, nil
	}
	limit := int64(min(fewRows<<(2*r.looks), pageRows))
	r.looks++
	var page []place
	err := r.s.n.DB.Read(r.ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		page, err = r.look(ctx, tx, off, limit)
		return err
	})
	if err != nil {
		return place{}, fmt.Errorf("find the parts of blob %s: %w", r.hash, err)
	}
	p, ok := find(page, off)
	if !ok {
		// Its last reference went, and the collector came by.
		return place{}, errs.New(errs.NotFound, "content %s is gone", r.hash)
	}
	r.page = r.s.places.add(r.id, page)
	return p, nil
}

// forget has the places looked up anew.
func (r *Reader) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.page = nil
	r.s.places.drop(r.id)
}

// run returns where in p's pack it is worth reading to for the reader's own source: as
// far as the blob goes on there without a gap.
func (r *Reader) run(src *source, p place) int64 {
	end := p.off + p.stored
	if src != r.src || r.s.files.opener != nil {
		return end
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := after(r.page, p.from); i < len(r.page) && r.page[i].pack == p.pack && (r.page[i].off == end || r.page[i].off == p.off); i++ {
		end = r.page[i].off + r.page[i].stored
	}
	return end
}

func find(page []place, off int64) (place, bool) {
	i := after(page, off)
	if i == len(page) || page[i].from > off {
		return place{}, false
	}
	return page[i], true
}

// after returns the first place that ends after off.
func after(page []place, off int64) int {
	i, _ := slices.BinarySearchFunc(page, off, func(p place, off int64) int {
		if p.end <= off {
			return -1
		}
		return 1
	})
	return i
}

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	b, err := r.at(r.source(), r.pos, int64(len(p)), readStep)
	if err != nil {
		return 0, err
	}
	n := copy(p, b)
	r.pos += int64(n)
	return n, nil
}

// Next returns some bytes from where the reader stands on, n at most, and goes on behind
// them. They are good until the reader is used again, and not to be changed.
func (r *Reader) Next(n int64) ([]byte, error) {
	b, err := r.at(r.source(), r.pos, n, 0)
	r.pos += int64(len(b))
	return b, err
}

// ReadAt implements io.ReaderAt.
func (r *Reader) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errs.New(errs.Invalid, "there is nothing before the beginning")
	}
	src := newSource(r.s)
	src.sake = r.sake
	defer src.end()
	for n < len(p) {
		b, err := r.at(src, off+int64(n), int64(len(p)-n), 0)
		if err != nil {
			return n, err
		}
		n += copy(p[n:], b)
	}
	return n, nil
}

// Seek implements io.Seeker.
func (r *Reader) Seek(off int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		off += r.pos
	case io.SeekEnd:
		off += r.size
	}
	if off < 0 {
		return 0, errs.New(errs.Invalid, "there is nothing before the beginning")
	}
	r.pos = off
	return off, nil
}

// WriteTo implements io.WriterTo.
func (r *Reader) WriteTo(w io.Writer) (int64, error) {
	start := r.pos
	for {
		b, err := r.at(r.source(), r.pos, readStep, 0)
		if err == io.EOF {
			return r.pos - start, nil
		}
		if err != nil {
			return r.pos - start, err
		}
		n, err := w.Write(b)
		r.pos += int64(n)
		if err != nil {
			return r.pos - start, err
		}
	}
}

// Rest gives back what the reader holds to read with, but for what Extents lent: for one
// that is kept for later.
func (r *Reader) Rest() {
	if r.src != nil {
		r.src.end()
		r.src = nil
	}
}

// Close ends the reader.
func (r *Reader) Close() error {
	r.Rest()
	r.mu.Lock()
	defer r.mu.Unlock()
	for pack, f := range r.lent {
		r.s.files.give(pack, f)
	}
	r.lent = nil
	return nil
}

func (r *Reader) source() *source {
	if r.src == nil {
		r.src = newSource(r.s)
		r.src.sake = r.sake
	}
	return r.src
}

// at returns some bytes from off on, n at most; they are good until src is used again.
func (r *Reader) at(src *source, off, n, ahead int64) ([]byte, error) {
	if off >= r.size {
		return nil, io.EOF
	}
	p, err := r.part(off)
	for try := 0; err == nil; try++ {
		src.until = r.run(src, p)
		var b []byte
		b, err = src.read(r.ctx, p, off-p.from, n, ahead)
		if err == nil {
			return b, nil
		}
		if try == 3 || !errs.Is(err, errs.NotFound) && !isDamage(err) {
			break
		}
		// The collector moved it meanwhile, or somebody healed it.
		r.forget()
		q, lookErr := r.part(off)
		if lookErr != nil {
			err = lookErr
			break
		}
		if isDamage(err) && q.pack == p.pack && q.off == p.off {
			break
		}
		p, err = q, nil
	}
	return nil, fmt.Errorf("read blob %s at %d: %w", r.hash, off, err)
}
