package forecast

import "math"

// Samples are worked on in blocks that stay in the cache. The size is part of
// what a seed means: changing it changes the draws.
const blockSize = 1024

// exec runs code on one block. w.reg holds the inputs; every operation is a loop
// over columns.
func (r *run) exec(w *worker, month int, code []instruction) {
	for i := range code {
		in := &code[i]
		dst := w.reg[in.dst]
		a, b := w.reg[in.a][:len(dst)], w.reg[in.b][:len(dst)]
		switch in.op {
		case opAdd:
			for s := range dst {
				dst[s] = a[s] + b[s]
			}
		case opSub:
			for s := range dst {
				dst[s] = a[s] - b[s]
			}
		case opMul:
			for s := range dst {
				dst[s] = a[s] * b[s]
			}
		case opDiv:
			for s := range dst {
				dst[s] = a[s] / b[s]
			}
		case opMin:
			for s := range dst {
				dst[s] = min(a[s], b[s])
			}
		case opMax:
			for s := range dst {
				dst[s] = max(a[s], b[s])
			}
		case opMove:
			copy(dst, a)
		case opWhen:
			c := w.reg[in.c][:len(dst)]
			for s := range dst {
				if a[s] != 0 {
					dst[s] = b[s]
				} else {
					dst[s] = c[s]
				}
			}
		case opPrev:
			if month > 0 {
				a = r.kept[in.slot][w.lo : w.lo+w.n]
			}
			copy(dst, a)
		case opSum:
			sum := r.sums[in.slot][w.lo : w.lo+w.n]
			for s := range dst {
				sum[s] += a[s]
				dst[s] = sum[s]
			}
		case opWindow:
			r.window(w, in, month, dst, a, b)
		case opPow:
			for s := range dst {
				dst[s] = math.Pow(a[s], b[s])
			}
		case opLess, opLessEqual, opEqual, opNotEqual:
			compare(in.op, dst, a, b)
		default:
			apply(in.op, dst, a)
		}
	}
}

func compare(op opcode, dst, a, b []float64) {
	for s := range dst {
		yes := false
		switch op {
		case opLess:
			yes = a[s] < b[s]
		case opLessEqual:
			yes = a[s] <= b[s]
		case opEqual:
			yes = a[s] == b[s]
		case opNotEqual:
			yes = a[s] != b[s]
		}
		dst[s] = 0
		if yes {
			dst[s] = 1
		}
	}
}

// apply runs the functions of one argument.
func apply(op opcode, dst, a []float64) {
	switch op {
	case opCeil:
		for s := range dst {
			// A quotient that is whole but for rounding must not cost a machine more.
			dst[s] = math.Ceil(a[s] * (1 - 1e-12))
		}
	case opFloor:
		for s := range dst {
			dst[s] = math.Floor(a[s] * (1 + 1e-12))
		}
	case opRound:
		for s := range dst {
			dst[s] = math.Round(a[s])
		}
	case opSqrt:
		for s := range dst {
			dst[s] = math.Sqrt(a[s])
		}
	case opExp:
		for s := range dst {
			dst[s] = math.Exp(a[s])
		}
	case opLog:
		for s := range dst {
			dst[s] = math.Log(a[s])
		}
	}
}

// window adds a over the last b months. It keeps the running sum S of every
// month, so the answer is S(t) - S(t-n) however long the window is; a length
// between two whole months takes its part of the oldest one.
func (r *run) window(w *worker, in *instruction, month int, dst, a, b []float64) {
	history := r.windows[in.slot]
	now := history[month][w.lo : w.lo+w.n]
	for s := range dst {
		now[s] = a[s]
		if month > 0 {
			now[s] += history[month-1][w.lo+s]
		}
		out := now[s]
		if x := float64(month) - max(b[s], 0); x > -1 {
			f := math.Floor(x)
			older, newer := 0.0, history[int(f)+min(1, month-int(f))][w.lo+s]
			if f >= 0 {
				older = history[int(f)][w.lo+s]
			}
			out -= older + (x-f)*(newer-older)
		}
		dst[s] = out
	}
}
