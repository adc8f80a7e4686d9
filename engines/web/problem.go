package web

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"plumb/base/errs"
)

// statuses is the one table from kinds of errors to statuses and titles.
var statuses = map[errs.Kind]struct {
	status int
	title  string
}{
	errs.Invalid:  {http.StatusUnprocessableEntity, "The request is not valid"},
	errs.Unknown:  {http.StatusUnauthorized, "Sign in, or send a token"},
	errs.Denied:   {http.StatusForbidden, "Not allowed"},
	errs.NotFound: {http.StatusNotFound, "Not found"},
	errs.Conflict: {http.StatusConflict, "It conflicts with what is there"},
	errs.TooLarge: {http.StatusRequestEntityTooLarge, "Too large"},
	errs.Stale:    {http.StatusPreconditionFailed, "It has changed meanwhile"},
	errs.Barred:   {http.StatusUnavailableForLegalReasons, "Taken down"},
	errs.Busy:     {http.StatusServiceUnavailable, "Busy; try again later"},
	errs.Internal: {http.StatusInternalServerError, "Something went wrong here"},
}

// malformed marks an Invalid error whose request could not even be read: 400.
type malformed struct{ error }

func (m malformed) Unwrap() error { return m.error }

// Malformed marks err, an Invalid error, as one of syntax: it is answered with
// 400 in place of 422.
func Malformed(err error) error { return malformed{err} }

// Status returns the HTTP status for err.
func Status(err error) int {
	if p, ok := errors.AsType[*refusal](err); ok {
		return p.Status
	}
	if _, ok := errors.AsType[malformed](err); ok && errs.Is(err, errs.Invalid) {
		return http.StatusBadRequest
	}
	if errors.Is(err, errs.ErrFull) && errs.Is(err, errs.Busy) {
		return http.StatusInsufficientStorage
	}
	return statuses[errs.KindOf(err)].status
}

// Document is a problem document as RFC 9457 has it.
type Document struct {
	Type   string  `json:"type,omitempty" doc:"A URI that names the type of the problem; absent means about:blank"`
	Title  string  `json:"title" doc:"The type of the problem, in words"`
	Status int     `json:"status" doc:"The HTTP status"`
	Detail string  `json:"detail,omitempty" doc:"What was wrong this time"`
	Errors []Fault `json:"errors,omitempty" doc:"Each fault of the request with its place"`
	ID     string  `json:"request_id,omitempty" doc:"The id under which the server logged the request"`
}

// Fault is one fault with its place.
type Fault struct {
	Location string `json:"location,omitempty" doc:"body.slots[3].remaining, query.limit, or line 7, column 2"`
	Message  string `json:"message" doc:"What is wrong there"`
}

// refusal is an error that already is a problem document: a wrong method, or
// what huma found.
type refusal struct{ Document }

func (p *refusal) Error() string { return p.Title + ": " + p.Detail }

// document returns what is shown of err. An Internal error shows nothing of itself.
func document(err error) Document {
	if p, ok := errors.AsType[*refusal](err); ok {
		return p.Document
	}
	d := Document{Title: statuses[errs.KindOf(err)].title, Status: Status(err), Detail: errs.Message(err)}
	if d.Status == http.StatusBadRequest {
		d.Title = "The request cannot be read"
	}
	if d.Status == http.StatusInsufficientStorage {
		d.Title = "There is no room; try again later"
	}
	for _, f := range errs.Details(err) {
		d.Errors = append(d.Errors, Fault{valid(f.Where), valid(f.What)})
	}
	return d
}

// Problem writes err as a problem document, with the headers that its kind asks for.
func Problem(w http.ResponseWriter, r *http.Request, err error) {
	d := document(err)
	d.ID = RequestID(r.Context())
	errorHeaders(w.Header(), d.Status, err)
	if d.Status == http.StatusUnauthorized && TakesBasic(r.Context()) {
		w.Header().Set("WWW-Authenticate", `Basic realm="Plumb", charset="UTF-8"`)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(d.Status)
	if r.Method != http.MethodHead {
		json.NewEncoder(w).Encode(d) // the status is out; a lost connection cannot be told
	}
}

// errorHeaders sets what an error of this status must carry.
func errorHeaders(h http.Header, status int, err error) {
	// An answer that is an error must not be kept under the address of a good one.
	h.Set("Cache-Control", "no-store")
	h.Del("ETag")
	h.Del("Last-Modified")
	switch status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="plumb"`)
	case http.StatusServiceUnavailable, http.StatusInsufficientStorage:
		h.Set("Retry-After", retryAfter(err))
	}
}

// retryAfter returns the whole seconds to wait, at least one.
func retryAfter(err error) string {
	s := math.Ceil(errs.RetryAfter(err).Seconds())
	return strconv.Itoa(int(max(s, 1)))
}

// WriteJSON writes v with the status.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		// A type that JSON cannot hold is a fault of the program; the gate logs it.
		panic("web: answer cannot be written as JSON: " + err.Error())
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)+1))
	w.WriteHeader(status)
	w.Write(append(b, '\n'))
}

// wantsPage says whether an error is better shown as a page: the request is a
// browser's, and not for the API.
func wantsPage(r *http.Request) bool {
	return !strings.HasPrefix(r.URL.Path, "/api/") && strings.Contains(r.Header.Get("Accept"), "text/html")
}

// valid makes quoted input fit for a document.
func valid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
