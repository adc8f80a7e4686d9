package dav

import (
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"plumb/base/errs"
)

// Bounds of a body.
const (
	MaxBody    = 256 << 10 // bytes
	mostNested = 32
	mostNodes  = 10_000 // elements and attributes
)

// Name is the name of an element or a property, with its namespace.
type Name struct{ Space, Local string }

// element is a parsed element, with its prefixes resolved.
type element struct {
	Name
	attrs []attr
	nodes []node
}

type attr struct {
	Name
	value string
}

// node is a child element, or else text.
type node struct {
	el   *element
	text string
}

func badXML(format string, args ...any) error {
	return errs.New(errs.Invalid, "the body is not the XML that is wanted: "+format, args...)
}

// parse reads one element, within the bounds, or nil where there is nothing. It resolves
// prefixes itself, because encoding/xml lets undeclared ones pass. Errors: Invalid;
// TooLarge.
func parse(r io.Reader) (*element, error) {
	limited := &io.LimitedReader{R: r, N: MaxBody + 1}
	d := xml.NewDecoder(limited)
	p := parser{}
	var root *element
	any := false
	for {
		tok, err := d.RawToken()
		if limited.N <= 0 {
			return nil, errs.New(errs.TooLarge, "the body is longer than %d bytes", MaxBody)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			if _, ok := errors.AsType[*xml.SyntaxError](err); ok || any {
				return nil, badXML("%v", err)
			}
			return nil, errs.Wrap(errs.Invalid, err, "the body could not be read to its end")
		}
		any = true
		switch tok := tok.(type) {
		case xml.StartElement:
			err = p.open(tok, &root)
		case xml.EndElement:
			err = p.close(tok)
		case xml.CharData:
			err = p.text(string(tok))
		case xml.Directive:
			err = badXML("a document type is not allowed")
		}
		if err != nil {
			return nil, err
		}
	}
	switch {
	case len(p.stack) > 0:
		return nil, badXML("%q is not closed", p.stack[len(p.stack)-1].raw.Local)
	case root == nil && any:
		return nil, badXML("it holds no element")
	}
	return root, nil
}

// scope is an element that is open, its name as it was written, and its namespaces.
type scope struct {
	el     *element
	raw    xml.Name
	spaces map[string]string // by prefix; nil: those of the element around it
}

type parser struct {
	stack []scope
	nodes int
}

// resolve returns the namespace of a prefix.
func (p *parser) resolve(prefix string) (string, bool) {
	if prefix == "xml" {
		return xmlSpace, true
	}
	for i := len(p.stack) - 1; i >= 0; i-- {
		if ns, ok := p.stack[i].spaces[prefix]; ok {
			return ns, true
		}
	}
	return "", prefix == ""
}

const xmlSpace = "http://www.w3.org/XML/1998/namespace"

func (p *parser) open(t xml.StartElement, root **element) error {
	p.nodes += 1 + len(t.Attr)
	switch {
	case len(p.stack) == 0 && *root != nil:
		return badXML("it holds a second element")
	case len(p.stack) == mostNested:
		return badXML("it nests more than %d deep", mostNested)
	case p.nodes > mostNodes:
		return badXML("it holds more than %d elements and attributes", mostNodes)
	}
	s := scope{el: &element{}, raw: t.Name}
	for _, a := range t.Attr {
		prefix := ""
		switch {
		case a.Name.Space == "xmlns":
			prefix = a.Name.Local
		case a.Name.Space != "" || a.Name.Local != "xmlns":
			continue
		}
		// Namespaces in XML 1.0: a prefix stands for something, and xml's is fixed.
		if prefix != "" && a.Value == "" || prefix == "xmlns" || (prefix == "xml") != (a.Value == xmlSpace) {
			return badXML("the prefix %q cannot stand for %q", prefix, a.Value)
		}
		if _, twice := s.spaces[prefix]; twice {
			return badXML("the prefix %q is declared twice", prefix)
		}
		if s.spaces == nil {
			s.spaces = map[string]string{}
		}
		s.spaces[prefix] = a.Value
	}
	if len(p.stack) > 0 {
		up := p.stack[len(p.stack)-1].el
		up.nodes = append(up.nodes, node{el: s.el})
	} else {
		*root = s.el
	}
	p.stack = append(p.stack, s)
	var err error
	if s.el.Name, err = p.name(t.Name); err != nil {
		return err
	}
	return p.attributes(s.el, t.Attr)
}

