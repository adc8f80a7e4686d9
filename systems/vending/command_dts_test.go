package vending

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"plumb/systems/vending/internal/dts"
)

// A dash stands for standard input, of which no more is read than a file may have.
func TestDTSFromStandardInput(t *testing.T) {
	run := func(in io.Reader) (string, error) {
		cmd := dtsCommand()
		var out bytes.Buffer
		cmd.SetIn(in)
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		cmd.SetArgs([]string{"-"})
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		err := cmd.Execute()
		return out.String(), err
	}
	if out, err := run(strings.NewReader(audit("S-17", "", map[string]int64{"1": 5}))); err != nil || !strings.Contains(out, "-: ok") || !strings.Contains(out, "S-17") {
		t.Errorf("%v %s", err, out)
	}
	endless := &counting{}
	if out, err := run(endless); err == nil || !strings.Contains(out, "may have 1048576 bytes") || endless.n > 2*dts.MaxBytes {
		t.Errorf("%v %s, %d bytes were read", err, out, endless.n)
	}
}

// counting is an input without end.
type counting struct{ n int }

func (c *counting) Read(b []byte) (int, error) {
	c.n += len(b)
	return len(b), nil
}
