package photos

import "testing"

// Who moves to where the copies of their photos are gets copies elsewhere: a bucket that
// is lost never takes a photo and its copy.
func TestACopyDoesNotStayBesideItsOriginal(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.add("second")
		l := h.library(3)
		for _, name := range []string{"ada", "bob"} {
			to := "second"
			if h.home(name).Name == to {
				to = "first"
			}
			if _, err := h.PinPerson(t.Context(), h.who["boss"], name, to); err != nil {
				t.Fatal(err)
			}
		}
		h.settle()
		if err := h.payOwed(t.Context()); err != nil {
			t.Fatal(err)
		}
		for id := range l.bytes {
			p, err := h.Get(t.Context(), h.who[l.owner[id]], id)
			if err != nil {
				t.Fatal(err)
			}
			if held := holders(p.copies); len(held) != 1 || held[0] == h.home(l.owner[id]).No || p.owed != 0 {
				t.Errorf("photo %s of %s, who is on shard %d, has copies at %v and owes %d", id, l.owner[id], h.home(l.owner[id]).No, held, p.owed)
			}
		}
		empty(t, h.home("ada").Bucket)
		h.whole(l)
	})
}
