// Package painted makes photos by code: landscapes, each another, with what cameras write
// beside their pixels. The demonstration shows them, and tests send them.
//
//	jpg := painted.JPEG(painted.Landscape(7, 1600, 1067), painted.Facts{Taken: noon, Make: "Canon", Model: "EOS R5", Placed: true, Lat: 38.71, Lon: -9.14})
package painted

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"math/rand/v2"
)

// Landscape paints a sky with a sun, ridges one behind the other, and water or meadow in
// front, always the same for a seed. It costs some 30 ns a pixel.
func Landscape(seed uint64, width, height int) image.Image {
	r := rand.New(rand.NewPCG(seed, 5))
	hue := r.Float64()
	dusk := r.Float64()
	sunX, sunY, sun := r.Float64(), 0.12+0.25*r.Float64(), 0.03+0.03*r.Float64()
	ridges := make([]ridge, 3+r.IntN(3))
	for i := range ridges {
		far := 1 - float64(i)/float64(len(ridges))
		ridges[i] = ridge{base: 0.72 - 0.3*far, high: 0.05 + 0.1*r.Float64(), far: far}
		for j := range ridges[i].waves {
			ridges[i].waves[j] = wave{r.Float64() * 2 * math.Pi, (1 + r.Float64()) * math.Pow(2.1, float64(j)) * 2, math.Pow(0.5, float64(j))}
		}
	}
	shore := 0.78 + 0.1*r.Float64()
	water := r.IntN(2) == 0
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	tops := make([]float64, len(ridges))
	for x := range width {
		fx := float64(x) / float64(width)
		for i, rg := range ridges {
			tops[i] = rg.top(fx)
		}
		for y := range height {
			fy := float64(y) / float64(height)
			l := fy
			if water && fy > shore { // what is above is seen in it, darker and in ripples
				l = shore - (fy-shore)*1.6 + 0.006*math.Sin(fx*40+fy*900)
			}
			c := sky(hue, dusk, l, math.Hypot(fx-sunX, (l-sunY)*float64(height)/float64(width)), sun)
			for i, top := range tops {
				if l > top {
					c = land(hue, dusk, ridges[i].far, l-top)
				}
			}
			switch {
			case fy <= shore:
			case water:
				c = c.mix(rgb{0.05, 0.12, 0.2}, 0.35)
			default:
				c = land(hue, dusk, 0, (fy-shore)*2)
			}
			grain := (rand0(seed, x, y) - 0.5) * 0.03
			img.SetRGBA(x, y, color.RGBA{c.r.to8(grain), c.g.to8(grain), c.b.to8(grain), 255})
		}
	}
	return img
}

type ridge struct {
	base, high, far float64
	waves           [6]wave
}

type wave struct{ phase, pace, size float64 }

// top is how far down the ridge begins.
func (r ridge) top(x float64) float64 {
	v := 0.0
	for _, w := range r.waves {
		v += w.size * math.Sin(w.phase+w.pace*x*3)
	}
	return r.base - r.high*v*0.6
}

type part float64

func (p part) to8(add float64) uint8 { return uint8(255 * min(max(float64(p)+add, 0), 1)) }

type rgb struct{ r, g, b part }

func (c rgb) mix(o rgb, share float64) rgb {
	s := part(share)
	return rgb{c.r + (o.r-c.r)*s, c.g + (o.g-c.g)*s, c.b + (o.b-c.b)*s}
}

// sky goes from deep above to pale below, warm near the sun.
func sky(hue, dusk, y, away, sun float64) rgb {
	high := rgb{0.12, 0.3, 0.62}.mix(rgb{0.2, 0.12, 0.4}, dusk)
	low := rgb{0.75, 0.87, 0.97}.mix(rgb{0.99, 0.62, 0.38}, dusk*0.8+0.2*hue)
	down := min(max(y, 0)/0.7, 1)
	c := high.mix(low, down*(1.3-0.3*down))
	if far := away * away / (sun * 1.2); far < 6 {
		c = c.mix(rgb{1, 0.9, 0.65}, 0.7*math.Exp(-far))
	}
	if away < sun {
		c = rgb{1, 0.97, 0.86}
	}
	return c
}

// land is bluish far away, and green, ochre or grey near.
func land(hue, dusk, far, down float64) rgb {
	near := rgb{0.12, 0.25, 0.13}.mix(rgb{0.4, 0.29, 0.14}, hue)
	c := near.mix(rgb{0.55, 0.65, 0.78}, 0.75*far).mix(rgb{0.3, 0.15, 0.25}, 0.35*dusk)
	return c.mix(rgb{0.02, 0.04, 0.05}, min(max(down*1.2, 0), 0.5))
}

// rand0 is a number from 0 to 1 for a pixel (the finalizer of MurmurHash3).
func rand0(seed uint64, x, y int) float64 {
	h := seed*0x9e3779b97f4a7c15 ^ uint64(x)<<32 ^ uint64(y)
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return float64((h^h>>33)>>11) / (1 << 53)
}

// JPEG writes an image as cameras do.
func JPEG(img image.Image, f Facts) []byte {
	var b bytes.Buffer
	jpeg.Encode(&b, img, &jpeg.Options{Quality: 85}) // into memory: it cannot fail
	return WithFacts(b.Bytes(), f)
}
