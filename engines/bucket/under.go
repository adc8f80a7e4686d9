package bucket

import (
	"context"
	"io"
	"os"
	"strings"

	"plumb/base/errs"
)

// Under returns the part of b whose keys begin with "prefix/", as a bucket of its own:
// so that several may share one store. A key in it may be as much shorter as the prefix
// takes. What b can do besides (Opener, Roomer), the part can too. Errors: Invalid.
func Under(b Bucket, prefix string) (Bucket, error) {
	if err := CheckKey(prefix); err != nil {
		return nil, err
	}
	if len(prefix) > MaxSegment {
		return nil, errs.New(errs.Invalid, "a prefix may have %d bytes, not %d", MaxSegment, len(prefix))
	}
	u := under{b, prefix + "/", MaxKey - len(prefix) - 1}
	if part, ok := b.(interface{ MaxKey() int }); ok {
		u.max = part.MaxKey() - len(u.prefix)
	}
	files, opens := b.(Opener)
	disk, knows := b.(Roomer)
	switch {
	case opens && knows:
		return struct {
			under
			underOpener
			Roomer
		}{u, underOpener{u, files}, disk}, nil
	case opens:
		return struct {
			under
			underOpener
		}{u, underOpener{u, files}}, nil
	case knows:
		return struct {
			under
			Roomer
		}{u, disk}, nil
	}
	return u, nil
}

// under puts its prefix before every key.
type under struct {
	all    Bucket
	prefix string
	max    int // bytes of a key
}

// MaxKey returns how many bytes a key may have here.
func (u under) MaxKey() int { return u.max }

// key checks a key by itself before it becomes one of the whole bucket's.
func (u under) key(key string) (string, error) {
	if err := CheckKey(key); err != nil {
		return "", err
	}
	if len(key) > u.max {
		return "", errs.New(errs.Invalid, "a key under %s must have 1 to %d bytes, not %d", u.prefix, u.max, len(key))
	}
	return u.prefix + key, nil
}

func (u under) Put(ctx context.Context, key string, r io.Reader, size int64, opt PutOptions) error {
	key, err := u.key(key)
	if err != nil {
		return err
	}
	return u.all.Put(ctx, key, r, size, opt)
}

func (u under) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	key, err := u.key(key)
	if err != nil {
		return nil, err
	}
	return u.all.Get(ctx, key, off, n)
}

func (u under) Stat(ctx context.Context, key string) (Info, error) {
	key, err := u.key(key)
	if err != nil {
		return Info{}, err
	}
	info, err := u.all.Stat(ctx, key)
	info.Key = strings.TrimPrefix(info.Key, u.prefix)
	return info, err
}

func (u under) List(ctx context.Context, prefix, after string, max int) ([]Info, error) {
	if err := checkList(prefix, after, max); err != nil {
		return nil, err
	}
	if len(prefix) > u.max {
		return nil, nil // no key is so long
	}
	if len(after) > u.max {
		// No key is so long: what sorts after its beginning sorts after it.
		after = after[:u.max]
	}
	if after != "" {
		after = u.prefix + after
	}
	list, err := u.all.List(ctx, u.prefix+prefix, after, max)
	for i := range list {
		list[i].Key = strings.TrimPrefix(list[i].Key, u.prefix)
	}
	return list, err
}

func (u under) Delete(ctx context.Context, key string) error {
	key, err := u.key(key)
	if err != nil {
		return err
	}
	return u.all.Delete(ctx, key)
}

// underOpener opens the files of a part.
type underOpener struct {
	part  under
	files Opener
}

// OpenFile implements Opener.
func (o underOpener) OpenFile(ctx context.Context, key string) (*os.File, error) {
	key, err := o.part.key(key)
	if err != nil {
		return nil, err
	}
	return o.files.OpenFile(ctx, key)
}
