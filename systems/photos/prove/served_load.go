package prove

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"math"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"plumb/engines/lab"
	"plumb/engines/lab/load"
)

// library is the photos of a service, as those who sent them know them.
type library struct {
	b      *lab.Bench
	design string
	s      service
	paint  *painter

	mu    sync.Mutex
	kept  []kept   // acknowledged; guarded by mu
	links []string // guarded by mu
	bytes int64    // of kept; guarded by mu

	wrong, failedReads, failedViews, failedWrites atomic.Int64
	first                                         atomic.Pointer[error] // that failed
}

// kept is an acknowledged photo.
type kept struct {
	owner int
	id    string
	name  string
	size  int
	hash  sum
}

func newLibrary(b *lab.Bench, design string, s service) *library {
	return &library{b: b, design: design, s: s, paint: &painter{seed: b.Seed}}
}

// fill has each of n people upload photos: how many, and how large each is, have long
// tails, cut so that no single person is more than a shard can take. It is the same for
// every design.
func (l *library) fill(ctx context.Context, n, most int, typical float64) error {
	rng := lab.Rand(l.b.Seed, "fill")
	type item struct{ owner, at, extra int }
	var list []item
	for i := range n {
		for j := range min(1+int(weibull(rng, storedShape)), most) {
			list = append(list, item{i, j, int(min(typical*math.Exp(0.9*rng.NormFloat64()), 15*typical))})
		}
	}
	return eachOf(ctx, 6, len(list), func(ctx context.Context, i int) error {
		it := list[i]
		k, err := l.upload(ctx, it.owner, fmt.Sprintf("p%d-%d.jpg", it.owner, it.at), it.extra)
		if err != nil || it.at > 0 {
			return err
		}
		link, err := l.s.share(ctx, it.owner, k.id)
		l.mu.Lock()
		l.links = append(l.links, link)
		l.mu.Unlock()
		return err
	})
}

func (l *library) upload(ctx context.Context, owner int, name string, extra int) (kept, error) {
	body := l.paint.photo(name, extra)
	id, err := l.s.put(ctx, owner, name, body)
	if err != nil {
		return kept{}, err
	}
	k := kept{owner, id, name, len(body), sha256.Sum256(body)}
	l.b.Event("acknowledged", map[string]any{"design": l.design, "owner": owner, "name": name, "bytes": k.size})
	l.mu.Lock()
	l.kept = append(l.kept, k)
	l.bytes += int64(k.size)
	l.mu.Unlock()
	return k, nil
}

func (l *library) read(ctx context.Context, k kept) (right bool, err error) {
	got, err := l.s.get(ctx, k.owner, k.id)
	return err == nil && sha256.Sum256(got) == k.hash, err
}

// under has people read, view and upload at a rate, until done, and says how that went.
// Seven of ten read their own, two follow a link, one uploads.
func (l *library) under(ctx context.Context, people int, what string, perSecond float64, most time.Duration, done *atomic.Bool) load.Report {
	rng := lab.Rand(l.b.Seed, l.design+what)
	type call struct {
		kind, owner int
		at          float64
	}
	var calls []call // drawn here: the generator's calls run beside each other
	for range int(perSecond*most.Seconds()*1.5) + 100 {
		calls = append(calls, call{rng.IntN(10), rng.IntN(people), rng.Float64()})
	}
	times := until(load.Poisson(lab.Rand(l.b.Seed, l.design+what+" times"), perSecond), done)
	return load.Run(ctx, load.Plan{Times: times, For: most, Flying: 64}, func(ctx context.Context, i int) error {
		c := calls[i%len(calls)]
		began := time.Now()
		err, failed := error(nil), &l.failedReads
		switch l.mu.Lock(); {
		case c.kind == 0:
			l.mu.Unlock()
			failed = &l.failedWrites
			_, err = l.upload(ctx, c.owner, fmt.Sprintf("%s-%d.jpg", what, i), 2<<10)
		case c.kind <= 2:
			link := l.links[int(c.at*float64(len(l.links)))]
			l.mu.Unlock()
			failed = &l.failedViews
			err = l.s.view(ctx, link)
		default:
			k := l.kept[int(c.at*float64(len(l.kept)))]
			l.mu.Unlock()
			var right bool
			if right, err = l.read(ctx, k); err == nil && !right {
				l.wrong.Add(1)
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			failed.Add(1)
			l.first.CompareAndSwap(nil, &err)
		}
		l.b.Event("call", map[string]any{"design": l.design, "phase": what, "kind": c.kind, "ms": inMillis(time.Since(began)), "good": err == nil})
		return err
	})
}

// until ends times when done is set.
func until(times iter.Seq[time.Duration], done *atomic.Bool) iter.Seq[time.Duration] {
	return func(yield func(time.Duration) bool) {
		for at := range times {
			if done != nil && done.Load() || !yield(at) {
				return
			}
		}
	}
}

// lost reads everything that was acknowledged, and returns how many photos are not there
// as they were.
func (l *library) lost(ctx context.Context) (int, error) {
	var n atomic.Int64
	l.mu.Lock()
	list := l.kept
	l.mu.Unlock()
	err := eachOf(ctx, 4, len(list), func(ctx context.Context, i int) error {
		right, err := l.read(ctx, list[i])
		var status *errStatus
		if err != nil && !errors.As(err, &status) {
			return err // a broken connection is no answer
		}
		l.b.Event("found", map[string]any{"design": l.design, "owner": list[i].owner, "name": list[i].name, "right": right})
		if !right {
			n.Add(1)
		}
		return nil
	})
	return int(n.Load()), err
}

// astray counts, in the shards' databases of a stopped house, of how many people none or
// several shards say that they are there.
func astray(ctx context.Context, data string, people []owner) (n int, err error) {
	files, err := filepath.Glob(filepath.Join(data, "photos", "*", "shard.db"))
	if err != nil {
		return 0, err
	}
	at := map[string]int{}
	for _, path := range files {
		owners, err := ownersAt(ctx, path)
		if err != nil {
			return 0, err
		}
		for _, owner := range owners {
			at[owner]++
		}
	}
	for _, p := range people {
		if at[p.id] != 1 {
			n++
		}
	}
	return n, nil
}
