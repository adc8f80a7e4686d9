package cas

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"slices"
	"sync"

	"plumb/base/errs"
	"plumb/engines/bucket"
	"plumb/engines/cas/seal"
	"plumb/engines/cas/squeeze"
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

// source reads chunks, for one goroutine. It keeps what it read last.
type source struct {
	s      *Store
	bucket bucket.Bucket
	file   *os.File // of the pack named pack; nil where the bucket has no files
	pack   string
	until  int64 // where in the pack it is worth reading ahead to

	// An answer of the bucket that is read from front to back.
	stream         io.ReadCloser
	streamAt, rest int64

	raw, plain []byte
	have       Hash // the chunk whose content from byte from on is in view
	from       int64
	view       []byte    // of raw, plain, data or hot; nil: none
	hot        *hotFrame // nil: none
	sake       string
	loose      Hash   // the chunk whose stored bytes are in data
	data       []byte // nil: none

	// Bare chunks have no tags: those that are read from beginning to end are held
	// to their hash.
	sum    hash.Hash
	summed Hash
	next   int64
}

var sources = sync.Pool{New: func() any { return &source{sum: sha256.New()} }}

func newSource(s *Store) *source {
	src := sources.Get().(*source)
	src.s, src.bucket = s, s.n.Bucket
	return src
}

// end gives back what the source holds.
func (src *source) end() {
	src.leave()
	src.clear()
	src.s, src.bucket, src.data, src.next, src.until, src.sake = nil, nil, nil, 0, 0, ""
	sources.Put(src)
}

// clear ends the view.
func (src *source) clear() {
	src.view = nil
	if src.hot != nil {
		src.s.hot.give(src.hot)
		src.hot = nil
	}
}

// leave gives back the pack that was read last.
func (src *source) leave() {
	if src.stream != nil {
		src.stream.Close() // what was not read is of no interest
		src.stream = nil
	}
	if src.file != nil {
		src.s.files.give(src.pack, src.file)
	}
	src.file, src.pack = nil, ""
}

// read returns up to n bytes of a chunk from off on, verified. It reads ahead bytes if
// those are more, and keeps them.
func (src *source) read(ctx context.Context, p place, off, n, ahead int64) ([]byte, error) {
	n = min(n, p.size-off)
	if src.have == p.chunk && off >= src.from && off < src.from+int64(len(src.view)) {
		b := src.view[off-src.from:]
		return b[:min(n, int64(len(b)))], nil
	}
	src.clear()
	frame := hotKey{src.sake, p.chunk, off / seal.FrameSize}
	if len(p.key) > 0 || p.codec != codecNone {
		if src.hot = src.s.hot.get(frame); src.hot != nil {
			src.have, src.from, src.view = p.chunk, frame.n*seal.FrameSize, src.hot.b[:src.hot.n]
			b := src.view[off-src.from:]
			return b[:min(n, int64(len(b)))], nil
		}
	}
	sealer, err := src.s.keys.sealer(p.pack, p.key)
	if err != nil {
		return nil, err
	}
	if p.codec != codecNone {
		if err := src.readWhole(ctx, p, sealer); err != nil {
			return nil, err
		}
		frame.n = 0
		src.s.hot.offer(frame, src.view)
		return src.view[off:][:n], nil
	}
	m := min(max(n, ahead), p.size-off, readStep-off%seal.FrameSize)
	if sealer == nil {
		b, err := src.stored(ctx, p, off, m)
		if err == nil {
			err = src.check(p, off, b)
		}
		if err != nil {
			return nil, err
		}
		src.have, src.from, src.view = p.chunk, off, b
		return b[:min(n, m)], nil
	}
	at := seal.Frames(int(off), int(m), int(p.size))
	b, err := src.stored(ctx, p, int64(at.Off), int64(at.Len))
	if err != nil {
		return nil, err
	}
	src.plain, err = sealer.OpenFrames(src.plain[:0], b, uint64(p.off), p.chunk[:], at.First, int(p.size))
	if err != nil {
		return nil, badBytes(p, err)
	}
	src.have, src.from, src.view = p.chunk, off-int64(at.Skip), src.plain
	src.s.hot.offer(frame, src.plain)
	return src.plain[at.Skip:][:min(n, m)], nil
}

// inner returns a chunk as it was before it was sealed: compressed, if it is. It
// verifies bare ones too.
func (src *source) inner(ctx context.Context, p place) ([]byte, error) {
	sealer, err := src.s.keys.sealer(p.pack, p.key)
	if err != nil {
		return nil, err
	}
	src.clear()
	if sealer == nil {
		if err := src.readWhole(ctx, p, nil); err != nil {
			return nil, err
		}
		if p.codec == codecNone {
			return src.view, nil
		}
		return src.stored(ctx, p, 0, p.stored)
	}
	b, err := src.stored(ctx, p, 0, p.stored)
	if err != nil {
		return nil, err
	}
	if src.plain, err = sealer.Open(src.plain[:0], b, uint64(p.off), p.chunk[:]); err != nil {
		return nil, badBytes(p, err)
	}
	return src.plain, nil
}

