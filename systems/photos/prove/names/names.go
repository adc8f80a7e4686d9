// Package names has the names that people bear in a dozen countries, with how
// many bear them, and makes user names out of them as people do. It is what the
// experiments call real names: where letters decide which machine holds a user,
// only real names show how uneven that is.
//
//	users, err := names.Users(seed, 1_000_000, names.Mix{})
//	for u := range users { ... u.Name, u.Country ... } // "kim.minsu", "KR"
//
// The statistics, their sources and terms stand in data/README.md and
// data/LICENSE. How people choose a user name is assumed, not measured: see
// Habits. The same seed gives the same names on every machine.
package names

import (
	"cmp"
	"embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"plumb/base/errs"
)

//go:embed data
var files embed.FS

// Basis says what the statistics of a list of names say.
type Basis string

// The bases, the surest first.
const (
	Counted Basis = "counted" // how many people bear a name
	Ranked  Basis = "ranked"  // only the order: rank r weighs 1/(r+10)
	Listed  Basis = "listed"  // only that it is frequent: each weighs the same
)

// Name is a name and the share of the people who bear it, of those who bear one
// of the list.
type Name struct {
	Latin  string // in plain letters a to z, as in a user name
	Native string // in its own script; equal to Latin where that is Latin's
	Share  float64
}

// Country is one country's names, each list with the most frequent first.
type Country struct {
	Code, Name     string // ISO 3166-1 alpha-2, English
	Script         string // in which people there write
	SurnameFirst   bool   // the surname is said before the given name
	Hours          int    // the clock's distance from UTC, in most of the country, without summer time
	Given          []Name
	Surnames       []Name
	GivenBasis     Basis
	SurnameBasis   Basis
	given, surname sampler
}

// about says of each file what it does not say itself.
var about = []Country{
	{Code: "US", Name: "United States", Script: "Latin", Hours: -6, GivenBasis: Counted, SurnameBasis: Counted},
	{Code: "GB", Name: "United Kingdom", Script: "Latin", Hours: 0, GivenBasis: Ranked, SurnameBasis: Counted},
	{Code: "NZ", Name: "New Zealand", Script: "Latin", Hours: 12, GivenBasis: Counted, SurnameBasis: Counted},
	{Code: "SE", Name: "Sweden", Script: "Latin", Hours: 1, GivenBasis: Counted, SurnameBasis: Counted},
	{Code: "FI", Name: "Finland", Script: "Latin", Hours: 2, GivenBasis: Counted, SurnameBasis: Counted},
	{Code: "HU", Name: "Hungary", Script: "Latin", Hours: 1, SurnameFirst: true, GivenBasis: Counted, SurnameBasis: Counted},
	{Code: "FR", Name: "France", Script: "Latin", Hours: 1, GivenBasis: Listed, SurnameBasis: Ranked},
	{Code: "IT", Name: "Italy", Script: "Latin", Hours: 1, GivenBasis: Listed, SurnameBasis: Ranked},
	{Code: "RU", Name: "Russia", Script: "Cyrillic", Hours: 3, GivenBasis: Listed, SurnameBasis: Ranked},
	{Code: "IL", Name: "Israel", Script: "Hebrew", Hours: 2, GivenBasis: Counted, SurnameBasis: Counted},
	{Code: "KR", Name: "Korea", Script: "Hangul", Hours: 9, SurnameFirst: true, GivenBasis: Listed, SurnameBasis: Counted},
	{Code: "CN", Name: "China", Script: "Han", Hours: 8, SurnameFirst: true, GivenBasis: Counted, SurnameBasis: Counted},
}

// Countries returns the countries. The caller changes nothing in them.
var Countries = sync.OnceValue(func() []Country {
	all := slices.Clone(about)
	for i := range all {
		if err := all[i].read(); err != nil {
			panic(err) // the files are part of the program, and tested
		}
	}
	return all
})

// Find returns the country of that code, in any case. Errors: NotFound.
func Find(code string) (Country, error) {
	for _, c := range Countries() {
		if strings.EqualFold(c.Code, code) {
			return c, nil
		}
	}
	return Country{}, errs.New(errs.NotFound, "there are no names of the country %q", code)
}

// read fills in the lists from the country's file.
func (c *Country) read() error {
	file := "data/" + strings.ToLower(c.Code) + ".tsv"
	text, err := files.ReadFile(file)
	if err != nil {
		return fmt.Errorf("names of %s: %w", c.Name, err)
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 3 && len(f) != 4 {
			return fmt.Errorf("%s: %q is not kind, share, name and perhaps its own script", file, line)
		}
		millionths, err := strconv.Atoi(f[1])
		if err != nil || millionths <= 0 {
			return fmt.Errorf("%s: %q has no share", file, line)
		}
		n := Name{Latin: f[2], Native: f[len(f)-1], Share: float64(millionths)}
		switch f[0] {
		case "g":
			c.Given = append(c.Given, n)
		case "s":
			c.Surnames = append(c.Surnames, n)
		default:
			return fmt.Errorf("%s: %q is neither a given name nor a surname", file, line)
		}
	}
	c.given, c.surname = shares(c.Given), shares(c.Surnames)
	return nil
}

// shares makes the names' shares sum to 1, and returns what draws by them.
func shares(list []Name) sampler {
	slices.SortStableFunc(list, func(a, b Name) int { return cmp.Compare(b.Share, a.Share) })
	weights := make([]float64, len(list))
	for i, n := range list {
		weights[i] = n.Share
	}
	s := newSampler(weights)
	for i := range list {
		list[i].Share /= s.total
	}
	return s
}

// sampler draws indices by weights. It is immutable.
type sampler struct {
	upto  []float64 // the sum of the weights up to each index, itself included
	total float64
}

func newSampler(weights []float64) sampler {
	s := sampler{upto: make([]float64, len(weights))}
	for i, w := range weights {
		s.total += w
		s.upto[i] = s.total
	}
	return s
}

// at returns the index at u, which is at least 0 and below 1.
func (s sampler) at(u float64) int {
	i, exact := slices.BinarySearch(s.upto, u*s.total)
	if exact {
		i++
	}
	return min(i, len(s.upto)-1)
}
