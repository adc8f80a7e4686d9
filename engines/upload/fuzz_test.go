package upload

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
)

// FuzzMeta: whatever is accepted can be sent back as a header, and reads the same again.
func FuzzMeta(f *testing.F) {
	for _, s := range []string{"", "filename YS5iaW4=", "a YQ==,b", " a  YQ== , b ", "a YQ==,a YQ==", "a\r\nX: y", ",", "ä YQ==", "a Y", strings.Repeat("a,", 3000)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		meta, err := parseMeta(s)
		if err != nil {
			return
		}
		if len(s) > MaxMeta || strings.ContainsAny(s, "\r\n\x00") {
			t.Fatalf("%q is no header", s)
		}
		var pairs []string
		for k, v := range meta {
			if k == "" || strings.ContainsAny(k, " ,") {
				t.Fatalf("the key %q", k)
			}
			pairs = append(pairs, strings.TrimRight(k+" "+base64.StdEncoding.EncodeToString([]byte(v)), " "))
		}
		again, err := parseMeta(strings.Join(pairs, ","))
		if err != nil && len(strings.Join(pairs, ",")) <= MaxMeta {
			t.Fatal(err)
		}
		for k, v := range again {
			if meta[k] != v {
				t.Fatalf("%q: %q and %q", k, meta[k], v)
			}
		}
	})
}

// FuzzChecksum: whatever is accepted is a known algorithm with a sum of its length.
func FuzzChecksum(f *testing.F) {
	for _, s := range []string{"", "sha1 2jmj7l5rSw0yVb/vlWAYkK/YBwk=", "sha1", "crc32 AAAAAA==", "md5 AAAA", "SHA1 x", "sha1  AAAA", "sha256 \n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		algorithm, want, err := parseChecksum(s)
		if err == nil && (!slices.Contains(algorithms, algorithm) || len(want) != newHash(algorithm).Size()) {
			t.Fatalf("%q: %s, %d bytes", s, algorithm, len(want))
		}
	})
}

// FuzzConcat: parts are ids and nothing else.
func FuzzConcat(f *testing.F) {
	id := strings.Repeat("a", 43)
	for _, s := range []string{"", "partial", "final;", "final;" + prefix + id, "final;http://x" + prefix + id + " /y" + prefix + id, "final;" + id, "final;/etc/" + id, "final;%2e%2e/" + id, "final;\x7f"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		kind, parts, err := parseConcat(s, prefix)
		if err != nil {
			return
		}
		if (kind == Final) != (len(parts) > 0) || len(parts) > MaxParts {
			t.Fatalf("%q: %s, %q", s, kind, parts)
		}
		for _, p := range parts {
			if !isID(p) {
				t.Fatalf("%q: the part %q", s, p)
			}
		}
	})
}
