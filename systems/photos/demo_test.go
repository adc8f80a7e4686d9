package photos

import (
	"context"
	"testing"
	"time"

	"plumb/engines/web"
)

func TestTheDemonstrationIsMadeOnceAndLives(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		h.enter("admin", web.Admin)
		h.demoEdge = 90 // pixels are not what is tested
		admin := h.who["admin"]
		for range 2 { // the second start finds what the first made
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			go func() { ended <- h.Demo(ctx) }()
			until := time.Now().Add(time.Minute)
			for viewed := false; !viewed; {
				if time.Now().After(until) {
					t.Fatal("nobody looks at the album")
				}
				h.clock.Advance(demoEvery)
				time.Sleep(10 * time.Millisecond)
				h.views.mu.Lock()
				viewed = len(h.views.links) > 0
				h.views.mu.Unlock()
			}
			cancel()
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
			h.countViews(context.Background())
		}
		albums, _, err := h.Albums(context.Background(), admin, "", "", 0)
		if err != nil || len(albums) != 2 || max(albums[0].Photos, albums[1].Photos) != int64(len(demoStops)) {
			t.Errorf("%+v %v", albums, err)
		}
		if list := h.listed("admin", Filter{Place: "portugal"}); len(list) != 1 {
			t.Errorf("%d photos of Portugal", len(list))
		}
		if n := len(h.set.Shards()); n != 3 {
			t.Errorf("there are %d shards", n)
		}
		h.settle()
		h.sound()
	}, func(s *setup) { s.needs.Options.RunTwice = false })
}
