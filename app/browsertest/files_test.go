package browsertest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestFiles goes the ways of the room files, with one server and one browser, and at
// last kills the server while a browser uploads.
func TestFiles(t *testing.T) {
	b := start(t)
	s := serve(t)
	t.Run("desk", func(t *testing.T) {
		// By a session's cookie, so that each change carries its token.
		p := b.open(t, s, look{width: 1280, height: 900})
		p.do(chromedp.Navigate(s.link))
		p.await("location.pathname !== '/signin'")
		filesWay(p, "at a desk")
	})
	t.Run("phone dark", func(t *testing.T) { filesWay(b.open(t, s, phone), "on a phone") })
	t.Run("pages", func(t *testing.T) { filesPages(t, b, s) })
	t.Run("without scripts", func(t *testing.T) { filesWithoutScripts(t, b, s) })
	t.Run("keyboard", func(t *testing.T) { filesByKeys(t, b, s) })
	t.Run("pause and cancel", func(t *testing.T) { filesPaused(t, b, s) })
	t.Run("dropped and refused", func(t *testing.T) { filesDropped(t, b, s) })
	t.Run("an upload outlives its page", func(t *testing.T) { filesReloaded(t, b, s) })
	t.Run("an upload outlives the server", func(t *testing.T) { filesKilled(t, b, s) })
}

// api asks the server as the admin and returns the answer's body.
func (s *server) api(t *testing.T, method, path string, body []byte) (status int, answer []byte) {
	t.Helper()
	req, err := http.NewRequest(method, s.url+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if answer, err = io.ReadAll(res.Body); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, answer
}

// store puts a file, and returns the id of its node.
func (s *server) store(t *testing.T, path string, content []byte) string {
	t.Helper()
	status, answer := s.api(t, "PUT", "/api/v1/files/content/"+path, content)
	var node struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(answer, &node); err != nil || status != 201 || node.ID == "" {
		t.Fatalf("store %s: %d %s %v", path, status, answer, err)
	}
	return node.ID
}

// disk writes a file of the browser's own machine.
func disk(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func picture(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 300, 200))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func bulk(t *testing.T, size int) []byte {
	t.Helper()
	b := make([]byte, size)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return b
}

// narrow fails the test when the page must be scrolled sideways.
func (p *tab) narrow(where string) {
	p.Helper()
	if over := eval[int](p, "document.documentElement.scrollWidth - innerWidth"); over > 0 {
		p.Errorf("%s is %d pixels too wide", where, over)
	}
	p.check(where)
}

// row is the table's row of a name, and shown whether it is there.
func row(name string) string {
	return fmt.Sprintf(`[...document.querySelectorAll("#listing tbody tr")].find(r => r.querySelector(".file span:last-child").textContent === %q)`, name)
}

// menu opens a row's menu and presses what is called so in it.
func (p *tab) menu(name, what string) {
	p.Helper()
	p.await(row(name))
	eval[bool](p, row(name)+`.querySelector("button[popovertarget]").click() ?? true`)
	p.await(row(name) + `.querySelector(":popover-open")`)
	eval[bool](p, fmt.Sprintf(`[...%s.querySelectorAll(".menu a, .menu button")].find(e => e.textContent === %q).click() ?? true`, row(name), what))
}

// filesWay is the main way: a folder, two uploads, a look at both, a new name, a link
// that a stranger opens, the bin and back.
func filesWay(p *tab, name string) {
	p.goTo("/files/")
	p.await("!!document.querySelector('.upload .hint')")
	p.do(chromedp.Click(chromedp.CSS("details.drop summary")))
	p.await("document.activeElement.id === 'name'")
	p.do(chromedp.SendKeys(chromedp.CSS("#name"), name+kb.Enter))
	p.await("document.querySelector('[role=status]')?.textContent.includes('made') && " + row(name))
	p.narrow("My files")
	eval[bool](p, row(name)+".querySelector('a').click() ?? true")
	p.await("document.querySelector('h2')?.textContent === '" + name + "' && document.querySelector('.upload .hint')")
	p.narrow("an empty folder")

	p.do(chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{disk(p.T, "notes <b>.txt", []byte("First line\n<script>document.title = 'owned'</script>\n")), disk(p.T, "grey.png", picture(p.T))}))
	p.await("document.querySelectorAll('.transfers li.over').length === 2")
	p.await("document.querySelector('.says').textContent === '2 files stored.' && " + row("grey.png") + " && " + row("notes <b>.txt"))
	p.narrow("two uploads that are done")
	folder := eval[string](p, "location.pathname")

	eval[bool](p, row("grey.png")+".querySelector('a').click() ?? true")
	p.await("document.querySelector('figure.shown img')?.naturalWidth === 300")
	p.narrow("a picture")
	p.goTo(folder)
	eval[bool](p, row("notes <b>.txt")+".querySelector('a').click() ?? true")
	p.await("document.querySelector('pre.shown')?.textContent.includes('<script>')")
	p.narrow("a text")

	p.goTo(folder)
	p.menu("notes <b>.txt", "Rename")
	p.await("document.querySelector('dialog[open]') && document.activeElement.id === 'new-name'")
	p.check("the dialog for a new name")
	p.do(chromedp.SetValue(chromedp.CSS("#new-name"), "notes.txt"), chromedp.SendKeys(chromedp.CSS("#new-name"), kb.Enter))
	p.await("!document.querySelector('dialog[open]') && " + row("notes.txt"))

	p.menu("notes.txt", "Share")
	p.await("location.pathname.endsWith('/share')")
	share := eval[string](p, "location.pathname")
	p.do(chromedp.Click(chromedp.CSS("#links form.bar button")))
	p.await("document.querySelector('#made code')?.textContent.includes('/f/')")
	p.narrow("a link that was made")
	link := eval[string](p, "new URL(document.querySelector('#made code').textContent).pathname")
	stranger(p, link)
	p.goTo(share)
	p.do(chromedp.Click(chromedp.CSS("form[action$='/revoke'] button")))
	p.await("document.querySelector('[role=status]')?.textContent.includes('ended')")
	p.narrow("a link that was revoked")
	if res, err := http.Get(p.s.url + link); err != nil || res.StatusCode != 404 {
		p.Errorf("a revoked link answers %v %v", res, err)
	}

	p.goTo(folder)
	p.menu("notes.txt", "Delete")
	p.await("document.querySelector('[role=status] form button')?.textContent === 'Undo' && !" + row("notes.txt"))
	p.narrow("what can be undone")
	p.do(chromedp.Click(chromedp.CSS("[role=status] form button")))
	p.await(row("notes.txt"))
}

