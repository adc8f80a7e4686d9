package browsertest

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	probe "plumb/engines/picture"
)

// shifts says what moved by itself on the page since it was opened, and by how much.
func (p *tab) shifts() string {
	p.Helper()
	return eval2[string](p, `new Promise(done => {
		const said = [], name = n => n?.outerHTML?.slice(0, 60) ?? n?.textContent?.slice(0, 60);
		const eye = new PerformanceObserver(list => { for (const e of list.getEntries()) if (!e.hadRecentInput) said.push(e.value.toFixed(4) + " " + e.sources.map(s => name(s.node) + " " + s.previousRect.y + ">" + s.currentRect.y + " " + s.previousRect.width + ">" + s.currentRect.width).join("; ")); });
		eye.observe({type: "layout-shift", buffered: true});
		requestAnimationFrame(() => setTimeout(() => { eye.disconnect(); done(said.join(" | ")); }, 100));
	})`)
}

// link1 makes a link to an album and returns its address without the house.
func (s *server) link1(t *testing.T, album, body string) string {
	t.Helper()
	made := ask[named](t, s, "POST", "/api/v1/photos/albums/"+album+"/links", body, 201)
	u, err := url.Parse(made.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Path
}

// photosShared looks through a link on a phone: one page and its images, nothing that
// moves, a row of photos by finger and by keys, and no place in any of them.
func photosShared(t *testing.T, b *browser, s *server, album string) {
	link := s.link1(t, album, `{"downloads": true}`)
	v := b.open(t, s, look{width: 390, height: 844, phone: true})
	v.goTo(link)
	v.await("document.querySelector('.wall img')?.naturalWidth > 0")
	v.await("[...document.querySelectorAll('.wall img')].filter(i => i.getBoundingClientRect().top < innerHeight).every(i => i.complete && i.naturalWidth > 0)")
	type load struct {
		Requests, Bytes, Page int
		Kinds                 []string
	}
	got := eval[load](v, `(() => { const all = performance.getEntriesByType("resource").filter(e => !e.name.endsWith("/icon.svg")), page = performance.getEntriesByType("navigation")[0];
		return {Requests: all.length + 1, Bytes: all.reduce((n, e) => n + e.transferSize, page.transferSize), Page: page.transferSize, Kinds: [...new Set(all.map(e => e.initiatorType))]}; })()`)
	t.Logf("first screen: %d requests, %d bytes, of which the page %d", got.Requests, got.Bytes, got.Page)
	if len(got.Kinds) != 1 || got.Kinds[0] != "img" {
		t.Errorf("the page asks for more than images: %q", got.Kinds)
	}
	v.narrow("what a link shows")
	for range 20 { // to the end and further: the next page comes by itself
		eval[bool](v, "(scrollBy(0, 2000), true)")
		time.Sleep(50 * time.Millisecond)
	}
	v.await("document.querySelectorAll('.wall > li').length === 130 && !document.querySelector('.more a')")
	if shift := v.shifts(); shift != "" {
		t.Errorf("the layout shifts: %s", shift)
	}
	if eval[int](v, "new Set([...document.querySelectorAll('.wall a')].map(a => a.pathname)).size") != 130 {
		t.Error("a photo is shown twice")
	}
	wantNoPlaces(t, s, link, eval[[]string](v, "[...document.querySelectorAll('.wall a')].slice(0, 5).map(a => a.pathname)"))

	eval[bool](v, "(scrollTo(0, 0), document.querySelectorAll('.wall a')[1].click(), true)")
	v.await("document.querySelector('dialog[open] .count')?.textContent === '2 of 130' && document.querySelector('.track figure:nth-child(2) img')?.naturalWidth > 0")
	v.narrow("a photo through a link")
	if at := eval[string](v, "location.pathname"); path.Dir(at) != link {
		t.Errorf("an open photo is at %s", at)
	}
	v.swipeUntil(-300, "document.querySelector('.count').textContent === '3 of 130'")
	v.swipeUntil(300, "document.querySelector('.count').textContent === '2 of 130'")
	v.press(kb.ArrowRight)
	v.await("document.querySelector('.count').textContent === '3 of 130'")
	v.press(kb.End)
	v.await("document.querySelector('.count').textContent === '130 of 130' && document.querySelector('.track figure:last-child img')?.naturalWidth > 0")
	if n := eval[int](v, "document.querySelectorAll('.track img').length"); n > 12 {
		t.Errorf("%d photos are kept at hand", n)
	}
	v.press(kb.Home)
	v.await("document.querySelector('.count').textContent === '1 of 130'")
	v.press(kb.Escape)
	v.await("!document.querySelector('dialog[open]') && location.pathname === '" + link + "'")
	// The address of one photo opens it, for whom it was sent to.
	v.goTo(eval[string](v, "document.querySelectorAll('.wall a')[4].pathname"))
	v.await("document.querySelector('main.one img')?.naturalWidth > 0")
	v.narrow("the page of one photo")
}

// swipe draws a finger over the middle of the page, so far to the right.
func (p *tab) swipe(by float64) {
	p.Helper()
	touch := func(kind input.DispatchTouchEventType, points ...*input.TouchPoint) {
		call(p, input.DispatchTouchEvent, input.DispatchTouchEventParams{Type: kind, TouchPoints: append([]*input.TouchPoint{}, points...)})
	}
	from := 195 - by/2
	touch("touchStart", &input.TouchPoint{X: from, Y: 420})
	for i := range 15 {
		touch("touchMove", &input.TouchPoint{X: from + by*float64(i+1)/15, Y: 420})
		time.Sleep(16 * time.Millisecond) // a frame: a finger takes its time
	}
	touch("touchEnd")
}

// swipeUntil swipes until an expression is true: a page that was not drawn yet, on a busy
// machine, feels no finger.
func (p *tab) swipeUntil(by float64, expression string) {
	p.Helper()
	for range 5 {
		p.swipe(by)
		for range 60 {
			if eval[bool](p, "Boolean("+expression+")") {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	p.Fatalf("no swipe leads to %s, at %s", expression, eval[string](p, "location.href"))
}

// wantNoPlaces fetches photos through a link, in each size, and reads what they say.
func wantNoPlaces(t *testing.T, s *server, link string, photos []string) {
	t.Helper()
	if len(photos) == 0 {
		t.Fatal("no photos to look into")
	}
	for _, photo := range photos {
		for _, size := range []string{"small", "medium", "large", "original"} {
			res, err := http.Get(s.url + photo + "/" + size)
			if err != nil {
				t.Fatal(err)
			}
			file, err := io.ReadAll(res.Body)
			_ = res.Body.Close()
			if err != nil || res.StatusCode != 200 {
				t.Fatalf("%s %s: %d %v", photo, size, res.StatusCode, err)
			}
			if res.Header.Get("ETag") == "" || !strings.Contains(res.Header.Get("Cache-Control"), "private") {
				t.Errorf("%s: %v", size, res.Header)
			}
			info, err := probe.Probe(bytes.NewReader(file), int64(len(file)))
			if err != nil || info.HasGPS || bytes.Contains(file, []byte("GPS")) {
				t.Errorf("%s tells where it was taken: %+v %v", size, info, err)
			}
		}
	}
	res, err := http.Get(s.url + link)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil || bytes.Contains(text, []byte("Lisbon")) || bytes.Contains(text, []byte("38.72")) {
		t.Errorf("the page tells the place %v", err)
	}
	for header, want := range map[string]string{"Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex", "Content-Security-Policy": "default-src 'none'", "Cache-Control": "private"} {
		if !strings.Contains(res.Header.Get(header), want) {
			t.Errorf("%s is %q", header, res.Header.Get(header))
		}
	}
	req, err := http.NewRequest("GET", s.url+link, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("If-None-Match", res.Header.Get("ETag"))
	if res, err = http.DefaultClient.Do(req); err != nil || res.StatusCode != 304 {
		t.Errorf("the same page again: %v %v", res, err)
	}
}

// photosAsked opens a link with a password.
func photosAsked(t *testing.T, b *browser, s *server, album string) {
	link := s.link1(t, album, `{"password": "open sesame"}`)
	v := b.open(t, s, look{width: 390, height: 844, phone: true, dark: true})
	v.goTo(link)
	v.narrow("a link that asks")
	if text := eval[string](v, "document.documentElement.outerHTML"); strings.Contains(text, "A wall of") {
		t.Error("the title is told before the password")
	}
	v.do(chromedp.SendKeys(chromedp.CSS("#password"), "wrong"+kb.Enter))
	v.await("!!document.querySelector('[role=alert]')")
	v.narrow("a wrong password")
	v.forgive() // its status
	v.do(chromedp.SendKeys(chromedp.CSS("#password"), "open sesame"+kb.Enter))
	v.await("document.querySelector('.wall img')?.naturalWidth > 0")
	v.goTo(eval[string](v, "document.querySelector('.wall a').pathname"))
	v.await("document.querySelector('main.one img')?.naturalWidth > 0")
	if eval[int](v, "document.querySelectorAll('a[href$=\"/original\"]').length") != 0 {
		t.Error("originals are offered where they are not given")
	}
}
