package photos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"plumb/base/errs"
	"plumb/engines/bucket"
	"plumb/engines/cas"
	"plumb/engines/sqldb"
	"plumb/systems/photos/internal/shard"
	"plumb/systems/photos/internal/vault"
)

// BackupShard copies a shard's photos and its people's rows to a place of their own, a
// bucket's URL (dir:/PATH or s3://ACCESS@host:port/bucket). What is there already is not
// copied again. Errors: NotFound; Invalid for the place, Conflict for a shard's; Denied.
func (s *System) BackupShard(ctx context.Context, p Person, name, place string) (*Repair, error) {
	return operate(p, "back a shard up", func() (*Repair, error) {
		at, err := s.set.Shard(name)
		if err != nil {
			return nil, err
		}
		to, err := s.openPlace(ctx, place)
		if err != nil {
			return nil, err
		}
		if err := noShards(ctx, place, to.Bucket); err != nil {
			return nil, err
		}
		return s.startRepair(ctx, &Repair{Kind: Backup, Shard: at.Name, no: at.No, Place: place})
	})
}

// RestoreFrom brings back, from a backup, the people whom no shard has. Errors: Invalid
// for the place; Denied.
func (s *System) RestoreFrom(ctx context.Context, p Person, place string) (*Repair, error) {
	return operate(p, "restore", func() (*Repair, error) {
		if _, err := s.openPlace(ctx, place); err != nil {
			return nil, err
		}
		return s.startRepair(ctx, &Repair{Kind: Restore, Place: place})
	})
}

// openPlace opens a bucket for copies besides the shards'.
func (s *System) openPlace(ctx context.Context, place string) (vault.Place, error) {
	if path, isDir := strings.CutPrefix(place, "dir:"); isDir && !strings.HasPrefix(path, "/") {
		return vault.Place{}, errs.New(errs.Invalid, "%s: a folder is named from the root: dir:/...", place)
	} else if !isDir && !strings.HasPrefix(place, "s3://") {
		return vault.Place{}, errs.New(errs.Invalid, "%.200s: a place is dir:/PATH or s3://ACCESS@host:port/bucket", place)
	}
	b, err := bucket.Open(ctx, place)
	if errs.Is(err, errs.Internal) {
		err = errs.Wrap(errs.Invalid, err, "%.200s cannot be opened: %v", place, err)
	}
	if err != nil {
		return vault.Place{}, err
	}
	return vault.Place{No: -1, Bucket: b, Takes: true}, nil
}

// outside is a vault of one place.
func (s *System) outside(p vault.Place) (*vault.Vault, error) {
	return vault.New(vault.Needs{Places: func() []vault.Place { return []vault.Place{p} }, Key: s.n.Key, Log: s.n.Log})
}

// The phases of a backup.
const (
	backupPhotos = iota
	backupRows
)

func (s *System) backingUp(ctx context.Context, r *Repair) error {
	at, err := s.set.ByNo(r.no)
	if err != nil {
		return err
	}
	place, err := s.openPlace(ctx, r.Place)
	if err != nil {
		return err
	}
	v, err := s.outside(place)
	if err != nil {
		return err
	}
	if r.reach.Phase == backupPhotos {
		if err := s.walk(ctx, r, at, 0, func(ctx context.Context, p Photo) error { return s.backUp(ctx, r, v, place, at, p) }); err != nil {
			return err
		}
		r.next(backupRows, 0)
	}
	for {
		list, err := s.set.Owners(ctx, at, r.reach.Owner, 100)
		if err != nil {
			return err
		}
		for _, o := range list {
			m, _, err := s.manifestOf(ctx, o.ID)
			if err != nil {
				return err
			}
			if got, err := v.PutManifest(ctx, m, place.No, 1); err != nil || len(got) == 0 {
				return errs.Wrap(errs.Busy, err, "%s takes no manifest", r.Place)
			}
			r.reach.Owner = o.ID
		}
		if len(list) < 100 {
			return nil
		}
	}
}

func (s *System) backUp(ctx context.Context, r *Repair, v *vault.Vault, place vault.Place, at *shard.Shard, p Photo) error {
	if there, err := vault.Has(ctx, place.Bucket, p.Owner, p.ID); err != nil || there {
		return err
	}
	in, err := s.source(ctx, at, p)
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		r.count(0, 1, 0)
		s.n.Log.Error("a photo cannot be backed up", "photo", p.ID, "owner", p.Owner, "error", err)
		return nil
	}
	defer in.Close()
	note, err := json.Marshal(p.row())
	if err != nil {
		return err
	}
	got, err := v.Put(ctx, vault.Copy{Owner: p.Owner, Photo: p.ID, Note: note}, in, p.Size, 1)
	if err == nil && len(got) == 0 {
		err = errs.New(errs.Busy, "%s takes no copy", r.Place)
	}
	if err == nil {
		r.count(1, 0, p.Size)
	}
	return err
}

