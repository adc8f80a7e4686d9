package names

import (
	"iter"
	"math/rand/v2"
	"strconv"
	"strings"

	"plumb/base/errs"
)

// Mix says whose names are drawn. The zero value draws each country as often.
type Mix struct {
	Shares []Share
	// Habits are how people choose; empty: Habits of this package.
	Habits []Habit
}

// Share is a country's part in a mix.
type Share struct {
	Country string  // its code
	Weight  float64 // in proportion to the others'; above 0
	Native  bool    // user names in the country's own script, not in plain letters
}

// Habit is one way in which people make a user name of theirs. In the form, G is
// the given name, S the surname, g and s their first letters, # a number of two
// digits; everything else stands for itself.
type Habit struct {
	Form   string
	Weight float64
}

// Habits are what is assumed of how people choose. No public count of real user
// names says it; what matters to a split by letters is the sum of those that begin
// with the surname, and experiments vary that.
func Habits() []Habit {
	return []Habit{{"G.S", 24}, {"G#", 20}, {"GS", 16}, {"gS", 14}, {"S.G", 8}, {"S#", 8}, {"G_S", 6}, {"G", 4}}
}

// GivenFirst are habits of which none begins with the surname; SurnameFirst are
// those of which all do.
func GivenFirst() []Habit   { return []Habit{{"G.S", 1}, {"G#", 1}, {"GS", 1}, {"gS", 1}} }
func SurnameFirst() []Habit { return []Habit{{"S.G", 1}, {"S#", 1}, {"SG", 1}, {"Sg", 1}} }

// User is one who joins.
type User struct {
	Name    string // no other user of the sequence has it
	Country string // code
}

// maxUsers bounds what is drawn at once: each user costs about 20 bytes of memory
// while others are drawn, so that no two have one name.
const maxUsers = 100_000_000

// Users draws n users. A name that is taken gets a number, as sites advise; the
// numbers grow with the tries. Errors: Invalid for a mix that makes no sense.
func Users(seed uint64, n int, mix Mix) (iter.Seq[User], error) {
	d, err := newDraw(mix)
	if err != nil {
		return nil, err
	}
	if n < 0 || n > maxUsers {
		return nil, errs.New(errs.Invalid, "%d user names: must be 0 to %d", n, maxUsers)
	}
	return func(yield func(User) bool) {
		rng := rand.New(rand.NewPCG(seed, 0x6e616d6573)) // "names"
		taken := make(map[uint64]struct{}, min(n, 1<<20))
		for range n {
			u := d.user(rng)
			for base, try := u.Name, 0; ; try++ {
				id := fnv64(u.Name)
				if _, ok := taken[id]; !ok {
					taken[id] = struct{}{}
					break
				}
				u.Name = base + strconv.Itoa(rng.IntN(numbers[min(try/2, len(numbers)-1)]))
			}
			if !yield(u) {
				return
			}
		}
	}, nil
}

// numbers are the bounds of what is put behind a taken name, two tries each.
var numbers = []int{100, 1_000, 10_000, 1_000_000, 1_000_000_000}

// Usernames draws n user names. Errors as for Users.
func Usernames(seed uint64, n int, mix Mix) (iter.Seq[string], error) {
	users, err := Users(seed, n, mix)
	if err != nil {
		return nil, err
	}
	return func(yield func(string) bool) {
		for u := range users {
			if !yield(u.Name) {
				return
			}
		}
	}, nil
}

// draw is a mix made ready.
type draw struct {
	who       sampler
	countries []Country
	native    []bool
	how       sampler
	forms     []string
}

func newDraw(mix Mix) (*draw, error) {
	if len(mix.Shares) == 0 {
		for _, c := range Countries() {
			mix.Shares = append(mix.Shares, Share{Country: c.Code, Weight: 1})
		}
	}
	if len(mix.Habits) == 0 {
		mix.Habits = Habits()
	}
	d := &draw{}
	var weights []float64
	for _, s := range mix.Shares {
		c, err := Find(s.Country)
		if err != nil {
			return nil, errs.New(errs.Invalid, "mix of names: %s", errs.Message(err))
		}
		if !(s.Weight > 0) || s.Weight > 1e12 {
			return nil, errs.New(errs.Invalid, "mix of names: %s weighs %v, must be above 0 and at most 1e12", s.Country, s.Weight)
		}
		d.countries, d.native, weights = append(d.countries, c), append(d.native, s.Native), append(weights, s.Weight)
	}
	d.who = newSampler(weights)
	weights = nil
	for _, h := range mix.Habits {
		if !strings.ContainsAny(h.Form, "GSgs") || !(h.Weight > 0) || h.Weight > 1e12 {
			return nil, errs.New(errs.Invalid, "mix of names: the habit %q of weight %v has no name in it, or no weight", h.Form, h.Weight)
		}
		d.forms, weights = append(d.forms, h.Form), append(weights, h.Weight)
	}
	d.how = newSampler(weights)
	return d, nil
}

// user draws one, whose name may be taken.
func (d *draw) user(rng *rand.Rand) User {
	i := d.who.at(rng.Float64())
	c := &d.countries[i]
	given, surname := c.Given[c.given.at(rng.Float64())], c.Surnames[c.surname.at(rng.Float64())]
	g, s := given.Latin, surname.Latin
	if d.native[i] {
		g, s = joined.Replace(given.Native), joined.Replace(surname.Native)
	}
	var b strings.Builder
	for _, r := range d.forms[d.how.at(rng.Float64())] {
		switch r {
		case 'G':
			b.WriteString(g)
		case 'S':
			b.WriteString(s)
		case 'g':
			b.WriteString(first(g))
		case 's':
			b.WriteString(first(s))
		case '#':
			b.WriteString(strconv.Itoa(10 + rng.IntN(90)))
		default:
			b.WriteRune(r)
		}
	}
	return User{b.String(), c.Code}
}

// joined takes out what no user name has.
var joined = strings.NewReplacer(" ", "", "'", "", "\"", "")

// first returns the first letter.
func first(s string) string {
	for i := range s {
		if i > 0 {
			return s[:i]
		}
	}
	return s
}

// fnv64 is FNV-1a, in line: a hash for the names that are taken. Where two names
// share a hash, the later one gets a number that it did not need.
func fnv64(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}
