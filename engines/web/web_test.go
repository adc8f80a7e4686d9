package web

import (
	"bytes"
	"context"
	"errors"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"plumb/base/errs"
)

// tokens authenticates by a table; cookie "s" stands for a session.
type tokens map[string]Who

func (t tokens) Authenticate(r *http.Request) (Who, error) {
	if h := r.Header.Get("Authorization"); h != "" {
		who, ok := t[strings.TrimPrefix(h, "Bearer ")]
		if !ok {
			return Who{}, errs.New(errs.Unknown, "wrong token")
		}
		return who, nil
	}
	if c, err := r.Cookie("s"); err == nil {
		who := t[c.Value]
		who.Cookie = who.Kind != ""
		return who, nil
	}
	return Who{}, nil
}

var people = tokens{
	"ann":  {Kind: "person", ID: "1", Name: "Ann", CSRF: "good"},
	"op":   {Kind: "person", ID: "2", Name: "Op", Roles: []Access{Operator}, CSRF: "good"},
	"root": {Kind: "person", ID: "3", Name: "Root", Roles: []Access{Admin}, CSRF: "good"},
	"m-1":  {Kind: "machine", ID: "m-1", Name: "m-1"},
}

// frame is the smallest Shell.
type frame struct{}

func (frame) Show(w http.ResponseWriter, r *http.Request, t *template.Template, v View) error {
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, v.Template, v.Data); err != nil {
		return err
	}
	return Send(w, r, max(v.Status, 200), "text/html; charset=utf-8", append([]byte("<main>"), b.Bytes()...))
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func ok(w http.ResponseWriter, r *http.Request) error {
	WriteJSON(w, 200, map[string]string{"id": WhoIs(r.Context()).ID})
	return nil
}

type ask struct {
	method, path, token, cookie, accept, body, kind string
	header                                          map[string]string
}

