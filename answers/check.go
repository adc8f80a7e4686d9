package answers

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"unicode"
)

// Set holds names.
type Set map[string]bool

// NewSet returns the set of names.
func NewSet(names ...string) Set {
	s := Set{}
	for _, n := range names {
		s[n] = true
	}
	return s
}

// Known is what the house really has, filled by app from its faces, proofs and
// plans. A pointer to anything else points nowhere.
type Known struct {
	Operations Set // "POST /api/v1/vending/reports"
	Pages      Set // "/vending/machines"
	Commands   Set // "plumb vending simulate"
	Claims     Set // "vending/herd: ID", of every experiment
	Plans      Set // "vending: NAME", of every input and output
	Docs       Set // as DocsIn returns; nil where no documents are at hand, and then they are not checked
}

// Check returns a fault for each pointer that points nowhere, with file, line,
// row and pointer, in the order of the text.
func (b *Book) Check(k Known) []error {
	sets := map[string]Set{
		"api": k.Operations, "page": k.Pages, "command": k.Commands,
		"claim": k.Claims, "plan": k.Plans, "doc": k.Docs,
	}
	var faults []error
	for _, q := range b.Questions {
		for _, c := range q.Concerns {
			for _, p := range c.Where {
				if p.Kind == "reason" || p.Kind == "doc" && k.Docs == nil {
					continue
				}
				if !sets[p.Kind][p.To] {
					faults = append(faults, fmt.Errorf("%s:%d: %s points nowhere: %s", b.file, p.Line, c.ID, p))
				}
			}
		}
	}
	return faults
}

// DocsIn returns the names that pointers to documents may use: each Markdown
// file below dir of fsys ("docs/vending.md") and each of its headings
// ("docs/vending.md#limits").
func DocsIn(fsys fs.FS, dir string) (Set, error) {
	out := Set{}
	err := fs.WalkDir(fsys, dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".md") {
			return err
		}
		text, err := fs.ReadFile(fsys, path)
		if err != nil {
			return err
		}
		out[path] = true
		for _, a := range Anchors(string(text)) {
			out[path+"#"+a] = true
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read documents in %s: %w", dir, err)
	}
	return out, nil
}

// Anchors returns the anchors that a Markdown text's headings get on the usual
// forges: lower case, punctuation dropped, spaces as hyphens, and a number on
// the second heading of the same words.
func Anchors(markdown string) []string {
	var out []string
	seen := map[string]int{}
	fenced := false
	for line := range strings.Lines(markdown) {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
		}
		words := strings.TrimLeft(line, "#")
		if level := len(line) - len(words); fenced || level == 0 || level > 6 || !strings.HasPrefix(words, " ") {
			continue
		}
		a := strings.Map(func(r rune) rune {
			switch {
			case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_':
				return unicode.ToLower(r)
			case r == ' ':
				return '-'
			}
			return -1
		}, strings.TrimSpace(words))
		n := seen[a]
		seen[a]++
		if n > 0 {
			a += "-" + strconv.Itoa(n)
		}
		out = append(out, a)
	}
	return out
}
