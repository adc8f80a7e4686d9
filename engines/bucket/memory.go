package bucket

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"plumb/base/errs"
)

// memory keeps objects in a map, with their keys in order beside it. An
// object's bytes are never written again, so that readers need no lock.
type memory struct {
	mu      sync.RWMutex
	objects map[string]object
	keys    []string // sorted
}

type object struct {
	data     []byte
	modified time.Time
}

// Memory returns an empty bucket in this process's memory.
func Memory() Bucket { return &memory{objects: map[string]object{}} }

func (m *memory) Put(ctx context.Context, key string, r io.Reader, size int64, opt PutOptions) error {
	b, err := newBody(ctx, key, r, size)
	if err != nil {
		return err
	}
	var buf bytes.Buffer
	buf.Grow(int(min(b.want+1, 64<<20)) + bytes.MinRead) // so that most bodies are not copied again
	if _, err := buf.ReadFrom(b); err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	i, taken := slices.BinarySearch(m.keys, key)
	if taken && opt.IfAbsent || !taken && m.inTheWay(key, i) {
		return exists(key)
	}
	if !taken {
		m.keys = slices.Insert(m.keys, i, key)
	}
	m.objects[key] = object{buf.Bytes(), time.Now()}
	return nil
}

// inTheWay says whether key, which belongs at keys[i], is the folder of another
// key or has one as its folder: a folder on a disk could not hold both.
func (m *memory) inTheWay(key string, i int) bool {
	for folder := key; ; {
		slash := strings.LastIndexByte(folder, '/')
		if slash < 0 {
			break
		}
		folder = folder[:slash]
		if _, there := m.objects[folder]; there {
			return true
		}
	}
	j, _ := slices.BinarySearch(m.keys[i:], key+"/")
	return i+j < len(m.keys) && strings.HasPrefix(m.keys[i+j], key+"/")
}

func (m *memory) find(key string) (object, error) {
	if err := CheckKey(key); err != nil {
		return object{}, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	o, there := m.objects[key]
	if !there {
		return o, missing(key)
	}
	return o, nil
}

func (m *memory) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	o, err := m.find(key)
	if err != nil {
		return nil, err
	}
	n, err = checkRange(key, off, n, int64(len(o.data)))
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(o.data[off : off+n])), ctx.Err()
}

func (m *memory) Stat(ctx context.Context, key string) (Info, error) {
	o, err := m.find(key)
	if err != nil {
		return Info{}, err
	}
	return Info{key, int64(len(o.data)), o.modified}, ctx.Err()
}

func (m *memory) List(ctx context.Context, prefix, after string, max int) ([]Info, error) {
	if err := checkList(prefix, after, max); err != nil {
		return nil, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	i, found := slices.BinarySearch(m.keys, after)
	if found {
		i++
	}
	if prefix > after {
		i, _ = slices.BinarySearch(m.keys, prefix)
	}
	var list []Info
	for ; i < len(m.keys) && len(list) < max && strings.HasPrefix(m.keys[i], prefix); i++ {
		o := m.objects[m.keys[i]]
		list = append(list, Info{m.keys[i], int64(len(o.data)), o.modified})
	}
	return list, ctx.Err()
}

func (m *memory) Delete(ctx context.Context, key string) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if i, there := slices.BinarySearch(m.keys, key); there {
		m.keys = slices.Delete(m.keys, i, i+1)
		delete(m.objects, key)
	}
	return nil
}

func missing(key string) error { return errs.New(errs.NotFound, "there is no object %s", key) }
func exists(key string) error  { return errs.New(errs.Conflict, "object %s is there already", key) }
