package lab

import (
	"context"
	"fmt"
	"slices"
)

// Median returns the middle value, or the mean of the two middle ones; 0 of
// nothing. The argument is left as it is.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(values))
	mid := len(s) / 2
	if len(s)%2 == 1 {
		return s[mid]
	}
	return (s[mid-1] + s[mid]) / 2
}

// SideBySide runs the designs in rounds and returns the median of each one's
// metrics. The order turns with every round, so that none always runs first on
// a cold cache or last on a hot processor.
func SideBySide(ctx context.Context, rounds int, runs ...func(context.Context) (map[string]float64, error)) ([]map[string]float64, error) {
	all := make([]map[string][]float64, len(runs))
	for i := range all {
		all[i] = map[string][]float64{}
	}
	for round := range rounds {
		for k := range runs {
			i := (k + round/2) % len(runs)
			if round%2 == 1 { // and the other way round, so that neighbours change too
				i = (len(runs) - 1 - k + round/2) % len(runs)
			}
			got, err := runs[i](ctx)
			if err != nil {
				return nil, fmt.Errorf("round %d, design %d: %w", round+1, i+1, err)
			}
			for name, v := range got {
				all[i][name] = append(all[i][name], v)
			}
		}
	}
	out := make([]map[string]float64, len(runs))
	for i, metrics := range all {
		out[i] = map[string]float64{}
		for name, values := range metrics {
			out[i][name] = Median(values)
		}
	}
	return out, nil
}

// FirstToBreak returns the smallest n in from..to for which breaks is true, to
// within one part in 100: by doubling, then by bisection, since large n are slow
// to try. breaks must stay true once it is. ok is false when even to does not
// break; from (at least 1) is returned when all do.
func FirstToBreak(from, to int, breaks func(n int) bool) (n int, ok bool) {
	if from = max(1, from); breaks(from) {
		return from, true
	}
	high := from
	for {
		if high == to {
			return to, false
		}
		from, high = high, min(2*high, to)
		if breaks(high) {
			break
		}
	}
	for high-from > 1 && high-from > high/100 {
		if mid := from + (high-from)/2; breaks(mid) {
			high = mid
		} else {
			from = mid
		}
	}
	return high, true
}
