package photos

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"plumb/base/errs"
	"plumb/systems/photos/internal/places"
)

// Search. A photo's row holds its words, folded, each after a space and a mark that says
// where it comes from: " .harbour .img .1234 =canon =eos @lisbon @portugal". They stand in
// the timeline's own index too, so that a search reads that index and not the photos; it
// costs as much as there are photos of that owner, some 2 microseconds each, and keeps
// nothing in memory.
const (
	markText   = '.' // the caption and the file's name
	markCamera = '='
	markPlace  = '@'

	mostWords    = 1600 // bytes of a row's words: what an index of PostgreSQL can hold, and more
	mostAsked    = 10   // words of one search
	mostWordSize = 64   // bytes
)

// index returns what search is to find the photo by.
func (p Photo) index() string {
	var b strings.Builder
	seen := map[string]bool{}
	add := func(mark byte, texts ...string) {
		for _, text := range texts {
			for _, w := range words(text) {
				marked := " " + string(mark) + w
				if b.Len()+len(marked) <= mostWords && !seen[marked] {
					seen[marked] = true
					b.WriteString(marked)
				}
			}
		}
	}
	// The caption last: when it is too long for all, the rest is found.
	add(markPlace, p.Place)
	add(markCamera, p.Camera, p.Lens)
	add(markText, stem(p.Name), p.Caption)
	return b.String()
}

// stem is a file's name without its ending.
func stem(name string) string {
	if i := strings.LastIndexByte(name, '.'); i > 0 && len(name)-i <= 5 {
		return name[:i]
	}
	return name
}

// words returns the folded words of a text. Scripts that write no spaces between words
// give one a character.
func words(text string) []string {
	var list []string
	start := -1
	folded := places.Fold(strings.ToValidUTF8(text, " "))
	end := func(at int) {
		if start >= 0 {
			list = append(list, cut(folded[start:at], mostWordSize))
		}
		start = -1
	}
	for i, r := range folded {
		switch {
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar):
			end(i)
			list = append(list, string(r))
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			if start < 0 {
				start = i
			}
		default:
			end(i)
		}
	}
	end(len(folded))
	return list
}

// cut shortens a text to so many bytes, between characters.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}

// asked returns the patterns (as LIKE has them) for the words of a search. mark 0 stands
// for any. Letters and digits need no escape.
func asked(mark byte, text string) ([]string, error) {
	if text == "" {
		return nil, nil
	}
	found := words(text)
	switch {
	case len(found) == 0:
		return nil, errs.New(errs.Invalid, "search for a word: letters or digits")
	case len(found) > mostAsked:
		return nil, errs.New(errs.Invalid, "search for %d words at most, not %d", mostAsked, len(found))
	}
	any := "_"
	if mark != 0 {
		any = string(mark)
	}
	list := make([]string, len(found))
	for i, w := range found {
		list[i] = "% " + any + w + "%"
	}
	return list, nil
}

// placeName names a position: the town, its region and country. "" where none is near.
func placeName(lat, lon float64) string {
	at, _, ok := places.Nearest(lat, lon)
	if !ok {
		return ""
	}
	parts := []string{at.Name}
	for _, part := range []string{at.Region, at.Country} {
		if part != "" && part != parts[len(parts)-1] {
			parts = append(parts, part)
		}
	}
	return cut(strings.Join(parts, ", "), 200)
}

// cleanName makes a file's name fit to be kept and shown: its last part, in NFC, without
// what is not text.
func cleanName(name string) string {
	name = norm.NFC.String(strings.ToValidUTF8(name, ""))
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	return strings.TrimSpace(cut(plainText(name), MaxName))
}

// plainText drops control characters, and those that turn the direction of text.
func plainText(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) && r != '\u200d' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' {
			return -1
		}
		return r
	}, s)
}

// checkText refuses what is no text, or too long. Lines may be broken.
func checkText(what, s string, most int) (string, error) {
	switch {
	case !utf8.ValidString(s):
		return "", errs.New(errs.Invalid, "the %s is not valid UTF-8", what)
	case len(s) > most:
		return "", errs.New(errs.Invalid, "the %s may have %d bytes, not %d", what, most, len(s))
	}
	for _, r := range s {
		if unicode.IsControl(r) && r != '\n' && r != '\t' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' {
			return "", errs.New(errs.Invalid, "the %s holds the control character %q", what, r)
		}
	}
	return strings.TrimSpace(norm.NFC.String(s)), nil
}
