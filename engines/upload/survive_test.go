package upload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"plumb/base/clock"
	"plumb/base/errs"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
	"plumb/engines/web"
)

// TestCutConnection: what arrived before a cut is kept to the byte, and the client
// goes on from there.
func TestCutConnection(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		h := p.open()
		content := random(1_500_000)
		loc := h.create(len(content), nil)
		at := int64(0)
		for _, upTo := range []int64{1, 100_000, 262_144, 1_200_007} {
			c := h.cutPatch(loc, at, int64(len(content))-at, content[at:upTo], "")
			c.Close()
			// HEAD itself waits for the writer to notice.
			await(t, "the bytes that arrived", func() bool { return h.head(loc).offset() == upTo })
			at = upTo
		}
		h.want(204, "PATCH", loc, content[at:], patchAt(at, nil))
		h.whole(loc, content)
		p.clean()
	})
}

// TestStalledConnection: a connection that hangs keeps what it brought, keeps nobody
// out, and may go on if nobody else came.
func TestStalledConnection(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, p *place) {
		h := p.open()
		content := random(900_000)
		loc := h.create(len(content), nil)
		c := h.cutPatch(loc, 0, int64(len(content)), content[:500_000], "")
		await(t, "the bytes before the pause", func() bool { return h.head(loc).offset() == 500_000 })
		c.Write(content[500_000:600_000])
		await(t, "the bytes after the pause", func() bool { return h.head(loc).offset() == 600_000 })
		h.want(204, "PATCH", loc, content[600_000:], patchAt(600_000, nil))
		h.whole(loc, content)
		c.Write(content[600_000:])
		buf := make([]byte, 20)
		c.SetReadDeadline(time.Now().Add(20 * time.Second))
		io.ReadFull(c, buf)
		if s := string(buf); !strings.HasPrefix(s, "HTTP/1.1 423") {
			t.Errorf("the connection that hung was told %q", s)
		}
		p.clean()
	})
}

// TestKilled: a process that dies while it writes loses the piece in flight at most,
// and blocks the next process no longer than its lease.
func TestKilled(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, p *place) {
		p.o.Stall = time.Hour
		h := p.open()
		content := random(1_500_000)
		loc := h.create(len(content), nil)
		h.cutPatch(loc, 0, int64(len(content)), content[:700_000], "")
		await(t, "two pieces", func() bool {
			return p.count(`SELECT got FROM upload_uploads WHERE id = $1`, idIn(loc)) == 524_288
		})
		// Its lease is that of a process which is no more: nobody renews or gives it back.
		dead := `UPDATE upload_uploads SET lease = 'dead', lease_until = $2 WHERE id = $1`
		p.exec(dead, idIn(loc), time.Now().Add(400*time.Millisecond).UnixMicro())
		h2 := p.open()
		h2.want(204, "PATCH", loc, content[524_288:900_000], patchAt(524_288, nil))
		p.exec(dead, idIn(loc), time.Now().Add(time.Hour).UnixMicro())
		a := h2.want(423, "PATCH", loc, content[900_000:], patchAt(900_000, nil))
		if a.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		if h2.head(loc).offset() != 900_000 {
			t.Error("HEAD of an upload in use")
		}
		p.exec(dead, idIn(loc), 0)
		h2.want(204, "PATCH", loc, content[900_000:], patchAt(900_000, nil))
		h2.whole(loc, content)
		p.clean()
	})
}

func (p *place) exec(q string, args ...any) {
	p.t.Helper()
	if err := p.db.Write(p.t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, q, args...)
		return err
	}); err != nil {
		p.t.Fatal(err)
	}
}

// TestKilledBeforeTheEnd: all bytes are there and the process dies. Whoever comes next
// ends the upload: a HEAD, a PATCH, or the job; once.
func TestKilledBeforeTheEnd(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		h := p.open()
		content := random(800_000)
		for name, next := range map[string]func(h *house, loc string){
			"HEAD": func(h *house, loc string) {
				if h.head(loc).offset() != int64(len(content)) {
					t.Error("HEAD")
				}
			},
			"PATCH": func(h *house, loc string) {
				h.want(204, "PATCH", loc, nil, patchAt(int64(len(content)), nil))
			},
			"job": func(h *house, loc string) {
				if err := h.e.Sweep(t.Context()); err != nil {
					t.Error(err)
				}
			},
			"all at once": func(h *house, loc string) {
				var all sync.WaitGroup
				for range 4 {
					all.Go(func() {
						if a := h.do("HEAD", loc, nil, nil); a.status != 200 {
							t.Errorf("HEAD: %d", a.status)
						}
					})
					all.Go(func() { h.e.Sweep(t.Context()) })
				}
				all.Wait()
			},
		} {
			p.refusing(errFull) // as good as a death between the last byte and the end
			loc := h.create(len(content), nil)
			h.want(503, "PATCH", loc, content, patchAt(0, nil))
			if _, there := p.file(loc); there {
				t.Fatal("there is a file")
			}
			p.refusing(nil)
			p.exec(`UPDATE upload_uploads SET retry_at = 0, lease = 'dead', lease_until = 1 WHERE id = $1`, idIn(loc))
			next(p.open(), loc)
			h.whole(loc, content)
			if n := p.count(`SELECT count(*) FROM upload_segments WHERE upload = $1`, idIn(loc)); n != 0 {
				t.Errorf("%s: %d pieces are left", name, n)
			}
		}
		p.clean()
	})
}

