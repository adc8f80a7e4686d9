package photos

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"plumb/base/errs"
	"plumb/engines/sqldb/sqldbtest"
)

// Shards come and go while people upload, look and order: nothing is refused, and what
// was acknowledged is there.
func TestPeopleNoticeNoMove(t *testing.T) {
	for _, dbKind := range sqldbtest.Kinds() {
		t.Run(dbKind, func(t *testing.T) {
			t.Parallel()
			h := open(t, dbKind, func(s *setup) { s.needs.Options.RunTwice, s.config.Grace = false, 0 })
			ctx, stop := context.WithCancel(context.Background())
			var all sync.WaitGroup
			defer all.Wait()
			defer stop()
			var uploads, looks atomic.Int64
			people := make([][]Photo, 8)
			for i := range people {
				who := Person{ID: fmt.Sprintf("person-%d", i)}
				all.Go(func() {
					for n := uint64(0); ctx.Err() == nil && n < 20; n++ {
						body := photograph(100*uint64(i) + n)
						p, _, err := h.Upload(context.Background(), who, bytes.NewReader(body), UploadOptions{Size: -1})
						if err != nil {
							t.Errorf("upload: %v", err)
							return
						}
						people[i] = append(people[i], p)
						uploads.Add(1)
						img, err := h.OpenImage(context.Background(), who, people[i][0].ID, Original)
						if err != nil {
							t.Errorf("look: %v", err)
							return
						}
						if b, err := io.ReadAll(img); err != nil || int64(len(b)) != people[i][0].Size {
							t.Errorf("look: %d bytes, %v", len(b), err)
						}
						img.Close()
						looks.Add(1)
					}
				})
			}
			h.add("second")
			h.add("third")
			if _, err := h.DrainShard(context.Background(), h.who["boss"], "first"); err != nil {
				t.Error(err)
			}
			h.settle()
			stop()
			all.Wait()
			for i, list := range people {
				got := 0
				for cursor := ""; ; {
					photos, next, err := h.List(context.Background(), Person{ID: fmt.Sprintf("person-%d", i)}, Filter{Cursor: cursor})
					if err != nil {
						t.Fatal(err)
					}
					got += len(photos)
					if cursor = next; next == "" {
						break
					}
				}
				if got != len(list) {
					t.Errorf("person %d has %d photos of the %d that were acknowledged", i, got, len(list))
				}
				for n, p := range list {
					img, err := h.OpenImage(context.Background(), Person{ID: p.Owner}, p.ID, Original)
					if err != nil {
						t.Fatalf("photo %d of person %d: %v", n, i, err)
					}
					b, err := io.ReadAll(img)
					img.Close()
					if err != nil || !bytes.Equal(b, photograph(100*uint64(i)+uint64(n))) {
						t.Errorf("photo %d of person %d: %d bytes, %v", n, i, len(b), err)
					}
				}
			}
			t.Logf("%d uploads and %d looks went on", uploads.Load(), looks.Load())
			h.sound()
		})
	}
}

// shadow is what a person should have.
type shadow struct {
	photos map[string]uint64 // seed by id
	binned map[string]bool
	albums map[string][]string
}

// Random changes leave what a model has, and every count exact, on any shard.
func TestRandomChangesMatchAModel(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		r := rand.New(rand.NewPCG(1, 2))
		ctx := context.Background()
		people := map[string]*shadow{}
		for i := range 4 {
			people[fmt.Sprintf("person-%d", i)] = &shadow{map[string]uint64{}, map[string]bool{}, map[string][]string{}}
		}
		for step := range 240 {
			name := fmt.Sprintf("person-%d", r.IntN(len(people)))
			if err := people[name].step(ctx, h, Person{ID: name}, r); err != nil {
				t.Fatalf("step %d: %v", step, err)
			}
			switch step {
			case 80:
				h.add("second")
			case 160:
				h.add("third")
			case 200:
				if _, err := h.DrainShard(ctx, h.who["boss"], "first"); err != nil {
					t.Fatal(err)
				}
				h.settle()
			}
			if step%40 == 39 {
				h.sound()
				for name, m := range people {
					m.compare(h, name)
				}
			}
		}
	})
}

