package photos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"plumb/base/errs"
	"plumb/engines/cas"
	"plumb/engines/sqldb"
	"plumb/systems/photos/internal/shard"
	"plumb/systems/photos/internal/vault"
)

// HealShard reads all that a shard's bucket should have and puts back what it lost, from
// the copies in others; and then the copies that it should hold of others' photos. Errors:
// NotFound; Denied.
func (s *System) HealShard(ctx context.Context, p Person, name string) (*Repair, error) {
	return operate(p, "heal a shard", func() (*Repair, error) {
		at, err := s.set.Shard(name)
		if err != nil {
			return nil, err
		}
		return s.startRepair(ctx, &Repair{Kind: Heal, Shard: at.Name, no: at.No})
	})
}

// LoseShard gives a shard up that will not come back: its people are placed on the
// others, where their photos are made anew from copies and manifests. Errors: NotFound;
// Conflict for the last; Denied.
func (s *System) LoseShard(ctx context.Context, p Person, name string) (*Repair, error) {
	return operate(p, "give a shard up", func() (*Repair, error) {
		no, err := s.set.Number(name) // it may well be away
		if err != nil {
			return nil, err
		}
		since := s.now()
		if _, err := s.set.MarkLost(ctx, name); err != nil {
			return nil, err
		}
		if err := s.leaveHolder(ctx, name, no); err != nil {
			return nil, err
		}
		return s.startRepair(ctx, &Repair{Kind: Rebuild, Shard: name, no: no, since: since})
	})
}

// leaveHolder begins to make elsewhere what copies a shard holds.
func (s *System) leaveHolder(ctx context.Context, name string, no int64) error {
	_, err := s.startRepair(ctx, &Repair{Kind: Leave, Shard: name, no: no})
	return err
}

// The phases of a heal.
const (
	ownPhotos = iota
	othersCopies
)

func (s *System) healing(ctx context.Context, r *Repair) error {
	at, err := s.set.ByNo(r.no)
	if err != nil {
		return err
	}
	if err := s.manifestsFirst(ctx, r); err != nil {
		return err
	}
	if r.reach.Phase == ownPhotos {
		if err := s.walk(ctx, r, at, 0, func(ctx context.Context, p Photo) error { return s.healPhoto(ctx, r, at, p) }); err != nil {
			return err
		}
		r.next(othersCopies, 0)
	}
	return s.holdings(ctx, r, func(ctx context.Context, p Photo) error {
		there, err := vault.Has(ctx, at.Bucket, p.Owner, p.ID)
		if err != nil || there {
			return err
		}
		return s.recopy(ctx, r, p, r.no)
	})
}

// leaving makes the copies that a shard holds elsewhere.
func (s *System) leaving(ctx context.Context, r *Repair) error {
	if err := s.manifestsFirst(ctx, r); err != nil {
		return err
	}
	return s.holdings(ctx, r, func(ctx context.Context, p Photo) error { return s.recopy(ctx, r, p, r.no) })
}

// manifestsFirst has manifests renewed when a repair begins: they are small, and a second
// loss before would find some in one bucket only.
func (s *System) manifestsFirst(ctx context.Context, r *Repair) error {
	if r.reach != (reach{}) {
		return nil
	}
	return s.renewManifests(ctx)
}

// holds says whether any row names a shard among its copies.
func (s *System) holds(ctx context.Context, no int64) (bool, error) {
	for _, at := range s.set.Shards() {
		var list []Photo
		err := at.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
			list, err = photos(ctx, tx, holdingSQL, "", "", int64(1), holder(no))
			return err
		})
		if err != nil || len(list) > 0 {
			return len(list) > 0, err
		}
	}
	return false, nil
}

