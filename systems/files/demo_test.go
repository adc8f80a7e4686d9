package files

import (
	"context"
	"testing"
	"time"

	"plumb/base/errs"
)

// The demonstration makes its library once, shows that storing once saves, and ends
// without an error.
func TestDemo(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		h.enter("admin")
		run := func(until func() bool) {
			t.Helper()
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- h.Demo(ctx) }()
			for !until() {
				time.Sleep(10 * time.Millisecond)
			}
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		there := func(path string) func() bool {
			return func() bool {
				_, err := h.Stat(t.Context(), h.who["admin"], path)
				if err != nil && !errs.Is(err, errs.NotFound) {
					t.Fatal(err)
				}
				return err == nil
			}
		}
		run(there("Library/Read me.txt"))
		st, err := h.Stats(t.Context(), Person{Operator: true})
		if err != nil {
			t.Fatal(err)
		}
		saved := st.Saved()
		if saved.SameFile < 100_000 || saved.SameChunks < 1<<20 || saved.Compression < 100_000 || st.Files < 30 {
			t.Errorf("%+v, %+v", st, saved)
		}
		list, _, err := h.Public(t.Context(), "", 0)
		if err != nil || len(list) != 1 || list[0].Name != "Library" {
			t.Errorf("%+v, %v", list, err)
		}
		run(func() bool { h.clock.Advance(demoEvery); return there("Library/Arrivals/Note 00.txt")() })
		if again, err := h.Stats(t.Context(), Person{Operator: true}); err != nil || again.Files < st.Files+1 || again.Files > st.Files+demoKept {
			t.Errorf("%+v then %+v, %v", st, again, err)
		}
		h.sound()
	})
}
