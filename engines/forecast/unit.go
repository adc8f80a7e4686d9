package forecast

import (
	"sort"
	"strconv"
	"strings"

	"plumb/base/errs"
)

// Unit is a product of base units with whole powers, and a scale: "GB/month"
// has the dimension bytes per second. The zero Unit is a plain number.
//
// Time is one dimension: a month is 365.25/12 days, so requests/s and
// requests/month convert into each other. Each currency is its own.
type Unit struct {
	text string // as written; "" for one that was derived
	dims []dim  // by name, no zero powers
	// The scale to base units is num/den. Two numbers, because both are
	// products of whole numbers and stay exact where their quotient would not.
	num, den float64
}

type dim struct {
	name  string
	power int
}

type known struct {
	base     string
	num, den float64
}

const day = 86400

// units are the words with a scale. The plurals come from singular.
var units = map[string]known{
	"1": {"", 1, 1}, "%": {"", 1, 100},
	"B": {"byte", 1, 1}, "byte": {"byte", 1, 1}, "bit": {"byte", 1, 8}, "kbit": {"byte", 1e3, 8}, "Mbit": {"byte", 1e6, 8}, "Gbit": {"byte", 1e9, 8},
	"kB": {"byte", 1e3, 1}, "KB": {"byte", 1e3, 1}, "MB": {"byte", 1e6, 1}, "GB": {"byte", 1e9, 1}, "TB": {"byte", 1e12, 1}, "PB": {"byte", 1e15, 1},
	"KiB": {"byte", 1 << 10, 1}, "MiB": {"byte", 1 << 20, 1}, "GiB": {"byte", 1 << 30, 1}, "TiB": {"byte", 1 << 40, 1}, "PiB": {"byte", 1 << 50, 1},
	"us": {"s", 1, 1e6}, "ms": {"s", 1, 1e3}, "s": {"s", 1, 1}, "second": {"s", 1, 1}, "min": {"s", 60, 1}, "minute": {"s", 60, 1},
	"h": {"s", 3600, 1}, "hour": {"s", 3600, 1}, "day": {"s", day, 1}, "week": {"s", 7 * day, 1},
	"month": {"s", 365.25 * day / 12, 1}, "year": {"s", 365.25 * day, 1},
	"USD": {"USD", 1, 1}, "EUR": {"EUR", 1, 1}, "GBP": {"GBP", 1, 1},
	"km": {"m", 1e3, 1}, "m": {"m", 1, 1}, "Wh": {"Wh", 1, 1}, "kWh": {"Wh", 1e3, 1},
}

// compounds are the words for a product of others.
var compounds = map[string]Unit{
	"W":  {dims: []dim{{"Wh", 1}, {"s", -1}}, num: 1, den: 3600},
	"kW": {dims: []dim{{"Wh", 1}, {"s", -1}}, num: 1e3, den: 3600},
	"m²": {dims: []dim{{"m", 2}}, num: 1, den: 1},
	"m2": {dims: []dim{{"m", 2}}, num: 1, den: 1},
}

// counts are things that one counts; a model adds its own with Model.Counts.
var counts = []string{"request", "row", "user", "file", "event", "message", "connection", "server", "core", "machine", "person", "job"}

// ParseUnit reads a unit: words joined by "*" and "/", where everything after
// the first "/" is below the line: "USD/GB/month". own are further words for
// things that one counts, in the singular. The empty text is a plain number.
// A word that is not known is an Invalid error that names it.
func ParseUnit(text string, own []string) (Unit, error) {
	u := Unit{text: strings.TrimSpace(text), num: 1, den: 1}
	if u.text == "" {
		return u, nil
	}
	if len(u.text) > 200 {
		return u, errs.New(errs.Invalid, "a unit of %d bytes is too long", len(u.text))
	}
	for i, part := range strings.Split(strings.ReplaceAll(u.text, " per ", "/"), "/") {
		power := 1
		if i > 0 {
			power = -1
		}
		for _, word := range strings.Split(part, "*") {
			word = strings.TrimSpace(word)
			if word == "" && i == 0 && !strings.Contains(part, "*") {
				continue // "/month", as in "2 /month"
			}
			if r, ok := compounds[word]; ok {
				u = combine(u, r, power)
				continue
			}
			k, err := lookUp(word, own)
			if err != nil {
				return u, err
			}
			one := Unit{num: k.num, den: k.den}
			if k.base != "" {
				one.dims = []dim{{k.base, 1}}
			}
			u = combine(u, one, power)
		}
	}
	return u, nil
}

