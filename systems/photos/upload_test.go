package photos

import (
	"bytes"
	"context"
	"testing"
)

func TestAPhotoIsKeptWithWhatItSays(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		body := photograph(1)
		p := h.put("ada", body)
		if p.Width != 96 || p.Height != 64 || p.Camera != "Canon EOS R5" || p.Lens != "RF50mm F1.2 L USM" || !p.TakenKnown || !p.Taken.Equal(noon.AddDate(0, 0, -1)) ||
			p.Exposure != "1/250 s, f/2.8, ISO 100, 50 mm" || !p.HasPlace || p.Place != "Lisbon, Portugal" || p.State != Fresh {
			t.Errorf("%+v", p)
		}
		if got := h.image("ada", p.ID, Original); !bytes.Equal(got, body) {
			t.Errorf("the original has %d bytes, not the %d that came", len(got), len(body))
		}
		small := h.image("ada", p.ID, "small") // made at once
		p = h.ready(p)
		if p.State != Ready || len(p.Blur) != 72 || len(small) < 100 || bytes.Contains(small, []byte("Exif")) {
			t.Errorf("%+v, small has %d bytes", p, len(small))
		}
		again, dup, err := h.Upload(context.Background(), h.who["ada"], bytes.NewReader(body), UploadOptions{Size: -1})
		if err != nil || !dup || again.ID != p.ID {
			t.Errorf("again: %v %v %v", again.ID, dup, err)
		}
		bobs := h.put("bob", body)
		if bobs.ID == p.ID || bobs.Owner == p.Owner {
			t.Error("somebody else's photo of the same bytes is their own")
		}
		h.sound()
	})
}

// A view of a photo costs one read of the bucket, also where nothing opened is kept.
func TestAViewReadsTheBucketOnce(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		var list []Photo
		for seed := range uint64(4) {
			list = append(list, h.ready(h.put("ada", photograph(seed))))
		}
		const views = 200
		for _, size := range []string{"small", "large"} {
			for _, p := range list { // warm
				h.image("ada", p.ID, size)
			}
			before, _ := reads(t)
			for i := range views {
				h.image("ada", list[i%len(list)].ID, size)
			}
			after, _ := reads(t)
			if n := after - before; n < views || n > views*12/10 {
				t.Errorf("%d views of the %s size cost %d reads", views, size, n)
			}
		}
	}, func(s *setup) { s.needs.Options.RunTwice, s.config.Cache = false, -1 })
}
