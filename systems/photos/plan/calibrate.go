package plan

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"plumb/base/units"
	"plumb/engines/forecast"
)

const (
	z95          = 1.6448536269514722 // standard normal, 95th percentile
	leastMonths  = 6                  // with photos, to say how many there are in one
	leastSeason  = 24                 // months from the first to the last, to say how they swing
	leastDated   = 120                // photos, for either
	mostMonths   = 60                 // newest ones that count
	leastResized = 3
)

func (m *measuring) result() Sample {
	s := m.s
	var bytes, once, stored int64
	m.known.Each(func(c *content) {
		bytes, once, stored = bytes+c.size*c.times, once+c.size, stored+c.stored
	})
	if bytes > 0 && once > 0 {
		s.SameBytes, s.Compression = 1-float64(once)/float64(bytes), 1-float64(stored)/float64(once)
	}
	m.resized.Each(func(r *smaller) {
		if r.done && !r.failed {
			s.Thumbnails.add(float64(r.bytes))
			s.ThumbnailOf.add(r.cpu.Seconds())
		}
	})
	for when, n := range m.months {
		s.Months = append(s.Months, Month{when[0], time.Month(when[1]), n})
	}
	slices.SortFunc(s.Months, func(a, b Month) int { return a.number() - b.number() })
	return s
}

// number counts months from year 0.
func (m Month) number() int { return m.Year*12 + int(m.Month) - 1 }

// Inputs returns what the sample says of the model's inputs, for WithMeasured. What it
// does not say (a format that is not there, months that are too few) is left out.
func (s Sample) Inputs() map[string]forecast.Measurement {
	out := map[string]forecast.Measurement{}
	on := fmt.Sprintf("in %s, on %s", s.Folder, s.At.UTC().Format("2 January 2006"))
	add := func(input, value string, n int64, of string) {
		out[input] = forecast.Measurement{Range: value, From: fmt.Sprintf("%s %s %s", units.Count(n), of, on)}
	}
	size := func(input string, v Spread, unit float64, name, of string) {
		if v.N > 0 && v.Mean() > 0 {
			add(input, band(v.Mean()/unit, v.Error()/unit)+" "+name, v.N, of)
		}
	}
	if s.Photos == 0 {
		return out
	}
	others := s.Formats[loose]
	others.N, others.sum, others.square = others.N+s.Formats[web].N, others.sum+s.Formats[web].sum, others.square+s.Formats[web].square
	for _, f := range []struct {
		name string
		v    Spread
	}{{"jpeg", s.Formats[jpeg]}, {"heic", s.Formats[heic]}, {"png", s.Formats[png]}, {"raw", s.Formats[raw]}, {"other", others}} {
		add("mix_"+f.name, share(f.v.N, s.Photos), s.Photos, "photos")
		size("size_"+f.name, f.v, 1e6, "MB/photo", "photos")
	}
	size("size_now", s.Sizes, 1e6, "MB/photo", "photos")
	add("duplicates", percent(s.SameBytes), s.Photos, "photos")
	add("compression", percent(s.Compression), s.Photos, "photos, by the store's own compression,")
	if s.Thumbnails.N >= leastResized {
		size("thumbnail_bytes", s.Thumbnails, 1e3, "kB/photo", "photos made smaller,")
		size("resize_cpu", s.ThumbnailOf, 1, "core*s/photo", "photos made smaller,")
	}
	size("video_size", s.Videos, 1e6, "MB/video", "videos")
	if s.Dated >= leastDated && len(s.Months) >= leastMonths {
		add("photos_per_user", s.perMonth(), s.Dated, "photos by the dates in them, as one person's months,")
		if season, ok := s.season(); ok {
			add("season", season, s.Dated, "photos by the dates in them,")
		}
	}
	return out
}

// band writes a mean as the range in which it lies nine times in ten. Sizes differ by
// orders of magnitude: the band is one of factors.
func band(mean, stderr float64) string {
	spread := math.Exp(z95 * math.Sqrt(math.Log1p(math.Pow(stderr/mean, 2))))
	low, high := fmt.Sprintf("%.4g", mean/spread), fmt.Sprintf("%.4g", mean*spread)
	if low == high {
		return fmt.Sprintf("%.4g", mean)
	}
	return low + " to " + high
}

func percent(share float64) string { return fmt.Sprintf("%.3g %%", 100*max(share, 0)) }

// share writes k of n as the range in which the share lies nine times in ten (Wilson,
// 1927). That none of a few is RAW does not mean that none will be: of none and of all
// it writes the distribution after Jeffreys' prior.
func share(k, n int64) string {
	if k == 0 || k == n {
		if n < 1000 {
			return fmt.Sprintf("beta(%g, %g, 0, 100) %%", float64(k)+0.5, float64(n-k)+0.5)
		}
		return percent(float64(k) / float64(n))
	}
	p, m := float64(k)/float64(n), float64(n)
	middle, half := p+z95*z95/(2*m), z95*math.Sqrt(p*(1-p)/m+z95*z95/(4*m*m))
	scale := 1 + z95*z95/m
	return fmt.Sprintf("%.4g to %.4g %%", 100*(middle-half)/scale, 100*(middle+half)/scale)
}

// perMonth are the counts of the newest months that have photos, each as likely.
func (s Sample) perMonth() string {
	newest := s.Months[max(0, len(s.Months)-mostMonths):]
	counts := make([]string, len(newest))
	for i, m := range newest {
		counts[i] = fmt.Sprint(m.Photos)
	}
	return "samples(" + strings.Join(counts, ", ") + ") photos/user/month"
}

// season is what each month of the year has over the mean, the month of the
// measurement first. ok is false where there are less than two years.
func (s Sample) season() (text string, ok bool) {
	first, last := s.Months[0].number(), s.Months[len(s.Months)-1].number()
	if last-first+1 < leastSeason {
		return "", false
	}
	// Whole years alone, the newest ones: a month that has been there once more would
	// count more.
	first = last + 1 - (last+1-first)/12*12
	var sums [12]float64
	total := 0.0
	for _, m := range s.Months {
		if m.number() >= first {
			sums[m.Month-1] += float64(m.Photos)
			total += float64(m.Photos)
		}
	}
	parts := make([]string, 12)
	for i := range parts {
		parts[i] = fmt.Sprintf("%.3g", 12*sums[(int(s.At.Month())-1+i)%12]/total)
	}
	return "cycle(" + strings.Join(parts, ", ") + ")", true
}
