package console

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func TestSignInByLink(t *testing.T) {
	h := open(t)
	link, err := h.people.SignInLink(t.Context(), "admin", "")
	if err != nil {
		t.Fatal(err)
	}
	// Looking at the link, as a mail scanner does, does not use it up.
	for range 2 {
		if w := h.do(ask{path: link + "&next=/ops"}); w.Code != 200 || !strings.Contains(w.Body.String(), `data-send`) || w.Header().Get("Referrer-Policy") != "no-referrer" {
			t.Fatal(w.Code, w.Header())
		}
	}
	form := "next=/ops&" + strings.TrimPrefix(link, "/signin?")
	w := h.do(ask{method: "POST", path: "/signin", body: form})
	if w.Code != 303 || w.Header().Get("Location") != "/ops" || len(w.Result().Cookies()) != 1 {
		t.Fatal(w.Code, w.Header())
	}
	ck := w.Result().Cookies()[0]
	if !ck.HttpOnly || ck.SameSite != http.SameSiteLaxMode {
		t.Error(ck)
	}
	if w := h.do(ask{path: "/ops", cookie: ck.Value}); w.Code != 200 {
		t.Error(w.Code)
	}
	if w := h.do(ask{path: "/signin?next=/proofs", cookie: ck.Value}); w.Code != 303 || w.Header().Get("Location") != "/proofs" {
		t.Error(w.Code, w.Header())
	}
	if w := h.do(ask{method: "POST", path: "/signin", body: form}); w.Code != 403 || !strings.Contains(w.Body.String(), "used already") {
		t.Errorf("the second time: %d", w.Code)
	}
	if w := h.do(ask{method: "POST", path: "/signin", body: "name=admin&password=wrong-password"}); w.Code != 403 || !strings.Contains(w.Body.String(), "wrong") || strings.Contains(w.Body.String(), "wrong-password") {
		t.Errorf("%d", w.Code)
	}
	for next, want := range map[string]string{"/a?b=1": "/a?b=1", "//evil.example": "/", "https://evil.example": "/", `/\evil.example`: "/", "": "/", "/\n": "/"} {
		if got := within(next); got != want {
			t.Errorf("%q leads to %q", next, got)
		}
	}
}

func TestSignOut(t *testing.T) {
	h := open(t)
	cookie, csrf := h.signIn(t)
	if w := h.do(ask{method: "POST", path: "/signout", cookie: cookie}); w.Code != 403 {
		t.Errorf("without the token: %d", w.Code)
	}
	if w := h.do(ask{method: "POST", path: "/signout", cookie: cookie, body: "csrf=" + csrf}); w.Code != 303 || w.Result().Cookies()[0].MaxAge >= 0 {
		t.Error(w.Code, w.Header())
	}
	if w := h.do(ask{path: "/ops", cookie: cookie}); w.Code != 303 {
		t.Errorf("still in: %d", w.Code)
	}
}

func TestOnesOwnTokensAndPassword(t *testing.T) {
	h := open(t)
	cookie, csrf := h.signIn(t)
	w := h.do(ask{method: "POST", path: "/account/tokens", cookie: cookie, body: "csrf=" + csrf + "&name=laptop&days=30"})
	secret := regexp.MustCompile(`pat_[A-Za-z0-9_-]{43}`).FindString(w.Body.String())
	if w.Code != 200 || secret == "" || w.Header().Get("Cache-Control") != "no-store" {
		t.Fatal(w.Code, w.Header())
	}
	if page := h.do(ask{path: "/account", cookie: cookie}).Body.String(); strings.Contains(page, secret) || !strings.Contains(page, "laptop") {
		t.Error("the secret is shown twice, or the token not at all")
	}
	list, err := h.people.Tokens(t.Context(), "")
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	if w := h.do(ask{method: "POST", path: "/account/tokens/" + list[0].ID + "/revoke", cookie: cookie, body: "csrf=" + csrf}); w.Code != 303 {
		t.Error(w.Code, w.Body)
	}
	for _, bad := range []string{"name=&days=30", "name=x&days=-1", "name=x&days=many"} {
		if w := h.do(ask{method: "POST", path: "/account/tokens", cookie: cookie, body: "csrf=" + csrf + "&" + bad}); w.Code != 422 {
			t.Errorf("%s: %d", bad, w.Code)
		}
	}
	if w := h.do(ask{method: "POST", path: "/account/password", cookie: cookie, body: "csrf=" + csrf + "&password=correct+horse"}); w.Code != 303 {
		t.Error(w.Code, w.Body)
	}
	if w := h.do(ask{method: "POST", path: "/signin", body: "name=admin&password=correct+horse"}); w.Code != 303 {
		t.Error(w.Code)
	}
}

