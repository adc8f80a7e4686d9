package forecast

import (
	"hash/fnv"
	"math"
	"math/rand/v2"

	"plumb/base/errs"
)

// group is a set of inputs whose draws belong together: one alone, or all
// that are correlated with each other.
type group struct {
	inputs []int
	// factor is the lower triangle of the Cholesky factor of the correlation
	// matrix of the underlying normals; nil for an input alone.
	factor [][]float64
}

// readCorrelations puts the correlated inputs into groups (one for the unknown,
// one for the variable ones) and factors their correlations.
//
// The draws are joined by a Gaussian copula (Iman & Conover's aim by Nelsen's
// means): a rank correlation rho is the correlation 2 sin(pi rho / 6) of the
// normals beneath.
func (p *Program) readCorrelations() error {
	var members [2][]int
	place := map[int]int{}
	add := func(i int) {
		kind := p.model.Inputs[i].Kind
		if _, ok := place[i]; !ok {
			place[i] = len(members[kind])
			members[kind] = append(members[kind], i)
		}
	}
	for _, c := range p.model.Correlations {
		a, b := p.model.input(c.A), p.model.input(c.B)
		where := "correlation of " + c.A + " and " + c.B
		switch {
		case a < 0 || b < 0 || a == b:
			return fault(where, "needs two inputs of the model")
		case !(c.Rho > -1 && c.Rho < 1):
			return fault(where, "must be between -1 and 1, not %g", c.Rho)
		case p.model.Inputs[a].Kind != p.model.Inputs[b].Kind || p.model.Inputs[a].Autocorrelation != p.model.Inputs[b].Autocorrelation:
			return fault(where, "both must be unknown, or variable with the same autocorrelation")
		}
		add(a)
		add(b)
	}
	for kind := range members {
		if len(members[kind]) == 0 {
			continue
		}
		f, err := p.factorise(members[kind], place)
		if err != nil {
			return err
		}
		p.groups = append(p.groups, group{members[kind], f})
	}
	for i := range p.model.Inputs {
		if _, ok := place[i]; !ok {
			p.groups = append(p.groups, group{inputs: []int{i}})
		}
	}
	return nil
}

// factorise builds the members' correlation matrix and returns its Cholesky
// factor.
func (p *Program) factorise(members []int, place map[int]int) ([][]float64, error) {
	n := len(members)
	m := make([][]float64, n)
	for i := range m {
		m[i] = make([]float64, n)
		m[i][i] = 1
	}
	for _, c := range p.model.Correlations {
		a, b := p.model.input(c.A), p.model.input(c.B)
		if p.model.Inputs[a].Kind == p.model.Inputs[members[0]].Kind {
			r := 2 * math.Sin(math.Pi*c.Rho/6)
			m[place[a]][place[b]], m[place[b]][place[a]] = r, r
		}
	}
	for i := range n {
		for j := range i + 1 {
			sum := m[i][j]
			for k := range j {
				sum -= m[i][k] * m[j][k]
			}
			switch {
			case i != j:
				m[i][j] = sum / m[j][j]
			case sum < 1e-9:
				return nil, errs.New(errs.Invalid, "the correlations around %s contradict each other", p.model.Inputs[members[i]].Name)
			default:
				m[i][i] = math.Sqrt(sum)
			}
		}
	}
	return m, nil
}

// seeds gives each input, block and month its own stream. Streams depend on
// nothing else, so neither the order of work nor other inputs change a draw.
func seeds(seed uint64, input string, block, month int) (uint64, uint64) {
	h := fnv.New64a()
	h.Write([]byte(input))
	a := mix(seed ^ mix(h.Sum64()))
	b := mix(a ^ uint64(block)<<16 ^ uint64(month))
	return a ^ mix(b), b
}

// mix is the finaliser of SplitMix64 (Steele, Lea & Flood, 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// draw fills the registers of a group's inputs for one block and month.
func (r *run) draw(w *worker, g *group, block, month int) {
	if len(g.inputs) == 1 && r.ranges[g.inputs[0]].Certain() {
		fill(w.reg[g.inputs[0]], r.ranges[g.inputs[0]].InMonth(month))
		return
	}
	for k, i := range g.inputs {
		in := &r.p.model.Inputs[i]
		w.pcg.Seed(seeds(r.seed, in.Name, block, month))
		if len(g.inputs) == 1 && r.fromUniform(i) {
			fillUniform(w.rand, &r.ranges[i], w.reg[i])
			continue
		}
		z := w.latent[k][:w.n]
		for s := range z {
			z[s] = w.rand.NormFloat64()
		}
	}
	// Rows from the last up: each needs only the ones above it.
	for k := len(g.factor) - 1; k >= 0; k-- {
		row, z := g.factor[k], w.latent[k][:w.n]
		for s := range z {
			sum := 0.0
			for j := range k + 1 {
				sum += row[j] * w.latent[j][s]
			}
			z[s] = sum
		}
	}
	for k, i := range g.inputs {
		if len(g.inputs) > 1 || !r.fromUniform(i) {
			r.shapeDraws(i, w.latent[k][:w.n], w.reg[i], w.lo, month)
		}
		r.clamp(i, w.reg[i])
	}
}

// fromUniform says whether an input can be drawn without a normal beneath:
// faster, but neither correlated nor autocorrelated.
func (r *run) fromUniform(i int) bool {
	s := r.ranges[i].shape
	return s != lognormal && s != normal && r.p.model.Inputs[i].Autocorrelation == 0
}

func fillUniform(rnd *rand.Rand, rg *Range, dst []float64) {
	for s := range dst {
		dst[s] = rg.at(rnd.Float64())
	}
}

// shapeDraws turns standard normals into draws of input i's range. For an
// autocorrelated input they are the innovations of an AR(1) process whose
// state r.state keeps from month to month.
func (r *run) shapeDraws(i int, z, dst []float64, lo, month int) {
	rg := &r.ranges[i]
	if rho := r.p.model.Inputs[i].Autocorrelation; rho != 0 {
		state, keep := r.state[i][lo:lo+len(z)], math.Sqrt(1-rho*rho)
		for s := range z {
			if month > 0 {
				z[s] = rho*state[s] + keep*z[s]
			}
			state[s] = z[s]
		}
	}
	switch rg.shape {
	case lognormal:
		a, b := rg.a, rg.b
		for s, v := range z {
			dst[s] = math.Exp(a + b*v)
		}
	case normal:
		a, b := rg.a, rg.b
		for s, v := range z {
			dst[s] = a + b*v
		}
	case fixed, months, cycle:
		fill(dst, rg.InMonth(month))
	default:
		for s, v := range z {
			dst[s] = rg.at(math.Erfc(-v/math.Sqrt2) / 2)
		}
	}
}

// clamp sets draws beyond the input's bounds to the bound. Only the shapes with
// tails can leave bounds between which their ends were found to lie.
func (r *run) clamp(i int, dst []float64) {
	low, high, ok := r.p.model.Inputs[i].bounds()
	tails := r.ranges[i].shape == normal || r.ranges[i].shape == lognormal && (low > 0 || high < inf)
	if !ok || !tails {
		return
	}
	for s, v := range dst {
		dst[s] = min(max(v, low), high)
	}
}

func fill(dst []float64, v float64) {
	for s := range dst {
		dst[s] = v
	}
}