// stranger opens a link in a browser that knows nobody.
func stranger(p *tab, link string) {
	p.Helper()
	s := p.b.open(p.T, p.s, look{width: 390, height: 844, phone: true})
	s.goTo(link)
	s.await("document.querySelector('h1')?.textContent === 'notes.txt' && document.querySelector('pre.shown')?.textContent.includes('<script>')")
	s.narrow("what a link shows")
	if text := eval2[string](s, "fetch([...document.querySelectorAll('main a.button')].find(a => a.textContent.includes('Download')).href).then(r => r.text())"); !strings.HasPrefix(text, "First line\n") {
		s.Errorf("the link gives %.100q", text)
	}
	if eval[string](s, "document.title") == "owned" {
		s.Error("an uploaded script ran")
	}
}

// filesPages looks at every page of the room, with something in it.
func filesPages(t *testing.T, b *browser, s *server) {
	id := s.store(t, "shelf/a-name-that-is-long-and-has-no-place-where-it-could-be-broken-in-two-lines.html", []byte("<h1>no</h1><script>document.title = 'owned'</script>"))
	s.store(t, "shelf/second.txt", []byte("second"))
	s.api(t, "PUT", "/api/v1/files/content/shelf/second.txt", []byte("second, again"))
	two := s.store(t, "shelf/third.bin", bulk(t, 1000))
	if status, answer := s.api(t, "DELETE", "/api/v1/files/content/@"+two, nil); status != 204 {
		t.Fatal(status, string(answer))
	}
	if status, answer := s.api(t, "POST", "/api/v1/files/publish", []byte(`{"path": "shelf", "public": true}`)); status != 200 {
		t.Fatal(status, string(answer))
	}
	_, answer := s.api(t, "GET", "/api/v1/files/stat/shelf", nil)
	var shelf struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(answer, &shelf); err != nil || shelf.ID == "" {
		t.Fatalf("%s %v", answer, err)
	}
	all := []string{"/files/", "/files/?by=size&down=1", "/files/n/" + shelf.ID, "/files/n/" + id, "/files/n/" + id + "/rename", "/files/n/" + shelf.ID + "/share", "/files/n/" + id + "/report",
		"/files/place?verb=move&node=" + id, "/files/place?verb=copy&node=" + id + "&to=", "/files/bin", "/files/shared", "/files/library", "/files/search", "/files/search?find=second", "/files/search?find=nothing-of-that-name",
		"/files/stored", "/files/flags", "/files/flags?state=blocked", "/files/about", "/files/api"}
	for name, l := range map[string]look{"desk light": desk, "phone dark": phone} {
		t.Run(name, func(t *testing.T) {
			p := b.open(t, s, l)
			for _, path := range all {
				p.goTo(path)
				p.narrow(path)
			}
		})
	}
	t.Run("stranger", func(t *testing.T) {
		p := b.open(t, s, look{width: 390, height: 844, phone: true})
		for _, path := range []string{"/files/library", "/files/search?find=second", "/files/n/" + shelf.ID, "/files/n/" + id} {
			p.goTo(path)
			p.narrow(path + " as a stranger sees it")
			if n := eval[int](p, "document.querySelectorAll('main form[method=post]').length"); n != 0 && !strings.Contains(path, "/n/") {
				p.Errorf("%s offers %d changes to a stranger", path, n)
			}
		}
		if eval[string](p, "document.title") == "owned" {
			p.Error("an uploaded script ran")
		}
	})
}

