package upload_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"plumb/base/clock"
	"plumb/engines/bucket"
	"plumb/engines/cas"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
	"plumb/engines/upload"
	"plumb/engines/web"
)

// someone is who asks, whoever asks.
type someone struct{}

func (someone) Authenticate(*http.Request) (web.Who, error) {
	return web.Who{Kind: "person", ID: "ann"}, nil
}

// TestExample is the package's example as a test: a room of one function.
func TestExample(t *testing.T) {
	ctx := t.Context()
	db := sqldbtest.Open(t, sqldbtest.SQLite, sqldb.Options{})
	store, err := cas.Open(ctx, cas.Needs{DB: db, Bucket: bucket.Memory(), Key: bytes.Repeat([]byte{1}, 32), Clock: clock.System{}}, cas.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	taken := ""
	up, err := upload.New(ctx, upload.Needs{DB: db, CAS: store, Clock: clock.System{}, Log: slog.New(slog.DiscardHandler), Realm: "notes",
		Finish: func(ctx context.Context, tx *sqldb.Tx, u upload.Upload, p *cas.Pending) (func(), error) {
			said := func() { taken = fmt.Sprintf("%s: %d bytes of %s", u.Owner, p.Size(), u.Meta["filename"]) }
			return said, store.Take(ctx, tx, p)
		}}, upload.Options{})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	web.NewAPI(mux, web.NewGate(someone{}, slog.New(slog.DiscardHandler)), "test").Add(up.Routes("/api/v1/notes/tus/", web.Person)...)
	r := httptest.NewRequest("POST", "/api/v1/notes/tus/", strings.NewReader("hello"))
	r.Header = http.Header{"Tus-Resumable": {"1.0.0"}, "Upload-Length": {"5"}, "Upload-Metadata": {"filename YS50eHQ="}, "Content-Type": {"application/offset+octet-stream"}, "Authorization": {"Bearer x"}}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	if w.Code != http.StatusCreated || w.Header().Get("Upload-Offset") != "5" || taken != "ann: 5 bytes of a.txt" {
		t.Errorf("%d %v %s, %q", w.Code, w.Header(), w.Body, taken)
	}
}
