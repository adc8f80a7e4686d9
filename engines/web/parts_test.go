package web

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
)

// form writes fields, given as names and values; a name with "@" before it is a file.
func form(t *testing.T, fields ...string) (body, kind string) {
	t.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	for i := 0; i+1 < len(fields); i += 2 {
		var w io.Writer
		var err error
		if name, isFile := strings.CutPrefix(fields[i], "@"); isFile {
			w, err = m.CreateFormFile(name, "a.txt")
		} else {
			w, err = m.CreateFormField(fields[i])
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, fields[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String(), m.FormDataContentType()
}

// TestAFormWithFilesStreams: the gate reads the token and nothing more, and the
// handler gets the rest, part by part.
func TestAFormWithFilesStreams(t *testing.T) {
	h := NewGate(people, quiet()).WrapLimit(Person, -1, func(w http.ResponseWriter, r *http.Request) error {
		parts, err := Parts(r)
		if err != nil {
			return err
		}
		var seen []string
		for {
			p, err := parts.NextPart()
			if err == io.EOF {
				break
			}
			if err != nil {
				return bodyErr(err, "the form")
			}
			text, err := io.ReadAll(p)
			if err != nil {
				return bodyErr(err, "the form")
			}
			seen = append(seen, p.FormName()+"="+string(text))
		}
		if r.MultipartForm != nil && len(r.MultipartForm.File) > 0 {
			t.Error("the form was read before")
		}
		WriteJSON(w, 200, seen)
		return nil
	})
	good, kind := form(t, "csrf", "good", "in", "x", "@file", "bytes")
	bad, badKind := form(t, "csrf", "bad", "@file", "bytes")
	late, lateKind := form(t, "@file", "bytes", "csrf", "good")
	long, longKind := form(t, "csrf", "good"+strings.Repeat(" ", mostToken))
	for name, c := range map[string]struct {
		ask  ask
		want int
		says string
	}{
		"by cookie":            {ask{cookie: "ann", body: good, kind: kind}, 200, `["in=x","file=bytes"]`},
		"by token":             {ask{token: "ann", body: good, kind: kind}, 200, `["csrf=good","in=x","file=bytes"]`},
		"wrong csrf token":     {ask{cookie: "ann", body: bad, kind: badKind}, 403, "csrf"},
		"the token comes late": {ask{cookie: "ann", body: late, kind: lateKind}, 403, "csrf"},
		"the token is long":    {ask{cookie: "ann", body: long, kind: longKind}, 403, "csrf"},
		"cut off":              {ask{cookie: "ann", body: good[:len(good)-20], kind: kind}, 400, "form"},
		"another type":         {ask{token: "ann", body: "a=b", kind: "application/x-www-form-urlencoded"}, 400, "multipart"},
	} {
		c.ask.method, c.ask.path = "POST", "/"
		got := do(h, c.ask)
		if got.Code != c.want || !strings.Contains(got.Body.String(), c.says) {
			t.Errorf("%s: %d %s", name, got.Code, got.Body)
		}
	}
}