// filesWithoutScripts uploads by a plain form, and undoes a removal.
func filesWithoutScripts(t *testing.T, b *browser, s *server) {
	l := phone
	l.noScripts = true
	p := b.open(t, s, l)
	p.goTo("/files/")
	p.do(chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{disk(t, "plain one.txt", []byte("one")), disk(t, "plain two.bin", bulk(t, 3<<20))}))
	p.do(chromedp.Click(chromedp.CSS(".upload form button")))
	p.await("location.search === '?did=uploaded' && " + row("plain one.txt") + " && " + row("plain two.bin"))
	if over := eval[int](p, "document.documentElement.scrollWidth - innerWidth"); over > 0 {
		p.Errorf("%d pixels too wide", over)
	}
	p.do(chromedp.Click(chromedp.CSS("input[aria-label='Choose plain one.txt']")), chromedp.Click(chromedp.CSS(".chosen button.danger")))
	p.await("document.querySelector('[role=status] form button')?.textContent === 'Undo'")
	p.do(chromedp.Click(chromedp.CSS("[role=status] form button")))
	p.await("location.search === '?did=restored' && " + row("plain one.txt"))
	// A row's menu needs no script either.
	eval[bool](p, row("plain one.txt")+`.querySelector("button[popovertarget]").click() ?? true`)
	p.await(row("plain one.txt") + `.querySelector(":popover-open")`)
}

// filesByKeys opens a row's menu, goes through it and away, and makes a folder.
func filesByKeys(t *testing.T, b *browser, s *server) {
	s.store(t, "keys.txt", []byte("by keys"))
	p := b.open(t, s, desk)
	p.goTo("/files/")
	p.await(row("keys.txt") + " && document.querySelector('.upload .hint')")
	eval[bool](p, row("keys.txt")+`.querySelector("button[popovertarget]").focus() ?? true`)
	p.press(kb.Enter)
	p.await(`document.activeElement.textContent === "Open"`)
	p.press(kb.ArrowDown)
	p.await(`document.activeElement.textContent === "Download"`)
	p.press(kb.Escape)
	p.await(`!document.querySelector(":popover-open") && document.activeElement.matches("[popovertarget]")`)
	p.press(kb.Enter)
	p.await(`document.activeElement.textContent === "Open"`)
	p.press(kb.ArrowDown, kb.ArrowDown, kb.ArrowDown)
	p.await(`document.activeElement.textContent === "Rename"`)
	p.press(kb.Enter)
	p.await("document.querySelector('dialog[open]')")
	p.press(kb.Escape)
	p.await("!document.querySelector('dialog[open]')")
	// Enter in a tick's box removes nothing.
	eval[bool](p, row("keys.txt")+`.querySelector("input").focus() ?? true`)
	p.press(" ", kb.Enter)
	if at := eval2[string](p, "new Promise(done => setTimeout(() => done(location.href), 500))"); !strings.HasSuffix(at, "/files/") {
		t.Errorf("Enter in a tick's box leads to %s", at)
	}
	p.do(chromedp.Focus(chromedp.CSS("details.drop summary")))
	p.press(kb.Enter)
	p.await("document.activeElement.id === 'name'")
	p.press(kb.Escape)
	p.await("!document.querySelector('details.drop').open && document.activeElement.tagName === 'SUMMARY'")
}

