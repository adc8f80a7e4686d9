package names

import (
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strings"
	"testing"
	"unicode"

	"plumb/base/errs"
)

func TestEveryCountryHasItsNames(t *testing.T) {
	if len(Countries()) < 8 {
		t.Fatalf("%d countries", len(Countries()))
	}
	scripts := map[string]bool{}
	for _, c := range Countries() {
		scripts[c.Script] = true
		for what, list := range map[string][]Name{"given names": c.Given, "surnames": c.Surnames} {
			if len(list) < 40 {
				t.Errorf("%s: %d %s", c.Name, len(list), what)
			}
			sum, seen := 0.0, map[string]bool{}
			for i, n := range list {
				sum += n.Share
				if seen[n.Latin] {
					t.Errorf("%s: %s stands twice among the %s", c.Name, n.Latin, what)
				}
				seen[n.Latin] = true
				if n.Latin == "" || strings.Trim(n.Latin, "abcdefghijklmnopqrstuvwxyz") != "" || n.Native == "" {
					t.Errorf("%s: %+v among the %s", c.Name, n, what)
				}
				if i > 0 && n.Share > list[i-1].Share {
					t.Errorf("%s: %s is out of order", c.Name, n.Latin)
				}
				native := []rune(n.Native)[0]
				if (c.Script == "Latin") != unicode.Is(unicode.Latin, native) || c.Script != "Latin" && !unicode.Is(unicode.Scripts[c.Script], native) {
					t.Errorf("%s: %s is not written in %s", c.Name, n.Native, c.Script)
				}
			}
			if math.Abs(sum-1) > 1e-9 {
				t.Errorf("%s: the shares of the %s sum to %v", c.Name, what, sum)
			}
		}
	}
	if len(scripts) < 5 {
		t.Errorf("scripts: %v", scripts)
	}
}

// What everybody knows of these countries is what the data say.
func TestKnownFacts(t *testing.T) {
	for code, want := range map[string]struct{ surname, initial string }{
		"US": {"smith", "j"}, "GB": {"smith", "j"}, "SE": {"johansson", ""}, "FI": {"korhonen", ""}, "HU": {"nagy", ""}, "FR": {"martin", ""},
		"IT": {"rossi", ""}, "RU": {"smirnov", "a"}, "IL": {"cohen", "a"}, "KR": {"kim", ""}, "CN": {"wang", ""},
	} {
		c, err := Find(strings.ToLower(code))
		if err != nil || c.Surnames[0].Latin != want.surname {
			t.Errorf("%s: %v, the most frequent surname is %s", code, err, c.Surnames[0].Latin)
		}
		if by := initials(c.Given); want.initial != "" && by[want.initial[0]] < 0.1 {
			t.Errorf("%s: %.3f of given names begin with %s", code, by[want.initial[0]], want.initial)
		}
	}
	kr, _ := Find("KR")
	if s := kr.Surnames[0].Share; s < 0.2 || s > 0.24 {
		t.Errorf("of all Koreans, %.3f are Kim", s)
	}
	if _, err := Find("XX"); !errs.Is(err, errs.NotFound) {
		t.Errorf("a country that is not there: %v", err)
	}
}

func initials(list []Name) map[byte]float64 {
	by := map[byte]float64{}
	for _, n := range list {
		by[n.Latin[0]] += n.Share
	}
	return by
}

func take(t *testing.T, seed uint64, n int, mix Mix) []User {
	t.Helper()
	users, err := Users(seed, n, mix)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Collect(users)
}

func TestUsersAreTheSameEverywhere(t *testing.T) {
	got := fmt.Sprint(take(t, 1, 8, Mix{}))
	want := `[{noakhatib IL} {silvano_giordano IT} {bradley.mark GB} {barbieri58 IT} {lpanov RU} {jamie60 NZ} {ishoshn IL} {ormlmd IL}]`
	if got != want {
		t.Errorf("seed 1 gives\n%s, must give\n%s", got, want)
	}
	a, b := take(t, 7, 1000, Mix{}), take(t, 7, 500, Mix{})
	if !slices.Equal(a[:500], b) {
		t.Error("fewer users are not the first of more")
	}
	if slices.Equal(a, take(t, 8, 1000, Mix{})) {
		t.Error("another seed gives the same users")
	}
}

