package web

import (
	"io"
	"mime/multipart"
	"net/http"
	"strings"

	"plumb/base/errs"
)

// mostToken is the most bytes of a form's csrf field.
const mostToken = 256

// Parts returns the parts of a form with files, to be read while they arrive: no
// byte of them is kept in memory or in a temporary file. It is for routes whose
// limit is negative, and the handler bounds what it reads. Where a browser sends
// its cookie, the field csrf must be the form's first and was read already.
// Errors: Invalid for what is no such form.
func Parts(r *http.Request) (*multipart.Reader, error) {
	if st := stateOf(r.Context()); st != nil && st.parts != nil {
		return st.parts, nil
	}
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, Malformed(errs.Wrap(errs.Invalid, err, "this needs a form with files (multipart/form-data)"))
	}
	return parts, nil
}

// firstToken reads the token that must be the first part of a form whose rest
// streams, and keeps the rest for Parts.
func firstToken(st *state, r *http.Request) (string, error) {
	parts, err := Parts(r)
	if err != nil {
		return "", err
	}
	st.parts = parts
	p, err := parts.NextPart()
	if err != nil {
		return "", bodyErr(err, "the form")
	}
	if p.FormName() != "csrf" || p.FileName() != "" {
		return "", nil // no token, which the gate refuses
	}
	var token strings.Builder
	if _, err := io.Copy(&token, io.LimitReader(p, mostToken)); err != nil {
		return "", bodyErr(err, "the form")
	}
	return token.String(), nil
}

// streams says whether a request is a form with files for a handler that reads
// its parts itself.
func streams(st *state, r *http.Request) bool {
	return st != nil && st.bounds && strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data")
}
