package cas

import (
	"context"
	"io"

	"plumb/base/errs"
	"plumb/engines/sqldb"
)

// errTodo marks what the first thin path does not have.
var errTodo = errs.New(errs.Internal, "cas: not there yet")

// Store is one store. It is safe for concurrent use.
type Store struct {
	n Needs
	o Options
}

// Open makes the tables.
func Open(ctx context.Context, n Needs, o Options) (*Store, error) { return &Store{n, o}, nil }

// Close waits for what it does in the background, and ends.
func (s *Store) Close() error { return nil }

// Put reads r to its end and stores what it read, durably, though nothing refers to
// it until Take. An error of r is returned wrapped.
func (s *Store) Put(ctx context.Context, r io.Reader, opt PutOptions) (*Pending, error) {
	return nil, errTodo
}

// Take makes one reference to p's content in tx. It may be called again for further
// references, and tx's fn may run twice. Errors: Conflict when the collector ended p,
// which happens only to one that is older than a day.
func (s *Store) Take(ctx context.Context, tx *sqldb.Tx, p *Pending) error { return errTodo }

// Add makes one more reference to content that is there. Errors: NotFound.
func (s *Store) Add(ctx context.Context, tx *sqldb.Tx, h Hash) error { return errTodo }

// Drop takes one reference away. Errors: NotFound when there is none.
func (s *Store) Drop(ctx context.Context, tx *sqldb.Tx, h Hash) error { return errTodo }

// Open returns the content. Errors: NotFound.
func (s *Store) Open(ctx context.Context, h Hash) (*Reader, error) { return nil, errTodo }

// Collect frees what nothing refers to, and rewrites packs with much dead in them,
// until nothing is left to do or ctx ends. progress may be nil.
func (s *Store) Collect(ctx context.Context, progress func(Progress)) (CollectResult, error) {
	return CollectResult{}, errTodo
}

// Scrub reads and verifies everything. progress may be nil.
func (s *Store) Scrub(ctx context.Context, progress func(Progress)) (ScrubResult, error) {
	return ScrubResult{}, errTodo
}

// Rekey wraps all data keys anew with Needs.Key, so that Needs.Old can go.
func (s *Store) Rekey(ctx context.Context) (packs int64, err error) { return 0, errTodo }

// Stats counts. It is exact and costs a few index look-ups.
func (s *Store) Stats(ctx context.Context) (Stats, error) { return Stats{}, errTodo }

// Check compares every count with what it counts; nil when all are exact.
func (s *Store) Check(ctx context.Context) error { return errTodo }

// Pending is content that was put and has no reference yet.
type Pending struct {
	hash Hash
	size int64
	head []byte
}

// Hash names the content.
func (p *Pending) Hash() Hash { return p.hash }

// Size returns the content's bytes.
func (p *Pending) Size() int64 { return p.size }

// Head returns the first bytes, 512 at most, from which the type can be told.
func (p *Pending) Head() []byte { return p.head }

// Close gives up what nothing took. It is safe after Take, and more than once.
func (p *Pending) Close() {}

// Reader reads one blob: io.ReadSeekCloser, io.WriterTo and io.ReaderAt.
type Reader struct{ size int64 }

// Size returns the blob's bytes.
func (r *Reader) Size() int64 { return r.size }

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) { return 0, errTodo }

// ReadAt implements io.ReaderAt.
func (r *Reader) ReadAt(p []byte, off int64) (int, error) { return 0, errTodo }

// Seek implements io.Seeker.
func (r *Reader) Seek(off int64, whence int) (int64, error) { return 0, errTodo }

// WriteTo implements io.WriterTo.
func (r *Reader) WriteTo(w io.Writer) (int64, error) { return 0, errTodo }

// Close ends the reader.
func (r *Reader) Close() error { return nil }

// Extents returns where n bytes from off on lie bare in files, in order; false where
// they are sealed, compressed or not in files.
func (r *Reader) Extents(off, n int64) ([]Extent, bool) { return nil, false }
