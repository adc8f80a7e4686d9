package dav

import (
	"encoding/xml"
	"io"
	"reflect"
	"strings"
	"testing"

	"plumb/base/errs"
)

func TestFind(t *testing.T) {
	get := func(ns, local string) Name { return Name{ns, local} }
	for _, c := range []struct {
		body string
		want Find
	}{
		{"", Find{All: true}},
		{`<propfind xmlns="DAV:"><allprop/></propfind>`, Find{All: true}},
		{`<?xml version="1.0" encoding="utf-8"?>` + "\n" + `<D:propfind xmlns:D="DAV:"><D:propname/></D:propfind>` + "\n", Find{Names: true}},
		{`<D:propfind xmlns:D="DAV:"><D:prop><D:getetag/><x xmlns="urn:y"/><z/></D:prop></D:propfind>`, Find{Props: []Name{get("DAV:", "getetag"), get("urn:y", "x"), get("", "z")}}},
		{`<propfind xmlns="DAV:"><prop/></propfind>`, Find{Props: []Name{}}},
		{`<propfind xmlns="DAV:"><allprop/><include><a/></include></propfind>`, Find{All: true, Props: []Name{get("DAV:", "a")}}},
		{"\ufeff" + `<propfind xmlns="DAV:"><expired-props xmlns="urn:z"/><propname/></propfind>`, Find{Names: true}},
	} {
		if got, err := ParseFind(strings.NewReader(c.body)); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v", c.body, got, err)
		}
	}
}

