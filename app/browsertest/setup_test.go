package browsertest

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

const token = "browser-test-admin-token"

// server is a running plumb serve --demo.
type server struct {
	url  string
	link string // signs the admin in, once
	cmd  *exec.Cmd
	log  bytes.Buffer
}

// chromium finds the browser, or ends the test as the machine allows.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{os.Getenv("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil && name != "" {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal("Chromium is not installed: apt-get install chromium")
	}
	t.Skip("Chromium is not installed: apt-get install chromium")
	return ""
}

// serve builds the program and starts it on throw-away data.
func serve(t *testing.T) *server {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "plumb")
	if out, err := exec.Command("go", "build", "-o", program, "plumb/cmd/plumb").CombinedOutput(); err != nil {
		t.Fatalf("build plumb: %v\n%s", err, out)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	s := &server{url: "http://" + addr}
	s.cmd = exec.Command(program, "serve", "--demo", "--data", filepath.Join(dir, "data"), "--listen", addr)
	s.cmd.Dir = dir
	s.cmd.Env = append(os.Environ(), "PLUMB_ADMIN_TOKEN="+token, "PLUMB="+program)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.cmd.Stderr = &s.log
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	t.Cleanup(func() {
		_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
			<-ended
		}
	})
	said := make(chan string, 100)
	go func() {
		for in := bufio.NewScanner(out); in.Scan(); {
			select {
			case said <- in.Text():
			default:
			}
		}
		_ = s.cmd.Wait() // how it ended shows in what the tests see
		close(ended)
	}()
	for deadline := time.After(time.Minute); ; {
		select {
		case line := <-said:
			if _, link, ok := strings.Cut(line, "http://"); ok && strings.Contains(line, "/signin?") {
				s.link = "http://" + link
			}
		case <-ended:
			t.Fatalf("plumb serve ended\n%s", s.log.String())
		case <-deadline:
			t.Fatal("plumb serve is not ready after a minute")
		case <-time.After(100 * time.Millisecond):
			if res, err := http.Get(s.url + "/readyz"); err == nil {
				_ = res.Body.Close()
				if res.StatusCode == http.StatusOK && s.link != "" {
					return s
				}
			}
		}
	}
}

// browser is one Chromium; each test gets tabs of its own in it.
type browser struct {
	ctx context.Context
	axe string
}

func start(t *testing.T) *browser {
	t.Helper()
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium(t)), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-domain-reliability", true))
	ctx, end := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, shut := chromedp.NewContext(ctx)
	t.Cleanup(func() { shut(); end() })
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	f, err := os.Open("testdata/axe.min.js.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	axe, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{ctx, string(axe)}
}

// look says how a tab looks at pages.
type look struct {
	width, height int64
	dark          bool
	phone         bool
	noScripts     bool
	zone          string // the reader's time zone
	admin         bool   // signed in by token
}

var (
	desk  = look{width: 1280, height: 900, admin: true}
	phone = look{width: 390, height: 844, dark: true, phone: true, admin: true}
)

// tab is one page with what went wrong in it.
type tab struct {
	*testing.T
	ctx context.Context
	s   *server
	b   *browser

	mu     sync.Mutex
	faults []string
	asked  []string // addresses outside of the server
}

// open opens a tab with its own cookies; it ends with the test, and fails it
// for every error that the page wrote to the console.
func (b *browser) open(t *testing.T, s *server, l look) *tab {
	t.Helper()
	ctx, shut := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	ctx, end := context.WithTimeout(ctx, 2*time.Minute)
	p := &tab{T: t, ctx: ctx, s: s, b: b}
	t.Cleanup(func() {
		end()
		shut()
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, f := range p.faults {
			t.Errorf("the page said: %s", f)
		}
		for _, a := range p.asked {
			t.Errorf("the page asked for %s", a)
		}
	})
	scheme := "light"
	if l.dark {
		scheme = "dark"
	}
	var opts []chromedp.EmulateViewportOption
	if l.phone {
		opts = append(opts, chromedp.EmulateMobile, chromedp.EmulateScale(2))
	}
	p.do(chromedp.EmulateViewport(l.width, l.height, opts...))
	if err := chromedp.Listen(ctx, p.hear); err != nil {
		t.Fatal(err)
	}
	call(p, network.Enable, network.EnableParams{})
	call(p, log.Enable, cdp.Empty{})
	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
	if l.zone != "" {
		call(p, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: l.zone})
	}
	if l.noScripts {
		call(p, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	}
	if l.admin {
		call(p, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: network.Headers{"Authorization": "Bearer " + token}})
	}
	return p
}

