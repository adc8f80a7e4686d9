package dav

import (
	"bufio"
	"io"
	"strconv"
)

// ContentType is that of WebDAV's answers.
const ContentType = "application/xml; charset=utf-8"

const xmlHead = `<?xml version="1.0" encoding="utf-8"?>` + "\n"

// Stat is a group of properties with one status: "200 OK".
type Stat struct {
	Status string
	Props  []string // elements: Element and Prop.XML make them
	Error  string   // the name of what did not hold, or ""
}

// Multi writes a multistatus (RFC 4918, 13) as it comes. Its errors are told by Close.
type Multi struct{ w *bufio.Writer }

// NewMulti begins one.
func NewMulti(w io.Writer) *Multi {
	m := &Multi{bufio.NewWriterSize(w, 32<<10)}
	m.w.WriteString(xmlHead + `<D:multistatus xmlns:D="DAV:">`)
	return m
}

// Response adds what is at an address. Groups without properties are left out, but for
// the last where all are empty.
func (m *Multi) Response(href string, stats ...Stat) {
	m.w.WriteString("<D:response><D:href>" + escape(href) + "</D:href>")
	wrote := false
	for i, s := range stats {
		if len(s.Props) == 0 && (wrote || i < len(stats)-1) {
			continue
		}
		wrote = true
		m.w.WriteString("<D:propstat><D:prop>")
		for _, p := range s.Props {
			m.w.WriteString(p)
		}
		m.w.WriteString("</D:prop><D:status>HTTP/1.1 " + s.Status + "</D:status>")
		if s.Error != "" {
			m.w.WriteString("<D:error><D:" + s.Error + "/></D:error>")
		}
		m.w.WriteString("</D:propstat>")
	}
	m.w.WriteString("</D:response>\n")
}

// Close ends it.
func (m *Multi) Close() error {
	m.w.WriteString("</D:multistatus>\n")
	return m.w.Flush()
}

// Element returns a property's element that holds XML, "" for none.
func Element(n Name, inner string) string {
	open, end := "<D:"+n.Local, "</D:"+n.Local+">"
	if n.Space != Namespace {
		open, end = "<"+n.Local+` xmlns="`+quote(n.Space)+`"`, "</"+n.Local+">"
	}
	if inner == "" {
		return open + "/>"
	}
	return open + ">" + inner + end
}

// Text returns text as XML.
func Text(s string) string { return escape(s) }

// Href returns an address as an element.
func Href(address string) string { return "<D:href>" + escape(address) + "</D:href>" }

// Fault is the body of a refusal that names what did not hold, and where.
func Fault(condition string, hrefs ...string) string {
	inner := ""
	for _, h := range hrefs {
		inner += Href(h)
	}
	return xmlHead + `<D:error xmlns:D="DAV:">` + Element(Name{Namespace, condition}, inner) + "</D:error>\n"
}

// Discovered is the body of an answer to LOCK.
func Discovered(prefix string, l Lock) string {
	return xmlHead + `<D:prop xmlns:D="DAV:">` + Element(Name{Namespace, "lockdiscovery"}, l.XML(prefix)) + "</D:prop>\n"
}

// XML is the lock as lockdiscovery tells it. prefix is that of the addresses.
func (l Lock) XML(prefix string) string {
	scope, depth := "exclusive", "0"
	if l.Shared {
		scope = "shared"
	}
	if l.Deep {
		depth = "infinity"
	}
	return "<D:activelock><D:locktype><D:write/></D:locktype><D:lockscope><D:" + scope + "/></D:lockscope><D:depth>" + depth + "</D:depth>" + l.Owner +
		"<D:timeout>Second-" + strconv.Itoa(int(l.Life.Seconds())) + "</D:timeout><D:locktoken>" + Href(l.Token) + "</D:locktoken><D:lockroot>" +
		Href(prefix+Escape(l.Path)) + "</D:lockroot></D:activelock>"
}

// Lockable is the value of supportedlock: write locks of both kinds.
const Lockable = "<D:lockentry><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockentry>" +
	"<D:lockentry><D:lockscope><D:shared/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockentry>"
