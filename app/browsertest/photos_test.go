package browsertest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	probe "plumb/engines/picture"
	"plumb/engines/picture/exif"
	"plumb/engines/picture/picturetest"
)

// TestPhotos goes the ways of the room of photos, with one server and one browser.
func TestPhotos(t *testing.T) {
	b := start(t)
	s := serve(t)
	t.Run("desk", func(t *testing.T) {
		// By a session's cookie, so that each change carries its token.
		p := b.open(t, s, look{width: 1280, height: 900})
		p.do(chromedp.Navigate(s.link))
		p.await("location.pathname !== '/signin'")
		photosWay(p, 1)
	})
	t.Run("phone dark", func(t *testing.T) { photosWay(b.open(t, s, phone), 2) })
	album, shots := s.hang(t, 130)
	t.Run("pages", func(t *testing.T) { photosPages(t, b, s, album, shots[0]) })
	t.Run("without scripts", func(t *testing.T) { photosWithoutScripts(t, b, s, album) })
	t.Run("choosing", func(t *testing.T) { photosChosen(t, b, s, album) })
	t.Run("order", func(t *testing.T) { photosOrdered(t, b, s) })
	t.Run("a link on a phone", func(t *testing.T) { photosShared(t, b, s, album) })
	t.Run("a link with a password", func(t *testing.T) { photosAsked(t, b, s, album) })
	t.Run("dropped, pasted, shared", func(t *testing.T) { photosBrought(t, b, s) })
	t.Run("a cut line", func(t *testing.T) { photosCut(t, b, s) })
	t.Run("a shard joins", func(t *testing.T) { photosShards(t, b, s, shots) })
	t.Run("an upload outlives the server", func(t *testing.T) { photosKilled(t, b, s) })
}

// shot makes a photo that tells when and where it was taken.
func shot(seed, width, height int) []byte {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).Add(-time.Duration(seed) * 31 * time.Hour)
	return picturetest.WithEXIF(picturetest.JPEG(picturetest.Scene(width, height, uint64(seed)), 80),
		exif.Fields{Taken: at, Make: "Acme", Model: "Box 1", HasGPS: true, Lat: 38.7223, Lon: -9.1393})
}

// ask sends JSON as the admin and reads the answer.
func ask[T any](t *testing.T, s *server, method, path, body string, want int) (answer T) {
	t.Helper()
	req, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != want {
		t.Fatalf("%s %s: %d %.500s %v", method, path, res.StatusCode, text, err)
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		t.Fatalf("%s %s: %.500s: %v", method, path, text, err)
	}
	return answer
}

// named is what many answers have.
type named struct{ ID, URL string }

// take uploads a photo and returns its id.
func (s *server) take(t *testing.T, name string, file []byte) string {
	t.Helper()
	status, answer := s.api(t, "POST", "/api/v1/photos?name="+url.QueryEscape(name), file)
	var photo named
	if err := json.Unmarshal(answer, &photo); err != nil || status != 201 || photo.ID == "" {
		t.Fatalf("upload %s: %d %.500s %v", name, status, answer, err)
	}
	return photo.ID
}

// hang makes an album of so many photos.
func (s *server) hang(t *testing.T, n int) (album string, shots []string) {
	t.Helper()
	shapes := [][2]int{{600, 400}, {400, 600}, {640, 480}, {500, 500}, {900, 300}}
	for i := range n {
		shape := shapes[i%len(shapes)]
		shots = append(shots, s.take(t, fmt.Sprintf("hung-%03d.jpg", i), shot(100+i, shape[0], shape[1])))
	}
	list, err := json.Marshal(shots)
	if err != nil {
		t.Fatal(err)
	}
	made := ask[named](t, s, "POST", "/api/v1/photos/albums", `{"title": "A wall of <b>photos</b>", "photos": `+string(list)+`}`, 201)
	return made.ID, shots
}

// tileOf is the photo of a wall that is called so.
func tileOf(name string) string {
	return fmt.Sprintf(`document.querySelector('.shot:has(input[aria-label="Choose %s"])')`, name)
}

// ready waits until the page's script runs.
func (p *tab) ready() {
	p.Helper()
	p.await("!!document.querySelector('.transfers-box')")
}

