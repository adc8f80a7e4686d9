package web

import (
	"errors"
	"io"
	"math"
	"net/http"
	"os"
	"time"

	"plumb/base/errs"
)

// writer remembers what was sent, and turns the mux's own plain-text 404 and
// 405 into ours: those are written before any route was found, so that the
// request has no pattern.
type writer struct {
	http.ResponseWriter
	r      *http.Request
	status int   // 0 until the header is sent
	size   int64 // bytes of the body
	gated  bool  // a route was found
	house  *house
	mute   bool      // the mux's own text is dropped
	moved  time.Time // when the connection's write deadline was last moved on
}

// An answer may take as long as it likes, as long as its reader takes some of
// it: after each moveEvery of writing, the deadline moves on to writeTime from
// then. The server's own write timeout is the deadline until then.
const (
	writeTime = 2 * time.Minute
	moveEvery = 10 * time.Second
)

func (w *writer) WriteHeader(status int) {
	if w.status != 0 {
		return
	}
	if !w.gated && w.house != nil && w.r.Pattern == "" && (status == http.StatusNotFound || status == http.StatusMethodNotAllowed) {
		w.noRoute(status)
		return
	}
	if status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// noRoute answers for the mux where no route fits.
func (w *writer) noRoute(status int) {
	w.gated = true
	d := Document{Title: "Not found", Status: status, Detail: "there is nothing at this address"}
	if status == http.StatusMethodNotAllowed {
		d.Title, d.Detail = "Method not allowed", "this address takes "+w.Header().Get("Allow")
	}
	w.house.gate.refuseStranger(w, w.r, &refusal{d})
	w.mute = true
}

func (w *writer) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.mute {
		return len(b), nil
	}
	if now := time.Now(); now.Sub(w.moved) > moveEvery {
		w.moved = now
		http.NewResponseController(w.ResponseWriter).SetWriteDeadline(now.Add(writeTime)) // a recorder has none
	}
	n, err := w.ResponseWriter.Write(b)
	w.size += int64(n)
	return n, err
}

// piece is how much of a file is sent before the deadline moves on.
const piece = 8 << 20

// ReadFrom implements io.ReaderFrom, so that the system can send a file itself
// (sendfile), where the server's own writer knows how.
func (w *writer) ReadFrom(r io.Reader) (sent int64, err error) {
	to, ok := w.ResponseWriter.(io.ReaderFrom)
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if !ok || w.mute {
		return io.Copy(struct{ io.Writer }{w}, r)
	}
	// The server looks for a file below one limit, not below two.
	whole, ok := r.(*io.LimitedReader)
	if !ok {
		whole = &io.LimitedReader{R: r, N: math.MaxInt64}
	}
	w.headerFirst(whole.R)
	for whole.N > 0 && err == nil {
		if now := time.Now(); now.Sub(w.moved) > moveEvery {
			w.moved = now
			http.NewResponseController(w.ResponseWriter).SetWriteDeadline(now.Add(writeTime))
		}
		n := int64(0)
		want := min(whole.N, piece)
		n, err = to.ReadFrom(&io.LimitedReader{R: whole.R, N: want})
		sent, w.size, whole.N = sent+n, w.size+n, whole.N-n
		if n < want {
			break
		}
	}
	return sent, err
}

// headerFirst sends the header of an answer that is a file's, of known type and length:
// the server would else read the file's first bytes itself, to go with the header.
func (w *writer) headerFirst(r io.Reader) {
	if _, file := r.(*os.File); !file || w.size > 0 {
		return
	}
	if h := w.Header(); h.Get("Content-Type") != "" && h.Get("Content-Length") != "" {
		http.NewResponseController(w.ResponseWriter).Flush() // what fails here fails again below
	}
}

// bare returns the server's own writer: http.MaxBytesReader tells that one, and
// only that one, to close the connection of a body that is too large.
func bare(w http.ResponseWriter) http.ResponseWriter {
	if ours, ok := w.(*writer); ok {
		return ours.ResponseWriter
	}
	return w
}

// Unwrap lets http.ResponseController reach the connection.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// FlushError sends what is written so far. It is http.ResponseController's.
func (w *writer) FlushError() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// refuseStranger answers where no route was found. Pages know who looks at them,
// so the frame shows the same menu as everywhere.
func (g *Gate) refuseStranger(w *writer, r *http.Request, err error) {
	if st := stateOf(r.Context()); st != nil && wantsPage(r) {
		if who, err := g.auth.Authenticate(r); err == nil {
			st.who = who
		}
	}
	g.refuse(w, r, err)
}

func isRefusal(err error) bool {
	_, ok := errors.AsType[*refusal](err)
	return ok
}

// bodyErr classifies an error of reading what ("the body", "the form").
func bodyErr(err error, what string) error {
	if tooBig, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return errs.New(errs.TooLarge, "%s is larger than the limit of %d bytes", what, tooBig.Limit)
	}
	return Malformed(errs.Wrap(errs.Invalid, err, "%s could not be read to its end", what))
}