// hear notes exceptions, errors in the console (content security among them)
// and requests to anywhere else.
func (p *tab) hear(ev any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch ev := ev.(type) {
	case *runtime.EventExceptionThrown:
		p.faults = append(p.faults, ev.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		if ev.Entry.Level == log.EntryLevelError {
			p.faults = append(p.faults, ev.Entry.Text+" "+ev.Entry.URL)
		}
	case *network.EventRequestWillBeSent:
		if u := strings.TrimPrefix(ev.Request.URL, "blob:"); !strings.HasPrefix(u, p.s.url) && !strings.HasPrefix(u, "data:") && !strings.HasPrefix(u, "about:") {
			p.asked = append(p.asked, u)
		}
	}
}

// forgive drops faults that a test provoked on purpose.
func (p *tab) forgive() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = nil
}

func (p *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	p.Helper()
	if err := chromedp.Do(p.ctx, actions...); err != nil {
		p.Fatal(err)
	}
}

// call sends one command of the browser's protocol.
func call[P, R any](p *tab, cmd cdp.Command[P, R], params P) {
	p.Helper()
	if _, err := chromedp.Call(p.ctx, cmd, params); err != nil {
		p.Fatal(err)
	}
}

// goTo opens an address of the server and waits until its scripts have run.
func (p *tab) goTo(path string) {
	p.Helper()
	res, err := chromedp.Run(p.ctx, chromedp.NavigateResponse(p.s.url+path))
	if err != nil {
		p.Fatalf("%s: %v", path, err)
	}
	if res != nil && res.Status != 200 && res.Status != 304 {
		p.Fatalf("%s: status %d", path, res.Status)
	}
}

// eval returns what an expression of the page is.
func eval[T any](p *tab, expression string) T {
	p.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		p.Fatalf("%s: %v", expression, err)
	}
	return v
}

// await waits until an expression of the page is true.
func (p *tab) await(expression string) {
	p.Helper()
	for deadline := time.Now().Add(40 * time.Second); ; {
		ok, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool]("Boolean("+expression+")"))
		if ok {
			return
		}
		if time.Now().After(deadline) {
			p.Fatalf("never true: %s (%v), at %s", expression, err, eval[string](p, "location.href"))
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// press presses keys in whatever has the focus.
func (p *tab) press(keys ...string) {
	p.Helper()
	for _, k := range keys {
		p.do(chromedp.KeyEvent(k))
	}
}

// check fails the test for every serious fault that axe-core finds.
func (p *tab) check(path string) {
	p.Helper()
	if eval[bool](p, "typeof axe === 'undefined'") {
		if err := chromedp.Do(p.ctx, func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
			_, err := chromedp.Evaluate[any](p.b.axe+";0")(ctx, t)
			return chromedp.Void{}, err
		}); err != nil {
			p.Fatalf("axe: %v", err)
		}
	}
	found, err := chromedp.Run(p.ctx, chromedp.Evaluate[[]string](`axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations
		.filter(v => v.impact === "serious" || v.impact === "critical")
		.flatMap(v => v.nodes.map(n => v.id + ": " + n.html.slice(0, 200) + " " + (n.any[0]?.message ?? ""))))`, chromedp.EvalAwaitPromise))
	if err != nil {
		p.Fatalf("%s: axe: %v", path, err)
	}
	for _, f := range found {
		p.Errorf("%s: %s", path, f)
	}
}
