package clock

import (
	"testing"
	"time"
)

func TestManualWakesOnlyTheDue(t *testing.T) {
	c := NewManual(time.Unix(0, 0))
	one, two := c.After(time.Second), c.After(2*time.Second)
	c.Advance(1500 * time.Millisecond)
	select {
	case <-one:
	default:
		t.Error("the first sleeper still sleeps")
	}
	select {
	case <-two:
		t.Error("the second sleeper woke early")
	default:
	}
	c.Set(time.Unix(2, 0))
	if got := <-two; !got.Equal(time.Unix(2, 0)) {
		t.Error(got)
	}
	if got := <-c.After(0); !got.Equal(c.Now()) {
		t.Error(got)
	}
}
