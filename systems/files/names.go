package files

import (
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"plumb/base/errs"
	"plumb/engines/web"
)

// Limits of names and paths.
const (
	MaxName  = 255  // bytes
	MaxPath  = 4096 // bytes
	MaxDepth = 64   // folders below a root, one in the other
)

// idLen is the length of a node's id, a UUID.
const idLen = 36

// place is a path, read: names below a person's own root, or below a node.
type place struct {
	node  string // "" for one's own root
	names []string
}

// parsePath reads "a/b.txt", in one's own tree, or "@ID/b.txt", below a node that
// may be somebody else's. A slash at either end and an empty path mean nothing more.
// Names come out in Unicode's form NFC. Errors: Invalid.
func parsePath(text string) (place, error) {
	if len(text) > MaxPath {
		return place{}, badPath("a path may have %d bytes, not %d", MaxPath, len(text))
	}
	if !utf8.ValidString(text) {
		return place{}, badPath("the path is not valid UTF-8")
	}
	text = strings.TrimSuffix(strings.TrimPrefix(text, "/"), "/")
	var p place
	if isNodeName(text[:min(len(text), idLen+1)]) && (len(text) == idLen+1 || text[idLen+1] == '/') {
		p.node = text[1 : idLen+1]
		text = strings.TrimPrefix(text[idLen+1:], "/")
	}
	if text == "" {
		return p, nil
	}
	for name := range strings.SplitSeq(text, "/") {
		name, err := cleanName(name)
		if err != nil {
			return place{}, err
		}
		p.names = append(p.names, name)
	}
	if len(p.names) > MaxDepth+1 { // that many folders, and a file
		return place{}, badPath("folders nest %d deep at most", MaxDepth)
	}
	return p, nil
}

// cleanName returns a name in NFC, or why it is none.
func cleanName(name string) (string, error) {
	name = norm.NFC.String(name)
	switch {
	case name == "":
		return "", badPath("a name is empty")
	case name == "." || name == "..":
		return "", badPath("%q is not a name", name)
	case len(name) > MaxName:
		return "", badPath("a name may have %d bytes, not %d", MaxName, len(name))
	case !utf8.ValidString(name):
		return "", badPath("a name is not valid UTF-8")
	case strings.Contains(name, "/"):
		return "", badPath("a name holds a slash")
	case isNodeName(name):
		return "", badPath("a name such as @ID stands for a file or folder itself")
	}
	for _, r := range name {
		// What turns the direction of text makes "exe.txt" of "txt.exe".
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' {
			return "", badPath("a name holds the control character %q", r)
		}
	}
	return name, nil
}

// isNodeName says whether a name is "@" and an id.
func isNodeName(name string) bool {
	if len(name) != idLen+1 || name[0] != '@' {
		return false
	}
	for i, c := range []byte(name[1:]) {
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case c >= '0' && c <= '9' || c >= 'a' && c <= 'f':
		default:
			return false
		}
	}
	return true
}

// badPath is an Invalid error about the text of a path, which HTTP answers with 400.
func badPath(format string, args ...any) error {
	return web.Malformed(errs.New(errs.Invalid, format, args...))
}

// parent returns the place above and the last name.
func (p place) parent() (place, string) {
	last := len(p.names) - 1
	return place{p.node, p.names[:last]}, p.names[last]
}

func (p place) String() string {
	text := strings.Join(p.names, "/")
	if p.node == "" {
		return text
	}
	return strings.TrimSuffix("@"+p.node+"/"+text, "/")
}

// mostWords bounds the words of a name by which it is found.
const mostWords = 16

// words returns the words of a name as search knows them: letters and digits, without
// accents and case, each once.
func words(name string) []string {
	var list []string
	seen := map[string]bool{}
	for _, w := range strings.FieldsFunc(fold(name), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if len(w) > 64 {
			w = strings.ToValidUTF8(w[:64], "")
		}
		if !seen[w] && len(list) < mostWords {
			seen[w] = true
			list = append(list, w)
		}
	}
	return list
}

// fold takes accents and case away (Unicode's compatibility decomposition, without
// its marks).
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFKD.String(s))
}

// numbered returns "name (2).txt" for "name.txt" and 2, within a name's length.
func numbered(name string, suffix string) string {
	ext := path.Ext(name)
	if len(ext) > 16 || len(ext) == len(name) {
		ext = ""
	}
	stem := strings.TrimSuffix(name, ext)
	if most := MaxName - len(ext) - len(suffix) - 3; len(stem) > most {
		stem = strings.ToValidUTF8(stem[:most], "")
	}
	return stem + " (" + suffix + ")" + ext
}