// lookUp finds a word as it stands or, failing that, in the singular.
func lookUp(word string, own []string) (known, error) {
	for _, w := range []string{word, singular(word)} {
		if k, ok := units[w]; ok {
			return k, nil
		}
		for _, list := range [][]string{counts, own} {
			for _, c := range list {
				if c == w {
					return known{c, 1, 1}, nil
				}
			}
		}
	}
	return known{}, errs.New(errs.Invalid, "unknown unit %q", word)
}

func singular(w string) string {
	switch {
	case strings.HasSuffix(w, "ies") && len(w) > 4:
		return w[:len(w)-3] + "y"
	case strings.HasSuffix(w, "s") && len(w) > 3:
		return w[:len(w)-1]
	}
	return w
}

// combine multiplies a by b (power 1) or divides it (power -1). a's text stays.
func combine(a, b Unit, power int) Unit {
	out := Unit{text: a.text, num: a.num * b.num, den: a.den * b.den}
	if power < 0 {
		out.num, out.den = a.num*b.den, a.den*b.num
	}
	sum := map[string]int{}
	for _, d := range a.dims {
		sum[d.name] += d.power
	}
	for _, d := range b.dims {
		sum[d.name] += power * d.power
	}
	for name, p := range sum {
		if p != 0 {
			out.dims = append(out.dims, dim{name, p})
		}
	}
	sort.Slice(out.dims, func(i, j int) bool { return out.dims[i].name < out.dims[j].name })
	return out
}

// derived multiplies or divides units that meet in a formula.
func derived(a, b Unit, power int) Unit {
	u := combine(a, b, power)
	u.text = ""
	return u
}

// plain is the unit of a number without one.
func plain() Unit { return Unit{num: 1, den: 1} }

// IsZero says whether no unit was written at all.
func (u Unit) IsZero() bool { return u.text == "" && len(u.dims) == 0 }

// Same says whether u and v measure the same thing and so convert into each other.
func (u Unit) Same(v Unit) bool {
	if len(u.dims) != len(v.dims) {
		return false
	}
	for i := range u.dims {
		if u.dims[i] != v.dims[i] {
			return false
		}
	}
	return true
}

// factor is what a number in from is multiplied by to be in to.
func factor(from, to Unit) float64 { return (from.num * to.den) / (from.den * to.num) }

// String writes the unit as it was written or, for a derived one, in base units.
func (u Unit) String() string {
	if u.text != "" {
		return u.text
	}
	if len(u.dims) == 0 {
		return "a plain number"
	}
	above, below := "", ""
	for _, d := range u.dims {
		side, p := &above, d.power
		if p < 0 {
			side, p = &below, -p
		}
		for range p {
			if side == &below {
				*side += "/" + d.name
				continue
			}
			if *side != "" {
				*side += "*"
			}
			*side += plural(d.name)
		}
	}
	if above == "" {
		above = "1"
	}
	return above + below
}

func plural(name string) string {
	if len(name) < 4 || name == strings.ToUpper(name) {
		return name
	}
	if strings.HasSuffix(name, "y") {
		return name[:len(name)-1] + "ies"
	}
	return name + "s"
}

// overMonths is the unit of the sum of twelve months of u: "USD/month" becomes
// "USD". Another unit stays as it is.
func (u Unit) overMonths() string {
	if s, ok := strings.CutSuffix(u.text, "/month"); ok {
		return s
	}
	return u.text
}

// number writes v with as many digits as it needs and no more.
func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
