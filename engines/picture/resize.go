package picture

import (
	"cmp"
	"io"
	"slices"

	"plumb/base/errs"
)

// maxSizes is how many sizes may be asked for at once.
const maxSizes = 16

// Resize makes smaller pictures of one, decoding it once, and hands each to out,
// from the largest to the smallest. A picture is never made larger. Results are upright,
// hold nothing but pixels and a colour profile (the original's, where it is not sRGB),
// and are JPEG files with colours at half the resolution, or PNG files where
// pixels are transparent. Of an animation it takes the first frame.
//
// Files that cannot be read are errs.Invalid, those over limits errs.TooLarge. An error
// of out ends it and is returned.
func Resize(r io.ReaderAt, size int64, sizes []Size, limits Limits, out func(Size, Resized) error) (Info, error) {
	limits = limits.orDefault()
	if err := checkSizes(sizes); err != nil {
		return Info{}, err
	}
	w := newWindow(r, size)
	f, err := walk(w)
	if err != nil {
		return Info{}, err
	}
	if err := f.within(limits); err != nil {
		return Info{}, err
	}
	info, err := f.info(w)
	if err != nil {
		return info, err
	}
	targets := make([]*target, len(sizes))
	memory := limits.MaxMemory
	for i, s := range sizes {
		t := &target{size: s}
		t.w, t.h = fit(f.width, f.height, s.Edge)
		o := info.Orientation
		t.flip = [2]bool{o == 2 || o == 3 || o == 7 || o == 8, o == 3 || o == 4 || o == 6 || o == 7}
		targets[i] = t
		memory -= 4 * int64(t.w) * int64(t.h)
	}
	if memory < 0 {
		return info, errs.New(errs.TooLarge, "the sizes of a picture with %d x %d pixels take more than %d MB", f.width, f.height, limits.MaxMemory>>20)
	}
	slices.SortStableFunc(targets, func(a, b *target) int { return cmp.Compare(b.w*b.h, a.w*a.h) })
	f.memory = memory
	src, err := f.open(w, targets[0].w, targets[0].h, memory)
	if err != nil {
		return info, err
	}
	icc, err := f.profile(w, src.model)
	if err != nil {
		return info, err
	}
	if err := src.scale(targets); err != nil {
		return info, err
	}
	blur := ""
	for _, t := range slices.Backward(targets) {
		t.turn(src.model, info.Orientation)
		if blur == "" {
			blur = t.blur(src.model)
		}
	}
	for _, t := range targets {
		done, err := t.encode(src.model, icc)
		if err != nil {
			return info, err
		}
		done.Blur = blur
		if err := out(t.size, done); err != nil {
			return info, err
		}
	}
	return info, nil
}

func checkSizes(sizes []Size) error {
	if len(sizes) == 0 || len(sizes) > maxSizes {
		return errs.New(errs.Invalid, "a picture is made in 1 to %d sizes at once, not %d", maxSizes, len(sizes))
	}
	for _, s := range sizes {
		if s.Edge < 1 || s.Quality < 0 || s.Quality > 100 {
			return errs.New(errs.Invalid, "size %s has edge %d and quality %d", s.Name, s.Edge, s.Quality)
		}
	}
	return nil
}

// fit is w by h, made smaller so that neither is more than edge.
func fit(w, h, edge int) (int, int) {
	long := max(w, h)
	if long <= edge {
		return w, h
	}
	scaled := func(n int) int { return max(1, int((int64(n)*int64(edge)+int64(long)/2)/int64(long))) }
	return scaled(w), scaled(h)
}

// target is a result in the making.
type target struct {
	size   Size
	w, h   int
	flip   [2]bool // it will be mirrored when it is turned: across, down
	planes []plane
}

// shift is by how many pixels samples that stand for px pixels each begin before the
// result's edge: they will begin at the other one, once it is mirrored.
func (t *target) shift(px float64) (x, y float64) {
	if t.flip[0] && px == 2 {
		x = float64(t.w & 1)
	}
	if t.flip[1] && px == 2 {
		y = float64(t.h & 1)
	}
	return x, y
}

type plane struct {
	w, h int
	pix  []uint8
}

// scale makes the targets' planes, largest first. A target that is much smaller than
// another is made of that one.
func (s *source) scale(targets []*target) error {
	scalers := make([][]*scaler, len(targets))
	first := make([][]*scaler, len(s.planes)) // that take the source's rows
	for i, t := range targets {
		parent := -1
		for j, o := range targets[:i] {
			if o.w >= 2*t.w && o.h >= 2*t.h {
				parent = j // the smallest that will do
			}
		}
		for p, from := range s.planes {
			pw, ph, px := t.w, t.h, 1.0 // px is how many pixels of the result a sample has
			if s.model.half(p) {
				pw, ph, px = (t.w+1)/2, (t.h+1)/2, 2
			}
			shiftX, shiftY := t.shift(px)
			if parent < 0 {
				// How many of the source's samples a pixel of the result has.
				x, y := float64(s.w)/float64(t.w)/from.StepX, float64(s.h)/float64(t.h)/from.StepY
				sc := newScaler(from.Width, from.Height, pw, ph, axis{px * x, -shiftX * x}, axis{px * y, -shiftY * y})
				first[p] = append(first[p], sc)
				scalers[i] = append(scalers[i], sc)
				continue
			}
			big, o := scalers[parent][p], targets[parent]
			x, y := float64(o.w)/float64(t.w), float64(o.h)/float64(t.h)
			bigX, bigY := o.shift(px)
			sc := newScaler(big.w, big.h, pw, ph, axis{x, (bigX - shiftX*x) / px}, axis{y, (bigY - shiftY*y) / px})
			big.then = append(big.then, sc)
			scalers[i] = append(scalers[i], sc)
		}
	}
	err := s.run(func(p int, row []byte) error {
		for _, sc := range first[p] {
			sc.push(row)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i, t := range targets {
		for _, sc := range scalers[i] {
			if sc.next != sc.h {
				return errs.New(errs.Internal, "a plane of %d rows came to %d", sc.h, sc.next)
			}
			t.planes = append(t.planes, plane{sc.w, sc.h, sc.out})
		}
	}
	return nil
}

// turn makes the result upright.
func (t *target) turn(m model, orientation int) {
	if orientation <= 1 {
		return
	}
	for i := range t.planes {
		t.planes[i] = t.planes[i].turn(orientation)
	}
	if orientation >= 5 {
		t.w, t.h = t.h, t.w
	}
}

// turn returns a plane of EXIF's orientation upright.
func (p plane) turn(orientation int) plane {
	out := plane{p.w, p.h, make([]uint8, len(p.pix))}
	if orientation >= 5 {
		out.w, out.h = p.h, p.w
	}
	// Where the first sample of a result's row lies in p, and how far the next ones.
	start, dx, dy := 0, 1, p.w
	last, foot := p.w-1, (p.h-1)*p.w
	switch orientation {
	case 2:
		start, dx, dy = last, -1, p.w
	case 3:
		start, dx, dy = last+foot, -1, -p.w
	case 4:
		start, dx, dy = foot, 1, -p.w
	case 5:
		start, dx, dy = 0, p.w, 1
	case 6:
		start, dx, dy = foot, -p.w, 1
	case 7:
		start, dx, dy = last+foot, -p.w, -1
	case 8:
		start, dx, dy = last, p.w, -1
	}
	for y := range out.h {
		row, at := out.pix[y*out.w:][:out.w], start+y*dy
		for x := range row {
			row[x] = p.pix[at]
			at += dx
		}
	}
	return out
}
