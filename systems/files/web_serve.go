package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"plumb/engines/cas"
)

// serve answers with the content of a node that the asker may read.
func (s *System) serve(w http.ResponseWriter, r *http.Request, n Node, download bool) error {
	if err := n.readable(); err != nil {
		return err
	}
	body := &lazy{ctx: r.Context(), s: s, n: n}
	defer body.close()
	h := w.Header()
	h.Set("ETag", n.ETag())
	// A content that cannot be opened is told before a status is out; who has it already
	// needs none.
	if r.Method != http.MethodHead && r.Header.Get("If-None-Match") == "" {
		if err := body.open(); err != nil {
			return err
		}
	}
	contentHeaders(h, n, download)
	tidyRange(r.Header, n.Size)
	http.ServeContent(sender{w}, r, "", n.Modified, body)
	s.measures.out.Add(float64(body.sent))
	if body.err != nil && r.Context().Err() == nil {
		s.n.Log.Error("a content broke off", "node", n.ID, "hash", n.Hash.String(), "error", body.err)
		panic(http.ErrAbortHandler) // half a content must not look whole
	}
	return nil
}

// mostRanges is how many ranges one request may ask for: each costs a look-up, and at a
// bucket a request.
const mostRanges = 200

// tidyRange takes out of a request what net/http reads in another way than RFC 9110, 14.2:
// other units than bytes, and more ranges than anybody needs, are as if nothing had been
// asked, and the last zero bytes are of no content.
func tidyRange(h http.Header, size int64) {
	what := h.Get("Range")
	switch ranges, bytes := strings.CutPrefix(what, "bytes="); {
	case what == "":
	case !bytes, strings.Count(ranges, ",") >= mostRanges:
		h.Del("Range")
	case strings.Trim(ranges, " \t") == "-0":
		h.Set("Range", fmt.Sprintf("bytes=%d-", size))
	}
}

// lazy is a content that is opened when its first byte is wanted: a 304 wants none.
type lazy struct {
	ctx  context.Context
	s    *System
	n    Node
	r    *cas.Reader
	used bool // r was somebody else's before
	off  int64
	sent int64
	err  error
}

func (l *lazy) open() (err error) {
	if l.r != nil {
		return nil
	}
	if l.r, l.used, err = l.s.contents.borrow(l.ctx, owned{l.n.Owner, l.n.Hash}, false); err != nil {
		return fmt.Errorf("open %s: %w", l.n.ID, err)
	}
	return nil
}

// renew replaces a reader that somebody used before by a fresh one, once. It says whether
// to try again.
func (l *lazy) renew() bool {
	if !l.used || l.sent > 0 {
		return false
	}
	r, _, err := l.s.contents.borrow(l.ctx, owned{l.n.Owner, l.n.Hash}, true)
	if err != nil {
		return false
	}
	l.r.Close()
	l.r, l.used, l.err = r, false, nil
	return true
}

// Seek implements io.Seeker.
func (l *lazy) Seek(off int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		off += l.off
	case io.SeekEnd:
		off += l.n.Size
	}
	if off < 0 {
		return 0, errors.New("seek before the beginning")
	}
	l.off = off
	return off, nil
}

// Read implements io.Reader.
func (l *lazy) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	next, err := l.next(int64(len(b)))
	n := copy(b, next)
	l.off, l.sent = l.off+int64(n), l.sent+int64(n)
	return n, err
}

// smallest is the fewest bytes for which asking the system to send them pays.
const smallest = 16 << 10

// send writes the next n bytes to w. What lies bare in files the system sends itself
// (sendfile), which copies nothing through this process.
func (l *lazy) send(w io.Writer, n int64) (int64, error) {
	if l.err = l.open(); l.err != nil {
		return 0, l.err
	}
	parts, bare := []cas.Extent(nil), false
	if n >= smallest {
		parts, bare = l.r.Extents(l.off, n)
	}
	if !bare {
		return l.copy(w, n)
	}
	var sent int64
	for _, e := range parts {
		m, err := l.sendPart(w, e)
		sent, l.off, l.sent = sent+m, l.off+m, l.sent+m
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// copy writes the next n bytes to w through this process, verified.
func (l *lazy) copy(w io.Writer, n int64) (sent int64, err error) {
	for sent < n && err == nil {
		var b []byte
		if b, err = l.next(n - sent); err == io.EOF {
			return sent, nil
		}
		if err == nil {
			var m int
			m, err = w.Write(b)
			sent, l.off, l.sent = sent+int64(m), l.off+int64(m), l.sent+int64(m)
		}
	}
	return sent, err
}

// next returns some of the next n bytes, as they are at hand.
func (l *lazy) next(n int64) ([]byte, error) {
	if l.err = l.open(); l.err != nil {
		return nil, l.err
	}
	if _, l.err = l.r.Seek(l.off, io.SeekStart); l.err != nil {
		return nil, l.err
	}
	b, err := l.r.Next(n)
	if err != nil && err != io.EOF {
		if l.renew() {
			return l.next(n)
		}
		l.err = err
	}
	return b, err
}

func (l *lazy) sendPart(w io.Writer, e cas.Extent) (int64, error) {
	f, ok := e.File.(*os.File)
	if !ok {
		return io.Copy(w, io.NewSectionReader(e.File, e.Off, e.N))
	}
	if _, l.err = f.Seek(e.Off, io.SeekStart); l.err != nil {
		return 0, l.err
	}
	n, err := io.Copy(w, &io.LimitedReader{R: f, N: e.N})
	if err == nil && n != e.N {
		err = fmt.Errorf("a pack's file ended %d bytes too early", e.N-n)
		l.err = err
	}
	return n, err
}

func (l *lazy) close() {
	if l.r != nil {
		l.s.contents.give(owned{l.n.Owner, l.n.Hash}, l.r, l.err == nil)
	}
}

// sender is a response that takes a content from a lazy as it lies.
type sender struct{ http.ResponseWriter }

// ReadFrom implements io.ReaderFrom, which io.Copy looks for.
func (s sender) ReadFrom(r io.Reader) (int64, error) {
	if limited, ok := r.(*io.LimitedReader); ok {
		if l, ok := limited.R.(*lazy); ok {
			n, err := l.send(s.ResponseWriter, limited.N)
			limited.N -= n
			return n, err
		}
	}
	return io.Copy(s.ResponseWriter, r)
}

// Unwrap lets http.ResponseController reach the connection.
func (s sender) Unwrap() http.ResponseWriter { return s.ResponseWriter }
