package web_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"plumb/base/errs"
	"plumb/engines/web"
)

// nobody knows nobody: every request is a stranger's.
type nobody struct{}

func (nobody) Authenticate(*http.Request) (web.Who, error) { return web.Who{}, nil }

func Example() {
	gate := web.NewGate(nobody{}, slog.New(slog.DiscardHandler))
	mux := http.NewServeMux()
	mux.Handle("GET /api/v1/shop/{id}", gate.Wrap(web.Public, func(w http.ResponseWriter, r *http.Request) error {
		return errs.New(errs.NotFound, "there is no shop %s", r.PathValue("id"))
	}))
	mux.Handle("GET /api/v1/till", gate.Wrap(web.Operator, func(w http.ResponseWriter, r *http.Request) error {
		web.WriteJSON(w, http.StatusOK, "open")
		return nil
	}))
	for _, path := range []string{"/api/v1/shop/7", "/api/v1/till"} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		fmt.Print(w.Code, " ", w.Body)
	}
	// Output:
	// 404 {"title":"Not found","status":404,"detail":"there is no shop 7"}
	// 401 {"title":"Sign in, or send a token","status":401,"detail":"this needs a sign-in or a token"}
}
