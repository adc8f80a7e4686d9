package forecast

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"plumb/base/errs"
)

const (
	maxRange  = 200_000 // bytes of a range's text
	maxValues = 10_000  // numbers in samples(...), months(...) or cycle(...)
)

// ParseRange reads a number or a range, and its unit when one is written:
//
//	188,888 machines
//	5k to 20k                      5th and 95th percentile of a lognormal
//	2.5 to 4 GB                    the unit holds for both ends
//	600 B to 3 kB
//	-2% to 5%                      below 0: of a normal
//	normal(10, 2) requests/s       mean, standard deviation
//	lognormal(5, 20)               as 5 to 20
//	triangular(1, 2, 5)            low, mode, high
//	uniform(0, 5 GB)
//	beta(2, 5) or beta(2, 5, 0, 10)
//	discrete(1: 0.7, 2: 0.3)       value: weight
//	samples(812, 930, 1411) bytes  measured values, each as likely
//	months(10k, 20k, 40k) users    by month; the last one stays
//	cycle(0.8, 1, 1.2)             by month; begins again after the last one
//
// k, M, G and T stand for thousand to million million. own are the model's
// own words for things counted (see ParseUnit). Errors are Invalid.
func ParseRange(text string, own []string) (Range, Unit, error) {
	t := strings.TrimSpace(text)
	switch {
	case t == "":
		return Range{}, Unit{}, errs.New(errs.Invalid, "a number or a range is missing")
	case len(t) > maxRange || !utf8.ValidString(t):
		return Range{}, Unit{}, errs.New(errs.Invalid, "a range must be valid text of at most %d bytes", maxRange)
	}
	if name, rest, ok := strings.Cut(t, "("); ok && isWord(name) {
		inner, unit, ok := strings.Cut(rest, ")")
		if !ok {
			return Range{}, Unit{}, errs.New(errs.Invalid, "%s( lacks its closing parenthesis", name)
		}
		return parseCall(name, inner, unit, own)
	}
	low, high, ok := strings.Cut(t, " to ")
	if !ok {
		v, u, err := parseValue(t, own)
		return Number(v), u, err
	}
	vs, u, err := parseList([]string{low, high}, "", own)
	if err != nil {
		return Range{}, u, err
	}
	r, err := To(vs[0], vs[1])
	return r, u, err
}

var thousands = regexp.MustCompile(`[0-9],[0-9]{3}([^0-9]|$)`)

func isWord(s string) bool {
	for _, r := range s {
		if r < 'a' || r > 'z' {
			return false
		}
	}
	return s != ""
}

// parseCall reads "name(inner) unit".
func parseCall(name, inner, unit string, own []string) (Range, Unit, error) {
	// "months(10,000, 20,000)" would silently be four numbers.
	if thousands.MatchString(inner) && strings.Contains(inner, ", ") {
		return Range{}, Unit{}, errs.New(errs.Invalid, "commas separate numbers in %s(...): write 10000 or 10k for 10,000", name)
	}
	parts := strings.Split(inner, ",")
	if len(parts) > maxValues {
		return Range{}, Unit{}, errs.New(errs.Invalid, "%s has more than %d numbers", name, maxValues)
	}
	var weights []float64
	if name == "discrete" {
		weights = make([]float64, len(parts))
		for i, p := range parts {
			v, w, ok := strings.Cut(p, ":")
			var err error
			if weights[i], _, err = parseValue(w, own); err != nil || !ok {
				return Range{}, Unit{}, errs.New(errs.Invalid, "discrete needs value: weight, not %q", strings.TrimSpace(p))
			}
			parts[i] = v
		}
	}
	if name == "beta" {
		return parseBeta(parts, unit, own)
	}
	vs, u, err := parseList(parts, unit, own)
	if err != nil {
		return Range{}, u, err
	}
	want := map[string]int{"normal": 2, "lognormal": 2, "triangular": 3, "uniform": 2}[name]
	if want != 0 && len(vs) != want {
		return Range{}, u, errs.New(errs.Invalid, "%s needs %d numbers, not %d", name, want, len(vs))
	}
	var r Range
	switch name {
	case "normal":
		r, err = Normal(vs[0], vs[1])
	case "lognormal":
		if vs[0] <= 0 {
			return r, u, errs.New(errs.Invalid, "lognormal(p5, p95) needs numbers above 0")
		}
		r, err = To(vs[0], vs[1])
	case "triangular":
		r, err = Triangular(vs[0], vs[1], vs[2])
	case "uniform":
		r, err = Uniform(vs[0], vs[1])
	case "discrete":
		r, err = Discrete(vs, weights)
	case "samples":
		r, err = Samples(vs)
	case "months":
		r, err = Months(vs)
	case "cycle":
		r, err = Cycle(vs)
	default:
		err = errs.New(errs.Invalid, "unknown distribution %q; known are normal, lognormal, triangular, uniform, beta, discrete, samples, months, cycle", name)
	}
	return r, u, err
}