// TestJobWaitsAfterFailures: an ending that fails is tried again later, and not at
// once where only its owner can help.
func TestJobWaitsAfterFailures(t *testing.T) {
	c := clock.NewManual(time.Now())
	p := newPlace(t, sqldbtest.Open(t, sqldbtest.SQLite, sqldb.Options{RunTwice: true}), c)
	h := p.open()
	content := random(600_000)
	for _, k := range []errs.Kind{errs.Busy, errs.Denied} {
		p.refusing(errs.New(k, "not now"))
		loc := h.create(len(content), nil)
		h.do("PATCH", loc, content, patchAt(0, nil))
		p.refusing(nil)
		sweep := func() bool {
			if err := h.e.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			_, there := p.file(loc)
			return there
		}
		if sweep() {
			t.Errorf("%s: tried again at once", k)
		}
		c.Advance(2 * time.Minute)
		if got := sweep(); got != (k == errs.Busy) {
			t.Errorf("%s: ended after two minutes: %v", k, got)
		}
	}
}

// TestRacingWriters: many PATCHes in two processes want the same offset. The bytes of
// one of them are kept each time, and none twice.
func TestRacingWriters(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, p *place) {
		p.o.Lease, p.o.Patience = 20*time.Second, 20*time.Second // no one here is slow enough to lose its turn
		houses := []*house{p.open(), p.open()}
		content := random(1_600_000)
		loc := houses[0].create(len(content), nil)
		const step = 400_000
		for at := 0; at < len(content); at += step {
			var all sync.WaitGroup
			var mu sync.Mutex
			codes := map[int]int{}
			for i := range 6 {
				all.Go(func() {
					a := houses[i%2].do("PATCH", loc, content[at:at+step], patchAt(int64(at), nil))
					mu.Lock()
					codes[a.status]++
					mu.Unlock()
				})
			}
			all.Wait()
			if codes[204] != 1 || codes[204]+codes[409]+codes[423] != 6 {
				t.Fatalf("at %d: %v", at, codes)
			}
		}
		houses[1].whole(loc, content)
		p.clean()
	})
}

// TestTerminatedWhileWriting: who ends an upload ends its writer too.
func TestTerminatedWhileWriting(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		h := p.open()
		content := random(900_000)
		loc := h.create(len(content), nil)
		c := h.cutPatch(loc, 0, int64(len(content)), content[:600_000], "")
		await(t, "a piece", func() bool { return p.count(`SELECT got FROM upload_uploads WHERE id = $1`, idIn(loc)) > 0 })
		h.want(204, "DELETE", loc, nil, nil)
		c.Write(content[600_000:])
		buf := make([]byte, 12)
		c.SetReadDeadline(time.Now().Add(20 * time.Second))
		io.ReadFull(c, buf)
		if s := string(buf); s != "HTTP/1.1 423" && s != "HTTP/1.1 410" {
			t.Errorf("the writer was told %q", s)
		}
		h.want(410, "HEAD", loc, nil, nil)
		if err := h.e.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, there := p.file(loc); there {
			t.Error("there is a file")
		}
		p.clean()
	})
}