// hit presses what the page has, where it can be seen.
func (p *tab) hit(what string) {
	p.Helper()
	p.await(fmt.Sprintf("document.readyState === 'complete' && document.querySelector(%q)?.checkVisibility()", what))
	eval[bool](p, fmt.Sprintf("document.querySelector(%q).click() ?? true", what))
}

// photosWay is the main way: photos come with their progress, one is opened, gets a
// caption, a heart and an album, which gets a link that a stranger opens; one is deleted,
// and comes back.
func photosWay(p *tab, seed int) {
	first, second := fmt.Sprintf("first-%d.jpg", seed), fmt.Sprintf("second-%d.png", seed)
	p.goTo("/photos/")
	p.ready()
	p.narrow("the photos, before any came")
	p.do(chromedp.SetUploadFiles(chromedp.CSS("form.adder input[type=file]"), []string{disk(p.T, first, shot(seed, 1200, 800)), disk(p.T, second, picturetest.PNG(picturetest.Scene(300, 400, uint64(seed)))), disk(p.T, "notes.jpg", []byte("no photo"))}))
	p.await("document.querySelectorAll('.transfers li.over').length === 2 && document.querySelectorAll('.transfers li.wrong').length === 1")
	p.await("document.querySelector('.transfers-box h3').textContent === '2 added, 1 not taken' && document.querySelector('.transfers li.wrong .figure').textContent.startsWith('not taken: ')")
	p.await(tileOf(first) + " && " + tileOf(second))
	p.forgive() // the refusal's status
	p.narrow("uploads that are over")
	p.do(chromedp.SetUploadFiles(chromedp.CSS("form.adder input[type=file]"), []string{disk(p.T, "again.jpg", shot(seed, 1200, 800))}))
	p.await("document.querySelector('.transfers li.same .figure')?.textContent === 'is here already, as “" + first + "”'")

	eval[bool](p, fmt.Sprintf(`[...document.querySelectorAll(".transfers a")].find(a => a.textContent === %q).click() ?? true`, first))
	p.await("document.querySelector('.stage img')?.naturalWidth > 0 && document.querySelector('.about h2').textContent === '" + first + "'")
	p.await("[...document.querySelectorAll('.about dd')].some(d => d.textContent.includes('Acme Box 1')) && [...document.querySelectorAll('.about dd')].some(d => d.textContent.includes('Lisbon'))")
	p.narrow("one photo")
	one := eval[string](p, "location.pathname")
	p.do(chromedp.SendKeys(chromedp.CSS("#caption"), "Evening & <b>rain</b>"))
	p.hit(`button[value="caption"]`)
	p.await("document.querySelector('.about h2').textContent === 'Evening & <b>rain</b>' && document.querySelector('[role=status]')?.textContent.includes('Saved')")
	p.hit("button[aria-pressed=false]")
	p.await("!!document.querySelector('button[aria-pressed=true]') && document.readyState === 'complete'")
	p.do(chromedp.SendKeys(chromedp.CSS("#title"), fmt.Sprintf("Album %d", seed)+kb.Enter))
	p.await("document.querySelector('[role=status] a')?.textContent === 'Open it'")
	p.hit("[role=status] a")
	p.await("location.pathname.startsWith('/photos/albums/') && document.querySelectorAll('.shot').length === 1")
	p.ready()
	p.narrow("an album")
	p.hit("a[href^='/photos/links?album=']")
	p.await("!!document.querySelector('#life')")
	if life := eval[string](p, "document.querySelector('#life').value"); life != "30" {
		p.Errorf("a link is good for %s days where nothing is said", life)
	}
	share := eval[string](p, "location.pathname + location.search")
	p.hit(`button[value="make"]`)
	p.await("document.querySelector('#url')?.value.includes('/p/')")
	p.narrow("a link that was made")
	link := eval[string](p, "new URL(document.querySelector('#url').value).pathname")
	v := p.b.open(p.T, p.s, look{width: 390, height: 844, phone: true})
	v.goTo(link)
	v.await(fmt.Sprintf("document.querySelector('h1').textContent === 'Album %d' && document.querySelector('.wall img')?.naturalWidth > 0", seed))
	views := ""
	for range 40 { // they are written within seconds
		p.goTo(share)
		if views = eval[string](p, "document.querySelector('tbody td:nth-of-type(3)').textContent"); views != "0" {
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	if views != "1" {
		p.Errorf("a link that was opened once has %s views", views)
	}
	p.hit(`button[value="revoke"]`)
	p.await("document.querySelector('[role=status]')?.textContent.includes('ended')")
	p.narrow("a link that was revoked")
	if res, err := http.Get(p.s.url + link); err != nil || res.StatusCode != 404 {
		p.Errorf("a revoked link answers %v %v", res, err)
	}

	p.goTo("/photos/")
	p.ready()
	p.await(tileOf(second))
	eval[bool](p, tileOf(second)+".querySelector('input').click() ?? true")
	p.await("document.body.classList.contains('choosing') && document.querySelector('.chosen .says').textContent === '1 photo chosen'")
	p.narrow("a photo that is chosen")
	p.hit(`.chosen button[value="remove"]`)
	p.await("!" + tileOf(second) + " && document.querySelector('.toasts')?.textContent.includes('in the bin')")
	p.narrow("what can be undone")
	p.hit(".toasts button")
	p.await(tileOf(second) + " && !document.querySelector('.toasts .note')")
	p.goTo(one)
	p.hit(`.about button[value="remove"]`)
	p.await("location.pathname === '/photos/' && document.querySelector('[role=status] button')?.textContent === 'Undo'")
	p.hit("[role=status] button")
	p.await("document.querySelector('[role=status]')?.textContent.includes('back')")
}

// photosPages looks at every page of the room, with something in it.
func photosPages(t *testing.T, b *browser, s *server, album, id string) {
	s.api(t, "DELETE", "/api/v1/photos/"+s.take(t, "binned.jpg", shot(90, 300, 200)), nil)
	all := []string{"/photos/", "/photos/favourites", "/photos/?find=hung", "/photos/?camera=acme&from=2020-01-01", "/photos/?find=nothing-of-that-name", "/photos/" + id + "?album=" + album, "/photos/albums", "/photos/albums/" + album, "/photos/albums/" + album + "?order=1",
		"/photos/links", "/photos/links?album=" + album, "/photos/bin", "/photos/shards", "/photos/rebalance?by=bytes", "/photos/prove", "/photos/plan", "/photos/api", "/photos/about"}
	for name, l := range map[string]look{"desk light": desk, "phone dark": phone} {
		t.Run(name, func(t *testing.T) {
			p := b.open(t, s, l)
			for _, path := range all {
				p.goTo(path)
				p.narrow(path)
				if shift := p.shifts(); shift != "" && strings.Contains(shift, "shot") {
					t.Errorf("%s: a wall of photos moves: %s", path, shift)
				}
			}
			if eval[string](p, "document.title") == "owned" {
				p.Error("a title ran")
			}
		})
	}
	t.Run("stranger", func(t *testing.T) {
		p := b.open(t, s, look{width: 390, height: 844, phone: true})
		p.do(chromedp.Navigate(s.url + "/photos/" + id))
		if at := eval[string](p, "location.pathname"); at != "/signin" {
			p.Errorf("a stranger lands at %s", at)
		}
		p.do(chromedp.Navigate(s.url + "/p/nothing-of-that-name"))
		p.await("document.querySelector('h1').textContent === 'Nothing is here'")
		p.narrow("a link that opens nothing")
		p.forgive() // its status
	})
}

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

// photosWithoutScripts uploads by a plain form, chooses, deletes and undoes, and turns
// the pages of an album.
func photosWithoutScripts(t *testing.T, b *browser, s *server, album string) {
	l := phone
	l.noScripts = true
	p := b.open(t, s, l)
	p.goTo("/photos/")
	p.do(chromedp.SetUploadFiles(chromedp.CSS("form.adder input[type=file]"), []string{disk(t, "plain.jpg", shot(80, 400, 300)), disk(t, "bad.jpg", []byte("bad"))}))
	p.hit("form.adder button")
	p.await("document.querySelector('[role=alert]')?.textContent.includes('bad.jpg') && document.querySelector('[role=alert]').textContent.includes('One other is here')")
	p.forgive() // the refusal's status
	p.goTo("/photos/")
	p.await(tileOf("plain.jpg"))
	if over := eval[int](p, "document.documentElement.scrollWidth - innerWidth"); over > 0 {
		p.Errorf("%d pixels too wide", over)
	}
	p.hit(`input[aria-label="Choose plain.jpg"]`)
	p.hit(`.chosen button[value="remove"]`)
	p.await("document.querySelector('[role=status] button')?.textContent === 'Undo' && !" + tileOf("plain.jpg"))
	p.hit("[role=status] button")
	p.await("location.search.includes('did=restored') && " + tileOf("plain.jpg"))
	p.goTo("/photos/albums/" + album)
	first := eval[string](p, "document.querySelector('.shot').dataset.id")
	p.hit(".more a[rel=next]")
	p.await("location.search.includes('cursor=') && document.querySelector('.shot') && document.querySelector('.shot').dataset.id !== '" + first + "'")
	p.goTo("/photos/albums/" + album)
	p.hit(".shot a")
	p.await("!!document.querySelector('.stage a.next')")
	p.hit(".stage a.next")
	p.await("!!document.querySelector('.stage a.prev') && location.search === '?album=" + album + "'")
	link := s.link1(t, album, `{}`)
	v := b.open(t, s, look{width: 390, height: 844, phone: true, noScripts: true})
	v.goTo(link)
	v.hit(".wall a")
	v.await("!!document.querySelector('main.one img')")
	v.hit("a[rel=next]")
	v.await("!!document.querySelector('a[rel=prev]')")
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

// photosChosen chooses by keys and by a range, opens one by keys, and scrolls an album to
// its end.
func photosChosen(t *testing.T, b *browser, s *server, album string) {
	p := b.open(t, s, desk)
	p.goTo("/photos/albums/" + album)
	p.ready()
	count := func() int { return eval[int](p, "document.querySelectorAll('.shot input:checked').length") }
	eval[bool](p, "document.querySelector('.shot a').focus() ?? true")
	p.press(kb.ArrowRight, kb.ArrowRight, "x", kb.ArrowRight, kb.ArrowRight, "X")
	if n := count(); n != 3 {
		t.Errorf("x and X chose %d photos, not 3", n)
	}
	top := eval[float64](p, "document.activeElement.getBoundingClientRect().top")
	p.press(kb.ArrowDown)
	if now := eval[float64](p, "document.activeElement.getBoundingClientRect().top"); now <= top {
		t.Errorf("down leads from %.0f to %.0f", top, now)
	}
	p.press(kb.Escape)
	if n := count(); n != 0 {
		t.Errorf("%d stay chosen after Escape", n)
	}
	eval[bool](p, `(() => {
		const ticks = document.querySelectorAll(".shot > label input"), click = (el, more) => el.dispatchEvent(new MouseEvent("click", {bubbles: true, cancelable: true, ...more}));
		click(ticks[1]); click(ticks[5], {shiftKey: true});
	})() ?? true`)
	if n := count(); n != 5 {
		t.Errorf("a range chose %d photos, not 5", n)
	}
	// A form's Enter on a tick changes nothing.
	eval[bool](p, "document.querySelector('.shot > label input').focus() ?? true")
	p.press(kb.Enter, kb.Escape)
	p.await("!document.body.classList.contains('choosing')")
	for range 12 {
		eval[bool](p, "(scrollTo(0, document.documentElement.scrollHeight), true)")
		p.press(kb.End)
	}
	p.await("document.querySelectorAll('.shot').length === 130 && new Set([...document.querySelectorAll('.shot')].map(s => s.dataset.id)).size === 130")
	eval[bool](p, "document.querySelectorAll('.shot a')[1].focus() ?? true")
	p.press(kb.Enter)
	p.await("!!document.querySelector('.stage a.prev')")
	at, alive := eval[string](p, "location.pathname"), "document.querySelector('link[rel=manifest]')" // the script has run
	p.await(alive)
	p.press(kb.ArrowRight)
	p.await("location.pathname !== '" + at + "' && " + alive)
	p.press(kb.ArrowLeft)
	p.await("location.pathname === '" + at + "' && " + alive)
	p.press(kb.Escape)
	p.await("location.pathname === '/photos/albums/" + album + "'")
	q := b.open(t, s, phone)
	q.goTo(at + "?album=" + album)
	q.await("document.querySelector('.stage img')?.naturalWidth > 0 && " + alive)
	q.swipeUntil(-250, "location.pathname !== '"+at+"'")
	q.await("document.querySelector('.stage img')?.naturalWidth > 0 && " + alive)
	q.swipeUntil(250, "location.pathname === '"+at+"'")
}

// photosOrdered moves a photo of an album, by its button and by the form.
func photosOrdered(t *testing.T, b *browser, s *server) {
	var list []string
	for i := range 3 {
		list = append(list, s.take(t, fmt.Sprintf("order-%d.jpg", i), shot(60+i, 300, 200)))
	}
	album := ask[named](t, s, "POST", "/api/v1/photos/albums", fmt.Sprintf(`{"title": "In order", "photos": [%q, %q, %q]}`, list[0], list[1], list[2]), 201).ID
	order := func(p *tab) string {
		return eval[string](p, "[...document.querySelectorAll('.shot')].map(s => s.dataset.id).join()")
	}
	p := b.open(t, s, desk)
	p.goTo("/photos/albums/" + album + "?order=1")
	p.await("!!document.querySelector('.shot[draggable=true]')")
	p.hit(".shot:first-child button[data-step='1']")
	if got, want := order(p), strings.Join([]string{list[1], list[0], list[2]}, ","); got != want {
		t.Errorf("after a step %s, want %s", got, want)
	}
	p.hit(`button[value="order"]`)
	p.await("location.search === '?did=saved' && document.readyState === 'complete'")
	if got, want := order(p), strings.Join([]string{list[1], list[0], list[2]}, ","); got != want {
		t.Errorf("saved as %s, want %s", got, want)
	}
	l := desk
	l.noScripts = true
	q := b.open(t, s, l)
	q.goTo("/photos/albums/" + album + "?order=1")
	q.hit(".shot:last-child button[data-step='-1']")
	q.await("document.querySelector('.shot:nth-child(2)')?.dataset.id === '" + list[2] + "' && document.readyState === 'complete'")
	if got, want := order(q), strings.Join([]string{list[1], list[2], list[0]}, ","); got != want {
		t.Errorf("without scripts %s, want %s", got, want)
	}
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

// photosShards adds a shard on the board while photos are read, and sees it fill.
func photosShards(t *testing.T, b *browser, s *server, shots []string) {
	stop, done := make(chan struct{}), make(chan string)
	var reads atomic.Int64
	go func() {
		failed := ""
		for i := 0; failed == ""; i++ {
			select {
			case <-stop:
				done <- ""
				return
			default:
			}
			failed = read1(s.url + "/api/v1/photos/" + shots[i%len(shots)] + "/original")
			reads.Add(1)
		}
		<-stop
		done <- failed
	}()
	end := sync.OnceValue(func() string { close(stop); return <-done })
	defer end()
	p := b.open(t, s, desk)
	p.goTo("/photos/shards")
	p.narrow("the board")
	p.do(chromedp.SendKeys(chromedp.CSS("#name"), "Not a Name"))
	p.hit("#add button")
	if eval[bool](p, "document.querySelector('#name').checkValidity()") {
		t.Error("the form sends what is no name")
	}
	p.do(chromedp.SetValue(chromedp.CSS("#name"), "browser"))
	p.hit("#add button")
	p.await("document.querySelector('[role=status]')?.textContent.includes('The shard is there')")
	p.await("[...document.querySelectorAll('.shards tbody th')].some(th => th.textContent.includes('browser'))")
	p.narrow("the board with a new shard")
	// The page follows by itself: the migration stands there until it is over.
	p.await("document.querySelector('#past')?.textContent.includes('browser') && !document.querySelector('[data-migration]')")
	p.narrow("the board when all have moved")
	if failed := end(); failed != "" || reads.Load() < 10 {
		t.Errorf("of %d reads meanwhile one failed: %s", reads.Load(), failed)
	}
	q := b.open(t, s, phone)
	q.goTo("/photos/rebalance?by=bytes")
	q.narrow("what could be evened")
}

// read1 reads a photo as the admin and says what went wrong; "" for nothing.
func read1(address string) string {
	req, err := http.NewRequest("GET", address, nil)
	if err != nil {
		return err.Error()
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != 200 {
		return fmt.Sprint(res.StatusCode, err)
	}
	return ""
}
