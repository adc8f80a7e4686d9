package upload

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"plumb/engines/web"
)

// statusChecksum is the protocol's own status: 460 Checksum Mismatch.
const statusChecksum = 460

// fault is a refusal with a status that the protocol names, and that the kinds of
// errors in base/errs do not have.
type fault struct {
	status int
	detail string
	after  string // Retry-After in seconds; "" for none
}

func (f *fault) Error() string { return f.detail }

func refuse(status int, format string, args ...any) error {
	return &fault{status: status, detail: strings.ToValidUTF8(fmt.Sprintf(format, args...), "\uFFFD")}
}

// errLost: another writer has the upload now, or it was ended meanwhile.
var errLost = &fault{http.StatusLocked, "another request writes to this upload now", "1"}

func errOffset(is int64) error {
	return refuse(http.StatusConflict, "the upload is at offset %d", is)
}

func errGone() error {
	return refuse(http.StatusGone, "the upload expired or was terminated: begin a new one")
}

func errNone() error { return refuse(http.StatusNotFound, "there is no such upload") }

func errPast(length int64) error {
	return refuse(http.StatusRequestEntityTooLarge, "there are more bytes than the %d that the upload may have", length)
}

var titles = map[int]string{
	http.StatusBadRequest:            "The request cannot be read",
	http.StatusForbidden:             "Not allowed",
	http.StatusNotFound:              "Not found",
	http.StatusConflict:              "It conflicts with what is there",
	http.StatusGone:                  "The upload is no more",
	http.StatusPreconditionFailed:    "Another version of the protocol",
	http.StatusRequestEntityTooLarge: "Too large",
	http.StatusUnsupportedMediaType:  "Another content type is needed",
	http.StatusLocked:                "In use; try again soon",
	http.StatusTooManyRequests:       "Too many; try again later",
	statusChecksum:                   "The checksum does not match",
}

// answer writes a fault as a problem document, and returns every other error for
// the gate to answer.
func answer(w http.ResponseWriter, r *http.Request, err error) error {
	var f *fault
	if !errors.As(err, &f) {
		return err
	}
	h := w.Header()
	h.Del("Location")
	h.Del("Upload-Offset")
	h.Set("Content-Type", "application/problem+json")
	if f.after != "" {
		h.Set("Retry-After", f.after)
	}
	w.WriteHeader(f.status)
	if r.Method != http.MethodHead {
		// The status is out; a lost connection cannot be told.
		json.NewEncoder(w).Encode(web.Document{Title: titles[f.status], Status: f.status, Detail: f.detail, ID: web.RequestID(r.Context())})
	}
	return nil
}
