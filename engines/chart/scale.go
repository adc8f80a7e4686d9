package chart

import (
	"math"
	"strings"
	"time"

	"plumb/base/units"
)

// least is the smallest magnitude that an axis shows; smaller ones count as zero.
const least = 1e-90

// finite says whether v can be drawn. Values beyond 1e100 would overflow in the
// arithmetic of ticks, and no quantity here comes near them.
func finite(v float64) bool { return !math.IsNaN(v) && math.Abs(v) <= 1e100 }

// Label writes v with its unit, as beside a bar: "1.5 GiB", "3 min 14 s",
// "94.6%", "178,688 reports". Units "bytes" and "s" are written in their own
// steps; "share" is a fraction of one, written in percent. NaN is "–".
func Label(v float64, unit string) string {
	switch {
	case math.IsNaN(v):
		return "–"
	case math.IsInf(v, 0):
		return units.Short(v)
	case unit == "bytes" || unit == "B":
		return units.Bytes(v)
	case (unit == "s" || unit == "seconds") && math.Abs(v) < 1e9:
		if v == 0 {
			return "0 s"
		}
		return units.Duration(time.Duration(v * float64(time.Second)))
	case unit == "share":
		return number(v*100) + "%"
	case unit == "%":
		return number(v) + "%"
	case unit == "":
		return number(v)
	}
	return number(v) + " " + unit
}

// number keeps whole numbers below ten million whole (178,688, not 179k): a
// claim that something is lost or kept reads better exactly.
func number(v float64) string {
	if v == 0 {
		return "0" // never -0
	}
	if v == math.Trunc(v) && math.Abs(v) < 1e7 {
		return units.Count(int64(v))
	}
	return units.Short(v)
}

// step is how an axis writes its numbers: divided, with a suffix.
type step struct {
	by     float64
	suffix string
}

// stepFor picks the step in which a value of size top reads best.
func stepFor(unit string, top float64) step {
	pick := func(steps []step) step {
		s := steps[0]
		for _, t := range steps {
			if top >= t.by {
				s = t
			}
		}
		return s
	}
	switch unit {
	case "bytes", "B":
		return pick([]step{{1, " B"}, {1 << 10, " KiB"}, {1 << 20, " MiB"}, {1 << 30, " GiB"}, {1 << 40, " TiB"}, {1 << 50, " PiB"}, {1 << 60, " EiB"}})
	case "s", "seconds":
		return pick([]step{{1e-6, " µs"}, {1e-3, " ms"}, {1, " s"}, {60, " min"}, {3600, " h"}, {86400, " d"}})
	case "share":
		return step{0.01, "%"}
	case "%":
		return step{1, "%"}
	}
	return step{1, ""}
}

// axis maps values to shares of the drawing, 0 at its start and 1 at its end.
type axis struct {
	lo, hi float64
	log    bool
	at     []float64 // where ticks stand, in values
	names  []string  // what they say
}

// newAxis covers lo..hi with about want ticks. A linear axis with fromZero
// begins at zero; a log axis leaves out what isn't positive.
func newAxis(lo, hi float64, unit string, log, fromZero bool, want int) axis {
	// Numbers near the end of what a float64 holds leave no room for ticks.
	if !finite(lo) || !finite(hi) || lo > hi || math.Max(math.Abs(lo), math.Abs(hi)) < least {
		lo, hi = 0, 1
	}
	if log && hi >= least {
		return logAxis(lo, hi, unit, want)
	}
	if fromZero {
		lo, hi = math.Min(lo, 0), math.Max(hi, 0)
	}
	// A flat or nearly flat series still needs a range to stand in.
	if width := math.Max(math.Abs(lo), math.Abs(hi)); hi-lo <= width*1e-9 {
		lo, hi = lo-width*0.1, hi+width*0.1
	}
	st := stepFor(unit, math.Max(math.Abs(lo), math.Abs(hi)))
	a := axis{lo: lo, hi: hi}
	for _, t := range ticks(lo/st.by, hi/st.by, want) {
		a.at = append(a.at, t*st.by)
		a.names = append(a.names, tickName(t, st.suffix))
	}
	if n := len(a.at); n > 0 {
		a.lo, a.hi = math.Min(lo, a.at[0]), math.Max(hi, a.at[n-1])
	}
	return a
}

// tickName writes a round number without the zeros that say nothing: "2.5k".
func tickName(v float64, suffix string) string {
	s := units.Short(v)
	if dot := strings.IndexByte(s, '.'); dot >= 0 && !strings.ContainsRune(s, 'e') {
		end := len(s)
		for end > 0 && (s[end-1] < '0' || s[end-1] > '9') {
			end--
		}
		s = strings.TrimRight(strings.TrimRight(s[:end], "0"), ".") + s[end:]
	}
	if v == 0 && suffix != "%" {
		return "0"
	}
	return s + suffix
}

