// Package vault keeps copies of photos outside their shard, so that a lost bucket's
// photos are served from another, and a lost database's rows can be made again.
//
//	v, err := vault.New(vault.Needs{Places: places, Key: houseKey, Log: log})
//	holders, err := v.Put(ctx, vault.Copy{Owner: who, Photo: id, Note: row, Home: 3}, file, size, 1)
//	...
//	r, err := v.Open(ctx, who, id, holders) // the home's bucket is away
//	defer r.Close()
//	fmt.Println(string(r.Note))             // the photo's row, as it was at the upload
//
// A copy is one object, copies/OWNER/PHOTO, in another shard's bucket. It holds the
// original and a note with the photo's row; so any bucket that is left, and the house's
// key, give photos back without a database. What changes later (captions, albums, links)
// stands in the owner's manifest, manifests/OWNER/REVISION, which lies in as many buckets.
//
// What holds:
//
//   - A holder that Put named has the copy, durably.
//   - A copy opens whole and verified, or not at all: it is sealed for its own key, so
//     that none passes for another (engines/cas/seal).
//   - A bucket that fails takes no copy, and stops no upload: fewer holders come back,
//     and whoever calls owes the rest.
//
// A Put holds 2 MiB of memory for each bucket that it writes to, a reader as much.
package vault

import (
	"cmp"
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"slices"
	"strings"

	"plumb/base/errs"
	"plumb/engines/bucket"
	"plumb/engines/cas/seal"
)

// Place is a bucket in which copies may lie.
type Place struct {
	No     int64  // the shard's number
	Domain string // what fails together; "": it is alone
	Bucket bucket.Bucket
	Takes  bool // whether new copies may be put there
}

// Needs is what the vault is given.
type Needs struct {
	Places func() []Place // as they are now
	Key    []byte         // the house's, 32 bytes
	Old    [][]byte       // earlier keys of the house, which still open what they sealed
	Log    *slog.Logger
}

// Vault is safe for concurrent use.
type Vault struct {
	n    Needs
	ring *seal.Ring
}

// New derives the vault's own keys from the house's.
func New(n Needs) (*Vault, error) {
	keys := make([][]byte, 0, 1+len(n.Old))
	for _, k := range append([][]byte{n.Key}, n.Old...) {
		own, err := hkdf.Key(sha256.New, k, nil, "plumb photos copies v1", seal.KeySize)
		if err != nil {
			return nil, fmt.Errorf("open the copies: %w", err)
		}
		keys = append(keys, own)
	}
	ring, err := seal.NewRing(keys[0], keys[1:]...)
	if err != nil {
		return nil, fmt.Errorf("open the copies: %w", err)
	}
	return &Vault{n, ring}, nil
}

// Copy says what is copied.
type Copy struct {
	Owner, Photo string // ids, which become parts of the object's key
	Note         []byte // goes with it: up to MaxNote bytes
	Home         int64  // the shard that has it already: no copy goes there
	Has          []int64
}

// MaxNote is the most bytes of a note.
const MaxNote = 64 << 10

// Put copies size bytes of r into so many buckets besides c.Home and c.Has, as far as
// there are buckets that take them, and returns their shards. A bucket that fails is
// passed over for the next, and logged. Errors: ctx's, and what r or c are to blame for.
func (v *Vault) Put(ctx context.Context, c Copy, r io.ReaderAt, size int64, copies int) ([]int64, error) {
	key, err := copyKey(c.Owner, c.Photo)
	if err != nil {
		return nil, err
	}
	if len(c.Note) > MaxNote {
		return nil, errs.New(errs.TooLarge, "a copy's note has %d bytes; at most %d", len(c.Note), MaxNote)
	}
	return v.spread(ctx, key, key, c.Note, r, size, copies, append([]int64{c.Home}, c.Has...))
}

// spread writes an object into so many of the places that are not in but, in the order of
// by.
func (v *Vault) spread(ctx context.Context, by, key string, note []byte, r io.ReaderAt, size int64, copies int, but []int64) ([]int64, error) {
	var holders []int64
	for _, p := range v.ranked(by, but) {
		if len(holders) >= copies {
			break
		}
		if err := v.write(ctx, p.Bucket, key, note, r, size); err != nil {
			if ctx.Err() != nil {
				return holders, fmt.Errorf("copy %s: %w", key, ctx.Err())
			}
			v.n.Log.Warn("a bucket took no copy", "shard", p.No, "copy", key, "error", err)
			continue
		}
		holders = append(holders, p.No)
	}
	return holders, nil
}

