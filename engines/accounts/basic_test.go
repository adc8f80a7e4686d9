package accounts

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
	"plumb/engines/web"
)

// Basic authentication opens the routes that take it and no others, to whoever has both
// a good token and its owner's name, and not to another site's page.
func TestBasicAuthentication(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		a := open(t, db, start(), nil)
		for _, name := range []string{"ann", "bob"} {
			if _, err := a.Add(ctx, root, name); err != nil {
				t.Fatal(err)
			}
		}
		secret, token, err := a.NewToken(ctx, root, "ann", "laptop", 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.SetAdminToken(ctx, "a-token-for-scripts"); err != nil {
			t.Fatal(err)
		}
		gate := web.NewGate(a, slog.New(slog.DiscardHandler))
		page := web.Page{Access: web.Person, Handler: func(w http.ResponseWriter, r *http.Request) error {
			w.Write([]byte(web.WhoIs(r.Context()).Name))
			return nil
		}}
		plain := gate.Page(page)
		page.Basic = true
		basic := gate.Page(page)

		for _, c := range []struct {
			what           string
			h              http.Handler
			method         string
			name, password string
			header         string // one more, name: value
			status         int
			asks           string // WWW-Authenticate
		}{
			{"a good token", basic, "PUT", "ann", secret, "", 200, ""},
			{"the admin's", basic, "PUT", "admin", "a-token-for-scripts", "", 200, ""},
			{"somebody else's name", basic, "GET", "bob", secret, "", 401, "Basic "},
			{"the admin's with another name", basic, "GET", "ann", "a-token-for-scripts", "", 401, "Basic "},
			{"no name", basic, "GET", "", secret, "", 401, "Basic "},
			{"no password", basic, "GET", "ann", "", "", 401, "Basic "},
			{"a wrong one", basic, "GET", "ann", secret + "x", "", 401, "Basic "},
			{"nothing", basic, "GET", "", "", "", 401, "Basic "},
			{"a browser with nothing", basic, "GET", "", "", "Accept: text/html", 401, "Basic "},
			{"a route that takes none", plain, "GET", "ann", secret, "", 401, "Bearer "},
			{"read from another site's page", basic, "GET", "ann", secret, "Sec-Fetch-Site: cross-site", 200, ""},
			{"a change from another site's page", basic, "PUT", "ann", secret, "Sec-Fetch-Site: cross-site", 403, ""},
			{"a form from another origin", basic, "POST", "ann", secret, "Origin: http://evil.example", 403, ""},
			{"a change from this site's page", basic, "PUT", "ann", secret, "Sec-Fetch-Site: same-origin", 200, ""},
		} {
			r := httptest.NewRequest(c.method, "/dav/x", nil)
			if c.name+c.password != "" {
				r.SetBasicAuth(c.name, c.password)
			}
			if k, v, ok := strings.Cut(c.header, ": "); ok {
				r.Header.Set(k, v)
			}
			w := httptest.NewRecorder()
			c.h.ServeHTTP(w, r)
			asks := w.Header().Get("WWW-Authenticate")
			if w.Code != c.status || !strings.HasPrefix(asks, c.asks) || (asks == "") != (c.asks == "") {
				t.Errorf("%s: %d %q %s", c.what, w.Code, asks, w.Body)
			}
			if c.status == 200 && w.Body.String() != c.name {
				t.Errorf("%s: is %s", c.what, w.Body)
			}
		}
		bearer := httptest.NewRecorder()
		r := httptest.NewRequest("PUT", "/dav/x", nil)
		r.Header.Set("Authorization", "Bearer "+secret)
		if basic.ServeHTTP(bearer, r); bearer.Code != 200 || bearer.Body.String() != "ann" {
			t.Errorf("a bearer token at a route that takes both: %d", bearer.Code)
		}
		if err := a.Revoke(ctx, root, token.ID); err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		r = httptest.NewRequest("GET", "/dav/x", nil)
		r.SetBasicAuth("ann", secret)
		if basic.ServeHTTP(w, r); w.Code != 401 {
			t.Errorf("a revoked token: %d", w.Code)
		}
	})
}
