package browsertest

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// nightPlanned goes a dispatcher's way, by keys: from tonight to a city, asks for
// its plan again, sees the routes drawn, opens a load list, takes the files, and
// looks at the sheets as a printer does.
func nightPlanned(t *testing.T, b *browser, s *server) {
	p := b.open(t, s, desk)
	p.goTo("/vending/")
	p.await("!!document.querySelector('a[href=\"/vending/cities/Berlin\"]')")
	p.do(chromedp.Focus(chromedp.CSS("a[href='/vending/cities/Berlin']")))
	p.press(kb.Enter)
	p.await("location.pathname === '/vending/cities/Berlin' && document.querySelectorAll('.chart g title').length > 20")
	p.await("!!document.querySelector('form[action=\"/vending/plans\"] button')")
	p.do(chromedp.Focus(chromedp.CSS("form[action='/vending/plans'] button")))
	p.press(kb.Enter)
	p.await("location.pathname.startsWith('/vending/plans/Berlin/')")
	p.await("document.querySelectorAll('details.card').length > 0 && document.querySelectorAll('.chart path[stroke-linejoin]').length > 0")
	at := eval[string](p, "location.pathname")
	if lines, routes := eval[int](p, "document.querySelectorAll('.chart path[stroke-linejoin]').length"), eval[int](p, "document.querySelectorAll('details.card').length"); lines != routes {
		t.Errorf("%d lines are drawn for %d routes", lines, routes)
	}
	p.do(chromedp.Focus(chromedp.CSS("details.card summary")))
	p.press(kb.Enter)
	p.await("document.querySelector('details.card[open] table')?.checkVisibility()")
	p.check("a plan")
	for _, kind := range []string{"csv", "geojson"} {
		if status := eval2[int](p, `fetch("/api/v1`+at+`/routes.`+kind+`").then(r => r.status)`); status != 200 {
			t.Errorf("the routes as %s answer %d", kind, status)
		}
	}
	small := b.open(t, s, phone)
	small.goTo(at)
	if wide := eval[int](small, "document.documentElement.scrollWidth"); wide > 390 {
		t.Errorf("a plan is %d pixels wide on a phone", wide)
	}
	small.check("a plan on a phone")
	small.goTo(at + "/sheets")
	if text := eval[string](small, "document.querySelector('main').textContent"); !strings.Contains(text, "Leaves 06:00") || strings.Contains(text, "%!") {
		t.Errorf("the sheets say %.300q", text)
	}
	if broken := eval[string](small, "getComputedStyle(document.querySelector('.sheet')).breakAfter"); broken != "auto" {
		t.Errorf("on the screen a sheet breaks: %q", broken)
	}
	small.check("route sheets")
}