// slow holds a tab's uploads to so many bytes a second; -1 lets them go.
func (p *tab) slow(rate float64) {
	p.Helper()
	call(p, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{MatchedNetworkConditions: []*network.Conditions{{DownloadThroughput: -1, UploadThroughput: rate}}})
}

// halfway begins to upload a file and waits until a good part of it is on its way.
func (p *tab) halfway(path string) {
	p.Helper()
	p.slow(6 << 20)
	p.goTo("/files/")
	p.await("!!document.querySelector('.upload .hint')")
	p.do(chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{path}))
	p.await("document.querySelector('.transfers li:not(.over) progress')?.value > 0.4")
}

// press2 presses the button of a transfer that is called so.
func (p *tab) press2(what string) {
	p.Helper()
	eval[bool](p, fmt.Sprintf(`[...document.querySelectorAll(".transfers button")].find(b => b.textContent === %q).click() ?? true`, what))
}

func filesPaused(t *testing.T, b *browser, s *server) {
	p := b.open(t, s, phone)
	p.halfway(disk(t, "paused.bin", bulk(t, 24<<20)))
	p.press2("Pause")
	p.await("document.querySelector('.transfers .figure').textContent.startsWith('paused at')")
	p.narrow("an upload that is paused")
	p.press2("Resume")
	p.await("/ of /.test(document.querySelector('.transfers .figure').textContent) && !document.querySelector('.transfers .figure').textContent.startsWith('paused')")
	p.press2("Cancel")
	p.await("!document.querySelector('.transfers li') && document.activeElement")
	p.slow(-1)
	p.await("!Object.keys(localStorage).some(k => k.includes('paused.bin'))")
	if status, _ := s.api(t, "GET", "/api/v1/files/content/paused.bin", nil); status != 404 {
		t.Errorf("a cancelled upload answers %d", status)
	}
}

// filesDropped drops two files on the page, one of which nobody may store.
func filesDropped(t *testing.T, b *browser, s *server) {
	p := b.open(t, s, desk)
	p.goTo("/files/")
	p.await("!!document.querySelector('.upload .hint')")
	eval[bool](p, `(() => {
		const what = new DataTransfer();
		what.items.add(new File(["dropped"], "dropped.txt"));
		what.items.add(new File(["txt.exe"], "exe\u202etxt"));
		document.body.dispatchEvent(new DragEvent("dragover", {dataTransfer: what, bubbles: true, cancelable: true}));
		const marked = document.body.classList.contains("dropping");
		document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: what, bubbles: true, cancelable: true}));
		return marked && !document.body.classList.contains("dropping");
	})() || (() => { throw new Error("the page does not show that it takes what is dropped") })()`)
	p.await("document.querySelector('.transfers li.over')?.textContent.startsWith('dropped.txt') && " + row("dropped.txt"))
	p.await("document.querySelector('.transfers li.wrong .figure')?.textContent.includes('control character')")
	p.await("document.querySelector('.says').textContent === '1 file stored, 1 not stored.'")
	p.narrow("an upload that was refused")
	p.forgive() // the refusal's status
	p.press2("Retry")
	p.await("document.querySelector('.transfers li.wrong .figure')?.textContent.includes('control character')")
	p.press2("Cancel")
	p.await("!document.querySelector('.transfers li.wrong') && document.querySelector('.says').textContent === '1 file stored.'")
	p.forgive()
}

