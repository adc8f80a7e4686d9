package web

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"net"
	"net/http"
	"strings"
	"time"
)

// Options is what House may be given.
type Options struct {
	Metrics *Metrics // counts requests; nil counts none
	// TrustedProxy says whether X-Forwarded-For, X-Forwarded-Proto and
	// X-Request-Id of a request may be believed; nil believes nobody.
	TrustedProxy func(remote string) bool
}

type house struct {
	mux  *http.ServeMux
	gate *Gate
	opt  Options
}

// House returns the outermost handler: it gives each request an id and a nonce,
// sends the security headers, measures, and answers for addresses and methods
// that have no route.
func House(mux *http.ServeMux, gate *Gate, opt Options) http.Handler {
	return &house{mux, gate, opt}
}

func (h *house) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	start := time.Now() // a latency of the real world, whatever the house's clock says
	st := &state{id: h.requestID(r), remote: h.forwarded(r), secure: h.secure(r)}
	hd := rw.Header()
	if strings.HasPrefix(r.URL.Path, "/api/") {
		hd.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	} else {
		st.nonce = random(16)
		hd.Set("Content-Security-Policy", Policy(st.nonce))
		hd.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		hd.Set("Cross-Origin-Opener-Policy", "same-origin")
	}
	hd.Set("X-Content-Type-Options", "nosniff")
	hd.Set("Referrer-Policy", "same-origin")
	hd.Set("X-Request-Id", st.id)
	if st.secure {
		hd.Set("Strict-Transport-Security", "max-age=31536000")
	}
	r = r.WithContext(context.WithValue(r.Context(), ctxKey{}, st))
	w := &writer{ResponseWriter: rw, r: r, house: h, moved: start}
	if h.opt.Metrics == nil {
		h.mux.ServeHTTP(w, r)
		return
	}
	h.opt.Metrics.inFlight.Inc()
	defer func() {
		h.opt.Metrics.inFlight.Dec()
		h.opt.Metrics.saw(r, w.status, time.Since(start))
	}()
	h.mux.ServeHTTP(w, r)
}

// Policy is the content security policy of pages: everything from this server,
// scripts and styles in the page only with the nonce, framed by nobody.
func Policy(nonce string) string {
	return "default-src 'none'; script-src 'self' 'nonce-" + nonce + "'; style-src 'self' 'nonce-" + nonce + "'; " +
		"img-src 'self' data: blob:; font-src 'self'; media-src 'self' blob:; connect-src 'self'; worker-src 'self'; manifest-src 'self'; " +
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
}

// secure says whether the browser's own connection is encrypted.
func (h *house) secure(r *http.Request) bool {
	return r.TLS != nil || h.opt.TrustedProxy != nil && h.opt.TrustedProxy(r.RemoteAddr) && r.Header.Get("X-Forwarded-Proto") == "https"
}

// forwarded returns the client that a trusted proxy names: the last entry, which
// the proxy itself added; those before it are the client's own words.
func (h *house) forwarded(r *http.Request) string {
	via := r.Header.Values("X-Forwarded-For")
	if len(via) == 0 || h.opt.TrustedProxy == nil || !h.opt.TrustedProxy(r.RemoteAddr) {
		return ""
	}
	last := via[len(via)-1]
	last = strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])
	if net.ParseIP(last) == nil {
		return ""
	}
	return last
}

// requestID keeps a trusted proxy's id, so that both logs name a request alike.
func (h *house) requestID(r *http.Request) string {
	if id := r.Header.Get("X-Request-Id"); id != "" && h.opt.TrustedProxy != nil && h.opt.TrustedProxy(r.RemoteAddr) && plain(id) {
		return id
	}
	var b [8]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}

// plain says whether s is short and of letters, digits and dashes.
func plain(s string) bool {
	if len(s) > 64 {
		return false
	}
	for _, c := range []byte(s) {
		if c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

// random returns n random bytes in letters fit for a header.
func random(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}
