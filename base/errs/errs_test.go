package errs

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestKindSurvivesWrapping(t *testing.T) {
	err := fmt.Errorf("enrol m-1: %w", New(Conflict, "machine %s is enrolled", "m-1"))
	if KindOf(err) != Conflict || Message(err) != "machine m-1 is enrolled" {
		t.Errorf("got %s, %q", KindOf(err), Message(err))
	}
	if KindOf(errors.New("disk")) != Internal || Message(errors.New("disk")) != "" {
		t.Error("an unclassified error must be Internal and silent")
	}
}

func TestWrapHidesTheCause(t *testing.T) {
	cause := errors.New("secret path")
	err := Wrap(Busy, cause, "the store is full")
	if Message(err) != "the store is full" || !errors.Is(err, cause) {
		t.Errorf("got %q", Message(err))
	}
}

func TestQuotedInputIsValidUTF8(t *testing.T) {
	if got := Message(New(Invalid, "bad name %s", "a\xff")); got != "bad name a\uFFFD" {
		t.Errorf("got %q", got)
	}
}

func TestRetryAfterAndDetails(t *testing.T) {
	if got := RetryAfter(fmt.Errorf("x: %w", TryAfter(3*time.Second, "busy"))); got != 3*time.Second {
		t.Error(got)
	}
	d := Details(WithDetails("two faults", []Detail{{"a", "b"}, {"c", "d"}}))
	if len(d) != 2 || d[1].Where != "c" {
		t.Error(d)
	}
}
