package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"plumb/base/clock"
	"plumb/base/errs"
)

// script is a server that answers each call with the next of its answers.
type script struct {
	t    *testing.T
	mu   sync.Mutex
	left []http.HandlerFunc
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer secret" || r.Header.Get("Content-Type") != "application/json" {
		s.t.Errorf("%v", r.Header)
	}
	if body, err := io.ReadAll(r.Body); err != nil || string(body) != `{"report_id":"r-1"}` {
		s.t.Errorf("%q %v", body, err)
	}
	next := s.left[0]
	s.left = s.left[1:]
	next(w, r)
}

func says(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

const stored = `{"report_id":"r-1","status":"stored","next_report_at":"2026-03-02T00:20:00Z","next_report_in_s":84000.5,"server_time":"2026-03-01T01:00:00Z"}`

// waits is a clock that passes at once, and remembers how long was waited.
type waits struct {
	clock.System
	slept []time.Duration
}

func (w *waits) After(d time.Duration) <-chan time.Time {
	w.slept = append(w.slept, d)
	ch := make(chan time.Time, 1)
	ch <- time.Time{}
	return ch
}

func client(t *testing.T, answers ...http.HandlerFunc) (*Client, *waits) {
	srv := httptest.NewServer(&script{t: t, left: answers})
	t.Cleanup(srv.Close)
	w := &waits{}
	return &Client{URL: srv.URL, Token: "secret", Clock: w, Rand: rand.New(rand.NewPCG(1, 2))}, w
}

func TestDeliverComesWhenItIsTold(t *testing.T) {
	c, w := client(t,
		says(503, `{"title":"Busy","retry_in_s":93.25}`, "Retry-After", "94"),
		says(429, `{"title":"Too many"}`, "Retry-After", "2"),
		says(200, stored))
	a, err := c.Deliver(context.Background(), []byte(`{"report_id":"r-1"}`))
	if err != nil || a.Status != "stored" || a.NextIn() != 84000500*time.Millisecond || c.Tries != 3 {
		t.Fatalf("%+v %v after %d tries", a, err, c.Tries)
	}
	if fmt.Sprint(w.slept) != "[1m33.25s 2s]" {
		t.Errorf("waited %v", w.slept)
	}
}

func TestDeliverBacksOffWhereThereIsNoAnswer(t *testing.T) {
	cut := func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }
	half := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		io.WriteString(w, stored[:40])
	}
	c, w := client(t, cut, half, says(500, "oops"), says(502, "<html>bad gateway"), says(503, ""), says(200, "{}"), says(200, "not json"), says(408, ""), says(200, stored))
	if a, err := c.Deliver(context.Background(), []byte(`{"report_id":"r-1"}`)); err != nil || a.Status != "stored" {
		t.Fatal(a, err)
	}
	if len(w.slept) != 8 {
		t.Fatalf("waited %v", w.slept)
	}
	for i, d := range w.slept {
		if d < 0 || d > 10*time.Second<<(i+1) {
			t.Errorf("wait %d is %s", i, d)
		}
	}
}

func TestDeliverGivesUpWhereTheServerNeverWill(t *testing.T) {
	for status, kind := range map[int]errs.Kind{400: errs.Invalid, 401: errs.Unknown, 403: errs.Denied, 404: errs.Invalid, 409: errs.Conflict, 413: errs.TooLarge, 422: errs.Invalid} {
		c, w := client(t, says(status, `{"title":"No","detail":"not like this"}`))
		_, err := c.Deliver(context.Background(), []byte(`{"report_id":"r-1"}`))
		if !errs.Is(err, kind) || errs.Message(err) != "No: not like this" || len(w.slept) > 0 {
			t.Errorf("%d: %v", status, err)
		}
	}
	c, _ := client(t, says(500, ""))
	c.Clock = clock.NewManual(time.Time{})
	ctx, stop := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer stop()
	if _, err := c.Deliver(ctx, []byte(`{"report_id":"r-1"}`)); err != context.DeadlineExceeded {
		t.Error(err)
	}
	c = &Client{URL: "http://\x00"}
	if _, err := c.Deliver(context.Background(), nil); !errs.Is(err, errs.Invalid) {
		t.Error(err)
	}
}

func TestNoAnswerMakesAMachineSleepForever(t *testing.T) {
	for _, s := range []float64{-1, 0, math.NaN(), math.Inf(1), 1e300} {
		if d := (Answer{NextReportInS: s}).NextIn(); d < 0 || d > 7*24*time.Hour {
			t.Errorf("%v s is %s", s, d)
		}
	}
}

func FuzzRefusal(f *testing.F) {
	f.Add(503, "5", []byte(`{"title":"Busy","retry_in_s":1e309}`))
	f.Add(429, "soon", []byte(`{"retry_in_s":"x"}`))
	f.Add(200, "", []byte(stored))
	f.Fuzz(func(t *testing.T, status int, after string, body []byte) {
		err := refusal(&http.Response{StatusCode: status, Header: http.Header{"Retry-After": {after}}}, body)
		if d := errs.RetryAfter(err); err == nil || d < 0 || d > 7*24*time.Hour {
			t.Fatalf("%v, wait %s", err, d)
		}
		var a Answer
		if json.Unmarshal(body, &a) == nil && (a.NextIn() < 0 || a.NextIn() > 7*24*time.Hour) {
			t.Fatal(a)
		}
	})
}
