package answers

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Hit is one thing that a search found.
type Hit struct {
	Kind     string // "question" or "concern"
	Question int    // its number, or the number of the concern's question
	System   string // the system that answers it
	ID       string // the concern's id; empty for a question
	Text     string // the title, or the concern's sentence
	State    State  // of the concern; empty for a question
}

// Search returns at most limit questions and concerns that hold every one of
// the words (each may be the beginning of a word; case does not matter).
// A question is found by its number, system, kind, title or text. Questions
// come before concerns, and a match in a title before one in a text.
func (b *Book) Search(words string, limit int) []Hit {
	want := split(words)
	if len(want) == 0 || limit <= 0 {
		return nil
	}
	type ranked struct {
		Hit
		rank int
	}
	var found []ranked
	for _, q := range b.Questions {
		head := split(strings.Join([]string{q.System, q.Kind, q.Title, strings.Join(q.Figures, " "), strconv.Itoa(q.Number)}, " "))
		text := append(slices.Clone(head), split(q.Asks+" "+q.Verdict)...)
		hit := Hit{Kind: "question", Question: q.Number, System: q.System, Text: q.Title}
		if holds(head, want) {
			found = append(found, ranked{hit, 0})
		} else if holds(text, want) {
			found = append(found, ranked{hit, 1})
		}
		for _, c := range q.Concerns {
			// The system's name counts too: "vending jitter" finds 12.jitter.
			if holds(append(split(c.ID+" "+c.Text), q.System), want) && !holds([]string{q.System}, want) {
				found = append(found, ranked{Hit{"concern", q.Number, q.System, c.ID, c.Text, c.State}, 2})
			}
		}
	}
	slices.SortStableFunc(found, func(a, b ranked) int { return cmp.Compare(a.rank, b.rank) })
	out := make([]Hit, 0, min(limit, len(found)))
	for _, f := range found[:min(limit, len(found))] {
		out = append(out, f.Hit)
	}
	return out
}

// split returns the words of s in lower case. "188,888" and "188888" both stay one word.
func split(s string) []string {
	s = strings.ToLower(s)
	words := strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != ',' })
	out := words[:0]
	for _, w := range words {
		if w = strings.ReplaceAll(w, ",", ""); w != "" {
			out = append(out, w)
		}
	}
	return out
}

// holds says whether each wanted word begins one of the words of text.
func holds(text, want []string) bool {
	for _, w := range want {
		if !slices.ContainsFunc(text, func(t string) bool { return strings.HasPrefix(t, w) }) {
			return false
		}
	}
	return true
}
