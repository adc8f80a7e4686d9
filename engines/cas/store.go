package cas

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"plumb/base/clock"
	"plumb/base/errs"
	"plumb/base/ids"
	"plumb/engines/cas/cdc"
	"plumb/engines/cas/seal"
	"plumb/engines/sqldb"
)

// Store is one store. It is safe for concurrent use.
type Store struct {
	n      Needs
	o      Options
	id     string   // of this Store's rows in cas_totals
	name   [16]byte // of the data: in every object's header
	limits limits
	ring   *seal.Ring
	cutter *cdc.Cutter
	ctx    context.Context // ends what goes on in the background
	cancel context.CancelFunc
	work   sync.WaitGroup
	writes sync.WaitGroup // packs that are being written

	appending chan struct{} // a lock: guards cur, closing and what pack says
	cur       *pack         // takes chunks; nil for none
	closing   bool
	ending    chan struct{} // a place for each pack that is being ended

	looseMu sync.Mutex
	loose   loose // guarded by looseMu

	buffers sync.Pool
	keys    keyring
	files   openFiles
	places  placeCache
	hot     hotFrames

	upMu  sync.Mutex
	up    []string      // Pendings given up; guarded by upMu
	knock chan struct{} // wakes the collector
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
	s := &Store{n: n, o: o, limits: usual, ring: ring, id: ids.New(n.Clock.Now()),
		appending: make(chan struct{}, 1), ending: make(chan struct{}, o.Writers), knock: make(chan struct{}, 1)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.files.init(n.Bucket)
	s.keys.init(ring)
	s.hot.init(o.Cache)
	if err := s.openSecrets(ctx); err != nil {
		s.cancel()
		return nil, err
	}
	if o.Alone {
		if err := s.endOthers(ctx); err != nil {
			s.cancel()
			return nil, err
		}
	}
	s.work.Add(1)
	go s.background()
	return s, nil
}

// endOthers ends the leases of those who were here before.
func (s *Store) endOthers(ctx context.Context) error {
	err := s.write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := tx.Exec(ctx, sqlAloneMaking); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, sqlAlonePacks)
		return err
	})
	s.nudge()
	return err
}

// openSecrets reads the data's own name and key for cutting, which are made by whoever
// comes first.
func (s *Store) openSecrets(ctx context.Context) error {
	name, key := make([]byte, len(s.name)), make([]byte, seal.KeySize)
	rand.Read(name)
	rand.Read(key)
	wrapped := s.ring.Wrap(key)
	err := s.write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		for meta, value := range map[string]*[]byte{metaName: &name, metaChunker: &wrapped} {
			if _, err := tx.Exec(ctx, sqlMetaPut, meta, *value); err != nil {
				return err
			}
			if err := tx.QueryRow(ctx, sqlMetaGet, meta).Scan(value); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(name) != len(s.name) {
		return fmt.Errorf("the store's name has %d bytes", len(name))
	}
	s.name = [16]byte(name)
	if key, err = s.ring.Unwrap(wrapped); err != nil {
		return fmt.Errorf("read the key for cutting: %w", err)
	}
	s.cutter, err = cdc.New(key, cdc.Default)
	return err
}

const (
	metaName    = "name"
	metaChunker = "chunker"
)

// Close waits for what it does in the background, and ends.
func (s *Store) Close() error {
	s.appending <- struct{}{}
	s.closing = true
	if s.cur != nil {
		s.ending <- struct{}{}
		s.closePack(s.cur)
	}
	s.unlockPacks()
	s.writes.Wait()
	ctx, cancel := context.WithTimeout(s.ctx, 5*time.Second)
	defer cancel()
	if err := s.endGivenUp(ctx); err != nil {
		s.n.Log.Debug("what was put and not taken waits for the end of its lease", "err", err)
	}
	s.cancel()
	s.work.Wait()
	s.files.close()
	s.hot.close()
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
