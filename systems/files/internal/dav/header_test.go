package dav

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"plumb/base/errs"
)

func TestDestination(t *testing.T) {
	const elsewhere = "elsewhere"
	for uri, want := range map[string]string{
		"/dav/a/b":                           "a/b",
		"/dav/":                              "",
		"/dav":                               "",
		"/dav/a/":                            "a",
		"http://plumb.test/dav/a%20b":        "a b",
		"https://plumb.test:443/dav/x":       "x",
		"http://Plumb.Test:80/dav/x":         "x",
		"http://127.0.0.1:8080/dav/x":        "x",
		"http://127.0.0.1:8081/dav/x":        elsewhere,
		"http://evil.test/dav/x":             elsewhere,
		"ftp://plumb.test/dav/x":             elsewhere,
		"//evil.test/dav/x":                  elsewhere,
		"/other/x":                           elsewhere,
		"/davx":                              elsewhere,
		"/dav/%66%C3%BC":                     "fü",
		"/dav/u%CC%88":                       "ü", // decomposed: comes out composed
		"/dav/a%2Fb":                         "bad",
		"/dav/a%zz":                          "bad",
		"/dav/x?y":                           "bad",
		"dav/x":                              "bad",
		"":                                   "bad",
		"http:opaque":                        "bad",
		"http://plumb.test/dav/x#y":          "bad",
		"http://user:word@plumb.test/dav/x ": "x",
	} {
		got, err := here.Path(uri)
		switch {
		case errors.Is(err, ErrElsewhere):
			got = elsewhere
		case errs.Is(err, errs.Invalid):
			got = "bad"
		case err != nil:
			t.Errorf("%q: %v", uri, err)
		}
		if got != want {
			t.Errorf("%q: %q (%v), want %q", uri, got, err, want)
		}
	}
	for _, path := range []string{"", "a", "a b/ü/%", "a&b/'c'/(d);e?f#g+h=i:@"} {
		if got, err := here.Path("/dav/" + Escape(path)); err != nil || got != path {
			t.Errorf("%q comes back as %q, %v", path, got, err)
		}
	}
}

func TestSmallHeaders(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"": MaxLife, "Infinite": MaxLife, "Second-5": 5 * time.Second, "Second-0": time.Second, "Infinite, Second-4100000000": MaxLife,
		"Extend-3, Second-60": time.Minute, "second-99999": MaxLife, "Second-99999999999999": MaxLife, "Second--5": MaxLife, "nonsense": MaxLife,
	} {
		if got := ParseTimeout(text); got != want {
			t.Errorf("Timeout %q: %s, want %s", text, got, want)
		}
	}
	for text, want := range map[string]Depth{"": Absent, "0": Zero, "1": One, " Infinity ": Infinity} {
		if got, err := ParseDepth(text); err != nil || got != want {
			t.Errorf("Depth %q: %v, %v", text, got, err)
		}
	}
	for text, want := range map[string]bool{"": true, "T": true, "f": false} {
		if got, err := ParseOverwrite(text); err != nil || got != want {
			t.Errorf("Overwrite %q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{" <plumb:x> ", "plumb:x"} {
		if got, err := ParseToken(text); err != nil || got != "plumb:x" {
			t.Errorf("Lock-Token %q: %q, %v", text, got, err)
		}
	}
	for _, bad := range []string{"2", "-1", "noinfinity"} {
		if _, err := ParseDepth(bad); !errs.Is(err, errs.Invalid) {
			t.Errorf("Depth %q: %v", bad, err)
		}
	}
	for _, bad := range []string{"", "x", "<>", "<a:b> <c:d>", "<a:b", "a:b>"} {
		if _, err := ParseToken(bad); !errs.Is(err, errs.Invalid) {
			t.Errorf("Lock-Token %q: %v", bad, err)
		}
	}
	if _, err := ParseOverwrite("yes"); !errs.Is(err, errs.Invalid) {
		t.Error(err)
	}
}

func FuzzIf(f *testing.F) {
	for _, s := range []string{``, `(<a> ["b"]) (Not <DAV:no-lock>)`, `<http://plumb.test/dav/a> (<x>) </dav/b> (["y"])`, `(Not`, `<a`, `()`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseIf(s, here)
		if err != nil {
			if !errs.Is(err, errs.Invalid) || !utf8.ValidString(errs.Message(err)) {
				t.Fatal(err)
			}
			return
		}
		tokens := c.Tokens()
		if s != "" && len(c.lists) == 0 || len(tokens) > mostConditions {
			t.Fatalf("%q: %d lists, %d tokens", s, len(c.lists), len(tokens))
		}
		for _, tok := range tokens {
			if tok == "" || !strings.Contains(s, "<"+tok+">") {
				t.Fatalf("%q submits %q", s, tok)
			}
		}
		if _, err := c.Hold("a", []Lock{{Token: "a", Path: "a"}}, func(string) (string, error) { return `"b"`, nil }); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzDestination(f *testing.F) {
	for _, s := range []string{"/dav/a", "http://plumb.test/dav/%2e%2e/x", "https://plumb.test:443/dav/", "//x/dav/", "/dav/%00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		path, err := here.Path(s)
		if err != nil {
			if !errs.Is(err, errs.Invalid) || !utf8.ValidString(errs.Message(err)) {
				t.Fatal(err)
			}
			return
		}
		again, err := here.Path("/dav/" + Escape(path))
		if err != nil || again != strings.Trim(path, "/") {
			t.Fatalf("%q is %q and then %q, %v", s, path, again, err)
		}
	})
}

func FuzzTimeout(f *testing.F) {
	f.Add("Infinite, Second-4100000000")
	f.Add("Second-1")
	f.Fuzz(func(t *testing.T, s string) {
		if d := ParseTimeout(s); d < time.Second || d > MaxLife {
			t.Fatalf("%q: %s", s, d)
		}
	})
}
