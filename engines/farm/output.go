package farm

import (
	"errors"
	"fmt"
	"io"

	"plumb/base/units"
)

// outError is an error of Out's own.
type outError struct{ error }

// take hands an output to Out. A result that comes instead of the output's end is
// returned: the work failed in the middle of it.
func (r *run) take(name string) (*result, error) {
	if r.files++; r.files > maxFiles {
		return nil, r.tooMuch("wrote more than %d outputs", maxFiles)
	}
	if name == "" || len(name) > maxName || plain(name) != name {
		return nil, fmt.Errorf("%w: an output called %q", errFrame, plain(name))
	}
	o := &output{r: r}
	out := r.task.Out
	if out == nil {
		out = func(_ string, in io.Reader) error { _, err := io.Copy(io.Discard, in); return err }
	}
	err := out(name, o)
	if err == nil && o.err == nil {
		_, _ = io.Copy(io.Discard, o) // o keeps the error
	}
	switch {
	case o.result != nil:
		return o.result, nil
	case o.err != nil && !errors.Is(o.err, io.EOF):
		return nil, o.err
	case err != nil:
		return nil, outError{err}
	}
	return nil, nil
}

func (r *run) tooMuch(format string, args ...any) error {
	err := r.over(format, args...)
	r.stop(err)
	return err
}

// output reads one output's frames.
type output struct {
	r      *run
	rest   []byte
	err    error   // io.EOF when it is whole
	result *result // what came instead of its end
}

func (o *output) Read(p []byte) (int, error) {
	for len(o.rest) == 0 && o.err == nil {
		o.next()
	}
	if len(o.rest) > 0 {
		n := copy(p, o.rest)
		o.rest = o.rest[n:]
		return n, nil
	}
	return 0, o.err
}

func (o *output) next() {
	kind, payload, err := o.r.read()
	switch {
	case err != nil:
		o.err = noEOF(err)
	case kind == frameData:
		o.rest = payload
		most := o.r.pool.o.Limits.Output
		if o.r.out += int64(len(payload)); o.r.out > most {
			o.rest, o.err = nil, o.r.tooMuch("wrote more than %s", units.Bytes(float64(most)))
		}
	case kind == frameClose && len(payload) == 0:
		o.err = io.EOF
	case kind == frameResult:
		res, err := parseResult(payload)
		if err == nil && !res.Failed {
			err = fmt.Errorf("%w: a result before its output's end", errFrame)
		}
		if o.err = err; err == nil {
			o.result, o.err = &res, res.err()
		}
	default:
		o.err = fmt.Errorf("%w: a frame %q in an output", errFrame, kind)
	}
}

// noEOF keeps a child's end from looking like an output's.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