// readWhole reads a chunk to its end and unpacks it.
func (src *source) readWhole(ctx context.Context, p place, sealer *seal.Sealer) error {
	src.clear()
	b, err := src.stored(ctx, p, 0, p.stored)
	if err != nil {
		return err
	}
	if sealer != nil {
		if src.plain, err = sealer.Open(src.plain[:0], b, uint64(p.off), p.chunk[:]); err != nil {
			return badBytes(p, err)
		}
		b = src.plain
	}
	if p.codec == codecNone && int64(len(b)) < p.size {
		return badBytes(p, fmt.Errorf("it has %d bytes, not %d", len(b), p.size))
	}
	if p.codec == codecNone && sealer != nil {
		src.plain = src.plain[:p.size]
	} else if p.codec == codecNone {
		src.plain = append(src.plain[:0], b[:p.size]...)
	} else {
		// raw is free again once it was opened, and not before.
		out := src.plain
		if sealer != nil {
			out = src.raw
		}
		out, err = squeeze.Unpack(out, b, p.size)
		if err != nil {
			return badBytes(p, err)
		}
		if sealer != nil {
			src.raw, src.plain = src.plain, out
		} else {
			src.plain = out
		}
	}
	if sealer == nil && Hash(sha256.Sum256(src.plain)) != p.chunk {
		return badBytes(p, errors.New("its hash is another"))
	}
	src.have, src.from, src.view = p.chunk, 0, src.plain
	return nil
}

// stored returns n bytes of a chunk as it lies, from off on.
func (src *source) stored(ctx context.Context, p place, off, n int64) ([]byte, error) {
	if p.loose {
		return src.storedLoose(ctx, p, off, n)
	}
	if src.pack != p.pack {
		src.leave()
		if src.bucket == src.s.n.Bucket {
			file, err := src.s.files.take(ctx, p.pack)
			if err != nil {
				return nil, err
			}
			src.file = file
		}
		src.pack = p.pack
	}
	if int64(cap(src.raw)) < n {
		src.raw = make([]byte, n)
	}
	src.raw = src.raw[:n]
	var err error
	if src.file != nil {
		_, err = src.file.ReadAt(src.raw, p.off+off)
	} else {
		err = src.fill(ctx, p.off+off)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errs.Is(err, errs.Invalid) {
		err = badBytes(p, fmt.Errorf("the pack ends early: %w", err))
	}
	return src.raw, err
}

// fill reads raw from off on out of the bucket. It asks for as much as is worth reading
// ahead, and goes on with the answer where that is near.
func (src *source) fill(ctx context.Context, off int64) error {
	n := int64(len(src.raw))
	if gap := off - src.streamAt; src.stream == nil || gap < 0 || gap > minChunk || gap+n > src.rest {
		if src.stream != nil {
			src.stream.Close()
			src.stream = nil
		}
		ask := max(n, src.until-off)
		r, err := src.bucket.Get(ctx, packKey(src.pack), off, ask)
		if err != nil {
			return err
		}
		src.stream, src.streamAt, src.rest = r, off, ask
	} else if gap > 0 {
		if _, err := io.CopyN(io.Discard, src.stream, gap); err != nil {
			src.streamAt = -1 << 62
			return err
		}
		src.streamAt, src.rest = off, src.rest-gap
	}
	m, err := io.ReadFull(src.stream, src.raw)
	src.streamAt, src.rest = src.streamAt+int64(m), src.rest-int64(m)
	return err
}

func (src *source) storedLoose(ctx context.Context, p place, off, n int64) ([]byte, error) {
	if src.data == nil || src.loose != p.chunk {
		err := src.s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			return tx.QueryRow(ctx, sqlLooseGet, p.pack, p.off).Scan(&src.data)
		})
		if errors.Is(err, sqldb.ErrNoRows) {
			src.data = nil
			return nil, errs.New(errs.NotFound, "chunk %s is no longer in pack %s", p.chunk, p.pack)
		}
		if err != nil {
			return nil, err
		}
		src.loose = p.chunk
	}
	if off+n > int64(len(src.data)) {
		return nil, badBytes(p, fmt.Errorf("it has %d bytes, not %d", len(src.data), p.stored))
	}
	return src.data[off : off+n], nil
}

// check holds bare bytes to the chunk's hash, when it is read from its beginning on
// and ends here.
func (src *source) check(p place, off int64, b []byte) error {
	if off == 0 {
		src.sum.Reset()
		src.summed, src.next = p.chunk, 0
	}
	if src.summed != p.chunk || src.next != off {
		src.next = -1
		return nil
	}
	src.sum.Write(b)
	src.next += int64(len(b))
	if src.next < p.size {
		return nil
	}
	src.next = -1
	var got Hash
	if src.sum.Sum(got[:0]); got != p.chunk {
		return badBytes(p, errors.New("its hash is another"))
	}
	return nil
}

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
