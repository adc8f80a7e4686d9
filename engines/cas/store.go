package cas

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync"

	"plumb/base/clock"
	"plumb/base/errs"
	"plumb/base/ids"
	"plumb/engines/cas/seal"
	"plumb/engines/sqldb"
)

// Store is one store. It is safe for concurrent use.
type Store struct {
	n      Needs
	o      Options
	id     string // of this store's rows in cas_totals
	ring   *seal.Ring
	cutter cutter
	ctx    context.Context // ends what goes on in the background
	cancel context.CancelFunc
	work   sync.WaitGroup

	appending chan struct{} // a lock: guards cur, closing and what pack says
	cur       *pack         // takes chunks; nil for none
	closing   bool
	ending    chan struct{} // a place for each pack that is being ended

	looseMu sync.Mutex
	loose   loose // guarded by looseMu

	buffers sync.Pool
	keys    keyring
	files   openFiles

	upMu  sync.Mutex
	up    []string      // Pendings given up; guarded by upMu
	knock chan struct{} // wakes the collector
}

// cutter finds where chunks end: engines/cas/cdc.
type cutter interface {
	Cut(b []byte, eof bool) int
}

// writers is Options.Writers when it is 0.
const writers = 3

// Open makes the tables, and the store's own key for cutting when there is none.
func Open(ctx context.Context, n Needs, o Options) (*Store, error) {
	s, err := open(ctx, n, o)
	if err != nil {
		return nil, fmt.Errorf("open the content store: %w", err)
	}
	return s, nil
}

func open(ctx context.Context, n Needs, o Options) (*Store, error) {
	if o.Writers <= 0 {
		o.Writers = writers
	}
	if n.Clock == nil {
		n.Clock = clock.System{}
	}
	if n.Log == nil {
		n.Log = slog.New(slog.DiscardHandler)
	}
	ring, err := seal.NewRing(n.Key, n.Old...)
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "the house's key does not fit")
	}
	if err := n.DB.Migrate(ctx, "cas", schemaFS); err != nil {
		return nil, err
	}
	s := &Store{n: n, o: o, ring: ring, id: ids.New(n.Clock.Now()),
		appending: make(chan struct{}, 1), ending: make(chan struct{}, o.Writers), knock: make(chan struct{}, 1)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.files.init(n.Bucket)
	s.keys.init(ring)
	if err := s.openCutter(ctx); err != nil {
		s.cancel()
		return nil, err
	}
	s.work.Add(1)
	go s.background()
	return s, nil
}

// secret returns the store's own key, which is made by whoever comes first.
func (s *Store) secret(ctx context.Context) ([]byte, error) {
	fresh := make([]byte, seal.KeySize)
	rand.Read(fresh)
	wrapped := s.ring.Wrap(fresh)
	err := s.write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := tx.Exec(ctx, sqlMetaPut, metaChunker, wrapped); err != nil {
			return err
		}
		return tx.QueryRow(ctx, sqlMetaGet, metaChunker).Scan(&wrapped)
	})
	if err != nil {
		return nil, err
	}
	return s.ring.Unwrap(wrapped)
}

const metaChunker = "chunker"

func (s *Store) openCutter(ctx context.Context) error {
	if _, err := s.secret(ctx); err != nil {
		return fmt.Errorf("read the chunker's key: %w", err)
	}
	s.cutter = fixedCuts{}
	return nil
}

type fixedCuts struct{}

func (fixedCuts) Cut(b []byte, eof bool) int { return min(len(b), 256<<10) }

// Close waits for what it does in the background, and ends.
func (s *Store) Close() error {
	s.appending <- struct{}{}
	s.closing = true
	if s.cur != nil {
		s.ending <- struct{}{}
		s.closePack(s.cur)
	}
	s.unlockPacks()
	s.nudge()
	s.stop()
	s.files.close()
	return nil
}

// takeBuffer and giveBuffer recycle what holds a chunk on its way.
func (s *Store) takeBuffer() *buffer {
	if b, ok := s.buffers.Get().(*buffer); ok {
		return b
	}
	return &buffer{}
}

func (s *Store) giveBuffer(b *buffer) {
	if b != nil && cap(b.b) >= minChunk {
		s.buffers.Put(b)
	}
}