// restoring brings back from a place whom no shard has.
func (s *System) restoring(ctx context.Context, r *Repair) error {
	place, err := s.openPlace(ctx, r.Place)
	if err != nil {
		return err
	}
	v, err := s.outside(place)
	if err != nil {
		return err
	}
	return s.bringBack(ctx, r, v, []vault.Place{place})
}

// rebuilding makes the rows of lost shards anew, from the copies in the others' buckets.
func (s *System) rebuilding(ctx context.Context, r *Repair) error {
	return s.bringBack(ctx, r, s.vault, s.places())
}

// bringBack looks at everybody of whom the places have something.
func (s *System) bringBack(ctx context.Context, r *Repair, v *vault.Vault, places []vault.Place) error {
	for _, p := range places {
		if p.No > 0 && p.No < r.reach.Shard {
			continue
		}
		if p.No > r.reach.Shard {
			r.next(0, p.No)
		}
		for {
			owners, err := vault.Owners(ctx, p.Bucket, r.reach.Owner, 50)
			if err != nil {
				return err
			}
			for _, owner := range owners {
				if err := s.bringBackOne(ctx, r, v, places, owner); err != nil {
					return fmt.Errorf("bring %s back: %w", owner, err)
				}
				r.reach.Owner = owner
				if err := s.saveSometimes(ctx, r); err != nil {
					return err
				}
			}
			if len(owners) < 50 {
				break
			}
		}
	}
	return nil
}

const madeSQL = `SELECT made FROM photos_owners WHERE owner = $1`

// bringBackOne makes a person's rows anew where they are placed now, unless a shard had
// them before the repair began.
func (s *System) bringBackOne(ctx context.Context, r *Repair, v *vault.Vault, places []vault.Place, owner string) error {
	made, err := read(ctx, s, "look for them", Person{ID: owner}, func(ctx context.Context, tx *sqldb.Tx, _ *shard.Shard) (made int64, err error) {
		if err = tx.QueryRow(ctx, madeSQL, owner).Scan(&made); err == sqldb.ErrNoRows {
			return 0, nil
		}
		return made, err
	})
	if err != nil {
		return err
	}
	if made != 0 && made < r.since.UnixMicro() {
		return nil
	}
	rows, err := s.knownRows(ctx, v, owner)
	if err != nil {
		return err
	}
	home, err := s.set.Home(ctx, owner)
	if err != nil {
		return err
	}
	b := &revival{s: s, r: r, v: v, places: places, owner: owner, home: home.No, ids: map[cas.Hash]string{}}
	if rows, err = b.withCopies(ctx, rows); err != nil {
		return err
	}
	if err := s.set.Import(ctx, owner, rows, b.fetch); err != nil {
		return err
	}
	if err := s.retally(ctx, owner); err != nil {
		return err
	}
	for _, id := range b.athome { // what its own shard has protects nothing
		if err := s.vault.Remove(ctx, owner, id, []int64{home.No}); err != nil {
			return err
		}
	}
	return nil
}

