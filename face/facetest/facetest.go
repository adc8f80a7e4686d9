// Package facetest puts a room behind its real doors in tests, as the house does: the
// gate, the API, the pages, without the house's frame.
//
//	log := facetest.Log(t, slog.LevelWarn)
//	s, err := files.New(ctx, files.Needs{..., Shell: facetest.Paper{}, Log: log}, files.Defaults())
//	doors := facetest.Mount(t, s.Face(), people, log)
//	w := facetest.Send(t, doors, "POST", "/api/v1/files/folders/a", token, "", nil)
package facetest

import (
	"bytes"
	"encoding/json"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"plumb/engines/web"
	"plumb/face"
)

// Paper is a shell without a frame.
type Paper struct{}

// Show implements web.Shell.
func (Paper) Show(w http.ResponseWriter, r *http.Request, t *template.Template, v web.View) error {
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, v.Template, v.Data); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if v.Status != 0 {
		w.WriteHeader(v.Status)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// Log sends what a room logs, from a level on, to the test's own log.
func Log(t testing.TB, level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(writer{t}, &slog.HandlerOptions{Level: level}))
}

type writer struct{ t testing.TB }

func (w writer) Write(b []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

// Mount returns a face's doors behind a gate that asks who. An invalid face fails the
// test.
func Mount(t testing.TB, f face.Face, who web.Authenticator, log *slog.Logger) http.Handler {
	t.Helper()
	if err := f.Valid(); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	gate := web.NewGate(who, log)
	web.NewAPI(mux, gate, "test").Add(f.API...)
	for _, p := range f.Pages {
		method, path, _ := strings.Cut(p.Pattern, " ")
		if !p.Root {
			path = "/" + f.Name + path
		}
		mux.Handle(method+" "+path, gate.Page(p))
	}
	return web.House(mux, gate, web.Options{})
}

// Send sends a request of whoever has the token ("" for a stranger) and returns the
// answer. body is nil; text, bytes or a reader, which go as they are, as of the type raw;
// or anything that becomes JSON. headers are names and values in turn.
func Send(t testing.TB, doors http.Handler, method, path, token, raw string, body any, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	var r io.Reader
	kind := raw
	switch b := body.(type) {
	case nil:
		kind = "application/json"
	case string:
		r = strings.NewReader(b)
	case []byte:
		r = bytes.NewReader(b)
	case io.Reader:
		r = b
	default:
		text, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		r, kind = bytes.NewReader(text), "application/json"
	}
	req := httptest.NewRequest(method, path, r)
	req.Header.Set("Content-Type", kind)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	doors.ServeHTTP(w, req)
	return w
}

// Decode wants an answer's status, and decodes its body, if it has one, into T.
func Decode[T any](t testing.TB, w *httptest.ResponseRecorder, status int, what string) (v T) {
	t.Helper()
	if w.Code != status {
		t.Fatalf("%s: %d %s, want %d", what, w.Code, w.Body, status)
	}
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
			t.Fatalf("%s: %s: %v", what, w.Body, err)
		}
	}
	return v
}