// parseBeta reads its two shapes, which carry no unit, and then its ends.
func parseBeta(parts []string, unit string, own []string) (Range, Unit, error) {
	if len(parts) != 2 && len(parts) != 4 {
		return Range{}, Unit{}, errs.New(errs.Invalid, "beta needs 2 or 4 numbers, not %d", len(parts))
	}
	shapes, _, err := parseList(parts[:2], "", nil)
	if err != nil {
		return Range{}, Unit{}, err
	}
	ends := []string{"0", "1"}
	if len(parts) == 4 {
		ends = parts[2:]
	}
	vs, u, err := parseList(ends, unit, own)
	if err != nil {
		return Range{}, u, err
	}
	r, err := Beta(shapes[0], shapes[1], vs[0], vs[1])
	return r, u, err
}

// parseList reads numbers that share a unit. Each may carry its own (it is
// converted to the last one written); one that carries none takes the last's.
func parseList(parts []string, after string, own []string) ([]float64, Unit, error) {
	common, err := ParseUnit(after, own)
	if err != nil {
		return nil, common, err
	}
	values, units := make([]float64, len(parts)), make([]Unit, len(parts))
	for i, p := range parts {
		if values[i], units[i], err = parseValue(p, own); err != nil {
			return nil, common, err
		}
	}
	for i := len(units) - 1; i >= 0 && common.IsZero(); i-- {
		common = units[i]
	}
	for i, u := range units {
		switch {
		case u.IsZero():
		case !u.Same(common):
			return nil, common, errs.New(errs.Invalid, "the units %s and %s do not measure the same thing", u, common)
		default:
			values[i] *= factor(u, common)
		}
	}
	return values, common, nil
}

// parseValue reads one number with an optional step letter and unit.
func parseValue(text string, own []string) (float64, Unit, error) {
	t := strings.TrimSpace(text)
	end := 0
	for end < len(t) && (t[end] >= '0' && t[end] <= '9' || strings.IndexByte("+-.,_", t[end]) >= 0 || isExponent(t, end)) {
		end++
	}
	v, err := strconv.ParseFloat(strings.NewReplacer(",", "", "_", "").Replace(t[:end]), 64)
	if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
		return 0, Unit{}, errs.New(errs.Invalid, "%q is not a number", t)
	}
	rest := t[end:]
	if rest != "" {
		if step := map[byte]float64{'k': 1e3, 'M': 1e6, 'G': 1e9, 'T': 1e12}[rest[0]]; step != 0 && (len(rest) == 1 || rest[1] == ' ' || rest[1] == '/') {
			v, rest = v*step, rest[1:]
		}
	}
	// "2%/month" and "2% /month": the sign is a unit word that needs no "*".
	rest = strings.TrimSpace(rest)
	u, err := ParseUnit(rest, own)
	if err != nil {
		return 0, u, err
	}
	if math.IsInf(v, 0) {
		return 0, u, errs.New(errs.Invalid, "%q is too large", t)
	}
	return v, u, nil
}

// isExponent says whether t[i] is the e of "1e9" and not the start of a word.
func isExponent(t string, i int) bool {
	return (t[i] == 'e' || t[i] == 'E') && i > 0 && i+1 < len(t) && strings.IndexByte("+-0123456789", t[i+1]) >= 0
}