// holdings visits the photos, of all shards, of which r's shard should hold a copy.
func (s *System) holdings(ctx context.Context, r *Repair, visit func(ctx context.Context, p Photo) error) error {
	for _, at := range s.set.Shards() { // by number
		if at.No < r.reach.Shard {
			continue
		}
		if at.No > r.reach.Shard {
			r.next(r.reach.Phase, at.No)
		}
		if err := s.walk(ctx, r, at, r.no, visit); err != nil {
			return err
		}
	}
	return nil
}

// healPhoto puts back what is lost of one photo.
func (s *System) healPhoto(ctx context.Context, r *Repair, at *shard.Shard, p Photo) error {
	whole, err := isWhole(ctx, at, p.Hash)
	if err != nil {
		return fmt.Errorf("verify photo %s: %w", p.ID, err)
	}
	if !whole {
		switch err := s.putBack(ctx, at, p); {
		case errs.Is(err, errs.NotFound):
			r.count(0, 1, 0)
			s.n.Log.Error("a photo is lost: no copy of it is left", "photo", p.ID, "owner", p.Owner, "shard", at.Name)
			return nil
		case errors.Is(err, shard.ErrMoved): // what it needs is where its owner is now
			return nil
		case err != nil:
			return err
		}
		r.count(1, 0, p.Size)
	}
	sized := true
	for _, h := range p.sizes { // each: what is not known to be lost is not healed by what is made anew
		if h == (cas.Hash{}) {
			continue
		}
		whole, err := isWhole(ctx, at, h)
		if err != nil {
			return fmt.Errorf("verify a size of photo %s: %w", p.ID, err)
		}
		sized = sized && whole
	}
	if !sized {
		return s.dropSizes(ctx, at, p)
	}
	return nil
}

// isWhole reads a content; what is damaged of it is marked so, and can be healed.
func isWhole(ctx context.Context, at *shard.Shard, h cas.Hash) (bool, error) {
	err := at.CAS.Verify(ctx, h)
	if errs.Is(err, errs.Internal) || errs.Is(err, errs.NotFound) {
		return false, nil
	}
	return err == nil, err
}

// putBack stores a photo's original again, from a copy. Errors: NotFound where no copy is.
func (s *System) putBack(ctx context.Context, at *shard.Shard, p Photo) error {
	in, err := s.anyCopy(ctx, p)
	if err != nil {
		return err
	}
	defer in.Close()
	pending, err := at.CAS.Put(ctx, in, cas.PutOptions{Whole: true})
	if err != nil {
		return fmt.Errorf("put photo %s back: %w", p.ID, err)
	}
	defer pending.Close()
	if pending.Hash() != p.Hash {
		return errs.New(errs.NotFound, "the copy of photo %s at shard %d is of another content", p.ID, in.Holder)
	}
	// One reference more and one less: what counts is that the content came again.
	err = s.set.Write(ctx, p.Owner, at, func(ctx context.Context, tx *sqldb.Tx, at *shard.Shard, _ int64) error {
		now, found, err := photoBy(ctx, tx, byIDSQL, p.Owner, p.ID)
		if err != nil || !found || now.Hash != p.Hash {
			return err
		}
		if err := at.CAS.Take(ctx, tx, pending); err != nil {
			return err
		}
		return at.CAS.Drop(ctx, tx, p.Hash)
	})
	if err != nil {
		return fmt.Errorf("put photo %s back: %w", p.ID, err)
	}
	return nil
}

// anyCopy opens a photo's copy: one that its row names, or any.
func (s *System) anyCopy(ctx context.Context, p Photo) (*vault.Reader, error) {
	if held := holders(p.copies); len(held) > 0 {
		if r, err := s.vault.Open(ctx, p.Owner, p.ID, held); err == nil {
			return r, nil
		}
	}
	return s.vault.Open(ctx, p.Owner, p.ID, nil)
}

const dropSizesSQL = `UPDATE photos_photos SET rev = $3, state = 'new', sized = '', small = '', medium = '', large = '' WHERE owner = $1 AND id = $2 AND gone = 0`

