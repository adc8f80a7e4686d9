package jpeg

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestTransforms: blocks of 8, 4, 2 and 1 samples a side against the definition, in
// floating point.
func TestTransforms(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 3000 {
		n := 8 >> (round % 4)
		slots, most := slotsOf(uint(round % 4))
		last := r.IntN(most + 1)
		var b block
		b[0] = int32(r.IntN(1200) - 600)
		for k := 1; k <= last; k++ {
			if slots[k] != spare && r.IntN(3) == 0 {
				b[slots[k]] = int32(r.NormFloat64() * 60)
			}
		}
		coefs := b
		dst := make([]byte, n*n)
		idct(n, &b, last, dst, n)
		for y := range n {
			for x := range n {
				sum := 128.0
				for v := range n {
					for u := range n {
						// Orthonormal: a coefficient of 8 points stands for n/8 of it in n.
						basis := func(k, i int) float64 {
							c := math.Sqrt(2 / float64(n))
							if k == 0 {
								c = math.Sqrt(1 / float64(n))
							}
							return c * math.Cos(float64(2*i+1)*float64(k)*math.Pi/float64(2*n))
						}
						sum += float64(coefs[v*n+u]) * float64(n) / 8 * basis(u, x) * basis(v, y)
					}
				}
				want := min(max(sum, 0), 255)
				if got := float64(dst[y*n+x]); math.Abs(got-want) > 0.6 {
					t.Fatalf("%d points, up to coefficient %d: sample %d,%d is %.0f, want %.2f", n, last, x, y, got, want)
				}
			}
		}
	}
}