// filesReloaded leaves the page in the middle of an upload, comes back, and chooses the
// file again: what arrived is not sent twice.
func filesReloaded(t *testing.T, b *browser, s *server) {
	content := bulk(t, 40<<20)
	file := disk(t, "reloaded.bin", content)
	p := b.open(t, s, desk)
	p.halfway(file)
	if err := chromedp.Listen(p.ctx, func(ev any) {
		if _, asked := ev.(*page.EventJavascriptDialogOpening); asked {
			go func() { // whether one really leaves
				_, _ = chromedp.Call(p.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: true})
			}()
		}
	}); err != nil {
		t.Fatal(err)
	}
	p.do(chromedp.Click(chromedp.CSS("h2"))) // who did nothing in a page is not asked
	p.do(chromedp.Reload())
	p.await("/^not finished: .* arrived$/.test(document.querySelector('.transfers .old .figure')?.textContent)")
	if text := eval[string](p, "document.querySelector('.transfers .old .figure').textContent"); strings.Contains(text, ": 0 B of") {
		t.Errorf("nothing of the upload is there: %s", text)
	}
	p.narrow("an upload that waits for its file")
	p.do(chromedp.SetUploadFiles(chromedp.CSS(".transfers .old input"), []string{file}))
	p.await("document.querySelector('.transfers li.over')?.textContent.includes('stored')")
	if n := eval[int](p, "performance.getEntriesByType('resource').filter(e => e.name.endsWith('/api/v1/files/tus/')).length"); n != 0 {
		t.Errorf("the upload was begun anew %d times", n)
	}
	wantContent(t, s, "reloaded.bin", content)
}

// filesKilled kills the server in the middle of an upload, starts it again on the same
// data and port, and sees the browser finish by itself.
func filesKilled(t *testing.T, b *browser, s *server) {
	content := bulk(t, 40<<20)
	p := b.open(t, s, desk)
	p.halfway(disk(t, "killed.bin", content))
	begun := time.Now()
	restart(t, s, func() {
		p.await("document.querySelector('.transfers .figure').textContent.startsWith('the server does not answer')")
		p.narrow("an upload whose server is away")
	})
	p.slow(-1)
	p.await("document.querySelector('.transfers li.over')?.textContent.includes('stored')")
	t.Logf("%d MiB were stored %.1f s after the kill", len(content)>>20, time.Since(begun).Seconds())
	p.await(row("killed.bin"))
	if n := eval[int](p, "performance.getEntriesByType('resource').filter(e => e.name.endsWith('/api/v1/files/tus/')).length"); n > 1 {
		t.Errorf("the upload was begun %d times", n)
	}
	p.forgive() // the browser reports the connections that were refused
	wantContent(t, s, "killed.bin", content)
}

// restart kills the server at once, lets the caller look at what that does, and starts
// it again.
func restart(t *testing.T, s *server, meanwhile func()) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	meanwhile()
	old := s.cmd
	s.cmd = exec.Command(old.Path, old.Args[1:]...)
	s.cmd.Dir, s.cmd.Env, s.cmd.SysProcAttr = old.Dir, old.Env, old.SysProcAttr
	var said bytes.Buffer
	s.cmd.Stdout, s.cmd.Stderr = &said, &said
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	again := s.cmd
	t.Cleanup(func() {
		_ = again.Process.Signal(syscall.SIGTERM) // it may have ended by itself
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		context.AfterFunc(ctx, func() { _ = syscall.Kill(-again.Process.Pid, syscall.SIGKILL) })
		_ = again.Wait() // how it ended shows in what the tests see
	})
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if res, err := http.Get(s.url + "/readyz"); err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
		}
	}
	t.Fatal("plumb serve is not ready a minute after it was killed")
}

// wantContent compares a file with what was uploaded, by its SHA-256.
func wantContent(t *testing.T, s *server, path string, content []byte) {
	t.Helper()
	status, answer := s.api(t, "GET", "/api/v1/files/content/"+url.PathEscape(path), nil)
	if got, want := sha256.Sum256(answer), sha256.Sum256(content); status != 200 || got != want {
		t.Errorf("%s: status %d, %d bytes with the SHA-256 %x, want %x", path, status, len(answer), got, want)
	}
}
