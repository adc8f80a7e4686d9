package vault

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"

	"plumb/base/errs"
	"plumb/engines/bucket"
)

// MaxManifest is the most bytes of a manifest before it is compressed: some 500,000
// photos of one owner.
const MaxManifest = 256 << 20

// Manifest is all rows of an owner at one moment.
type Manifest struct {
	Owner string
	Rev   int64 // the owner's counter, which grows with each change
	Rows  []byte
}

// PutManifest stores an owner's rows in so many buckets, home among them where that
// takes it, and returns their shards. Earlier ones are removed there, but for the last
// before it.
func (v *Vault) PutManifest(ctx context.Context, m Manifest, home int64, copies int) ([]int64, error) {
	prefix, err := manifestPrefix(m.Owner)
	if err != nil {
		return nil, err
	}
	if len(m.Rows) > MaxManifest {
		return nil, errs.New(errs.TooLarge, "the rows of %s take %d bytes; a manifest has at most %d", m.Owner, len(m.Rows), MaxManifest)
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("write a manifest: %w", err)
	}
	small := enc.EncodeAll(m.Rows, nil)
	key := fmt.Sprintf("%s%020d", prefix, m.Rev)
	var holders, others []int64
	places := v.n.Places()
	for _, p := range places {
		if p.No != home {
			others = append(others, p.No)
		}
	}
	for _, but := range [][]int64{others, {home}} {
		got, err := v.spread(ctx, prefix, key, nil, bytes.NewReader(small), int64(len(small)), copies-len(holders), but)
		if holders = append(holders, got...); err != nil {
			return holders, err
		}
	}
	for _, p := range places {
		if slices.Contains(holders, p.No) {
			if err := forgetOld(ctx, p.Bucket, prefix, key); err != nil {
				v.n.Log.Warn("old manifests stay", "shard", p.No, "owner", m.Owner, "error", err)
			}
		}
	}
	return holders, nil
}

// forgetOld removes the manifests before key, but for the last of them.
func forgetOld(ctx context.Context, b bucket.Bucket, prefix, key string) error {
	list, err := b.List(ctx, prefix, "", bucket.MaxList)
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(o bucket.Info) bool { return o.Key >= key })
	for _, o := range list[:max(len(list)-1, 0)] {
		if err := b.Delete(ctx, o.Key); err != nil {
			return err
		}
	}
	return nil
}

// NewestManifest returns the newest manifest of an owner that any bucket has and that
// opens. Errors: NotFound when there is none.
func (v *Vault) NewestManifest(ctx context.Context, owner string) (Manifest, error) {
	prefix, err := manifestPrefix(owner)
	if err != nil {
		return Manifest{}, err
	}
	type found struct {
		key string
		at  Place
	}
	var all []found
	for _, p := range v.n.Places() {
		list, err := p.Bucket.List(ctx, prefix, "", bucket.MaxList)
		if err != nil {
			v.n.Log.Warn("a bucket cannot be asked for manifests", "shard", p.No, "error", err)
		}
		for _, o := range list {
			all = append(all, found{o.Key, p})
		}
	}
	slices.SortStableFunc(all, func(a, b found) int { return strings.Compare(b.key, a.key) })
	for _, f := range all {
		m, err := v.manifest(ctx, f.at.Bucket, owner, f.key)
		if err == nil {
			return m, nil
		}
		v.n.Log.Warn("a manifest does not open", "shard", f.at.No, "key", f.key, "error", err)
	}
	return Manifest{}, errs.New(errs.NotFound, "there is no manifest of %s", owner)
}

func (v *Vault) manifest(ctx context.Context, b bucket.Bucket, owner, key string) (Manifest, error) {
	r, err := v.open(ctx, b, key)
	if err != nil {
		return Manifest{}, err
	}
	dec, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(MaxManifest), zstd.WithDecoderMaxWindow(32<<20))
	if err != nil {
		return Manifest{}, fmt.Errorf("open %s: %w", key, err)
	}
	defer dec.Close()
	var rows bytes.Buffer
	if _, err := dec.WriteTo(&rows); err != nil {
		return Manifest{}, errs.Wrap(errs.Internal, err, "open %s", key)
	}
	rev, err := strconv.ParseInt(key[strings.LastIndexByte(key, '/')+1:], 10, 64)
	if err != nil {
		return Manifest{}, errs.Wrap(errs.Internal, err, "%s is no manifest", key)
	}
	return Manifest{owner, rev, rows.Bytes()}, nil
}

func manifestPrefix(owner string) (string, error) {
	if !isID(owner) {
		return "", errs.New(errs.Invalid, "%q is no id of an owner", owner)
	}
	return manifests + owner + "/", nil
}
