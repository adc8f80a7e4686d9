package fleet

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"plumb/base/errs"
)

// movedTo answers with where the machine belongs.
func movedTo(endpoint string) http.HandlerFunc {
	return says(421, `{"title":"Moved","cell":{"endpoint":"`+endpoint+`"}}`)
}

func TestDeliverGoesWhereItIsTold(t *testing.T) {
	var asked []string
	south := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path+" "+r.Header.Get("Authorization"))
		says(200, stored)(w, r)
	}))
	defer south.Close()
	c, w := client(t, movedTo(south.URL+"/south/"))
	c.URL += "/reports"
	for range 2 { // the second goes there at once
		if a, err := c.Deliver(context.Background(), []byte(`{"report_id":"r-1"}`)); err != nil || a.Status != "stored" {
			t.Fatal(a, err)
		}
	}
	if len(w.slept) != 1 || w.slept[0] != 0 || c.Tries != 3 || strings.Join(asked, ",") != "/south/reports Bearer secret,/south/reports Bearer secret" {
		t.Errorf("waited %v, %d tries, asked %v", w.slept, c.Tries, asked)
	}
}

// A server that does not know the machine yet sends it back, not away.
func TestDeliverGoesBackToWhereItIsKnown(t *testing.T) {
	south := httptest.NewServer(says(401, `{"title":"Who are you?"}`))
	defer south.Close()
	c, w := client(t, movedTo(south.URL), movedTo(south.URL), says(200, stored))
	home := c.URL
	if a, err := c.Deliver(context.Background(), []byte(`{"report_id":"r-1"}`)); err != nil || a.Status != "stored" || c.URL != home {
		t.Fatal(a, err, c.URL)
	}
	// At once to the south, back after a while, again to the south only after a
	// while, and back: nobody is called without pause.
	if len(w.slept) != 4 || w.slept[0] != 0 || c.Tries != 5 {
		t.Errorf("waited %v, %d tries", w.slept, c.Tries)
	}
	// At home, to be unknown is final.
	c, _ = client(t, says(401, `{"title":"Who are you?"}`))
	if _, err := c.Deliver(context.Background(), []byte(`{"report_id":"r-1"}`)); !errs.Is(err, errs.Unknown) {
		t.Error(err)
	}
}

// Endpoints that are of no use, or would show the token, are not followed: the
// machine asks again later.
func TestDeliverDoesNotGoAnywhere(t *testing.T) {
	c, w := client(t, movedTo(""), movedTo("ftp://x"), movedTo("south"), movedTo("http://u:p@x"), movedTo("\\u0000"), says(421, "no document"), says(200, stored))
	home := c.URL
	if _, err := c.Deliver(context.Background(), []byte(`{"report_id":"r-1"}`)); err != nil || c.URL != home || len(w.slept) != 6 {
		t.Errorf("%v, now at %s, waited %v", err, c.URL, w.slept)
	}
	for _, s := range []struct{ at, to, want string }{
		{"https://a/r", "https://b", "https://b/r"},
		{"http://a/r", "https://b/x/", "https://b/x/r"},
		{"https://a/r", "http://b", ""},
		{"https://a/r", "https://b?x=1#y", "https://b/r"},
	} {
		if got, err := elsewhere(s.at, s.to); got != s.want || (err != nil) != (s.want == "") {
			t.Errorf("from %s to %s: %q %v", s.at, s.to, got, err)
		}
	}
	// Send leaves it to the caller.
	c, _ = client(t, movedTo("https://south.test"))
	_, err := c.Send(context.Background(), []byte(`{"report_id":"r-1"}`))
	if moved, ok := errors.AsType[*Moved](err); !ok || moved.Endpoint != "https://south.test" || !errs.Is(err, errs.Denied) || c.URL == moved.Endpoint {
		t.Error(err)
	}
}
