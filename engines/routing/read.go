package routing

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"plumb/base/errs"
)

// Instance is a problem as the research community files them.
type Instance struct {
	Name    string
	Comment string
	Places  []Point
	Problem Problem
}

// mostBytes bounds a file: MaxStops lines of each section are far below.
const mostBytes = 4 << 20

// Read reads an instance in CVRPLIB's or Solomon's format, whichever it is.
// Errors: Invalid, with the line and column.
func Read(r io.Reader) (Instance, error) {
	text, err := io.ReadAll(io.LimitReader(r, mostBytes+1))
	if err != nil {
		return Instance{}, fmt.Errorf("read an instance: %w", err)
	}
	if len(text) > mostBytes {
		return Instance{}, errs.New(errs.TooLarge, "an instance has %d bytes at most", mostBytes)
	}
	if bytes.Contains(text, []byte("NODE_COORD_SECTION")) || bytes.Contains(text, []byte("DIMENSION")) {
		return ReadCVRPLIB(bytes.NewReader(text))
	}
	return ReadSolomon(bytes.NewReader(text))
}

// line is one line of a file, cut into words.
type line struct {
	number int
	words  []string
	at     []int // column of each word, from 1
}

// bad names a fault and its place.
func (l line) bad(word int, format string, args ...any) error {
	column := 1
	if word < len(l.at) {
		column = l.at[word]
	}
	return errs.New(errs.Invalid, "%d:%d: %s", l.number, column, fmt.Sprintf(format, args...))
}

// float reads a word as a number between min and max.
func (l line) float(word int, what string, min, max float64) (float64, error) {
	if word >= len(l.words) {
		return 0, l.bad(word, "the %s is missing", what)
	}
	v, err := strconv.ParseFloat(l.words[word], 64)
	if err != nil || !(v >= min && v <= max) {
		return 0, l.bad(word, "the %s must be a number from %g to %g, not %.40q", what, min, max, l.words[word])
	}
	return v, nil
}

// whole reads a word as a whole number between min and max; "30.0" is one.
func (l line) whole(word int, what string, min, max int64) (int64, error) {
	v, err := l.float(word, what, float64(min), float64(max))
	if err != nil {
		return 0, err
	}
	if v != float64(int64(v)) {
		return 0, l.bad(word, "the %s must be a whole number, not %.40q", what, l.words[word])
	}
	return int64(v), nil
}

// lines calls fn with each line that is not empty, until it returns io.EOF.
func lines(r io.Reader, fn func(line) error) (last int, err error) {
	sc := bufio.NewScanner(io.LimitReader(r, mostBytes))
	sc.Buffer(nil, 64<<10)
	for sc.Scan() {
		last++
		l := line{number: last}
		text := sc.Text()
		for i := 0; i < len(text); {
			for i < len(text) && strings.IndexByte(" \t\r:", text[i]) >= 0 {
				i++
			}
			from := i
			for i < len(text) && strings.IndexByte(" \t\r:", text[i]) < 0 {
				i++
			}
			if i > from {
				l.words, l.at = append(l.words, text[from:i]), append(l.at, from+1)
			}
		}
		if len(l.words) == 0 {
			continue
		}
		if err := fn(l); err == io.EOF {
			return last, nil
		} else if err != nil {
			return last, err
		}
	}
	if errors.Is(sc.Err(), bufio.ErrTooLong) {
		return last, errs.New(errs.Invalid, "%d:1: the line is too long", last+1)
	}
	return last, sc.Err()
}
