package browsertest

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"

	"plumb/engines/picture/picturetest"
)

// photosBrought drops a photo, pastes one, and lets another app share one.
func photosBrought(t *testing.T, b *browser, s *server) {
	p := b.open(t, s, desk)
	p.goTo("/photos/")
	p.ready()
	bring := func(seed int, event string) {
		name := fmt.Sprintf("%s.jpg", strings.ToLower(event))
		file, err := json.Marshal(shot(seed, 200, 150))
		if err != nil {
			t.Fatal(err)
		}
		eval[bool](p, fmt.Sprintf(`(() => {
			const what = new DataTransfer();
			what.items.add(new File([Uint8Array.from(atob(%s), c => c.charCodeAt(0))], %q, {type: "image/jpeg"}));
			if (%q === "Paste") return document.body.dispatchEvent(new ClipboardEvent("paste", {clipboardData: what, bubbles: true, cancelable: true}));
			document.body.dispatchEvent(new DragEvent("dragover", {dataTransfer: what, bubbles: true, cancelable: true}));
			if (!document.body.classList.contains("dropping")) throw new Error("the page does not show that it takes what is dropped");
			document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: what, bubbles: true, cancelable: true}));
		})() ?? true`, file, name, event))
		p.await(fmt.Sprintf("[...document.querySelectorAll('.transfers li.over')].some(li => li.textContent.startsWith(%q)) && %s", name, tileOf(name)))
	}
	bring(40, "Drop")
	bring(41, "Paste")

	// What the phone's system does when another app shares to the room: a form that no
	// page of ours sent.
	p.await("navigator.serviceWorker.controller")
	if m := eval2[string](p, "fetch(document.querySelector('link[rel=manifest]').href).then(r => r.json()).then(m => m.share_target.action)"); m != "/photos/share" {
		t.Errorf("the manifest leads to %q", m)
	}
	eval[bool](p, `(() => {
		const form = document.createElement("form"), input = document.createElement("input"), what = new DataTransfer();
		Object.assign(form, {method: "post", action: "/photos/share", enctype: "multipart/form-data"});
		Object.assign(input, {type: "file", name: "photos", multiple: true});
		what.items.add(new File(["no photo"], "sent über.jpg", {type: "image/jpeg"}));
		input.files = what.files;
		form.append(input);
		document.body.append(form);
		form.submit();
	})() ?? true`)
	// Any site's page could have sent it too: nothing is taken before the person says so.
	p.await("location.pathname === '/photos/' && document.querySelector('.asks')?.textContent.includes('sent über.jpg')")
	if eval[int](p, "document.querySelectorAll('.transfers li').length") != 0 {
		t.Error("what another app shares is taken unasked")
	}
	eval[bool](p, "document.querySelector('.asks button').click() ?? true")
	p.await("location.pathname === '/photos/' && document.querySelector('.transfers li.wrong .what')?.textContent === 'sent über.jpg'")
	p.forgive() // the refusal's status
}

// photosCut cuts the line in the middle of an upload, and mends it: the browser reaches
// the server through a cable of the test's own.
func photosCut(t *testing.T, b *browser, s *server) {
	line := lay(t, strings.TrimPrefix(s.url, "http://"))
	p := b.open(t, &server{url: "http://" + line.addr}, phone)
	p.goTo("/photos/")
	p.ready()
	file := disk(t, "cut.png", picturetest.PNG(picturetest.Scene(1500, 1200, 7))) // some MiB of noise
	p.slow(1 << 20)
	p.do(chromedp.SetUploadFiles(chromedp.CSS("form.adder input[type=file]"), []string{file}))
	p.await("document.querySelector('.transfers progress')?.value > 0.2")
	line.cut()
	p.await("document.querySelector('.transfers .figure').textContent === 'the line is cut; it is tried again'")
	p.narrow("an upload whose line is cut")
	p.slow(-1)
	line.mend()
	p.await("document.querySelector('.transfers li.over') && " + tileOf("cut.png"))
	p.forgive() // the browser reports what it could not send
}

// cable carries connections to an address, until it is cut.
type cable struct {
	addr string
	mu   sync.Mutex
	down bool
	open map[net.Conn]bool
}

// lay lays a cable; it ends with the test.
func lay(t *testing.T, to string) *cable {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{addr: ln.Addr().String(), open: map[net.Conn]bool{}}
	t.Cleanup(func() { ln.Close(); c.cut() })
	go func() {
		for {
			near, err := ln.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil || !c.join(near, far) {
				near.Close()
				continue
			}
			for _, ends := range [][2]net.Conn{{near, far}, {far, near}} {
				go func() {
					_, _ = io.Copy(ends[0], ends[1]) // it ends when either is closed
					ends[0].Close()
				}()
			}
		}
	}()
	return c
}

// join keeps two ends, to cut them; not while the cable is down.
func (c *cable) join(ends ...net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, end := range ends {
		if c.down {
			end.Close()
			continue
		}
		c.open[end] = true
	}
	return !c.down
}

func (c *cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = true
	for end := range c.open {
		end.Close()
	}
	clear(c.open)
}

func (c *cable) mend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = false
}

// photosKilled kills the server in the middle of an upload, starts it again on the same
// data and port, and sees the browser finish by itself.
func photosKilled(t *testing.T, b *browser, s *server) {
	p := b.open(t, s, desk)
	p.goTo("/photos/")
	p.ready()
	p.slow(2 << 20)
	p.do(chromedp.SetUploadFiles(chromedp.CSS("form.adder input[type=file]"), []string{disk(t, "killed.png", picturetest.PNG(picturetest.Scene(1500, 1200, 8)))}))
	p.await("document.querySelector('.transfers progress')?.value > 0.2")
	restart(t, s, func() {
		p.await("document.querySelector('.transfers .figure').textContent.endsWith('it is tried again')")
	})
	p.slow(-1)
	p.await("document.querySelector('.transfers li.over') && " + tileOf("killed.png"))
	p.forgive()
}