func do(h http.Handler, a ask) *httptest.ResponseRecorder {
	if a.method == "" {
		a.method = "GET"
	}
	r := httptest.NewRequest(a.method, a.path, strings.NewReader(a.body))
	if a.token != "" {
		r.Header.Set("Authorization", "Bearer "+a.token)
	}
	if a.cookie != "" {
		r.AddCookie(&http.Cookie{Name: "s", Value: a.cookie})
	}
	if a.accept != "" {
		r.Header.Set("Accept", a.accept)
	}
	if a.kind != "" {
		r.Header.Set("Content-Type", a.kind)
	}
	for k, v := range a.header {
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestWhoMayWhat(t *testing.T) {
	want := map[string]string{ // who -> accesses that open
		"":     "public",
		"ann":  "public person",
		"op":   "public person operator",
		"root": "public person operator admin",
		"m-1":  "public machine",
	}
	g := NewGate(people, quiet())
	for who, opens := range want {
		for _, a := range []Access{Public, Person, Machine, Operator, Admin} {
			got := do(g.Wrap(a, ok), ask{path: "/api/v1/x", token: who}).Code
			may := strings.Contains(" "+opens+" ", " "+string(a)+" ")
			switch {
			case may && got != 200, !may && who == "" && got != 401, !may && who != "" && got != 403:
				t.Errorf("%q at %s: %d", who, a, got)
			}
		}
	}
	if (Who{Kind: "person", Roles: []Access{Admin}}).May("typo") {
		t.Error("an undeclared access opened")
	}
}

func TestUndeclaredAccessStopsTheProgram(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	NewGate(people, quiet()).Wrap("", ok)
}

func TestFirstAsksEachAndFailsWhenAllRefuse(t *testing.T) {
	a := First(tokens{"a": {Kind: "person", ID: "a"}}, tokens{"b": {Kind: "machine", ID: "b"}})
	for token, kind := range map[string]errs.Kind{"a": "", "b": "", "c": errs.Unknown} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		who, err := a.Authenticate(r)
		if kind == "" && (err != nil || who.ID != token) || kind != "" && !errs.Is(err, kind) {
			t.Errorf("%s: %v, %v", token, who, err)
		}
	}
}

func TestChangesByCookieNeedTheSessionsToken(t *testing.T) {
	g := NewGate(people, quiet())
	h := g.Wrap(Person, ok)
	form := "application/x-www-form-urlencoded"
	for name, c := range map[string]struct {
		ask  ask
		want int
	}{
		"reading needs none":          {ask{cookie: "ann"}, 200},
		"no token":                    {ask{method: "POST", cookie: "ann"}, 403},
		"wrong token":                 {ask{method: "POST", cookie: "ann", header: map[string]string{"X-CSRF-Token": "bad"}}, 403},
		"token in the header":         {ask{method: "DELETE", cookie: "ann", header: map[string]string{"X-CSRF-Token": "good"}}, 200},
		"token in the form":           {ask{method: "POST", cookie: "ann", kind: form, body: "csrf=good"}, 200},
		"token in the address":        {ask{method: "POST", cookie: "ann", path: "/?csrf=good", kind: form, body: ""}, 403},
		"good token, other site":      {ask{method: "POST", cookie: "ann", kind: form, body: "csrf=good", header: map[string]string{"Sec-Fetch-Site": "cross-site"}}, 403},
		"good token, other origin":    {ask{method: "POST", cookie: "ann", kind: form, body: "csrf=good", header: map[string]string{"Origin": "http://evil.example"}}, 403},
		"a bearer token needs none":   {ask{method: "POST", token: "ann"}, 200},
		"a form that is garbled":      {ask{method: "POST", cookie: "ann", kind: form, body: "csrf=%zz"}, 400},
		"a stranger's session is old": {ask{method: "POST", cookie: "gone"}, 401},
	} {
		if c.ask.path == "" {
			c.ask.path = "/"
		}
		if got := do(h, c.ask); got.Code != c.want {
			t.Errorf("%s: %d %s", name, got.Code, got.Body)
		}
	}
}

func TestKindsBecomeStatuses(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
	}{
		{errs.New(errs.Invalid, "x"), 422}, {Malformed(errs.New(errs.Invalid, "x")), 400}, {errs.New(errs.Unknown, "x"), 401},
		{errs.New(errs.Denied, "x"), 403}, {errs.New(errs.NotFound, "x"), 404}, {errs.New(errs.Conflict, "x"), 409},
		{errs.New(errs.TooLarge, "x"), 413}, {errs.TryAfter(1500*time.Millisecond, "x"), 503}, {errors.New("secret"), 500},
		{errs.New(errs.Stale, "x"), 412}, {errs.New(errs.Barred, "x"), 451}, {errs.Wrap(errs.Busy, errs.ErrFull, "x"), 507},
	} {
		var logged bytes.Buffer
		g := NewGate(people, slog.New(slog.NewTextHandler(&logged, nil)))
		w := do(House(route(g.Wrap(Public, func(http.ResponseWriter, *http.Request) error { return c.err })), g, Options{}), ask{path: "/x"})
		if w.Code != c.status || w.Header().Get("Content-Type") != "application/problem+json" || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%v: %d %s", c.err, w.Code, w.Body)
		}
		if (c.status == 500) != (strings.Count(logged.String(), "secret") == 1) {
			t.Errorf("%v: logged %q", c.err, logged.String())
		}
		if got := w.Header().Get("Retry-After"); c.status == 507 && got == "" || c.status == 503 && got != "2" {
			t.Errorf("Retry-After %q", got)
		}
		if c.status == 401 && w.Header().Get("WWW-Authenticate") == "" {
			t.Error("no WWW-Authenticate")
		}
	}
}

func route(h http.Handler) *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("GET /x", h)
	mux.Handle("GET /api/v1/x/{id}", h)
	return mux
}

