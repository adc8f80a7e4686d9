package console

import (
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"

	"plumb/answers"
	"plumb/base/errs"
	"plumb/engines/web"
)

// docsView is pages/docs.html.
type docsView struct {
	List []item
	Text template.HTML // one document; empty on the list
}

// docs lists the documents.
func (c *Console) docs(w http.ResponseWriter, r *http.Request) error {
	if c.n.Docs == nil {
		return errs.New(errs.NotFound, "this program carries no documents")
	}
	var v docsView
	for _, n := range c.docNames() {
		text, err := fs.ReadFile(c.n.Docs, n)
		if err != nil {
			return err
		}
		v.List = append(v.List, item{Title: docTitle(n, text), Path: "/docs/" + strings.TrimSuffix(n, ".md")})
	}
	return c.show(w, r, web.View{Title: "Documents", Template: "docs", Data: v})
}

// docNames lists the documents, those of folders after those beside them.
func (c *Console) docNames() []string {
	var names []string
	if c.n.Docs == nil {
		return nil
	}
	fs.WalkDir(c.n.Docs, ".", func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && path.Ext(p) == ".md" {
			names = append(names, p)
		}
		return nil // what cannot be read is not listed
	})
	slices.SortStableFunc(names, func(a, b string) int { return strings.Count(a, "/") - strings.Count(b, "/") })
	return names
}

// doc shows one document.
func (c *Console) doc(w http.ResponseWriter, r *http.Request) error {
	name := strings.TrimSuffix(r.PathValue("name"), ".md") + ".md"
	if c.n.Docs == nil || !fs.ValidPath(name) {
		return errs.New(errs.NotFound, "there is no such document")
	}
	text, err := fs.ReadFile(c.n.Docs, name)
	if err != nil {
		return errs.New(errs.NotFound, "there is no document %s", name)
	}
	return c.show(w, r, web.View{Title: docTitle(name, text), Template: "docs", Data: docsView{Text: markdown(path.Dir(name), string(text))}})
}

// docPath turns "docs/vending.md#limits" into the page that shows it, or "".
func (c *Console) docPath(p string) string {
	name, frag, _ := strings.Cut(strings.TrimPrefix(p, "docs/"), "#")
	if c.n.Docs == nil || name == "" || !fs.ValidPath(name) {
		return ""
	}
	if _, err := fs.Stat(c.n.Docs, name); err != nil {
		return ""
	}
	to := "/docs/" + strings.TrimSuffix(name, ".md")
	if frag != "" {
		to += "#" + frag
	}
	return to
}

// docTitle is a document's first heading.
func docTitle(name string, text []byte) string {
	for line := range strings.Lines(string(text)) {
		if t, ok := strings.CutPrefix(line, "# "); ok {
			return strings.TrimSpace(t)
		}
	}
	return strings.TrimSuffix(path.Base(name), ".md")
}

// headings joins a document's headings, for search.
func headings(text []byte) string {
	var b strings.Builder
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			b.WriteString(strings.Trim(line, "# \n") + " ")
		}
	}
	return b.String()
}

// markdown shows the Markdown that our documents are written in: headings,
// paragraphs, lists, tables, code, links, emphasis (a part of CommonMark).
// All text is escaped, and links keep to http, https and the documents; dir is
// the folder that those of the text start from.
func markdown(dir, src string) template.HTML {
	m := md{dir: dir, anchors: answers.Anchors(src)}
	lines := strings.Split(strings.ReplaceAll(src, "\r\n", "\n"), "\n")
	for i := 0; i < len(lines); {
		i = m.block(lines, i)
	}
	return template.HTML(m.out.String())
}

type md struct {
	out     strings.Builder
	dir     string
	anchors []string // of the headings to come
}

// block writes the block that begins at line i and returns the line after it.
func (m *md) block(lines []string, i int) int {
	line := strings.TrimSpace(lines[i])
	switch {
	case line == "" || isComment(line):
		return i + 1
	case strings.HasPrefix(line, "```"):
		return m.code(lines, i)
	case isHeading(lines[i]):
		return m.heading(line, i)
	case strings.HasPrefix(line, "|"):
		return m.table(lines, i)
	case bullet(line) != "":
		return m.list(lines, i)
	}
	var para []string
	for i < len(lines) {
		l := strings.TrimSpace(lines[i])
		if l == "" || len(para) > 0 && (isHeading(lines[i]) || strings.HasPrefix(l, "```") || strings.HasPrefix(l, "|") || isComment(l) || bullet(l) != "") {
			break
		}
		para = append(para, l)
		i++
	}
	m.out.WriteString("<p>" + m.inline(strings.Join(para, " ")) + "</p>\n")
	return i
}

