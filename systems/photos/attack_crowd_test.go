package photos

import (
	"bytes"
	"context"
	"testing"
	"time"

	"plumb/base/errs"
)

// However many uploads come at once, a shard stores a bounded number of them: each takes
// memory of its own for that. The others wait, and are told when that takes too long.
func TestAttackACrowdOfUploadsWaitsInTheSpool(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		home, err := h.set.Home(ctx, h.who["ada"].ID)
		if err != nil {
			t.Fatal(err)
		}
		var busy []func()
		for range mostStoring {
			done, err := h.spools.turn(ctx, home.No, h.clock)
			if err != nil {
				t.Fatal(err)
			}
			busy = append(busy, done)
		}
		upload := func(seed uint64) chan error {
			c := make(chan error, 1)
			go func() {
				_, _, err := h.Upload(ctx, h.who["ada"], bytes.NewReader(photograph(seed)), UploadOptions{Size: -1})
				c <- err
			}()
			return c
		}
		waits := upload(1)
		for gaveUp := false; !gaveUp; {
			h.clock.Advance(turnWait) // until it stands in line
			select {
			case err := <-waits:
				kind(t, "one too many", err, errs.Busy)
				gaveUp = true
			case <-time.After(10 * time.Millisecond):
			}
		}
		other, err := h.spools.turn(ctx, home.No+1, h.clock)
		if err != nil {
			t.Fatalf("another shard's uploads wait too: %v", err)
		}
		other()
		ended, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := h.spools.turn(ended, home.No, h.clock); err == nil {
			t.Error("who went away stands in line")
		}
		waits = upload(1)
		busy[0]()
		if err := <-waits; err != nil {
			t.Errorf("once there is a turn: %v", err)
		}
		for _, done := range busy[1:] {
			done()
		}
		if n := len(h.spools.turns[home.No]); n != 0 {
			t.Errorf("%d turns were not given back", n)
		}
		if list := h.listed("ada", Filter{}); len(list) != 1 {
			t.Errorf("%d photos were kept", len(list))
		}
		h.sound()
	})
}