// TestRacingConcatenations: the same final upload asked for at the same moment is made once.
func TestRacingConcatenations(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		houses := []*house{p.open(), p.open()}
		part := random(400_000)
		var parts []string
		for range 2 {
			loc := houses[0].create(len(part), hd{"Upload-Concat": "partial"})
			houses[0].want(204, "PATCH", loc, part, patchAt(0, nil))
			parts = append(parts, loc)
		}
		var all sync.WaitGroup
		var mu sync.Mutex
		made := map[string]int{}
		for i := range 6 {
			all.Go(func() {
				a := houses[i%2].do("POST", prefix, nil, hd{"Upload-Concat": "final;" + strings.Join(parts, " ")})
				mu.Lock()
				defer mu.Unlock()
				made[a.Get("Location")]++
				if a.status != 201 {
					t.Errorf("%d %s", a.status, a.body)
				}
			})
		}
		all.Wait()
		if len(made) != 1 || p.count(`SELECT count(*) FROM room_files`) != 1 {
			t.Fatalf("made %v", made)
		}
		for loc := range made {
			houses[0].whole(loc, append(bytes.Clone(part), part...))
		}
	})
}

// TestAnyCuts: whatever a client's connection does, the content is what it sent, and
// it sends no byte twice.
func TestAnyCuts(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		p := newPlace(t, db, clock.System{})
		p.o.Piece = 50_000
		h := p.open()
		rapid.Check(t, func(rt *rapid.T) {
			content := random(rapid.IntRange(0, 400_000).Draw(rt, "size"))
			size := int64(len(content))
			header := hd{}
			deferred := rapid.Bool().Draw(rt, "deferred")
			if deferred {
				header = hd{"Upload-Length": "", "Upload-Defer-Length": "1"}
			}
			loc := h.create(len(content), header)
			at := int64(0)
			for at < size {
				least := int64(1)
				if rapid.Bool().Draw(rt, "large") {
					least = min(size-at, 60_000)
				}
				to := at + rapid.Int64Range(least, size-at).Draw(rt, "part")
				part := content[at:to]
				sum := hd{}
				if rapid.Bool().Draw(rt, "sum") {
					sum["Upload-Checksum"] = "sha1 " + sums(part)["sha1"]
				}
				switch rapid.SampledFrom([]string{"whole", "wrong", "cut", "unknown", "override", "failing"}).Draw(rt, "how") {
				case "whole":
					h.want(204, "PATCH", loc, part, patchAt(at, sum))
				case "override":
					sum["X-HTTP-Method-Override"] = "PATCH"
					h.want(204, "POST", loc, part, patchAt(at, sum))
				case "unknown":
					h.check(204, "PATCH", h.send("PATCH", loc, io.MultiReader(bytes.NewReader(part)), patchAt(at, sum)))
				case "wrong":
					h.want(460, "PATCH", loc, part, patchAt(at, hd{"Upload-Checksum": "md5 " + sums(append(part[:0:0], 1, 2, 3))["md5"]}))
					to = at
				case "cut":
					if to == size {
						continue // the server cannot tell that from a whole body
					}
					c := h.cutPatch(loc, at, to-at+1, part, "")
					c.Close()
					await(rt, "the bytes", func() bool { return h.head(loc).offset() == to })
				case "failing":
					// The sender's own stream fails; what was sent before is what counts.
					r, _ := http.NewRequest("PATCH", h.srv.URL+loc, io.MultiReader(bytes.NewReader(part), broken{h}))
					r.Header = http.Header{"Tus-Resumable": {"1.0.0"}, "Authorization": {"Bearer ann"}, "Content-Type": {bodyType}, "Upload-Offset": {fmt.Sprint(at)}}
					if resp, err := http.DefaultClient.Do(r); err == nil {
						resp.Body.Close()
					}
					if got := h.settled(loc); got < at || got > to {
						rt.Fatalf("from %d to %d: at %d", at, to, got)
					} else {
						to = got
					}
				}
				at = to
				if got := h.head(loc).offset(); got != at {
					rt.Fatalf("the offset is %d and not %d", got, at)
				}
			}
			if deferred {
				h.want(204, "PATCH", loc, nil, patchAt(size, hd{"Upload-Length": fmt.Sprint(size)}))
			}
			h.whole(loc, content)
		})
		p.clean()
	})
}

// broken is a sender's stream that fails once the server listens.
type broken struct{ h *house }

func (b broken) Read([]byte) (int, error) {
	await(b.h.t, "the server", func() bool { return b.h.active.Load() > 0 })
	return 0, errors.New("the sender's disk failed")
}

// TestOwnersAreApart: a person and a machine of the same id are not the same owner.
func TestOwnersAreApart(t *testing.T) {
	for want, who := range map[string]web.Who{"x": {Kind: "person", ID: "x"}, "machine:x": {Kind: "machine", ID: "x"}} {
		if got, err := ownerOf(who); err != nil || got != want {
			t.Errorf("%v: %q, %v", who, got, err)
		}
	}
	if _, err := ownerOf(web.Who{}); !errs.Is(err, errs.Unknown) {
		t.Error(err)
	}
}