func (p *parser) name(n xml.Name) (Name, error) {
	ns, ok := p.resolve(n.Space)
	if !ok || strings.Contains(n.Local, ":") {
		return Name{}, badXML("the prefix of %q is not declared", n.Space+":"+n.Local)
	}
	return Name{ns, n.Local}, nil
}

func (p *parser) attributes(el *element, list []xml.Attr) error {
	seen := map[Name]bool{}
	for _, a := range list {
		if a.Name.Space == "xmlns" || a.Name.Space == "" && a.Name.Local == "xmlns" {
			continue
		}
		var n Name
		if a.Name.Space == "" { // no prefix: no namespace, whatever the default is
			n.Local = a.Name.Local
		}
		if a.Name.Space != "" || strings.Contains(a.Name.Local, ":") {
			var err error
			if n, err = p.name(a.Name); err != nil {
				return err
			}
		}
		if seen[n] {
			return badXML("the attribute %q stands twice", n.Local)
		}
		seen[n] = true
		el.attrs = append(el.attrs, attr{n, a.Value})
	}
	return nil
}

func (p *parser) close(t xml.EndElement) error {
	if len(p.stack) == 0 || p.stack[len(p.stack)-1].raw != t.Name {
		return badXML("%q closes what is not open", t.Name.Local)
	}
	p.stack = p.stack[:len(p.stack)-1]
	return nil
}

func (p *parser) text(s string) error {
	if len(p.stack) > 0 {
		up := p.stack[len(p.stack)-1].el
		up.nodes = append(up.nodes, node{text: s})
		return nil
	}
	if strings.TrimSpace(strings.TrimPrefix(s, "\ufeff")) != "" {
		return badXML("there is text outside of its element")
	}
	return nil
}

// is says whether an element is WebDAV's of that name.
func (e *element) is(local string) bool { return e.Name == Name{Namespace, local} }

// children returns the elements directly in e.
func (e *element) children() []*element {
	var list []*element
	for _, n := range e.nodes {
		if n.el != nil {
			list = append(list, n.el)
		}
	}
	return list
}

// child returns WebDAV's element of that name in e, or nil.
func (e *element) child(local string) *element {
	for _, c := range e.children() {
		if c.is(local) {
			return c
		}
	}
	return nil
}

// String writes an element with namespaces of its own, so that it may stand anywhere.
func (e *element) String() string {
	var b strings.Builder
	e.write(&b, "\x00") // unlike any: the first element always says its namespace
	return b.String()
}

// write writes e into an element whose default namespace is ns.
func (e *element) write(b *strings.Builder, ns string) {
	b.WriteString("<" + e.Local)
	if e.Space != ns {
		b.WriteString(` xmlns="` + quote(e.Space) + `"`)
	}
	for i, a := range e.attrs {
		name := a.Local
		switch a.Space {
		case "":
		case xmlSpace:
			name = "xml:" + a.Local
		default:
			prefix := "a" + strconv.Itoa(i)
			b.WriteString(" xmlns:" + prefix + `="` + quote(a.Space) + `"`)
			name = prefix + ":" + a.Local
		}
		b.WriteString(" " + name + `="` + quote(a.value) + `"`)
	}
	if len(e.nodes) == 0 {
		b.WriteString("/>")
		return
	}
	b.WriteString(">")
	for _, n := range e.nodes {
		if n.el != nil {
			n.el.write(b, e.Space)
		} else {
			b.WriteString(escape(n.text))
		}
	}
	b.WriteString("</" + e.Local + ">")
}

var (
	inText      = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\r", "&#13;")
	inAttribute = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\r", "&#13;", "\n", "&#10;", "\t", "&#9;", `"`, "&quot;")
)

// escape makes text fit for an element. Unlike the standard library's it leaves quotes
// alone, as some clients know no number that stands for them, and entity tags have two.
func escape(s string) string { return inText.Replace(legal(s)) }

// quote makes text fit for an attribute between double quotes.
func quote(s string) string { return inAttribute.Replace(legal(s)) }

// legal replaces what XML cannot hold (XML 1.0, 2.2).
func legal(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xfffe || r == 0xffff {
			return utf8.RuneError
		}
		return r // and the replacement character for what is no UTF-8
	}, s)
}