// ranked returns the places that may take an object, in the order of its own that key gives (rendezvous
// hashing: Thaler and Ravishankar, 1998), those of further domains first.
func (v *Vault) ranked(key string, but []int64) []Place {
	all := v.n.Places()
	used := map[string]bool{}
	var free []Place
	for _, p := range all {
		switch {
		case slices.Contains(but, p.No):
			if p.Domain != "" {
				used[p.Domain] = true
			}
		case p.Takes:
			free = append(free, p)
		}
	}
	slices.SortFunc(free, func(a, b Place) int { return cmp.Compare(rank(b.No, key), rank(a.No, key)) })
	var first, later []Place
	for _, p := range free {
		if p.Domain != "" && used[p.Domain] {
			later = append(later, p)
			continue
		}
		used[p.Domain] = p.Domain != ""
		first = append(first, p)
	}
	return append(first, later...)
}

func rank(no int64, key string) uint64 {
	h := fnv.New64a()
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(no))
	h.Write(b[:])
	io.WriteString(h, key)
	x := h.Sum64() // FNV's last bytes hardly reach its upper bits: mix them (the finalizer of MurmurHash3)
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// Open returns a photo's copy from the first of its holders that has it. The others are
// tried when holders is empty, so that a copy is found whose row was lost too. Errors:
// NotFound where nobody has it; else what the last bucket said.
func (v *Vault) Open(ctx context.Context, owner, photo string, holders []int64) (*Reader, error) {
	key, err := copyKey(owner, photo)
	if err != nil {
		return nil, err
	}
	last := errs.New(errs.NotFound, "there is no copy of photo %s", photo)
	for _, p := range v.n.Places() {
		if len(holders) > 0 && !slices.Contains(holders, p.No) {
			continue
		}
		r, err := v.open(ctx, p.Bucket, key)
		if err == nil {
			r.Holder = p.No
			return r, nil
		}
		if !errs.Is(err, errs.NotFound) {
			last = fmt.Errorf("read the copy at shard %d: %w", p.No, err)
		}
	}
	return nil, last
}

// Remove ends a photo's copies at the holders. One that cannot be reached is an error,
// after the others were done.
func (v *Vault) Remove(ctx context.Context, owner, photo string, holders []int64) error {
	key, err := copyKey(owner, photo)
	if err != nil {
		return err
	}
	var last error
	for _, p := range v.n.Places() {
		if !slices.Contains(holders, p.No) {
			continue
		}
		if err := p.Bucket.Delete(ctx, key); err != nil {
			last = fmt.Errorf("remove the copy of %s at shard %d: %w", photo, p.No, err)
		}
	}
	return last
}

// Photos returns up to most ids of an owner's photos of which a bucket has a copy, after
// one.
func Photos(ctx context.Context, b bucket.Bucket, owner, after string, most int) ([]string, error) {
	prefix, err := copyKey(owner, "")
	if err != nil {
		return nil, err
	}
	from := ""
	if after != "" {
		from = prefix + after
	}
	list, err := b.List(ctx, prefix, from, min(most, bucket.MaxList))
	if err != nil {
		return nil, fmt.Errorf("list the copies of %s: %w", owner, err)
	}
	ids := make([]string, len(list))
	for i, o := range list {
		ids[i] = strings.TrimPrefix(o.Key, prefix)
	}
	return ids, nil
}

// Owners returns up to most ids of owners of whom a bucket has copies or manifests,
// after one, in the order of their keys ("a-b/" comes before "a/"). Each costs one listing.
func Owners(ctx context.Context, b bucket.Bucket, after string, most int) ([]string, error) {
	var ids []string
	for len(ids) < most {
		next := ""
		for _, root := range []string{copies, manifests} {
			from := ""
			if after != "" {
				from = root + after + "0" // behind all of its objects: "0" follows "/"
			}
			list, err := b.List(ctx, root, from, 1)
			if err != nil {
				return ids, fmt.Errorf("list the owners: %w", err)
			}
			if len(list) == 0 {
				continue
			}
			owner, _, _ := strings.Cut(strings.TrimPrefix(list[0].Key, root), "/")
			if next == "" || owner+"/" < next+"/" {
				next = owner
			}
		}
		if next == "" {
			break
		}
		ids, after = append(ids, next), next
	}
	return ids, nil
}

// Where the objects lie.
const (
	copies    = "copies/"
	manifests = "manifests/"
)

// copyKey is the key of a copy; of all of an owner's, when photo is "".
func copyKey(owner, photo string) (string, error) {
	if !isID(owner) || photo != "" && !isID(photo) {
		return "", errs.New(errs.Invalid, "%q and %q are no ids of an owner and a photo", owner, photo)
	}
	return copies + owner + "/" + photo, nil
}

// isID says whether s can be a part of a key: ids.New makes such.
func isID(s string) bool {
	return len(s) > 0 && len(s) <= 64 && bucket.CheckKey(s) == nil && !strings.Contains(s, "/")
}

// Has says whether a bucket has a copy of a photo.
func Has(ctx context.Context, b bucket.Bucket, owner, photo string) (bool, error) {
	key, err := copyKey(owner, photo)
	if err != nil {
		return false, err
	}
	_, err = b.Stat(ctx, key)
	if errs.Is(err, errs.NotFound) {
		return false, nil
	}
	return err == nil, err
}