func TestBrowsersGetPagesAndScriptsGetDocuments(t *testing.T) {
	g := NewGate(people, quiet())
	g.UseShell(frame{})
	h := House(route(g.Wrap(Person, func(http.ResponseWriter, *http.Request) error {
		return errs.WithDetails("<b>bad</b>", []errs.Detail{{Where: "a", What: "is missing"}})
	})), g, Options{})
	html := "text/html,application/xhtml+xml"
	if w := do(h, ask{path: "/x?y=1&z", accept: html}); w.Code != 303 || w.Header().Get("Location") != "/signin?next="+url.QueryEscape("/x?y=1&z") {
		t.Errorf("stranger: %d %s", w.Code, w.Header().Get("Location"))
	}
	if w := do(h, ask{path: "/x", accept: html, header: map[string]string{"HX-Request": "true"}}); w.Code != 401 || w.Header().Get("HX-Redirect") == "" {
		t.Errorf("stranger's part: %d %v", w.Code, w.Header())
	}
	if w := do(h, ask{path: "/x", accept: html, token: "ann"}); w.Code != 422 || !strings.Contains(w.Body.String(), "&lt;b&gt;bad") || !strings.Contains(w.Body.String(), "is missing") {
		t.Errorf("page: %d %s", w.Code, w.Body)
	}
	if w := do(h, ask{path: "/x", token: "ann"}); w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("script: %v", w.Header())
	}
	if w := do(h, ask{path: "/api/v1/x/1", accept: html, token: "ann"}); w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("API: %v", w.Header())
	}
	if w := do(h, ask{path: "/nowhere", accept: html}); w.Code != 404 || !strings.Contains(w.Body.String(), "<main>") || strings.Contains(w.Body.String(), "404 page") {
		t.Errorf("no such page: %d %s", w.Code, w.Body)
	}
}

