package forecast

import (
	"strings"
	"testing"
)

func unitOf(t *testing.T, text string) Unit {
	t.Helper()
	u, err := ParseUnit(text, []string{"tap"})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestUnitsConvertExactly(t *testing.T) {
	for _, c := range []struct {
		from, to string
		want     float64
	}{
		{"requests/day", "requests/month", 30.4375},
		{"GB", "bytes", 1e9}, {"GiB", "MiB", 1024}, {"Mbit/s", "kB/s", 125},
		{"USD/GB/month", "USD/TB/month", 1000}, {"%", "", 0.01}, {"h", "min", 60},
		{"USD per machine per year", "USD/machine/month", 1.0 / 12}, {"taps", "tap", 1}, {"core*ms/request", "core*s/requests", 0.001},
		{"W", "kWh/day", 0.024}, {"kW", "W", 1000}, {"m²", "m*m", 1}, {"USD/m2/month", "USD/m²/month", 1}, {"USD/kW/month", "USD*s/Wh/month", 3.6},
	} {
		from, to := unitOf(t, c.from), unitOf(t, c.to)
		if !from.Same(to) || factor(from, to) != c.want {
			t.Errorf("%s to %s: same %v, factor %v, want %v", c.from, c.to, from.Same(to), factor(from, to), c.want)
		}
	}
	if unitOf(t, "USD").Same(unitOf(t, "EUR")) || unitOf(t, "bytes").Same(unitOf(t, "bytes/s")) {
		t.Error("different things are taken for the same")
	}
}

func TestUnknownUnitsAreNamed(t *testing.T) {
	for _, text := range []string{"parsecs", "USD/", "USD//month", "taps*", "/", "gb"} {
		if u, err := ParseUnit(text, nil); err == nil {
			t.Errorf("%q was read as %s", text, u)
		}
	}
	_, err := ParseUnit("USD/parsec", nil)
	if err == nil || !strings.Contains(err.Error(), `"parsec"`) {
		t.Error(err)
	}
}

func TestDerivedUnitsAreReadable(t *testing.T) {
	u := derived(unitOf(t, "USD/machine/month"), unitOf(t, "machines"), 1)
	if u.String() != "USD/s" {
		t.Error(u)
	}
	if u := derived(unitOf(t, "taps"), unitOf(t, "taps"), -1); u.String() != "a plain number" {
		t.Error(u)
	}
	if u := derived(plain(), unitOf(t, "s"), -1); u.String() != "1/s" {
		t.Error(u)
	}
}
