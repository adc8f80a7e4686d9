package photos

import (
	"context"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"
)

// tile is a photo as a wall of photos shows it. What it takes on the page is known
// before its image comes.
type tile struct {
	Photo
	Page   string // its own page
	Base   string // its images are at Base/SIZE
	Public bool   // for somebody with a link
	First  bool   // in sight at once, most likely
}

// Class is its own class in the page's style sheet.
func (t tile) Class() string { return "k" + t.ID[max(0, len(t.ID)-12):] }

// Rule is its rule there: its shape, and its colours until the image is there.
func (t tile) Rule() template.CSS {
	return template.CSS(fmt.Sprintf(".%s{--r:%.3f;--c:%s}", t.Class(), t.shape(), ground(t.Blur)))
}

// shape is width over height, within what a wall of rows can show.
func (t tile) shape() float64 {
	if t.Width <= 0 || t.Height <= 0 {
		return 1
	}
	return min(max(float64(t.Width)/float64(t.Height), 0.5), 3)
}

// ground is a background from a photo's placeholder: its rows from top to bottom. What
// is no placeholder gives the wall's own colour.
func ground(blur string) string {
	if len(blur) != 72 || strings.Trim(blur, "0123456789abcdef") != "" {
		return "var(--line)"
	}
	var rows [3]string
	for y := range rows {
		var sum [3]int
		for x := range 4 {
			at := (y*4 + x) * 6
			for c := range sum {
				sum[c] += hexDigit(blur[at+2*c])<<4 | hexDigit(blur[at+2*c+1])
			}
		}
		rows[y] = fmt.Sprintf("#%02x%02x%02x", sum[0]/4, sum[1]/4, sum[2]/4)
	}
	return "linear-gradient(" + strings.Join(rows[:], ",") + ")"
}

func hexDigit(c byte) int { return strings.IndexByte("0123456789abcdef", c) }

// Hurt says whether there is nothing to see.
func (t tile) Hurt() bool { return t.State == Broken }

// Src is the image that any browser shows.
func (t tile) Src() string { return t.Base + "/" + Sizes[0].Name }

// Srcset are the sizes to choose from, each once.
func (t tile) Srcset(names ...string) string {
	var list []string
	last := int64(0)
	for _, size := range Sizes {
		if len(names) > 0 && !slices.Contains(names, size.Name) {
			continue
		}
		if w, _ := t.Fit(size); w != last {
			list = append(list, fmt.Sprintf("%s/%s %dw", t.Base, size.Name, w))
			last = w
		}
	}
	return strings.Join(list, ", ")
}

// WallSrcset are the sizes that a wall needs.
func (t tile) WallSrcset() string { return t.Srcset("small", "medium") }

// WallSizes says how wide it is on a wall: rows are about so high.
func (t tile) WallSizes() string {
	r := t.shape()
	return fmt.Sprintf("(max-width: 40rem) %.0fpx, %.0fpx", 130*r, 210*r)
}

// W and H are its pixels on a wall's image, for browsers that need them.
func (t tile) W() int64 { w, _ := t.Fit(Sizes[0]); return w }

// H is said with W.
func (t tile) H() int64 { _, h := t.Fit(Sizes[0]); return h }

// Alt says what it shows, as far as anybody said.
func (t tile) Alt() string {
	if t.Caption != "" {
		return shorten(t.Caption, 120)
	}
	text := "Photo of " + day(t.Taken)
	if !t.TakenKnown && !t.Public {
		text = "Photo " + t.Name
	} else if !t.TakenKnown {
		text = "Photo"
	}
	if t.Place != "" {
		text += ", " + t.Place
	}
	return text
}

// Label names it for who chooses it.
func (t tile) Label() string {
	if t.Caption == "" && t.Name != "" {
		return t.Name
	}
	return t.Alt()
}

// shorten cuts a text at a letter.
func shorten(s string, most int) string {
	if list := []rune(s); len(list) > most {
		return string(list[:most-1]) + "…"
	}
	return s
}

// month is the photos of a month, as far as a page has them.
type month struct {
	Key, Title string // "2025-03", "March 2025"
	Count      int64  // of all its photos; 0 where that is not known
	Tiles      []tile
}

// byMonth groups photos that come in the order of their time.
func byMonth(list []tile) (out []month) {
	for _, t := range list {
		key := t.Taken.Format("2006-01")
		if n := len(out); n == 0 || out[n-1].Key != key {
			out = append(out, month{Key: key, Title: t.Taken.Format("January 2006")})
		}
		m := &out[len(out)-1]
		m.Tiles = append(m.Tiles, t)
	}
	return out
}

// tiles are photos of the reader's, with the query of the list that they stand in.
func tiles(list []Photo, query string) []tile {
	out := make([]tile, len(list))
	for i, p := range list {
		out[i] = tile{Photo: p, Page: "/photos/" + p.ID + query, Base: "/api/v1/photos/" + p.ID, First: i < 12}
	}
	return out
}

// mark is a month of the rail beside the photos.
type mark struct {
	Key, Title string
	Count      int64
	Path       string
}

// railYear is a year with its months.
type railYear struct {
	Year   int
	Months []mark
}

// rail lists the months that have photos.
func rail(list []Month) (out []railYear) {
	for _, m := range list {
		if n := len(out); n == 0 || out[n-1].Year != m.Year {
			out = append(out, railYear{Year: m.Year})
		}
		y := &out[len(out)-1]
		y.Months = append(y.Months, mark{Key: fmt.Sprintf("%04d-%02d", m.Year, m.Month), Title: m.Month.String()[:3], Count: m.Count, Path: monthPath(m)})
	}
	return out
}

func monthPath(m Month) string {
	return "/photos/?cursor=" + template.URLQueryEscaper(m.First)
}

// later is the month after the one at key, in a list that begins with the latest.
func later(list []Month, key string) (Month, bool) {
	for i, m := range list {
		if fmt.Sprintf("%04d-%02d", m.Year, m.Month) == key && i > 0 {
			return list[i-1], true
		}
	}
	return Month{}, false
}

// adder is the form that photos are added by.
type adder struct {
	CSRF  template.HTML
	Album string // they are put into it; "" for none
}

// choice is what can be done with chosen photos.
type choice struct {
	Albums []Album
	In     string // the album that they are chosen in
}

// albumChoice are albums to put photos into, the newest.
func (s *System) albumChoice(ctx context.Context, p Person) ([]Album, error) {
	list, _, err := s.Albums(ctx, p, "", "", 100)
	return list, err
}

// dateOf reads a day of a form. Errors: none; what is no day is none.
func dateOf(text string) time.Time {
	t, err := time.Parse("2006-01-02", text)
	if err != nil {
		return time.Time{}
	}
	return t
}