// logAxis ticks whole decades, and 2 and 5 between them where there are few.
func logAxis(lo, hi float64, unit string, want int) axis {
	if lo < least {
		lo = hi / 1000
	}
	from, to := int(math.Floor(math.Log10(lo)+1e-9)), int(math.Ceil(math.Log10(hi)-1e-9))
	if to <= from {
		to = from + 1
	}
	a := axis{lo: math.Pow10(from), hi: math.Pow10(to), log: true}
	every := max(1, (to-from+want-1)/want)
	for d := from; d <= to; d++ {
		if (d-from)%every != 0 {
			continue
		}
		for _, m := range []float64{1, 2, 5} {
			v := m * math.Pow10(d)
			if m > 1 && (to-from > 2 || d == to) {
				break
			}
			st := stepFor(unit, v)
			a.at = append(a.at, v)
			a.names = append(a.names, tickName(v/st.by, st.suffix))
		}
	}
	return a
}

// place returns where v stands on the axis, from 0 to 1; ok is false for what
// can't be drawn there.
func (a axis) place(v float64) (share float64, ok bool) {
	if !finite(v) || a.log && v <= 0 {
		return 0, false
	}
	lo, hi := a.lo, a.hi
	if a.log {
		lo, hi, v = math.Log10(lo), math.Log10(hi), math.Log10(v)
	}
	if hi <= lo {
		return 0, true
	}
	return math.Min(1, math.Max(0, (v-lo)/(hi-lo))), true
}

// ticks chooses about want round numbers that cover lo..hi, by the search of
// Talbot, Lin and Hanrahan, "An Extension of Wilkinson's Algorithm for
// Positioning Tick Labels on Axes" (InfoVis 2010), without its legibility term.
func ticks(lo, hi float64, want int) []float64 {
	q := [...]float64{1, 5, 2, 2.5, 4, 3}
	const wSimple, wCover, wDense, wLegible = 0.25, 0.2, 0.5, 0.05
	span, m := hi-lo, float64(want)
	best, from, by, count := -2.0, 0.0, 0.0, 0
	for j := 1.0; j <= 8; j++ {
		for i := range q {
			simple := 1 - float64(i)/float64(len(q)-1) - j
			if wSimple*(simple+1)+wCover+wDense+wLegible < best {
				continue
			}
			for k := 2.0; k <= 3*m; k++ {
				dense := 1.0
				if k >= m {
					dense = 2 - (k-1)/(m-1)
				}
				if wSimple*(simple+1)+wCover+wDense*dense+wLegible < best {
					break
				}
				z := math.Ceil(math.Log10(span / (k + 1) / j / q[i]))
				for ; ; z++ {
					size := j * q[i] * math.Pow(10, z)
					over := math.Max(0, size*(k-1)-span) / 2
					cover := 1 - over*over/(0.01*span*span)
					if wSimple*(simple+1)+wCover*cover+wDense*dense+wLegible < best || !finite(size) {
						break
					}
					first, last := math.Floor(hi/size)*j-(k-1)*j, math.Ceil(lo/size)*j
					for s := first; s <= last && s < first+200; s++ {
						a := s * (size / j)
						b := a + size*(k-1)
						zero := 0.0
						if r := math.Mod(math.Abs(a), size); (r < size*1e-9 || size-r < size*1e-9) && a <= 0 && b >= 0 {
							zero = 1
						}
						c := 1 - 0.5*((hi-b)*(hi-b)+(lo-a)*(lo-a))/(0.01*span*span)
						have, wish := (k-1)/(b-a), (m-1)/(math.Max(b, hi)-math.Min(a, lo))
						d := 2 - math.Max(have/wish, wish/have)
						if score := wSimple*(simple+zero) + wCover*c + wDense*d + wLegible; score > best {
							best, from, by, count = score, a, size, int(k)
						}
					}
				}
			}
		}
	}
	out := make([]float64, 0, count)
	for i := range count {
		v := from + float64(i)*by
		if math.Abs(v) < by*1e-9 {
			v = 0 // rounding must not make "-1.3e-17"
		}
		out = append(out, v)
	}
	return out
}

// clean makes a label fit to be written: scrubbed, at most maxLabel characters.
func clean(s string) string { return cut(strings.TrimSpace(scrub(s)), maxLabel) }

// scrub leaves valid UTF-8 on one line, without control or non-XML characters.
func scrub(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r' || r == 0x2028 || r == 0x2029:
			return ' '
		case r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0xfffe || r == 0xffff:
			return -1
		case r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069: // direction overrides could reorder the page
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// cut shortens s to n characters, the last of them an ellipsis.
func cut(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return strings.TrimSpace(string(r[:n-1])) + "…"
}
