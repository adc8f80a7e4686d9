package places

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// plain are letters that no decomposition makes plain.
var plain = map[rune]string{'ß': "ss", 'ł': "l", 'ø': "o", 'đ': "d", 'ð': "d", 'þ': "th", 'æ': "ae", 'œ': "oe", 'ı': "i", 'ħ': "h", 'ŋ': "n", 'ŧ': "t", 'ə': "e", 'ς': "σ"}

// Fold returns s as places are compared in a search: small letters without their
// accents, words with one space between them, apostrophes left out. "Łódź" and
// "lodz", "Nuku‘alofa" and "nukualofa", "Saint-Denis" and "saint denis" are the
// same. Other scripts keep their letters. Two strings that fold alike match; a
// search for part of a name looks for one folded string in another.
func Fold(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	gap := false
	for _, r := range norm.NFKD.String(strings.ToValidUTF8(s, " ")) {
		r = unicode.ToLower(r)
		switch {
		case unicode.Is(unicode.Mn, r):
		case unicode.IsLetter(r) && !unicode.Is(unicode.Lm, r) || unicode.IsNumber(r) || unicode.Is(unicode.Mc, r):
			if gap && b.Len() > 0 {
				b.WriteByte(' ')
			}
			gap = false
			if p, ok := plain[r]; ok {
				b.WriteString(p)
			} else {
				b.WriteRune(r)
			}
		case strings.ContainsRune("'‘’`´", r) || unicode.Is(unicode.Lm, r): // ʻokina and its kin are modifier letters
		default:
			gap = true
		}
	}
	return b.String()
}
