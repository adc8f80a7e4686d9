package plan

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"plumb/base/errs"
	"plumb/base/units"
	"plumb/engines/cas/squeeze"
	"plumb/engines/forecast/survey"
	"plumb/engines/picture"
)

// Bounds of a calibration. Of more contents than these a random part is measured (see
// survey.Thin).
const (
	mostKnown   = 1 << 19 // contents known by their hashes, some 100 bytes each
	mostResized = 300     // photos made smaller: each takes as long as an upload
)

// Sample is what was measured on a folder of photos.
type Sample struct {
	Folder  string
	At      time.Time
	Photos  int64 // that could be read to their end, equal ones too
	Bytes   int64
	Formats [formats]Spread // bytes of a photo, by format
	Sizes   Spread          // of all of them
	Pixels  Spread          // of those whose size could be told

	SameBytes   float64 // share of bytes in photos equal to another one, which stays
	Compression float64 // share that the store's compression saves of what is left

	Thumbnails  Spread // bytes of a photo's smaller pictures, all sizes together
	ThumbnailOf Spread // processor seconds to make them

	Months []Month // with dated photos in them, in order
	Dated  int64

	Videos Spread // bytes of a video
	Files  int64  // that are neither photos nor videos: not measured
	Walk   survey.Walk
}

// Month counts the photos taken in a month.
type Month struct {
	Year   int
	Month  time.Month
	Photos int64
}

// Spread is a mean with its uncertainty.
type Spread struct {
	N           int64
	sum, square float64
}

func (s *Spread) add(v float64) { s.N, s.sum, s.square = s.N+1, s.sum+v, s.square+v*v }

// Mean returns the mean; 0 of nothing.
func (s Spread) Mean() float64 { return s.sum / max(float64(s.N), 1) }

// Error returns the mean's standard error; 0 of fewer than two.
func (s Spread) Error() float64 {
	if s.N < 2 {
		return 0
	}
	n := float64(s.N)
	return math.Sqrt(max(0, s.square/n-s.Mean()*s.Mean()) / (n - 1))
}

// Measure walks a folder of photos, reads every one, and finds out their formats, sizes
// and pixels, how many are equal, what the store's compression saves, when they were
// taken, and, of a random part, how large their smaller pictures are and what it costs
// to make them. It follows no links, changes nothing and stores nothing. What cannot be
// read, or is no whole photo, is skipped, counted and named. Memory is bounded, whatever
// the folder has: some 50 MB, and what decoding one picture takes. tell, which may be
// nil, is called with what is done so far, ten times a second at most. Errors: Invalid
// for a folder that cannot be opened or has no photo in it; ctx's.
func Measure(ctx context.Context, folder string, at time.Time, tell func(Sample)) (Sample, error) {
	m := &measuring{
		ctx: ctx, tell: tell, s: Sample{Folder: folder, At: at, Walk: survey.Walk{Flag: "--calibrate"}}, months: map[[2]int]int64{},
		known: survey.NewThin[content](mostKnown), resized: survey.NewThin[smaller](mostResized),
	}
	if err := m.s.Walk.Folder(ctx, folder, m.file); err != nil {
		return Sample{}, err
	}
	s := m.result()
	if s.Photos == 0 {
		return s, errs.New(errs.Invalid, "--calibrate %s: there is no photo to measure (%d other files, %d videos, %d could not be read)", folder, s.Files, s.Videos.N, s.Walk.Skipped)
	}
	return s, nil
}

// measuring is a measurement under way.
type measuring struct {
	ctx     context.Context
	tell    func(Sample)
	told    time.Time
	s       Sample
	known   *survey.Thin[content]
	resized *survey.Thin[smaller]
	months  map[[2]int]int64
	buffer  []byte
	packed  []byte
}

// content is what is known of a file's bytes.
type content struct {
	size, times, stored int64
}

// smaller is what making a photo smaller gave.
type smaller struct {
	done   bool
	failed bool // HEIC and RAW cannot be
	bytes  int64
	cpu    time.Duration
}

func (m *measuring) file(f *os.File, path string) error {
	head := make([]byte, headSize)
	n, err := io.ReadFull(f, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return err
	}
	head = head[:n]
	st, err := f.Stat()
	if err != nil {
		return err
	}
	what := tellFormat(head, path)
	switch what {
	case other:
		m.s.Files++
		return nil
	case video:
		m.s.Videos.add(float64(st.Size()))
		return nil
	}
	var info picture.Info
	if what != raw && what != loose {
		if info, err = picture.Probe(f, st.Size()); err != nil {
			return err
		}
	}
	if err := m.content(f, st.Size(), head, what); err != nil {
		return err
	}
	m.count(what, st.Size(), info)
	return nil
}

