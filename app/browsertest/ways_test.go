package browsertest

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// keyboard goes the main way by keys alone: past the frame to the content, to a
// system's plan, to a slider, and sorts a table.
func keyboard(t *testing.T, b *browser, s *server) {
	p := b.open(t, s, desk)
	p.goTo("/")
	p.press(kb.Tab)
	if at := eval[string](p, "document.activeElement.className + ' ' + document.activeElement.hash"); at != "skip #main" {
		p.Fatalf("the first stop is %q, not the way to the content", at)
	}
	if !eval[bool](p, "document.activeElement.getBoundingClientRect().top >= 0") {
		p.Error("the way to the content stays hidden while it has the focus")
	}
	p.press(kb.Enter)
	if at := eval[string](p, "document.activeElement.id"); at != "main" {
		p.Errorf("the content has no focus, %q has", at)
	}
	// On to the Plan of the first system, with the focus seen at every stop.
	for i := 0; eval[string](p, "document.activeElement.pathname ?? ''") != "/vending/plan"; i++ {
		if i > 40 {
			t.Fatal("no way by Tab to the plan")
		}
		p.press(kb.Tab)
		if !eval[bool](p, "(s => s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2)(getComputedStyle(document.activeElement))") {
			t.Errorf("the focus is not seen on %s", eval[string](p, "document.activeElement.outerHTML.slice(0, 120)"))
		}
	}
	p.press(kb.Enter)
	p.await("location.pathname === '/vending/plan' && !!document.querySelector('.sliders input')")
	p.do(chromedp.Focus(chromedp.CSS(".sliders input")))
	text := eval[string](p, "document.querySelector('.sliders').previousElementSibling.value")
	p.press(kb.ArrowRight, kb.ArrowRight)
	if now := eval[string](p, "document.querySelector('.sliders').previousElementSibling.value"); now == text {
		p.Error("an arrow key does not move the slider")
	}
	p.await("location.search.includes('in.')")

	p.goTo("/vending/cities")
	p.await("!!document.querySelector('th button')")
	p.do(chromedp.Focus(chromedp.CSS("th button")))
	p.press(kb.Enter)
	p.await("document.querySelector('th[aria-sort=ascending]') && location.search.includes('.sort=0.asc')")

	// The search box: a key opens it, what it finds is reached by arrows.
	p.goTo("/vending/about")
	p.press("/")
	if at := eval[string](p, "document.activeElement.name ?? ''"); at != "q" {
		p.Errorf("the key / leads to %q", at)
	}
}

// planFollows moves a slider and sees the pictures and the address follow.
func planFollows(t *testing.T, b *browser, s *server) {
	for name, l := range map[string]look{"desk": desk, "phone": phone} {
		t.Run(name, func(t *testing.T) {
			p := b.open(t, s, l)
			p.goTo("/vending/plan")
			p.await("!!window.htmx && !!document.querySelector('.sliders input')")
			// The time from the slider's event to the new picture in the page, as the reader has it.
			took := eval2[float64](p, `new Promise(done => {
				const begun = performance.now(), old = document.querySelector("#plan-result svg").outerHTML;
				const slider = document.querySelector("#in-machines ~ .sliders input");
				slider.value = Number(slider.value) + 40;
				slider.dispatchEvent(new Event("input", {bubbles: true}));
				const look = () => document.querySelector("#plan-result svg")?.outerHTML !== old ? done(performance.now() - begun) : requestAnimationFrame(look);
				look();
			})`)
			t.Logf("the picture follows after %.0f ms", took)
			p.await("new URL(location).searchParams.has('in.machines')")
			if q := eval[string](p, "location.search"); strings.Count(q, "=") != 1 {
				t.Errorf("the address holds more than the change: %s", q)
			}
			shown := eval[string](p, "document.querySelector('.figures').innerText")
			p.do(chromedp.Reload())
			p.await("document.querySelector('.figures')?.innerText.length > 0")
			if again := eval[string](p, "document.querySelector('.figures').innerText"); again != shown {
				t.Errorf("the address does not hold the plan: %q after %q", again, shown)
			}
			// A scenario changes what the inputs show.
			p.do(chromedp.SetValue(chromedp.CSS("#scenario"), "tenfold"))
			p.await("new URL(location).searchParams.get('scenario') === 'tenfold'")
			p.await("document.readyState === 'complete' && document.querySelector('#scenario')?.value === 'tenfold'")
			for _, format := range []string{"html", "json", "csv", "yaml"} {
				status := eval2[int](p, `fetch(document.querySelector("a[href*='download/`+format+`']").href).then(r => r.status)`)
				if status != 200 {
					t.Errorf("the download as %s answers %d", format, status)
				}
			}
		})
	}
}

