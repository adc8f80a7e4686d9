package dav

import (
	"errors"
	"strings"

	"plumb/base/errs"
)

// Bounds of an If header.
const (
	mostIf         = 16 << 10 // bytes
	mostConditions = 200
)

// If is an If header (RFC 4918, 10.4): it holds where one of its lists does.
type If struct{ lists []list }

// list holds where all of its conditions do.
type list struct {
	tagged bool
	path   string // of a tagged list
	away   bool   // tagged with an address that is not here: never holds
	conds  []condition
}

type condition struct {
	not   bool
	token string // either this
	tag   string // or this, in its quotes
}

// ParseIf reads an If header, "" for none. Errors: Invalid.
func ParseIf(s string, space Space) (If, error) {
	var f If
	if s == "" {
		return f, nil
	}
	if len(s) > mostIf {
		return f, badIf("it is longer than %d bytes", mostIf)
	}
	p := ifParser{rest: s}
	var head list // the tag that the next lists have
	for n := 0; ; {
		switch c := p.next(); c {
		case 0:
			if len(f.lists) == 0 {
				return If{}, badIf("it holds no list")
			}
			return f, nil
		case '<':
			uri, err := p.until('>')
			if err != nil {
				return If{}, err
			}
			if len(f.lists) > 0 && !head.tagged {
				return If{}, badIf("lists with and without a resource are mixed")
			}
			head = list{tagged: true}
			if head.path, err = space.Path(uri); errors.Is(err, ErrElsewhere) {
				head.away = true
			} else if err != nil {
				return If{}, err
			}
			if p.peek() != '(' {
				return If{}, badIf("a resource is followed by no list")
			}
		case '(':
			l := head
			if err := p.conditions(&l); err != nil {
				return If{}, err
			}
			if n += len(l.conds); n > mostConditions {
				return If{}, badIf("it holds more than %d conditions", mostConditions)
			}
			f.lists = append(f.lists, l)
		default:
			return If{}, badIf("%q is out of place", string(c))
		}
	}
}

func badIf(format string, args ...any) error {
	return errs.New(errs.Invalid, "the If header cannot be read: "+format, args...)
}

type ifParser struct{ rest string }

// peek skips white space and returns the next byte, 0 at the end.
func (p *ifParser) peek() byte {
	p.rest = strings.TrimLeft(p.rest, " \t")
	if p.rest == "" {
		return 0
	}
	return p.rest[0]
}

// next is peek that takes the byte.
func (p *ifParser) next() byte {
	c := p.peek()
	if c != 0 {
		p.rest = p.rest[1:]
	}
	return c
}

// until takes what stands before the next end, and that.
func (p *ifParser) until(end byte) (string, error) {
	text, rest, ok := strings.Cut(p.rest, string(end))
	if !ok || strings.TrimSpace(text) == "" {
		return "", badIf("a %q is missing", string(end))
	}
	p.rest = rest
	return text, nil
}

// conditions reads a list up to its bracket.
func (p *ifParser) conditions(l *list) (err error) {
	l.conds = nil
	for not := false; ; {
		c := condition{not: not}
		switch b := p.next(); {
		case b == ')':
			if not || len(l.conds) == 0 {
				return badIf("a list lacks a condition")
			}
			return nil
		case b == '<':
			c.token, err = p.until('>')
		case b == '[':
			c.tag, err = p.until(']')
		case (b == 'N' || b == 'n') && !not && len(p.rest) >= 2 && strings.EqualFold(p.rest[:2], "ot"):
			p.rest, not = p.rest[2:], true
			continue
		default:
			err = badIf("a list is not as it should be")
		}
		if err != nil {
			return err
		}
		l.conds, not = append(l.conds, c), false
	}
}

// Tokens returns all lock tokens that the header submits.
func (f If) Tokens() []string {
	var all []string
	for _, l := range f.lists {
		for _, c := range l.conds {
			if c.token != "" {
				all = append(all, c.token)
			}
		}
	}
	return all
}

// Hold says whether the header holds for a request to path; one that is empty does.
// tagOf returns the entity tag of what is at a path, "" for nothing and for a folder.
func (f If) Hold(path string, locks []Lock, tagOf func(path string) (string, error)) (bool, error) {
	if len(f.lists) == 0 {
		return true, nil
	}
	tags := map[string]string{}
	for _, l := range f.lists {
		if l.away {
			continue
		}
		at := path
		if l.tagged {
			at = l.path
		}
		holds := true
		for _, c := range l.conds {
			var is bool
			if c.tag != "" {
				tag, known := tags[at]
				if !known {
					var err error
					if tag, err = tagOf(at); err != nil {
						return false, err
					}
					tags[at] = tag
				}
				is = tag != "" && tag == strings.TrimSpace(c.tag)
			} else {
				is = covered(at, locks, c.token)
			}
			if is == c.not {
				holds = false
				break
			}
		}
		if holds {
			return true, nil
		}
	}
	return false, nil
}

// covered says whether the lock of that token covers path.
func covered(path string, locks []Lock, token string) bool {
	for _, l := range locks {
		if l.Token == token && l.Covers(path) {
			return true
		}
	}
	return false
}
