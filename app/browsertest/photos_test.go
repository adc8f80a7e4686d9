package browsertest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

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
