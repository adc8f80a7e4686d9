// Package units writes quantities as a person reads them, and reads them back.
//
//	units.Bytes(1536)             // "1.5 KiB"
//	units.Count(188888)           // "188,888"
//	units.Short(1.89e6)           // "1.89M"
//	units.Duration(194*time.Second) // "3 min 14 s"
//	v, unit, err := units.Parse("2.5 GB") // 2.5e9, "bytes"
package units

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Bytes writes n in binary steps with one decimal: "1.5 KiB".
func Bytes(n float64) string {
	steps := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	i := 0
	for math.Abs(n) >= 1024 && i < len(steps)-1 {
		n /= 1024
		i++
	}
	if i == 0 {
		return fmt.Sprintf("%.0f B", n)
	}
	return fmt.Sprintf("%.1f %s", n, steps[i])
}

// Count writes a whole number with thousands separated: "188,888".
func Count(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// Short writes v with about three significant digits and a step letter.
func Short(v float64) string {
	if math.IsNaN(v) {
		return "–"
	}
	if math.IsInf(v, 0) {
		return strings.Replace(fmt.Sprint(v), "+Inf", "∞", 1)
	}
	a := math.Abs(v)
	for _, s := range []struct {
		at  float64
		let string
	}{{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e4, "k"}} {
		if a >= s.at {
			div := s.at
			if s.let == "k" {
				div = 1e3
			}
			return digits(v/div) + s.let
		}
	}
	return digits(v)
}

// digits writes v with three significant digits, integers whole.
func digits(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1e6 {
		return Count(int64(v))
	}
	a := math.Abs(v)
	switch {
	case a >= 1000:
		return Count(int64(math.Round(v)))
	case a >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case a >= 1:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// Duration writes d in its two largest steps: "3 min 14 s", "1.2 ms".
func Duration(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + Duration(-d)
	case d < time.Millisecond:
		return fmt.Sprintf("%.3g µs", float64(d)/1e3)
	case d < time.Second:
		return fmt.Sprintf("%.3g ms", float64(d)/1e6)
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// scale maps a suffix to its factor and the unit it stands for.
var scale = map[string]struct {
	factor float64
	unit   string
}{
	"": {1, ""}, "k": {1e3, ""}, "K": {1e3, ""}, "M": {1e6, ""}, "G": {1e9, ""}, "T": {1e12, ""},
	"B": {1, "bytes"}, "kB": {1e3, "bytes"}, "KB": {1e3, "bytes"}, "MB": {1e6, "bytes"}, "GB": {1e9, "bytes"}, "TB": {1e12, "bytes"}, "PB": {1e15, "bytes"},
	"KiB": {1 << 10, "bytes"}, "MiB": {1 << 20, "bytes"}, "GiB": {1 << 30, "bytes"}, "TiB": {1 << 40, "bytes"}, "PiB": {1 << 50, "bytes"},
	"%": {0.01, ""},
}

// Parse reads a number with an optional step or unit: "5k", "2.5 GB", "188,888",
// "3%". The unit is "" or "bytes"; any other suffix is an error that names it.
func Parse(s string) (value float64, unit string, err error) {
	t := strings.TrimSpace(s)
	end := len(t)
	for i, r := range t {
		if r >= '0' && r <= '9' || strings.ContainsRune("+-.,_", r) || (r == 'e' || r == 'E') && i+1 < len(t) && strings.ContainsRune("+-0123456789", rune(t[i+1])) {
			continue
		}
		end = i
		break
	}
	num := strings.NewReplacer(",", "", "_", "").Replace(t[:end])
	value, err = strconv.ParseFloat(num, 64)
	if err != nil || math.IsInf(value, 0) || math.IsNaN(value) {
		return 0, "", fmt.Errorf("%q is not a number", s)
	}
	suffix := strings.TrimSpace(t[end:])
	sc, ok := scale[suffix]
	if !ok {
		return 0, "", fmt.Errorf("%q: unknown unit %q", s, suffix)
	}
	return value * sc.factor, sc.unit, nil
}
