package farm

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
)

// testWorks is what the test's children can do, most of it badly.
func testWorks() map[string]Work {
	return map[string]Work{
		"empty": func(context.Context, json.RawMessage, *io.SectionReader, func(string) io.WriteCloser) error {
			return nil
		},
		"copy": copyWork,
	}
}

type outFunc = func(string) io.WriteCloser

func copyWork(_ context.Context, params json.RawMessage, in *io.SectionReader, out outFunc) error {
	w := out("copy")
	if _, err := io.Copy(w, in); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(in, 0, in.Size())); err != nil { // once more: it can seek
		return err
	}
	if err := put(out, "sum", fmt.Sprintf("%x", h.Sum(nil))); err != nil {
		return err
	}
	return put(out, "params", string(params))
}

func put(out outFunc, name, text string) error {
	w := out(name)
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	return w.Close()
}
