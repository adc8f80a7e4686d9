package console

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
)

// TestPlansTakeTurns: however many ask, one plan is computed at a time.
func TestPlansTakeTurns(t *testing.T) {
	var inside, most, done atomic.Int64
	h := NewPlan(nil).inTurn(func(http.ResponseWriter, *http.Request) error {
		most.Store(max(most.Load(), inside.Add(1)))
		done.Add(1)
		inside.Add(-1)
		return nil
	})
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if err := h(httptest.NewRecorder(), httptest.NewRequest("GET", "/vending/plan", nil)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if most.Load() != 1 || done.Load() != 50 {
		t.Errorf("%d at once, %d in all; want 1 and 50", most.Load(), done.Load())
	}
}
