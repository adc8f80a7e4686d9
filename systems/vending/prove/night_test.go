package prove

import (
	"testing"
	"time"
)

func TestX(t *testing.T) {
	for _, c := range []float64{200, 500, 1000, 2000} {
		for _, d := range []design{midnight, bounded, window} {
			w := world{machines: 188888, capacity: c, spread: 2 * time.Second, abandoned: 1, horizon: time.Hour, seed: 1}
			s := time.Now()
			o := w.run(d, nil)
			t.Logf("%v %s: %+v  [%v]", c, d.name, o, time.Since(s))
		}
		w := world{machines: 188888, capacity: c, spread: 2 * time.Second, abandoned: 1, horizon: time.Hour, seed: 1}
		d := window
		d.window = 0
		s := time.Now()
		o := w.run(d, nil)
		t.Logf("%v RECOVERY: %+v  ratio %.3f [%v]", c, o, o.done.Seconds()/(188888/c), time.Since(s))
		w.refusal = .6
		o = w.run(d, nil)
		t.Logf("%v RECOVERY refusal .6: %+v  ratio %.3f [%v]", c, o, o.done.Seconds()/(188888/c), time.Since(s))
	}
}