// some returns a few of a map's keys.
func some[V any](r *rand.Rand, m map[string]V) []string {
	var list []string
	for k := range m {
		list = append(list, k)
	}
	slices.Sort(list)
	r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list[:min(len(list), 1+r.IntN(3))]
}

// step does one thing to both.
func (m *shadow) step(ctx context.Context, h *house, who Person, r *rand.Rand) error {
	pick := some(r, m.photos)
	switch k := r.IntN(10); {
	case k < 3 || len(pick) == 0:
		seed := r.Uint64N(12)
		p, _, err := h.Upload(ctx, who, bytes.NewReader(photograph(seed)), UploadOptions{Size: -1})
		if err == nil {
			m.photos[p.ID] = seed
			delete(m.binned, p.ID)
		}
		return err
	case k == 3:
		_, err := h.Remove(ctx, who, pick...)
		for _, id := range pick {
			m.binned[id] = true
		}
		return err
	case k == 4:
		_, err := h.Restore(ctx, who, pick...)
		for _, id := range pick {
			delete(m.binned, id)
		}
		return err
	case k == 5:
		_, err := h.Purge(ctx, who, pick...)
		for _, id := range pick {
			if m.binned[id] {
				delete(m.binned, id)
				delete(m.photos, id)
				for a, list := range m.albums {
					m.albums[a] = slices.DeleteFunc(list, func(s string) bool { return s == id })
				}
			}
		}
		return err
	case k == 6 || len(m.albums) == 0:
		al, err := h.MakeAlbum(ctx, who, "A", pick)
		m.albums[al.ID] = slices.Clone(pick)
		return err
	}
	album := some(r, m.albums)[0]
	switch r.IntN(4) {
	case 0:
		_, err := h.AddTo(ctx, who, album, pick...)
		for _, id := range pick {
			if !slices.Contains(m.albums[album], id) {
				m.albums[album] = append(m.albums[album], id)
			}
		}
		return err
	case 1:
		_, err := h.TakeOut(ctx, who, album, pick...)
		m.albums[album] = slices.DeleteFunc(m.albums[album], func(s string) bool { return slices.Contains(pick, s) })
		return err
	case 2:
		list := m.albums[album]
		if len(list) < 2 {
			return nil
		}
		i, j := r.IntN(len(list)), r.IntN(len(list))
		if i == j {
			return nil
		}
		moved, before := list[i], list[j]
		_, err := h.Move(ctx, who, album, before, moved)
		list = slices.Delete(list, i, i+1)
		m.albums[album] = slices.Insert(list, slices.Index(list, before), moved)
		return err
	}
	p := Photo{Owner: who.ID, ID: pick[0]}
	if err := h.makeSizes(ctx, p.Owner, p.ID); err != nil {
		return err
	}
	_, err := h.OpenImage(ctx, who, p.ID, "small")
	return errsIgnored(err, errs.NotFound)
}

func errsIgnored(err error, k errs.Kind) error {
	if errs.Is(err, k) {
		return nil
	}
	return err
}

// compare fails the test where the room has other than the model.
func (m *shadow) compare(h *house, name string) {
	h.t.Helper()
	h.who[name] = Person{ID: name}
	var want []string
	for id := range m.photos {
		if !m.binned[id] {
			want = append(want, id)
		}
	}
	slices.Sort(want)
	got := h.listed(name, Filter{})
	slices.Sort(got)
	if !slices.Equal(got, want) {
		h.t.Errorf("%s has %v, not %v", name, got, want)
	}
	for id, seed := range m.photos {
		if !bytes.Equal(h.image(name, id, Original), photograph(seed)) {
			h.t.Errorf("%s: photo %s is not what came", name, id)
		}
	}
	for album, list := range m.albums {
		shown := slices.DeleteFunc(slices.Clone(list), func(id string) bool { return m.binned[id] })
		if got := h.listed(name, Filter{Album: album}); strings.Join(got, " ") != strings.Join(shown, " ") {
			h.t.Errorf("%s: album %s shows %v, not %v", name, album, got, shown)
		}
	}
}
