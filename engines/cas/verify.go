package cas

import (
	"bytes"
	"context"
	"fmt"

	"plumb/base/errs"
)

// Options.VerifyOnHit: content that is known is compared byte by byte with what came.
// Two Puts of new content at the same moment are not compared with each other.

// compare holds plain to the chunk of that name, if there is one. One that is damaged
// goes into quarantine, so that this Put heals it.
func (s *Store) compare(ctx context.Context, id Hash, plain []byte) error {
	p, err := s.lookup(ctx, id)
	if errs.Is(err, errs.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	src := newSource(s)
	defer src.end()
	return s.compareAt(ctx, src, p, plain)
}

func (s *Store) compareAt(ctx context.Context, src *source, p place, plain []byte) error {
	sealer, err := s.keys.sealer(p.pack, p.key)
	if err == nil {
		err = src.readWhole(ctx, p, sealer)
	}
	switch {
	case isDamage(err):
		return s.mark(ctx, p, 1)
	case errs.Is(err, errs.NotFound):
		return nil // it is just being moved or freed
	case err != nil:
		return err
	case !bytes.Equal(src.view, plain):
		return errs.New(errs.Internal, "two different contents have the SHA-256 %s", p.chunk)
	}
	return nil
}

// compareKnown does that for the chunks of a pack whose object is durable.
func (s *Store) compareKnown(ctx context.Context, p *pack) error {
	s.keys.put(p.id, p.sealer)
	own, other := newSource(s), newSource(s)
	defer own.end()
	defer other.end()
	own.until = p.off
	kept, _ := uniqueChunks(p.entries)
	for _, e := range kept {
		known, err := s.lookup(ctx, e.chunk)
		if errs.Is(err, errs.NotFound) {
			continue
		}
		if err != nil {
			return err
		}
		mine := place{chunk: e.chunk, pack: p.id, off: e.off, stored: e.stored, size: e.size, codec: e.codec, key: p.key}
		if err := own.readWhole(ctx, mine, p.sealer); err != nil {
			return err
		}
		if err := s.compareAt(ctx, other, known, own.view); err != nil {
			return err
		}
	}
	return nil
}

// Verify reads one content to its end. Chunks of it that are damaged, or whose object is
// gone, go into quarantine, where the same content, put and taken once more, heals them:
// it is Scrub for one. Errors: NotFound for the content; Internal when it is damaged;
// what kept it from being read.
func (s *Store) Verify(ctx context.Context, h Hash) error {
	r, err := s.Open(ctx, h)
	if err != nil {
		return err
	}
	defer r.Close()
	src := newSource(s)
	defer src.end()
	bad, there := 0, "" // a pack whose object was seen
	for off := int64(0); off < r.size; {
		p, err := r.part(off)
		if err != nil {
			return err
		}
		off = p.end
		fault := s.verifyAt(ctx, src, p, &there)
		for tries := 0; fault != nil && tries < 3; tries++ { // what the reader knew may be old
			now, err := s.lookup(ctx, p.chunk)
			if err != nil {
				return err
			}
			if now.pack == p.pack && now.off == p.off {
				break
			}
			p, fault = now, s.verifyAt(ctx, src, now, &there)
		}
		if fault == nil {
			continue
		}
		if !isDamage(fault) && !errs.Is(fault, errs.NotFound) {
			return fmt.Errorf("verify content %s: %w", h, fault)
		}
		if err := s.mark(ctx, p, 1); err != nil {
			return err
		}
		bad++
	}
	if bad > 0 {
		return errs.New(errs.Internal, "content %s is damaged: %d of its chunks are lost", h, bad)
	}
	return nil
}

// verifyAt reads a chunk where it lies. Its object must be in the bucket still: an open
// file outlives its name.
func (s *Store) verifyAt(ctx context.Context, src *source, p place, there *string) error {
	if !p.loose && *there != p.pack {
		if _, err := s.n.Bucket.Stat(ctx, packKey(p.pack)); err != nil {
			return err
		}
		*there = p.pack
	}
	return src.verify(ctx, p)
}
