package dav

import (
	"testing"

	"plumb/base/errs"
)

var here = Space{Prefix: "/dav/", Hosts: []string{"plumb.test", "127.0.0.1:8080"}}

func TestIf(t *testing.T) {
	locks := []Lock{{Token: "urn:a", Path: "a"}, {Token: "urn:deep", Path: "d", Deep: true}}
	tags := map[string]string{"a": `"one"`, "b": `"two"`, "d/x": `"three"`}
	for _, c := range []struct {
		path, header string
		want         string // "yes", "no" or "bad"
	}{
		{"a", ``, "yes"},
		{"a", `(<urn:a>)`, "yes"},
		{"a", `(<urn:a> ["one"])`, "yes"},
		{"a", `(<urn:a> ["two"])`, "no"},
		{"a", `(["one"])`, "yes"},
		{"a", `(["two"]) (["one"])`, "yes"},
		{"a", `(Not ["two"])`, "yes"},
		{"a", `(not <urn:a>)`, "no"},
		{"a", `(<urn:a> ["one"]) (Not <DAV:no-lock> ["one"])`, "yes"},
		{"a", `(<urn:a> ["x"]) (Not <DAV:no-lock> ["x"])`, "no"},
		{"a", `(<DAV:no-lock>)`, "no"},
		{"a", `(Not <DAV:no-lock>)`, "yes"},
		{"a", `(<urn:deep>)`, "no"},
		{"d/x", `(<urn:deep>)`, "yes"},
		{"d", `(<urn:deep>)`, "yes"},
		{"dd", `(<urn:deep>)`, "no"},
		{"nothing", `(["one"])`, "no"},
		{"nothing", `(Not ["one"])`, "yes"},
		{"a", `(W/"one")`, "bad"},
		{"a", `([W/"one"])`, "no"},
		{"x", `<http://plumb.test/dav/a> (<urn:a>)`, "yes"},
		{"x", `<https://PLUMB.test:443/dav/a> (<urn:a>)`, "yes"},
		{"x", `</dav/a> (<urn:b>) (["one"])`, "yes"},
		{"x", `</dav/b> (["one"]) </dav/d/x> (["three"])`, "yes"},
		{"a", `<http://elsewhere.test/dav/a> (<urn:a>)`, "no"},
		{"a", `</other/a> (Not <urn:b>)`, "no"},
		{"a", `</dav/a>`, "bad"},
		{"a", `</dav/a%2fb> (<urn:a>)`, "bad"},
		{"a", `(<urn:a>) </dav/a> (<urn:a>)`, "bad"},
		{"a", `()`, "bad"}, {"a", `(Not)`, "bad"}, {"a", `(Not Not <urn:a>)`, "bad"}, {"a", `(<urn:a>`, "bad"}, {"a", `<urn:a>`, "bad"},
		{"a", `(<>)`, "bad"}, {"a", `x`, "bad"}, {"a", ` `, "bad"}, {"a", `(<urn:a)`, "bad"}, {"a", `(["one)`, "bad"},
	} {
		f, err := ParseIf(c.header, here)
		got := "bad"
		if err == nil {
			holds, err := f.Hold(c.path, locks, func(path string) (string, error) { return tags[path], nil })
			if got = "no"; holds {
				got = "yes"
			}
			if err != nil {
				t.Errorf("%s: %v", c.header, err)
			}
		} else if !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", c.header, err)
		}
		if got != c.want {
			t.Errorf("If: %s at %s: %s, want %s (%v)", c.header, c.path, got, c.want, err)
		}
	}
}
