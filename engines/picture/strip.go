package picture

import (
	"io"

	"plumb/base/errs"
)

// Strip writes the same picture without what it tells about places.
func Strip(w io.Writer, r io.ReaderAt, size int64, keep Keep) error {
	return errs.New(errs.Invalid, "cannot be stripped")
}