// isComment knows a line that is for the tools which write the document.
func isComment(line string) bool {
	return strings.HasPrefix(line, "<!--") && strings.HasSuffix(line, "-->")
}

func isFence(line string) bool { return strings.HasPrefix(strings.TrimSpace(line), "```") }

// code shows a fenced block; what is set in as far as its fence stands at the left.
func (m *md) code(lines []string, i int) int {
	m.out.WriteString(`<pre tabindex="0"><code>`)
	in := indent(lines[i])
	for i++; i < len(lines) && !isFence(lines[i]); i++ {
		m.out.WriteString(template.HTMLEscapeString(lines[i][min(in, indent(lines[i])):]) + "\n")
	}
	m.out.WriteString("</code></pre>\n")
	return i + 1
}

// indent counts the spaces that a line begins with.
func indent(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }

func (m *md) heading(line string, i int) int {
	level := min(len(line)-len(strings.TrimLeft(line, "#")), 6)
	id := ""
	if len(m.anchors) > 0 {
		id, m.anchors = m.anchors[0], m.anchors[1:]
	}
	h := string(rune('0' + level))
	m.out.WriteString("<h" + h + ` id="` + template.HTMLEscapeString(id) + `">` + m.inline(strings.TrimSpace(line[level:])) + "</h" + h + ">\n")
	return i + 1
}

// isHeading agrees with answers.Anchors, which names the headings.
func isHeading(line string) bool {
	rest := strings.TrimLeft(line, "#")
	level := len(line) - len(rest)
	return level >= 1 && level <= 6 && strings.HasPrefix(rest, " ")
}

// bullet returns the mark that begins a list's line: "ul", "ol" or "".
func bullet(line string) string {
	if strings.HasPrefix(line, "- ") || strings.HasPrefix(line, "* ") {
		return "ul"
	}
	n := strings.TrimLeft(line, "0123456789")
	if len(n) < len(line) && strings.HasPrefix(n, ". ") {
		return "ol"
	}
	return ""
}

func (m *md) list(lines []string, i int) int {
	tag := bullet(strings.TrimSpace(lines[i]))
	m.out.WriteString("<" + tag + ">\n")
	for i < len(lines) && bullet(strings.TrimSpace(lines[i])) == tag {
		m.out.WriteString("<li>")
		i = m.point(lines, i)
		m.out.WriteString("</li>\n")
		if next := written(lines, i); next < len(lines) && bullet(strings.TrimSpace(lines[next])) == tag {
			i = next
		}
	}
	m.out.WriteString("</" + tag + ">\n")
	return i
}

// point writes one point of a list: its lines, those that are set in below it, and
// code that is set in, also after an empty line.
func (m *md) point(lines []string, i int) int {
	_, text, _ := strings.Cut(strings.TrimSpace(lines[i]), " ")
	for i++; i < len(lines); {
		line := strings.TrimSpace(lines[i])
		next := written(lines, i)
		switch {
		case next < len(lines) && indent(lines[next]) >= 2 && isFence(lines[next]):
			m.out.WriteString(m.inline(text) + "\n")
			text = ""
			i = m.code(lines, next)
			continue
		case indent(lines[i]) >= 2 && line != "" && bullet(line) == "":
			text = strings.TrimSpace(text + " " + line)
			i++
			continue
		}
		break
	}
	m.out.WriteString(m.inline(text))
	return i
}

// written returns the first line from i on that is not empty.
func written(lines []string, i int) int {
	for i < len(lines) && strings.TrimSpace(lines[i]) == "" {
		i++
	}
	return i
}