// knownRows are a person's rows as their newest manifest has them.
func (s *System) knownRows(ctx context.Context, v *vault.Vault, owner string) (rows []shard.Row, err error) {
	m, err := v.NewestManifest(ctx, owner)
	if errs.Is(err, errs.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	keys := map[string][]string{shard.LinksTable: {"id"}}
	for _, t := range tables() {
		keys[t.Name] = t.Key
	}
	seen := map[string]int{} // a row that changed while the manifest was written is in it twice
	for line := range bytes.Lines(m.Rows) {
		row, err := decodeRow(line)
		if err != nil {
			return nil, err
		}
		key := row.Table
		for _, column := range keys[row.Table] {
			key += fmt.Sprintf(" %q", row.Values[column])
		}
		if at, twice := seen[key]; twice {
			rows[at] = row
			continue
		}
		seen[key] = len(rows)
		rows = append(rows, row)
	}
	return rows, nil
}

func decodeRow(line []byte) (row shard.Row, err error) {
	if err = json.Unmarshal(line, &row); err != nil {
		return row, errs.Wrap(errs.Internal, err, "read a row of a manifest")
	}
	return row, nil
}

// revival is one person who is brought back.
type revival struct {
	s      *System
	r      *Repair
	v      *vault.Vault
	places []vault.Place
	owner  string
	home   int64
	ids    map[cas.Hash]string // photos by their originals
	athome []string            // photos of which the home's own bucket has a copy
}

const photosTable = "photos_photos"

// withCopies drops photos that the person has already and those of which there is no
// copy, adds those that came after the manifest, and lets all have their sizes made again.
func (b *revival) withCopies(ctx context.Context, rows []shard.Row) ([]shard.Row, error) {
	have, err := b.here(ctx)
	if err != nil {
		return nil, err
	}
	there, err := b.copied(ctx)
	if err != nil {
		return nil, err
	}
	for _, id := range have {
		delete(there, id)
	}
	var out []shard.Row
	for _, row := range rows {
		if row.Table == photosTable && fmt.Sprint(row.Values["gone"]) == "0" {
			id, _ := row.Values["id"].(string)
			hash, _ := row.Values["hash"].(string)
			if _, twice := have[hash]; twice {
				continue
			}
			at, found := there[id]
			if !found {
				b.r.count(0, 1, 0) // it was ended after the manifest, or is lost
				continue
			}
			delete(there, id)
			b.fresh(row, at)
		} else if row.Table == photosTable {
			id, _ := row.Values["id"].(string)
			delete(there, id) // it was ended
		}
		out = append(out, row)
	}
	for id, at := range there {
		in, err := b.v.Open(ctx, b.owner, id, nil)
		if err != nil {
			b.s.n.Log.Warn("a copy does not open", "owner", b.owner, "photo", id, "error", err)
			b.r.count(0, 1, 0)
			continue
		}
		row, err := decodeRow(in.Note)
		in.Close()
		if hash, _ := row.Values["hash"].(string); have[hash] != "" {
			continue
		}
		if err != nil || row.Table != photosTable || row.Values["owner"] != b.owner || row.Values["id"] != id {
			b.s.n.Log.Warn("a copy carries no row of its photo", "owner", b.owner, "photo", id, "error", err)
			b.r.count(0, 1, 0)
			continue
		}
		b.fresh(row, at)
		row.Values["rev"] = int64(1) // older than any change
		out = append(out, row)
	}
	return out, nil
}

const hashesSQL = `SELECT hash, id FROM photos_photos WHERE owner = $1 AND gone = 0`

// here returns the photos that the person has already, by content: brought back before,
// or sent again meanwhile.
func (b *revival) here(ctx context.Context) (map[string]string, error) {
	return read(ctx, b.s, "look for what is there", Person{ID: b.owner}, func(ctx context.Context, tx *sqldb.Tx, _ *shard.Shard) (map[string]string, error) {
		have := map[string]string{}
		list, err := tx.Query(ctx, hashesSQL, b.owner)
		if err != nil {
			return nil, err
		}
		defer list.Close()
		for list.Next() {
			var hash, id string
			if err := list.Scan(&hash, &id); err != nil {
				return nil, err
			}
			have[hash] = id
		}
		return have, list.Err()
	})
}

const tallySQL = `SELECT count(*), CAST(COALESCE(sum(size), 0) AS BIGINT) FROM photos_photos WHERE owner = $1 AND gone = 0`

// retally counts what a person has anew.
func (s *System) retally(ctx context.Context, owner string) error {
	return s.set.Write(ctx, owner, nil, func(ctx context.Context, tx *sqldb.Tx, _ *shard.Shard, _ int64) error {
		var n, bytes int64
		if err := tx.QueryRow(ctx, tallySQL, owner).Scan(&n, &bytes); err != nil {
			return err
		}
		return s.set.SetTally(ctx, tx, owner, n, bytes)
	})
}

// copied returns the photos of which there is a copy, and where.
func (b *revival) copied(ctx context.Context) (map[string][]int64, error) {
	there := map[string][]int64{}
	for _, p := range b.places {
		for after := ""; ; {
			list, err := vault.Photos(ctx, p.Bucket, b.owner, after, bucket.MaxList)
			if err != nil {
				return nil, err
			}
			for _, id := range list {
				there[id], after = append(there[id], p.No), id
			}
			if len(list) < bucket.MaxList {
				break
			}
		}
	}
	return there, nil
}

// fresh makes a photo's row one of a photo that just came, with copies there.
func (b *revival) fresh(row shard.Row, there []int64) {
	id, _ := row.Values["id"].(string)
	text, _ := row.Values["hash"].(string)
	b.ids[hashOf(text)] = id
	for _, name := range []string{"sized", "small", "medium", "large", "fault"} {
		row.Values[name] = ""
	}
	if slices.Contains(there, b.home) {
		b.athome = append(b.athome, id)
	}
	there = slices.DeleteFunc(there, func(no int64) bool { return no <= 0 || no == b.home })
	row.Values["state"], row.Values["copies"], row.Values["owed"] = string(Fresh), join(there), max(int64(b.s.c.Copies-1-len(there)), 0)
	b.r.mu.Lock()
	b.r.Photos++
	b.r.mu.Unlock()
}

// fetch puts an original at the person's shard; nil where there is none.
func (b *revival) fetch(ctx context.Context, at *shard.Shard, h cas.Hash) (*cas.Pending, error) {
	id, known := b.ids[h]
	if !known {
		return nil, nil
	}
	in, err := b.v.Open(ctx, b.owner, id, nil)
	if errs.Is(err, errs.NotFound) {
		b.r.count(0, 1, 0)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer in.Close()
	p, err := at.CAS.Put(ctx, in, cas.PutOptions{Whole: true})
	if err != nil {
		return nil, err
	}
	if p.Hash() != h {
		p.Close()
		b.r.count(0, 1, 0)
		return nil, nil
	}
	b.r.count(1, 0, p.Size())
	return p, nil
}
