package remote

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"plumb/base/errs"
)

func TestAnswersAndRefusals(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		switch r.URL.Path {
		case "/api/echo":
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			json.NewEncoder(w).Encode(map[string]any{"body": string(body), "length": r.ContentLength, "type": r.Header.Get("Content-Type")})
		case "/api/half":
			io.WriteString(w, `{"body":`)
		default:
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusUnprocessableEntity)
			io.WriteString(w, `{"title":"Not valid","detail":"two faults","errors":[{"location":"a","message":"is missing"}]}`)
		}
	}))
	defer srv.Close()
	c, err := New(srv.URL+"/", "/api", "secret")
	if err != nil {
		t.Fatal(err)
	}
	var out struct {
		Body, Type string
		Length     int64
	}
	if err := c.Call(t.Context(), "POST", "/echo", map[string]int{"n": 1}, &out); err != nil || out.Body != `{"n":1}` || out.Length != 7 || out.Type != "application/json" {
		t.Errorf("%+v, %v", out, err)
	}
	if err := c.Call(t.Context(), "GET", "/echo", nil, &out); err != nil || out.Body != "" || out.Length != 0 {
		t.Errorf("%+v, %v", out, err)
	}
	res, err := c.Do(t.Context(), "PUT", "/echo", strings.NewReader("abc"), -1, "Content-Type", "text/plain")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := Read(res, &out); err != nil || out.Body != "abc" || out.Length != -1 || out.Type != "text/plain" {
		t.Errorf("%+v, %v", out, err)
	}
	if err := c.Call(t.Context(), "GET", "/none", nil, nil); !errs.Is(err, errs.Invalid) || err.Error() != "Not valid: two faults; a is missing" {
		t.Error(err)
	}
	if err := c.Call(t.Context(), "GET", "/half", nil, &out); !errs.Is(err, errs.Busy) {
		t.Error(err)
	}
	other, err := New(srv.URL, "/api", "wrong")
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Call(t.Context(), "GET", "/echo", nil, nil); !errs.Is(err, errs.Unknown) {
		t.Error(err)
	}
	srv.Close()
	if err := c.Call(t.Context(), "GET", "/echo", nil, nil); !errs.Is(err, errs.Busy) {
		t.Error(err)
	}
}

func TestAnAddressAndATokenAreNeeded(t *testing.T) {
	for _, bad := range [][2]string{{"ftp://x", "t"}, {"127.0.0.1:80", "t"}, {"http://", "t"}, {"http://x", ""}} {
		if _, err := New(bad[0], "/api", bad[1]); !errs.Is(err, errs.Invalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
