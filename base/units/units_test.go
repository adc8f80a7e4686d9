package units

import (
	"math"
	"testing"
	"time"
)

func TestWrite(t *testing.T) {
	for got, want := range map[string]string{
		Bytes(0): "0 B", Bytes(1536): "1.5 KiB", Bytes(3 << 40): "3.0 TiB",
		Count(188888): "188,888", Count(-1000): "-1,000", Count(7): "7",
		Short(1888880): "1.89M", Short(9700): "9,700", Short(2101.3): "2,101", Short(12345): "12.3k", Short(0.0123): "0.0123", Short(94.02): "94.0", Short(math.NaN()): "–",
		Duration(194 * time.Second): "3 min 14 s", Duration(1200 * time.Microsecond): "1.2 ms", Duration(26 * time.Hour): "26 h 0 min",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestParse(t *testing.T) {
	for in, want := range map[string]float64{"5k": 5000, "2.5 GB": 2.5e9, "188,888": 188888, "3%": 0.03, "1e3": 1000, " 4 KiB ": 4096, "-2": -2} {
		if got, _, err := Parse(in); err != nil || math.Abs(got-want) > 1e-9*math.Abs(want) {
			t.Errorf("%q = %v, %v; want %v", in, got, err, want)
		}
	}
	for _, bad := range []string{"", "k", "5 parsecs", "NaN", "1e999", "--1"} {
		if v, _, err := Parse(bad); err == nil {
			t.Errorf("%q = %v", bad, v)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"5k", "2.5 GB", "e", "1e", "é", "1,,2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if v, _, err := Parse(s); err == nil && (math.IsNaN(v) || math.IsInf(v, 0) && len(s) < 300) {
			t.Errorf("%q = %v", s, v)
		}
	})
}