func TestNobodyHasAnothersName(t *testing.T) {
	seen := map[string]bool{}
	for _, u := range take(t, 3, 200_000, Mix{Shares: []Share{{Country: "KR", Weight: 1}}, Habits: []Habit{{"G", 1}}}) {
		if seen[u.Name] {
			t.Fatalf("%s stands twice", u.Name)
		}
		seen[u.Name] = true
	}
}

// The letters with which user names begin follow the weights of the names that
// they begin with, and the mix follows its own.
func TestSharesAreKept(t *testing.T) {
	kr, _ := Find("KR")
	n := 40_000
	by, countries := map[byte]float64{}, map[string]float64{}
	for _, u := range take(t, 5, n, Mix{Shares: []Share{{Country: "KR", Weight: 3}, {Country: "US", Weight: 1}}, Habits: SurnameFirst()}) {
		countries[u.Country] += 1 / float64(n)
		if u.Country == "KR" {
			by[u.Name[0]] += 1 / float64(n) / 0.75
		}
	}
	if math.Abs(countries["KR"]-0.75) > 0.01 {
		t.Errorf("of three to one, %.3f are the three", countries["KR"])
	}
	for letter, want := range initials(kr.Surnames) {
		if math.Abs(by[letter]-want) > 4*math.Sqrt(want/float64(n)*4/3)+0.001 {
			t.Errorf("%.4f begin with %c, must be %.4f", by[letter], letter, want)
		}
	}
}

func TestOwnScript(t *testing.T) {
	for _, u := range take(t, 2, 2000, Mix{Shares: []Share{{Country: "IL", Weight: 1, Native: true}, {Country: "CN", Weight: 1, Native: true}, {Country: "RU", Weight: 1, Native: true}}}) {
		r := []rune(u.Name)[0]
		if !unicode.In(r, unicode.Hebrew, unicode.Han, unicode.Cyrillic) || strings.ContainsAny(u.Name, " '") {
			t.Fatalf("%+v", u)
		}
	}
}

func TestNonsenseIsRefused(t *testing.T) {
	for _, m := range []Mix{
		{Shares: []Share{{Country: "XX", Weight: 1}}}, {Shares: []Share{{Country: "US"}}}, {Shares: []Share{{Country: "US", Weight: math.NaN()}}},
		{Shares: []Share{{Country: "US", Weight: math.Inf(1)}}}, {Habits: []Habit{{"#", 1}}}, {Habits: []Habit{{"G", -1}}},
	} {
		if _, err := Users(1, 1, m); !errs.Is(err, errs.Invalid) {
			t.Errorf("%+v: %v", m, err)
		}
	}
	if _, err := Usernames(1, -1, Mix{}); !errs.Is(err, errs.Invalid) {
		t.Errorf("-1 users: %v", err)
	}
}

// The data are shipped in every binary.
func TestDataAreSmall(t *testing.T) {
	total := int64(0)
	err := fs.WalkDir(files, ".", func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			total += info.Size()
		}
		return err
	})
	if err != nil || total > 400<<10 {
		t.Errorf("%d bytes of names, %v", total, err)
	}
}

func ExampleUsernames() {
	korea := Mix{Shares: []Share{{Country: "KR", Weight: 1}}, Habits: []Habit{{"S.G", 1}}}
	list, err := Usernames(1, 3, korea)
	if err != nil {
		panic(err)
	}
	for name := range list {
		fmt.Println(name)
	}
	// Output:
	// kim.donghyeon
	// park.jaehyeon
	// cho.seongmin
}

func BenchmarkUsers(b *testing.B) {
	users, err := Users(1, b.N, Mix{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for range users {
	}
}