// eval2 is eval for a promise.
func eval2[T any](p *tab, expression string) T {
	p.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.Fatalf("%s: %v", expression, err)
	}
	return v
}

// proveRuns starts an experiment in the page, sees it run, and stops it.
func proveRuns(t *testing.T, b *browser, s *server) {
	p := b.open(t, s, desk)
	p.goTo("/vending/prove")
	p.do(chromedp.Click(chromedp.CSS("#herd form button[value=quick]")))
	p.await("!!document.querySelector('#herd [data-progress] progress')")
	p.await("document.querySelector('#herd .says')?.textContent !== 'starting'")
	if !eval[bool](p, "[...document.querySelectorAll('form[action$=\"/run\"] button')].every(b => b.disabled)") {
		p.Error("a second experiment could be started beside the first")
	}
	p.check("/vending/prove while it runs")
	other := b.open(t, s, phone) // who looks meanwhile sees it too
	other.goTo("/vending/prove")
	other.await("!!document.querySelector('#herd progress')")
	other.check("/vending/prove while it runs, on a phone")
	p.do(chromedp.Click(chromedp.CSS("#herd form[action$='/stop'] button")))
	p.await("!document.querySelector('[data-progress]') && !document.querySelector('#herd form button[value=quick]')?.disabled")
	other.await("!document.querySelector('[data-progress]')") // it was told, and looked again
}

// tables sorts, and the address brings the order back.
func tables(t *testing.T, b *browser, s *server) {
	p := b.open(t, s, desk)
	p.goTo("/vending/cities")
	p.await("!!document.querySelector('th button')")
	first := "document.querySelector('table[data-table] tbody tr').cells[0].textContent.trim()"
	p.do(chromedp.Click(chromedp.CSS("th button")))
	up := eval[string](p, first)
	p.do(chromedp.Click(chromedp.CSS("th button")))
	down := eval[string](p, first)
	if up == down {
		t.Errorf("sorting up and down both begin with %q", up)
	}
	p.do(chromedp.Reload())
	p.await("!!document.querySelector('th[aria-sort=descending]')")
	if again := eval[string](p, first); again != down {
		t.Errorf("after a reload the first row is %q, not %q", again, down)
	}
}

// times shows instants in the reader's zone, and UTC on hover.
func times(t *testing.T, b *browser, s *server) {
	l := desk
	l.zone = "Asia/Kathmandu" // 5:45 ahead, so that nothing fits by accident
	p := b.open(t, s, l)
	p.goTo("/vending/machines/demo-berlin-01")
	p.await("!!document.querySelector('main time')")
	got := eval[[]string](p, "(t => [t.dateTime, t.textContent, t.title])(document.querySelector('main time:not([data-ago])'))")
	at, err := time.Parse(time.RFC3339, got[0])
	if err != nil {
		t.Fatal(err)
	}
	local := at.In(time.FixedZone("NPT", 5*3600+45*60))
	if !strings.Contains(got[1], local.Format("3:04")) {
		t.Errorf("%s is shown as %q, not at %s", got[0], got[1], local.Format("3:04 PM"))
	}
	if !strings.Contains(got[2], "UTC") || !strings.Contains(got[2], at.UTC().Format("15:04")) {
		t.Errorf("on hover it says %q", got[2])
	}
}

// chartText holds what the mock got wrong: a picture's text has one size at
// every width, and stays inside of its card.
func chartText(t *testing.T, b *browser, s *server) {
	size := map[string]float64{}
	for name, l := range map[string]look{"desk": desk, "phone": phone} {
		p := b.open(t, s, l)
		p.goTo("/vending/plan")
		size[name] = eval[float64](p, "Math.max(...[...document.querySelectorAll('.chart text.t')].map(t => t.getBoundingClientRect().height))")
		if out := eval[[]string](p, `[...document.querySelectorAll(".chart text")].filter(t => {
			const r = t.getBoundingClientRect(), c = t.closest(".card").getBoundingClientRect();
			return r.left < c.left - 1 || r.right > c.right + 1;
		}).map(t => t.textContent)`); len(out) > 0 {
			t.Errorf("%s: text sticks out of its card: %s", name, strings.Join(out, ", "))
		}
	}
	if size["desk"] != size["phone"] || size["desk"] < 11 {
		t.Errorf("text is %v pixels high", size)
	}
}