// content reads a photo to its end: its hash, what the store would keep of it, and, if
// it is one of those chosen, its smaller pictures.
func (m *measuring) content(f *os.File, size int64, head []byte, what format) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if m.buffer == nil {
		m.buffer = make([]byte, 256<<10) // pieces, as the store compresses them
	}
	whole, read, stored := sha256.New(), int64(0), int64(0)
	for {
		if err := m.ctx.Err(); err != nil {
			return err
		}
		n, err := io.ReadFull(f, m.buffer)
		piece := m.buffer[:n]
		whole.Write(piece)
		read += int64(n)
		var ok bool
		if m.packed, ok = squeeze.Pack(m.packed[:0], piece, head); ok {
			stored += int64(len(m.packed))
		} else {
			stored += int64(n)
		}
		m.progress(read)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if read != size {
		return errs.New(errs.Invalid, "it changed while it was read")
	}
	hash := [sha256.Size]byte(whole.Sum(nil))
	if c := m.known.At(hash); c != nil {
		c.size, c.stored, c.times = read, stored, c.times+1
	}
	if r := m.resized.At(hash); r != nil && !r.done {
		*r = resize(f, size, what)
	}
	return nil
}

// resize makes the room's sizes of a photo.
func resize(f *os.File, size int64, what format) smaller {
	if what == raw || what == loose {
		return smaller{done: true, failed: true}
	}
	out, before := smaller{done: true}, cpuTime()
	_, err := picture.Resize(f, size, sizes, picture.DefaultLimits, func(_ picture.Size, p picture.Resized) error {
		out.bytes += int64(len(p.Bytes))
		return nil
	})
	out.cpu, out.failed = cpuTime()-before, err != nil
	return out
}

func (m *measuring) count(what format, size int64, info picture.Info) {
	m.s.Photos++
	m.s.Bytes += size
	m.s.Formats[what].add(float64(size))
	m.s.Sizes.add(float64(size))
	if info.Width > 0 {
		m.s.Pixels.add(float64(info.Width) * float64(info.Height))
	}
	// A clock that was never set says 1970 or 2000; what lies ahead is no date.
	if t := info.Taken; !t.IsZero() && t.Year() >= 1990 && !t.After(m.s.At.AddDate(0, 0, 2)) {
		m.s.Dated++
		m.months[[2]int{t.Year(), int(t.Month())}]++
	}
	m.progress(0)
}

// progress tells what is done, with the bytes of the file at hand.
func (m *measuring) progress(more int64) {
	if m.tell == nil || time.Since(m.told) < 100*time.Millisecond || m.ctx.Err() != nil {
		return
	}
	m.told = time.Now()
	s := m.s
	s.Bytes += more
	m.tell(s)
}

// String tells the sample in a few lines.
func (s Sample) String() string {
	out := fmt.Sprintf("%s photos, %s", units.Count(s.Photos), units.Bytes(float64(s.Bytes)))
	for f, spread := range s.Formats {
		if spread.N > 0 {
			out += fmt.Sprintf("\n  %s %s of %s on average", units.Count(spread.N), format(f), units.Bytes(spread.Mean()))
		}
	}
	out += fmt.Sprintf("\n%.1f megapixels on average; %.1f%% of the bytes in equal photos; %.1f%% of the rest saved by the store's compression", s.Pixels.Mean()/1e6, 100*s.SameBytes, 100*s.Compression)
	if s.Thumbnails.N > 0 {
		out += fmt.Sprintf("\nsmaller pictures (%s) of %s photos: %s and %.3f core seconds each", sizesInWords(), units.Count(s.Thumbnails.N), units.Bytes(s.Thumbnails.Mean()), s.ThumbnailOf.Mean())
	}
	if n := len(s.Months); n > 0 {
		first, last := s.Months[0], s.Months[n-1]
		out += fmt.Sprintf("\n%s with a date, in %d months from %s %d to %s %d", units.Count(s.Dated), n, first.Month, first.Year, last.Month, last.Year)
	}
	if s.Videos.N > 0 {
		out += fmt.Sprintf("\n%s videos of %s on average", units.Count(s.Videos.N), units.Bytes(s.Videos.Mean()))
	}
	if s.Files > 0 {
		out += fmt.Sprintf("\n%s files are neither photos nor videos", units.Count(s.Files))
	}
	return out + s.Walk.String()
}