func (m *md) table(lines []string, i int) int {
	m.out.WriteString(`<div class="scroll" tabindex="0"><table class="text">` + "\n")
	for row := 0; i < len(lines) && strings.HasPrefix(strings.TrimSpace(lines[i]), "|"); i++ {
		line := strings.Trim(strings.TrimSpace(lines[i]), "|")
		if strings.Trim(line, "-:| ") == "" {
			continue // the rule below the head
		}
		cell := "td"
		if row == 0 {
			cell = "th"
		}
		row++
		m.out.WriteString("<tr>")
		for _, t := range cells(line) {
			m.out.WriteString("<" + cell + ">" + m.inline(t) + "</" + cell + ">")
		}
		m.out.WriteString("</tr>\n")
	}
	m.out.WriteString("</table></div>\n")
	return i
}

// cells splits a table's line at its bars, those within code and after a
// backslash excepted.
func cells(line string) []string {
	var list []string
	var b strings.Builder
	code := false
	for i := 0; i < len(line); i++ {
		switch ch := line[i]; {
		case ch == '\\' && i+1 < len(line) && line[i+1] == '|':
			b.WriteByte('|')
			i++
		case ch == '|' && !code:
			list = append(list, strings.TrimSpace(b.String()))
			b.Reset()
		default:
			if ch == '`' {
				code = !code
			}
			b.WriteByte(ch)
		}
	}
	return append(list, strings.TrimSpace(b.String()))
}

var linked = regexp.MustCompile(`^\[([^\]]+)\]\(([^)\s]+)\)`)

// inline writes code, links and emphasis within a text. All else is escaped: what
// span adds is all the markup there is.
func (m *md) inline(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		html, n := m.span(s, i)
		if n == 0 { // text, up to what may be the next
			n = len(s) - i
			if next := strings.IndexAny(s[i+1:], "`[*"); next >= 0 {
				n = next + 1
			}
			html = template.HTMLEscapeString(s[i : i+n])
		}
		b.WriteString(html)
		i += n
	}
	return b.String()
}

// span writes the code, link or emphasis that begins at s[i], of n bytes; 0 where
// none does.
func (m *md) span(s string, i int) (html string, n int) {
	rest := s[i:]
	switch {
	case rest[0] == '`':
		if end := strings.IndexByte(rest[1:], '`'); end >= 0 {
			return "<code>" + template.HTMLEscapeString(rest[1:1+end]) + "</code>", end + 2
		}
	case rest[0] == '[':
		if t := linked.FindStringSubmatch(rest); t != nil {
			return m.link(m.inline(t[1]), t[2]), len(t[0])
		}
	case strings.HasPrefix(rest, "**"):
		if end := closing(rest[2:], "**"); end > 0 {
			return "<strong>" + m.inline(rest[2:2+end]) + "</strong>", end + 4
		}
	case rest[0] == '*' && (i == 0 || !inWord(s[i-1])):
		if end := closing(rest[1:], "*"); end > 0 {
			return "<em>" + m.inline(rest[1:1+end]) + "</em>", end + 2
		}
	}
	return "", 0
}

// closing returns where the mark * or ** ends that stands before s, or -1: not
// within code, not after a space, and a single one not within a word.
func closing(s, mark string) int {
	if s == "" || s[0] == ' ' || s[0] == '*' {
		return -1
	}
	for i := 0; i < len(s); i++ {
		double := strings.HasPrefix(s[i:], "**")
		switch {
		case s[i] == '`':
			i += max(0, strings.IndexByte(s[i+1:], '`')+1)
		case double && mark == "**" && s[i-1] != ' ':
			return i
		case double:
			i++
		case s[i] == '*' && mark == "*" && s[i-1] != ' ' && (i+1 == len(s) || !inWord(s[i+1])):
			return i
		}
	}
	return -1
}

func inWord(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

// link writes a link with a text that is markup already; one to elsewhere than the
// web or a document is left as its text.
func (m *md) link(text, to string) string {
	file, frag, has := strings.Cut(to, "#")
	switch {
	case strings.HasPrefix(to, "https://") || strings.HasPrefix(to, "http://"):
	case strings.HasPrefix(to, "#"):
	case strings.HasSuffix(file, ".md") && fs.ValidPath(path.Join(m.dir, file)):
		to = "/docs/" + strings.TrimSuffix(path.Join(m.dir, file), ".md")
		if has {
			to += "#" + frag
		}
	default:
		return text
	}
	return `<a href="` + template.HTMLEscapeString(to) + `">` + text + "</a>"
}