func TestNoRouteIsAProblemDocument(t *testing.T) {
	g := NewGate(people, quiet())
	m := NewMetrics()
	h := House(route(g.Wrap(Public, ok)), g, Options{Metrics: m})
	if w := do(h, ask{path: "/api/v1/nothing"}); w.Code != 404 || !strings.Contains(w.Body.String(), `"title":"Not found"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	w := do(h, ask{method: "DELETE", path: "/x"})
	if w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD" || !strings.HasSuffix(strings.TrimSpace(w.Body.String()), "}") {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	// A handler's own 404 is left as it is.
	g2 := House(route(g.Wrap(Public, func(w http.ResponseWriter, r *http.Request) error {
		http.Error(w, "mine", 404)
		return nil
	})), g, Options{})
	if w := do(g2, ask{path: "/x"}); w.Body.String() != "mine\n" {
		t.Errorf("%q", w.Body)
	}
}

func TestPanicsAreAnsweredAndLogged(t *testing.T) {
	var logged bytes.Buffer
	g := NewGate(people, slog.New(slog.NewTextHandler(&logged, nil)))
	w := do(g.Wrap(Public, func(http.ResponseWriter, *http.Request) error { panic("secret") }), ask{path: "/"})
	if w.Code != 500 || strings.Contains(w.Body.String(), "secret") || !strings.Contains(logged.String(), "secret") {
		t.Errorf("%d %s; log %s", w.Code, w.Body, logged.String())
	}
	// After the answer has begun, only cutting the connection tells the client.
	defer func() {
		if recover() != http.ErrAbortHandler {
			t.Error("half an answer was ended as if whole")
		}
	}()
	do(g.Wrap(Public, func(w http.ResponseWriter, r *http.Request) error {
		w.Write([]byte("half"))
		panic("late")
	}), ask{path: "/"})
}

func TestPublicPagesOpenWhenNobodyCanBeLookedUp(t *testing.T) {
	broken := authFunc(func(*http.Request) (Who, error) { return Who{}, errors.New("database away") })
	g := NewGate(broken, quiet())
	if w := do(g.Wrap(Public, ok), ask{path: "/healthz"}); w.Code != 200 {
		t.Error(w.Code)
	}
	if w := do(g.Wrap(Person, ok), ask{path: "/"}); w.Code != 500 {
		t.Error(w.Code)
	}
}

type authFunc func(*http.Request) (Who, error)

func (f authFunc) Authenticate(r *http.Request) (Who, error) { return f(r) }

func TestSecurityHeaders(t *testing.T) {
	g := NewGate(people, quiet())
	var nonces []string
	h := House(route(g.Wrap(Public, func(w http.ResponseWriter, r *http.Request) error {
		nonces = append(nonces, Nonce(r.Context()))
		return ok(w, r)
	})), g, Options{})
	for range 2 {
		w := do(h, ask{path: "/x"})
		csp := w.Header().Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "'nonce-" + nonces[len(nonces)-1] + "'"} {
			if !strings.Contains(csp, part) {
				t.Errorf("%q lacks %q", csp, part)
			}
		}
		if strings.Contains(csp, "unsafe") || w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("X-Request-Id") == "" {
			t.Error(w.Header())
		}
	}
	if len(nonces[0]) < 20 || nonces[0] == nonces[1] {
		t.Errorf("nonces %v", nonces)
	}
	// A stranger's request id is not taken over; a trusted proxy's is.
	w := do(h, ask{path: "/x", header: map[string]string{"X-Request-Id": "abc-1", "X-Forwarded-Proto": "https"}})
	if w.Header().Get("X-Request-Id") == "abc-1" || w.Header().Get("Strict-Transport-Security") != "" {
		t.Error("believed a stranger")
	}
	h = House(route(g.Wrap(Public, ok)), g, Options{TrustedProxy: func(string) bool { return true }})
	w = do(h, ask{path: "/x", header: map[string]string{"X-Request-Id": "abc-1", "X-Forwarded-Proto": "https"}})
	if w.Header().Get("X-Request-Id") != "abc-1" || w.Header().Get("Strict-Transport-Security") == "" {
		t.Error("did not believe the proxy")
	}
}

func TestTheClientsAddress(t *testing.T) {
	g := NewGate(people, quiet())
	for _, c := range []struct {
		trust     bool
		via, want string
	}{
		{false, "198.51.100.7", "192.0.2.1"}, {true, "", "192.0.2.1"}, {true, "10.0.0.1, 198.51.100.7", "198.51.100.7"}, {true, "nonsense", "192.0.2.1"},
	} {
		var got string
		h := House(route(g.Wrap(Public, func(w http.ResponseWriter, r *http.Request) error {
			got = Remote(r)
			return nil
		})), g, Options{TrustedProxy: func(string) bool { return c.trust }})
		do(h, ask{path: "/x", header: map[string]string{"X-Forwarded-For": c.via}})
		if got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

func TestBodiesAreBounded(t *testing.T) {
	g := NewGate(people, quiet())
	h := g.WrapLimit(Public, 10, func(w http.ResponseWriter, r *http.Request) error {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return bodyErr(err, "the body")
		}
		WriteJSON(w, 200, len(b))
		return nil
	})
	for n, want := range map[int]int{10: 200, 11: 413} {
		if w := do(h, ask{method: "POST", path: "/", body: strings.Repeat("x", n)}); w.Code != want {
			t.Errorf("%d bytes: %d", n, w.Code)
		}
	}
}

func TestEventsReachTheClientOneByOne(t *testing.T) {
	g := NewGate(people, quiet())
	next := make(chan string)
	srv := httptest.NewServer(House(route(g.Wrap(Public, func(w http.ResponseWriter, r *http.Request) error {
		ev, err := Stream(w, r)
		if err != nil {
			return err
		}
		for s := range next {
			if err := ev.Send("tick", s); err != nil {
				return nil
			}
		}
		return ev.Ping()
	})), g, Options{Metrics: NewMetrics()}))
	defer srv.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, "GET", srv.URL+"/x", nil)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	for _, s := range []string{"one", "two\nlines"} {
		next <- s
		want := "event: tick\ndata: " + strings.ReplaceAll(s, "\n", "\ndata: ") + "\n\n"
		got := make([]byte, len(want))
		if _, err := io.ReadFull(res.Body, got); err != nil || string(got) != want {
			t.Fatalf("%q, %v", got, err)
		}
	}
	close(next)
}
