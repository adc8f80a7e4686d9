package placement

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"plumb/base/errs"
)

// initials are how many of a thousand English given names begin with each letter: about
// what lists of newborns and of users agree in (J, M, A and S are a third of all).
var initials = [26]int{
	85, 52, 66, 58, 49, 19, 28, 25, 14, 107, 56, 58, 97,
	29, 13, 31, 2, 64, 82, 52, 2, 17, 25, 3, 8, 8,
}

// syllables follow an initial; vowels come mostly, as they do in names.
var syllables = [...]string{
	"a", "a", "a", "e", "e", "o", "o", "i", "i", "u", "ar", "an", "ae", "en", "er", "is", "or", "al", "ol",
	"h", "r", "l", "y",
}

var endings = [...]string{
	"lin", "nna", "son", "ter", "mes", "ria", "th", "ck", "lie", "vid", "bert", "chael", "nes", "ssa", "ry",
	"ra", "than", "cas", "mi", "na", "liam", "via", "go", "drew", "ton",
}

// People returns so many user names, always the same ones and each but once, whose initials
// are as unequal as those of English names: what an alphabet of servers would meet.
func People(n int) []string {
	total := 0
	for _, v := range initials {
		total += v
	}
	out := make([]string, n)
	for i := range out {
		x := fmix(uint64(i+1) * golden)
		first, at := 0, int(x>>32%uint64(total))
		for at >= initials[first] {
			at -= initials[first]
			first++
		}
		name := make([]byte, 0, 24)
		name = append(name, byte('a'+first))
		name = append(name, syllables[x&0xffff%uint64(len(syllables))]...)
		name = append(name, endings[x>>16&0xffff%uint64(len(endings))]...)
		name = append(name, '.')
		out[i] = string(strconv.AppendInt(name, int64(i), 10))
	}
	return out
}

// ReadKeys reads keys, one a line; empty lines and keys that came before do not count.
// Errors: Invalid and TooLarge, with the line.
func ReadKeys(r io.Reader) ([]string, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, MaxKey+2)
	var out []string
	seen := map[string]bool{}
	n := 0
	for lines.Scan() {
		n++
		k := strings.TrimSuffix(lines.Text(), "\r")
		if len(k) > MaxKey {
			return nil, tooLong(n)
		}
		if k == "" || seen[k] {
			continue
		}
		if len(out) == MaxKeys {
			return nil, errs.New(errs.TooLarge, "line %d: there are more than %d keys", n, MaxKeys)
		}
		seen[k] = true
		out = append(out, k)
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return nil, tooLong(n + 1)
	}
	if lines.Err() != nil {
		return nil, fmt.Errorf("read keys: %w", lines.Err())
	}
	if len(out) == 0 {
		return nil, errs.New(errs.Invalid, "there are no keys")
	}
	return out, nil
}

func tooLong(line int) error {
	return errs.New(errs.Invalid, "line %d: the key has more than %d bytes", line, MaxKey)
}
