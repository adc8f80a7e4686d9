package prove

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/jpeg"
	"slices"
	"syscall"
	"time"

	"golang.org/x/image/draw"

	"plumb/engines/lab"
	"plumb/engines/picture"
	"plumb/systems/photos"
	"plumb/systems/photos/internal/painted"
)

// Upload measures what a photo that comes costs: the smaller pictures that pages show.
func Upload() lab.Experiment {
	return lab.Experiment{
		System: "photos", Name: "upload", Title: "what a photo's smaller pictures cost",
		Question: "Each photo that comes is shown in three smaller sizes. How much processor time does that take, and how many bytes?",
		Metrics: []lab.Metric{
			{Name: "thumbnail_cpu_s", Unit: "s", Text: "processor time for all sizes of a photo", Better: "less"},
			{Name: "per_cpu_s", Unit: "photos/s", Text: "photos per processor second", Better: "more"},
			{Name: "size_kb", Unit: "kB", Text: "bytes of the sizes together"},
			{Name: "megapixels", Unit: "MP", Text: "of the photo"},
		},
		Claims: []lab.Claim{
			{ID: "needed", Text: "decoding no more than the largest size needs takes two thirds of the time of decoding all, at most", Design: "built", Metric: "thumbnail_cpu_s", Op: "<", Than: &lab.Than{Design: "textbook", Metric: "thumbnail_cpu_s", Times: 0.67}},
			{ID: "once", Text: "and decoding once less than decoding for each size", Design: "textbook", Metric: "thumbnail_cpu_s", Op: "<", Than: &lab.Than{Design: "naive", Metric: "thumbnail_cpu_s", Times: 0.8}},
		},
		Picture: []string{"thumbnail_cpu_s"},
		Run: func(ctx context.Context, b *lab.Bench) error {
			if b.Full {
				return resizing{4000, 3000, 9}.run(ctx, b)
			}
			return resizing{3000, 2250, 3}.run(ctx, b)
		},
	}
}

// resizing is the size of the experiment.
type resizing struct{ width, height, runs int }

func (r resizing) run(ctx context.Context, b *lab.Bench) error {
	b.Note("A painted landscape of %d x %d pixels, in sizes of %s pixels on the longer side; the middle of %d runs, the processor time of the whole process. "+
		"The first two use Go's own decoder and golang.org/x/image/draw (ApproxBiLinear), in full size.", r.width, r.height, edges(), r.runs)
	b.Progress(0, "painting")
	photo := painted.JPEG(painted.Landscape(b.Seed, r.width, r.height), painted.Facts{Taken: time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)})
	for i, d := range []struct {
		name, text string
		kind       lab.Kind
		make       func([]byte) (int, error)
	}{
		{"decoded for each size", "The photo is decoded for each size.", lab.Naive, forEach},
		{"decoded once", "The photo is decoded in full, once for all sizes.", lab.Textbook, decodedOnce},
		{"decoded as far as needed", "Decoded once, at the fraction that the largest size needs (engines/picture): what serve runs, there in a child process.", lab.Built, asServed},
	} {
		b.Progress(0.1+0.3*float64(i), "%s", d.name)
		row := b.Design(d.name, d.kind).Describe(d.text)
		cpu, size, err := r.measure(ctx, photo, d.make)
		if err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
		row.Set("thumbnail_cpu_s", cpu).Set("per_cpu_s", 1/cpu).Set("size_kb", float64(size)/1000).Set("megapixels", float64(r.width*r.height)/1e6)
	}
	return nil
}

func edges() string {
	text := ""
	for i, s := range photos.Sizes {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprint(s.Edge)
	}
	return text
}

// measure returns the middle of what each run takes.
func (r resizing) measure(ctx context.Context, photo []byte, make func([]byte) (int, error)) (cpu float64, size int, err error) {
	var all []float64
	for range r.runs {
		if err := ctx.Err(); err != nil {
			return 0, 0, err
		}
		before, err := ownCPU()
		if err != nil {
			return 0, 0, err
		}
		if size, err = make(photo); err != nil {
			return 0, 0, err
		}
		after, err := ownCPU()
		if err != nil {
			return 0, 0, err
		}
		all = append(all, (after - before).Seconds())
	}
	slices.Sort(all)
	return all[len(all)/2], size, nil
}

// ownCPU is the processor time of this process.
func ownCPU() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, fmt.Errorf("read the processor time: %w", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}

func forEach(photo []byte) (total int, err error) {
	for _, s := range photos.Sizes {
		img, err := jpeg.Decode(bytes.NewReader(photo))
		if err != nil {
			return 0, err
		}
		n, err := reduce(img, s.Edge)
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

func decodedOnce(photo []byte) (total int, err error) {
	img, err := jpeg.Decode(bytes.NewReader(photo))
	if err != nil {
		return 0, err
	}
	for _, s := range photos.Sizes {
		n, err := reduce(img, s.Edge)
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// reduce makes one size, and returns its bytes.
func reduce(img image.Image, edge int) (int, error) {
	w, h := img.Bounds().Dx(), img.Bounds().Dy()
	long := max(w, h)
	small := image.NewRGBA(image.Rect(0, 0, w*edge/long, h*edge/long))
	draw.ApproxBiLinear.Scale(small, small.Bounds(), img, img.Bounds(), draw.Src, nil)
	var out bytes.Buffer
	err := jpeg.Encode(&out, small, &jpeg.Options{Quality: 82})
	return out.Len(), err
}

func asServed(photo []byte) (total int, err error) {
	var sizes []picture.Size
	for _, s := range photos.Sizes {
		sizes = append(sizes, picture.Size{Name: s.Name, Edge: s.Edge})
	}
	_, err = picture.Resize(bytes.NewReader(photo), int64(len(photo)), sizes, picture.Limits{}, func(_ picture.Size, p picture.Resized) error {
		total += len(p.Bytes)
		return nil
	})
	return total, err
}
