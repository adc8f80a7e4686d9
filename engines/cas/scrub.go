package cas

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"

	"plumb/base/errs"
	"plumb/engines/bucket"
	"plumb/engines/sqldb"
)

const (
	maxFaults = 100 // that ScrubResult lists
	repairAt  = 256 // bad chunks that are repaired together
)

// damage marks an error as one of the stored bytes, not of the way to them.
type damage struct{ error }

func (d damage) Unwrap() error { return d.error }

func isDamage(err error) bool { return errors.As(err, new(damage)) }

// badBytes names the place of damage.
func badBytes(p place, err error) error {
	return damage{errs.Wrap(errs.Internal, err, "chunk %s is damaged where it lies: pack %s, offset %d", p.chunk, p.pack, p.off)}
}

// Scrub reads and verifies everything, in the order in which it lies. What is bad goes
// into quarantine, until it is repaired from Options.Replica, reads well again, or the
// same content is put once more. Objects that nothing names are removed. progress may
// be nil.
func (s *Store) Scrub(ctx context.Context, progress func(Progress)) (ScrubResult, error) {
	run := &scrub{s: s, progress: progress}
	err := run.all(ctx)
	if err == nil {
		err = run.orphans(ctx)
	}
	if err != nil {
		return run.ScrubResult, fmt.Errorf("scrub the content store: %w", err)
	}
	return run.ScrubResult, nil
}

type scrub struct {
	s        *Store
	progress func(Progress)
	total    int64
	done     int64
	bad      []place // found in the pack at hand
	ScrubResult
}

func (run *scrub) all(ctx context.Context) error {
	st, err := run.s.Stats(ctx)
	if err != nil {
		return err
	}
	run.total = st.Stored
	for after := ""; ; {
		var packs []string
		err := run.s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
			packs, err = readIDs(ctx, tx, sqlPackIDs, after, int64(stepBlob))
			return err
		})
		if err != nil {
			return err
		}
		for _, id := range packs {
			if err := run.pack(ctx, id); err != nil {
				return err
			}
			after = id
		}
		if len(packs) < stepBlob {
			return nil
		}
	}
}

// pack verifies the chunks of one.
func (run *scrub) pack(ctx context.Context, id string) error {
	src := newSource(run.s)
	defer src.end()
	err := run.s.eachChunk(ctx, id, func(p place) error {
		src.until = p.until
		fault := src.verify(ctx, p)
		if err := run.judge(ctx, p, fault); err != nil {
			return err
		}
		run.Chunks++
		run.Bytes += p.size
		run.done += p.stored
		if len(run.bad) >= repairAt {
			return run.repair(ctx)
		}
		return nil
	})
	if err == nil {
		err = run.repair(ctx)
	}
	if err == nil && run.progress != nil {
		run.progress(Progress{Done: run.done, Total: max(run.total, run.done), What: "verify"})
	}
	return err
}

// verify reads a chunk and compares its bytes with its name.
func (src *source) verify(ctx context.Context, p place) error {
	sealer, err := src.s.keys.sealer(p.pack, p.key)
	if err == nil {
		err = src.readWhole(ctx, p, sealer)
	}
	if err == nil && sealer != nil && Hash(sha256.Sum256(src.view)) != p.chunk {
		err = badBytes(p, errors.New("its hash is another"))
	}
	return err
}

// judge does what follows from reading a chunk.
func (run *scrub) judge(ctx context.Context, p place, fault error) error {
	if fault == nil {
		return run.mark(ctx, p, 0)
	}
	if !isDamage(fault) && !errs.Is(fault, errs.NotFound) {
		return fault // the way to it: nothing is known
	}
	now, err := run.s.lookup(ctx, p.chunk)
	if errs.Is(err, errs.NotFound) || err == nil && (now.pack != p.pack || now.off != p.off) {
		return nil // it has gone, or moved to a pack that comes later
	}
	if err != nil {
		return err
	}
	if len(run.Faults) < maxFaults {
		run.Faults = append(run.Faults, fmt.Sprintf("pack %s, offset %d, chunk %s: %v", p.pack, p.off, p.chunk, fault))
	}
	run.Bad++
	if err := run.mark(ctx, p, 1); err != nil {
		return err
	}
	p.bad = 1
	run.bad = append(run.bad, p)
	return nil
}

// mark puts a chunk into quarantine, or takes it out.
func (run *scrub) mark(ctx context.Context, p place, bad int64) error {
	if p.bad == bad {
		return nil
	}
	return run.s.mark(ctx, p, bad)
}

func (s *Store) mark(ctx context.Context, p place, bad int64) error {
	if bad != 0 {
		s.hot.forget(p.chunk)
	}
	return s.write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		n, err := tx.Exec(ctx, sqlChunkMark, p.chunk[:], p.pack, p.off, bad)
		if err != nil {
			return err
		}
		return s.count(ctx, tx, ownLane, delta{bad: n * (2*bad - 1)})
	})
}

// lookup finds one chunk.
func (s *Store) lookup(ctx context.Context, id Hash) (p place, err error) {
	err = s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		p, err = chunkPlace(ctx, tx, id)
		return err
	})
	return p, err
}

// repair writes the chunks that were found bad anew, as far as the replica has them.
func (run *scrub) repair(ctx context.Context) error {
	bad := run.bad
	run.bad = nil
	if run.s.o.Replica == nil || len(bad) == 0 || bad[0].loose {
		return nil
	}
	for len(bad) > 0 {
		seen := 0
		_, n, err := run.s.rewrite(ctx, run.s.o.Replica, func(yield func(place) error) error {
			for _, p := range bad {
				seen++
				if err := yield(p); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("repair from the replica: %w", err)
		}
		run.Repaired += int64(n)
		bad = bad[seen:]
	}
	return nil
}

// orphans removes this store's objects that have no row: those of a writer that lost
// its lease and died before it could remove them itself.
func (run *scrub) orphans(ctx context.Context) error {
	s := run.s
	for after := ""; ; {
		list, err := s.n.Bucket.List(ctx, "cas/", after, bucket.MaxList)
		if err != nil {
			return err
		}
		for _, o := range list {
			after = o.Key
			id := o.Key[strings.LastIndexByte(o.Key, '/')+1:]
			if len(id) < 2 || packKey(id) != o.Key {
				continue
			}
			// A row stands before its object and goes after it. So what has none now is
			// of no use, if it was ours.
			known, err := s.knows(ctx, id)
			if err == nil && !known {
				known, err = s.foreign(ctx, o.Key)
			}
			if err == nil && !known {
				err = s.n.Bucket.Delete(ctx, o.Key)
				run.Orphans++
			}
			if err != nil {
				return err
			}
		}
		if len(list) < bucket.MaxList {
			return nil
		}
	}
}

func (s *Store) knows(ctx context.Context, pack string) (bool, error) {
	var n int64
	err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, sqlPackThere, pack).Scan(&n)
	})
	return n > 0, err
}

// foreign says whether an object is of another store, or none of this program's.
func (s *Store) foreign(ctx context.Context, key string) (bool, error) {
	r, err := s.n.Bucket.Get(ctx, key, 0, packHeader)
	if errs.Is(err, errs.NotFound) {
		return true, nil // gone
	}
	if err != nil {
		return true, err
	}
	defer r.Close()
	head, err := io.ReadAll(r)
	if err != nil {
		return true, err
	}
	return !bytes.HasPrefix(head, []byte(packMagic)) || !bytes.HasSuffix(head, s.name[:]) || len(head) != packHeader, nil
}
