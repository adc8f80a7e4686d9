package browsertest

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestConsole starts one server and one browser for all that follows.
func TestConsole(t *testing.T) {
	b := start(t)
	s := serve(t)
	t.Run("sign in by the printed link", func(t *testing.T) { signIn(t, b, s) })
	t.Run("pages", func(t *testing.T) { pages(t, b, s) })
	t.Run("without scripts", func(t *testing.T) { withoutScripts(t, b, s) })
	t.Run("keyboard", func(t *testing.T) { keyboard(t, b, s) })
	t.Run("plan follows", func(t *testing.T) { planFollows(t, b, s) })
	t.Run("prove runs and stops", func(t *testing.T) { proveRuns(t, b, s) })
	t.Run("a night is planned", func(t *testing.T) { nightPlanned(t, b, s) })
	t.Run("tables", func(t *testing.T) { tables(t, b, s) })
	t.Run("times", func(t *testing.T) { times(t, b, s) })
	t.Run("chart text", func(t *testing.T) { chartText(t, b, s) })
}

// paths are all pages; %m stands for a machine of the demonstration.
var paths = []string{
	"/", "/answers/12", "/answers/1", "/proofs", "/plans", "/search?q=late", "/docs/", "/docs/vending.md",
	"/vending/", "/vending/machines", "/vending/machines?state=late", "/vending/machines/demo-berlin-01", "/vending/cities", "/vending/cities/Berlin", "/vending/cities/New%20York", "/vending/plans", "/vending/alerts", "/vending/alerts?all=1", "/vending/rollouts", "/vending/enrol",
	"/vending/prove", "/vending/plan", "/vending/plan?in.machines=9+to+3&months=x", "/vending/api", "/vending/about",
	"/ops", "/ops/jobs", "/ops/people", "/ops/audit", "/account",
}

// pages looks at each at both widths, one light and one dark (a test of the
// style sheet holds every pair of colours in both): nothing sticks out, no
// error in the console, nothing loaded from elsewhere, no serious fault for a
// screen reader, and text that can be read.
func pages(t *testing.T, b *browser, s *server) {
	for name, l := range map[string]look{"desk light": desk, "phone dark": phone} {
		t.Run(name, func(t *testing.T) {
			p := b.open(t, s, l)
			for _, path := range paths {
				p.goTo(path)
				if wide := eval[int](p, "Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)"); wide > int(l.width) {
					p.Errorf("%s is %d pixels wide", path, wide)
				}
				if eval[string](p, "document.title") == "" || eval[int](p, "document.querySelectorAll('h1').length") == 0 {
					p.Errorf("%s has no title or no heading", path)
				}
				if small := eval[[]string](p, `[...document.querySelectorAll("main *, header *, footer *")].filter(e => e.childNodes.length && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) &&
					parseFloat(getComputedStyle(e).fontSize) < 11.5 && e.checkVisibility()).map(e => e.outerHTML.slice(0, 80))`); len(small) > 0 {
					p.Errorf("%s has text below 11.5 pixels: %s", path, strings.Join(small[:min(3, len(small))], " "))
				}
				p.check(path)
			}
		})
	}
	t.Run("stranger", func(t *testing.T) {
		p := b.open(t, s, look{width: 390, height: 844, phone: true})
		for _, path := range []string{"/", "/signin", "/vending/plan", "/vending/prove", "/answers/12"} {
			p.goTo(path)
			p.check(path)
		}
		p.goTo("/vending/") // people only: leads to the sign-in
		if at := eval[string](p, "location.pathname + location.search"); !strings.HasPrefix(at, "/signin?next=") {
			p.Errorf("a stranger lands at %s", at)
		}
		if n := eval[int](p, "document.querySelectorAll('form[action*=\"/run\"]').length"); n != 0 {
			p.Error("a stranger may run experiments")
		}
	})
	t.Run("not found", func(t *testing.T) {
		p := b.open(t, s, phone)
		p.do(chromedp.Navigate(s.url + "/no-such-page"))
		if !eval[bool](p, "!!document.querySelector('main h1') && !!document.querySelector('header nav')") {
			p.Error("the page for what is not there has no frame")
		}
		p.check("/no-such-page")
		p.forgive() // the browser reports the 404
	})
}

// signIn follows the link that the first start printed, enrols a machine with
// the session's cookie, and signs out.
func signIn(t *testing.T, b *browser, s *server) {
	p := b.open(t, s, look{width: 1280, height: 900})
	p.do(chromedp.Navigate(s.link))
	p.await("location.pathname !== '/signin'")
	p.goTo("/vending/enrol")
	p.do(chromedp.SetValue(chromedp.CSS("input[name=id]"), "browser-1"), chromedp.SetValue(chromedp.CSS("[name=city]"), "Berlin"))
	p.do(chromedp.Click(chromedp.CSS("main form button:not([type=button])")))
	p.await("document.body.textContent.includes('browser-1') && !location.pathname.endsWith('/enrol?')")
	p.check("the enrolled machine")
	p.goTo("/vending/machines/browser-1")
	if !eval[bool](p, "document.querySelector('main').textContent.includes('Berlin')") {
		p.Error("the enrolled machine is not shown")
	}
	p.goTo("/account")
	p.do(chromedp.Click(chromedp.CSS("form[action='/signout'] button")))
	p.await("!!document.querySelector('a[href^=\"/signin\"]')")

	// The link works once.
	again := b.open(t, s, look{width: 1280, height: 900})
	again.do(chromedp.Navigate(s.link))
	again.await("!!document.querySelector('[role=alert]') || location.pathname === '/signin'")
	again.do(chromedp.Sleep(0))
	if eval[bool](again, "!!document.querySelector('form[action=\"/signout\"]')") {
		again.Error("the link signed in a second time")
	}
	again.forgive() // the refusal's status
}

// withoutScripts reads, filters and plans with scripts switched off.
func withoutScripts(t *testing.T, b *browser, s *server) {
	l := phone
	l.noScripts = true
	p := b.open(t, s, l)
	for _, path := range []string{"/", "/answers/12", "/vending/", "/vending/machines", "/vending/prove", "/vending/plan", "/vending/api", "/ops"} {
		p.goTo(path)
		if wide := eval[int](p, "document.documentElement.scrollWidth"); wide > 390 {
			p.Errorf("%s is %d pixels wide", path, wide)
		}
		if n := eval[int](p, "document.querySelector('main').innerText.length"); n < 100 {
			p.Errorf("%s says only %d characters", path, n)
		}
	}
	p.goTo("/vending/plan")
	before := eval[string](p, "document.querySelector('.figures dd').innerText")
	p.do(chromedp.Click(chromedp.CSS("#plan details:first-of-type summary")))
	p.do(chromedp.SetValue(chromedp.CSS("#in-machines"), "400k"), chromedp.Click(chromedp.CSS("#plan button")))
	p.await("location.search.includes('in.machines=400k') && !!document.querySelector('.figures dd')")
	if after := eval[string](p, "document.querySelector('.figures dd').innerText"); after == before {
		p.Errorf("twice the machines change nothing: %s", after)
	}
	if kinds := eval[int](p, "document.querySelectorAll('#plan .kind').length"); kinds != 1 {
		p.Errorf("%d groups count as changed, not one", kinds)
	}
}