func TestPeople(t *testing.T) {
	h := open(t)
	cookie, csrf := h.signIn(t)
	post := func(path, body string) *httptest.ResponseRecorder {
		return h.do(ask{method: "POST", path: path, cookie: cookie, body: "csrf=" + csrf + "&" + body})
	}
	if w := post("/ops/people", "name=ann&role=operator"); w.Code != 303 {
		t.Fatal(w.Code, w.Body)
	}
	if w := post("/ops/people", "name=ann"); w.Code != 409 {
		t.Error(w.Code)
	}
	if w := post("/ops/people", "name=bob&role=king"); w.Code != 422 {
		t.Error(w.Code)
	}
	people, err := h.people.People(t.Context())
	if err != nil || len(people) != 2 {
		t.Fatal(people, err)
	}
	ann := people[1].ID
	w := post("/ops/people/"+ann+"/link", "name=ann")
	link := regexp.MustCompile(`http://example\.com/signin\?link=([A-Za-z0-9_-]{43})`).FindStringSubmatch(w.Body.String())
	if w.Code != 200 || link == nil || w.Header().Get("Cache-Control") != "no-store" {
		t.Fatal(w.Code, w.Body)
	}
	in := h.do(ask{method: "POST", path: "/signin", body: "link=" + link[1]})
	hers := in.Result().Cookies()[0].Value
	if w := h.do(ask{path: "/ops", cookie: hers}); w.Code != 200 || strings.Contains(w.Body.String(), `href="/ops/people"`) {
		t.Errorf("an operator's page: %d", w.Code)
	}
	if w := h.do(ask{path: "/ops/people", cookie: hers}); w.Code != 403 {
		t.Errorf("an operator among the people: %d", w.Code)
	}
	if w := post("/ops/people/"+ann+"/role", "role="); w.Code != 303 {
		t.Error(w.Code)
	}
	if w := h.do(ask{path: "/ops", cookie: hers}); w.Code != 403 {
		t.Errorf("still an operator: %d", w.Code)
	}
	if w := post("/ops/people/"+ann+"/disable", ""); w.Code != 303 {
		t.Error(w.Code)
	}
	if w := h.do(ask{path: "/account", cookie: hers}); w.Code != 303 || w.Header().Get("Location") != "/signin?next=%2Faccount" {
		t.Errorf("still in: %d", w.Code)
	}
	if w := post("/ops/people/"+ann+"/enable", ""); w.Code != 303 {
		t.Error(w.Code)
	}
	if w := post("/ops/people/"+ann+"/praise", ""); w.Code != 404 {
		t.Error(w.Code)
	}
	if log := h.do(ask{path: "/ops/audit", cookie: cookie}).Body.String(); !strings.Contains(log, "person disabled") || !strings.Contains(log, "roles changed") {
		t.Error("the audit log lacks what was done")
	}
}

func TestJobsPage(t *testing.T) {
	h := open(t)
	cookie, csrf := h.signIn(t)
	page := h.do(ask{path: "/ops/jobs?state=retryable&kind=vending.sweep", cookie: cookie}).Body.String()
	for _, want := range []string{"&lt;b&gt;disk&lt;/b&gt;", "2 of 25", `<option selected>retryable</option>`, `action="/ops/jobs/7/retry"`} {
		if !strings.Contains(page, want) {
			t.Errorf("lacks %s", want)
		}
	}
	if page := h.do(ask{path: "/ops/jobs?state=running", cookie: cookie}).Body.String(); !strings.Contains(page, "No job is like that") {
		t.Error("an empty list says nothing")
	}
	if w := h.do(ask{path: "/ops/jobs?state=lost", cookie: cookie}); w.Code != 422 {
		t.Error(w.Code)
	}
	for path, want := range map[string]int{"/ops/jobs/7/retry": 303, "/ops/jobs/7/cancel": 303, "/ops/jobs/7/eat": 404, "/ops/jobs/x/retry": 404, "/ops/jobs/9/retry": 404} {
		w := h.do(ask{method: "POST", path: path, cookie: cookie, body: "csrf=" + csrf + "&back=state%3Dretryable"})
		if w.Code != want || want == 303 && w.Header().Get("Location") != "/ops/jobs?state=retryable" {
			t.Errorf("%s: %d %v", path, w.Code, w.Header())
		}
	}
	if len(h.jobs.did) != 2 {
		t.Error(h.jobs.did)
	}
}
