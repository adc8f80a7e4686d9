package sqldb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"plumb/base/errs"
)

func TestClassify(t *testing.T) {
	pg := func(code string) error { return &pgconn.PgError{Code: code} }
	for name, c := range map[string]struct {
		err  error
		kind errs.Kind
		is   error // nil: itself
	}{
		"full":            {pg("53100"), errs.Busy, ErrFull},
		"shut down":       {pg("57P01"), errs.Busy, ErrAway},
		"starting":        {pg("57P03"), errs.Busy, ErrAway},
		"too many":        {pg("53300"), errs.Busy, ErrAway},
		"broken":          {pg("08006"), errs.Busy, ErrAway},
		"odd code":        {pg(""), errs.Internal, nil},
		"cut":             {driverError{io.ErrUnexpectedEOF}, errs.Busy, ErrAway},
		"a fn's own EOF":  {io.ErrUnexpectedEOF, errs.Internal, nil},
		"serialization":   {pg("40001"), errs.Busy, nil},
		"deadlock":        {pg("40P01"), errs.Busy, nil},
		"uncertain":       {fmt.Errorf("%w: %w", ErrUncertain, io.EOF), errs.Busy, ErrUncertain},
		"no time":         {fmt.Errorf("%w: %w", errTimeout, context.DeadlineExceeded), errs.Busy, ErrAway},
		"the caller left": {context.Canceled, errs.Internal, nil},
		"caller's time":   {fmt.Errorf("x: %w", context.DeadlineExceeded), errs.Internal, nil},
		"unique":          {pg("23505"), errs.Internal, nil},
		"a room's":        {errs.New(errs.Denied, "no"), errs.Denied, nil},
		"a room's on top": {errs.Wrap(errs.Invalid, pg("53100"), "no"), errs.Invalid, nil},
		"other":           {errors.New("x"), errs.Internal, nil},
	} {
		got := classify(fmt.Errorf("wrapped: %w", c.err))
		want := c.is
		if want == nil {
			want = c.err
		}
		if errs.KindOf(got) != c.kind || !errors.Is(got, want) || !errors.Is(got, c.err) {
			t.Errorf("%s: %s, %v", name, errs.KindOf(got), got)
		}
		if c.kind == errs.Busy && errs.RetryAfter(got) == 0 {
			t.Errorf("%s: does not say when to come again", name)
		}
	}
	if classify(nil) != nil || IsFull(nil) || IsUnique(nil) || IsAway(nil) {
		t.Error("nil is an error")
	}
	if !IsUnique(fmt.Errorf("x: %w", pg("23505"))) {
		t.Error("23505 is unique")
	}
}