func TestBadBodies(t *testing.T) {
	deep := strings.Repeat("<a>", mostNested+1) + strings.Repeat("</a>", mostNested+1)
	for body, want := range map[string]errs.Kind{
		`<propfind xmlns="DAV:">`:                                                    errs.Invalid,
		`<propfind xmlns="DAV:"></other>`:                                            errs.Invalid,
		`<propfind xmlns="DAV:"><prop></propfind></prop>`:                            errs.Invalid,
		`<propfind xmlns="DAV:"/>`:                                                   errs.Invalid,
		`<propfind><allprop/></propfind>`:                                            errs.Invalid,
		`<D:propfind><D:allprop/></D:propfind>`:                                      errs.Invalid,
		`<D:propfind xmlns:D="DAV:"><D:prop><b:c xmlns:b=""/></D:prop></D:propfind>`: errs.Invalid, // a prefix for no namespace
		`<a xmlns:xmlns="x"/>`:                                                       errs.Invalid,
		`<a xmlns:b="x" xmlns:b="y"/>`:                                               errs.Invalid,
		`<a b="1" b="2"/>`:                                                           errs.Invalid,
		`<a xmlns:p="u" xmlns:q="u" p:b="1" q:b="2"/>`:                               errs.Invalid,
		`<a:b:c/>`:    errs.Invalid,
		`<a/><b/>`:    errs.Invalid,
		`x<a/>`:       errs.Invalid,
		`   `:         errs.Invalid,
		`nonsense`:    errs.Invalid,
		"<a>\x00</a>": errs.Invalid,
		"<a>\xff</a>": errs.Invalid,
		`<?xml version="1.0" encoding="utf-16"?><a/>`: errs.Invalid,
		`<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>`:    errs.Invalid,
		`<a>&x;</a>`: errs.Invalid,
		deep:         errs.Invalid,
		`<a>` + strings.Repeat("<b/>", mostNodes) + `</a>`: errs.Invalid,
		`<a>` + strings.Repeat("x", MaxBody) + `</a>`:      errs.TooLarge,
	} {
		if len(body) > 80 {
			t.Logf("%.80s...", body)
		}
		if _, err := ParseFind(strings.NewReader(body)); !errs.Is(err, want) {
			t.Errorf("%.120s: %v, want %s", body, err, want)
		}
	}
	for _, body := range []string{"", `<propfind xmlns="DAV:"/>`, `<propertyupdate xmlns="DAV:"/>`, `<propertyupdate xmlns="DAV:"><set/></propertyupdate>`} {
		if _, err := ParsePatch(strings.NewReader(body)); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", body, err)
		}
	}
	for _, body := range []string{`<x xmlns="DAV:"/>`, `<lockinfo xmlns="DAV:"/>`, `<lockinfo xmlns="DAV:"><lockscope><exclusive/><shared/></lockscope><locktype><write/></locktype></lockinfo>`} {
		if _, _, err := ParseLock(strings.NewReader(body)); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", body, err)
		}
	}
	if _, err := ParseFind(io.MultiReader(strings.NewReader("<a>"), brokenReader{})); !errs.Is(err, errs.Invalid) {
		t.Error(err)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// What a client stores comes out meaning the same, wherever it is written.
func TestPatchKeepsMeaning(t *testing.T) {
	body := `<D:propertyupdate xmlns:D="DAV:" xmlns:p="urn:p"><D:set><D:prop><p:a xml:lang="en" p:k="v&quot;" q="&lt;"> x<p:b/><c xmlns="urn:c"><d/></c><e/>&amp;</p:a></D:prop></D:set>` +
		`<D:remove><D:prop><gone/></D:prop></D:remove></D:propertyupdate>`
	list, err := ParsePatch(strings.NewReader(body))
	if err != nil || len(list) != 2 || list[0].Name != (Name{"urn:p", "a"}) || !list[1].Remove || list[1].Name != (Name{"", "gone"}) {
		t.Fatalf("%+v, %v", list, err)
	}
	want := `<a xmlns="urn:p" xml:lang="en" xmlns:a1="urn:p" a1:k="v&quot;" q="&lt;"> x<b/><c xmlns="urn:c"><d/></c><e xmlns=""/>&amp;</a>`
	if list[0].Value != want {
		t.Errorf("%s\nwant\n%s", list[0].Value, want)
	}
}

func TestLockBody(t *testing.T) {
	l, ok, err := ParseLock(strings.NewReader(`<lockinfo xmlns="DAV:"><lockscope><shared/></lockscope><locktype><write/></locktype><owner><href>mailto:a</href></owner></lockinfo>`))
	if err != nil || !ok || !l.Shared || l.Owner != `<owner xmlns="DAV:"><href>mailto:a</href></owner>` {
		t.Errorf("%+v, %v, %v", l, ok, err)
	}
	if _, ok, err := ParseLock(strings.NewReader("")); ok || err != nil {
		t.Error(ok, err)
	}
	long := `<lockinfo xmlns="DAV:"><lockscope><shared/></lockscope><locktype><write/></locktype><owner>` + strings.Repeat("x", mostOwner) + `</owner></lockinfo>`
	if _, _, err := ParseLock(strings.NewReader(long)); !errs.Is(err, errs.TooLarge) {
		t.Error(err)
	}
}

// tokens reads XML with the standard library, prefixes resolved: what a client sees.
func tokens(t *testing.T, text string) []xml.Token {
	d := xml.NewDecoder(strings.NewReader(text))
	var list []xml.Token
	for {
		tok, err := d.Token()
		if err == io.EOF {
			return list
		}
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if start, ok := tok.(xml.StartElement); ok {
			var attrs []xml.Attr
			for _, a := range start.Attr {
				if a.Name.Space != "xmlns" && a.Name.Local != "xmlns" {
					attrs = append(attrs, a)
				}
			}
			start.Attr = attrs
			tok = start
		}
		list = append(list, xml.CopyToken(tok))
	}
}

func FuzzXML(f *testing.F) {
	for _, s := range []string{`<a xmlns="x" xmlns:b="y" b:c="d" xml:lang="e"><b:f>&lt;</b:f>g</a>`, `<a xmlns:b=""/>`, `<!DOCTYPE a><a/>`, `<a><b xmlns="u"><c xmlns=""/></b></a>`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := parse(strings.NewReader(s))
		if err != nil || e == nil {
			if err != nil && !errs.Is(err, errs.Invalid) && !errs.Is(err, errs.TooLarge) {
				t.Fatal(err)
			}
			return
		}
		text := e.String()
		again, err := parse(strings.NewReader(text))
		if err != nil || again.String() != text {
			t.Fatalf("%q is written as %q, and read as %v, %v", s, text, again, err)
		}
		tokens(t, `<D:x xmlns:D="DAV:">`+text+`</D:x>`)
	})
}