// dropSizes forgets a photo's sizes, which are then made again.
func (s *System) dropSizes(ctx context.Context, at *shard.Shard, p Photo) error {
	err := s.set.Write(ctx, p.Owner, at, func(ctx context.Context, tx *sqldb.Tx, at *shard.Shard, rev int64) error {
		now, found, err := photoBy(ctx, tx, byIDSQL, p.Owner, p.ID)
		if err != nil || !found || now.sizes != p.sizes {
			return err
		}
		for _, h := range now.sizes {
			if h == (cas.Hash{}) {
				continue
			}
			if err := at.CAS.Drop(ctx, tx, h); err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, dropSizesSQL, p.Owner, p.ID, rev)
		return err
	})
	if errors.Is(err, shard.ErrMoved) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("forget the sizes of photo %s: %w", p.ID, err)
	}
	s.askSizes(ctx, p)
	return nil
}

// source opens a photo's original at its shard, or else a copy of it.
func (s *System) source(ctx context.Context, at *shard.Shard, p Photo) (source, error) {
	r, err := at.CAS.OpenFor(ctx, p.Hash, p.Owner)
	if err == nil {
		one := make([]byte, 1)
		if _, err = r.ReadAt(one, 0); err == nil {
			return r, nil
		}
		r.Close()
	}
	if ctx.Err() != nil {
		return nil, err
	}
	c, missing := s.anyCopy(ctx, p)
	if missing != nil {
		return nil, errors.Join(err, missing)
	}
	s.n.Log.Warn("a photo is served from a copy", "photo", p.ID, "shard", at.Name, "copy", c.Holder, "error", err)
	return c, nil
}

// source is what can be read in pieces.
type source interface {
	io.ReadSeekCloser
	io.ReaderAt
	Size() int64
}

const copiesSQL = `UPDATE photos_photos SET rev = $3, copies = $4, owed = $5 WHERE owner = $1 AND id = $2 AND gone = 0 AND copies = $6`

// recopy replaces a photo's copy at one shard by others, as many as are wanted; but is 0
// where only what is owed is to be paid. What the shard had goes, where it can be reached.
func (s *System) recopy(ctx context.Context, r *Repair, p Photo, but int64) error {
	at, err := s.set.Home(ctx, p.Owner)
	if err != nil {
		return err
	}
	held := slices.DeleteFunc(holders(p.copies), func(no int64) bool { return no == but || no == at.No })
	in, err := s.source(ctx, at, p)
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		r.count(0, 1, 0)
		s.n.Log.Error("a photo cannot be copied", "photo", p.ID, "owner", p.Owner, "error", err)
		return nil
	}
	defer in.Close()
	note, err := json.Marshal(p.row())
	if err != nil {
		return err
	}
	more, err := s.vault.Put(ctx, vault.Copy{Owner: p.Owner, Photo: p.ID, Note: note, Home: at.No, Has: held}, in, p.Size, s.c.Copies-1-len(held))
	if err != nil {
		return err
	}
	now := append(held, more...)
	changed := false
	err = s.set.Write(ctx, p.Owner, nil, func(ctx context.Context, tx *sqldb.Tx, _ *shard.Shard, rev int64) error {
		n, err := tx.Exec(ctx, copiesSQL, p.Owner, p.ID, rev, join(now), max(int64(s.c.Copies-1-len(now)), 0), p.copies)
		changed = n == 1
		return err
	})
	if err != nil {
		return fmt.Errorf("note the copies of photo %s: %w", p.ID, err)
	}
	if !changed { // it was changed meanwhile, or ended: its row names none of these
		if extra := slices.DeleteFunc(more, func(no int64) bool { return slices.Contains(holders(p.copies), no) }); len(extra) > 0 {
			s.dropCopies(ctx, p.Owner, p.ID, extra)
		}
		return nil
	}
	r.count(1, 0, p.Size*int64(len(more)))
	if but != 0 && !slices.Contains(now, but) {
		s.dropCopies(ctx, p.Owner, p.ID, []int64{but})
	}
	return nil
}
