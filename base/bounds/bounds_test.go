package bounds

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"plumb/base/errs"
)

func TestEveryFaultIsNamed(t *testing.T) {
	var c Check
	c.Text("id", "", 1, 5)
	c.Text("name", "a\x00b", 1, 5)
	c.Text("utf", "\xff", 1, 5)
	c.Text("long", "abcdef", 0, 5)
	c.Int("n", -1, 0, 9)
	c.Float("f", math.NaN(), 0, 1)
	c.OneOf("w", "x", "a", "b")
	err := c.Err("bad")
	if !errs.Is(err, errs.Invalid) || len(errs.Details(err)) != 7 || !strings.HasPrefix(errs.Message(err), "bad: id is missing") {
		t.Error(err, errs.Details(err))
	}
}

func TestGoodInputPassesAndListsAreBounded(t *testing.T) {
	var c Check
	c.Text("id", "ok", 1, 5)
	c.Int("n", 9, 0, 9)
	c.Float("f", 1, 0, 1)
	c.OneOf("w", "b", "a", "b")
	if err := c.Err("bad"); err != nil {
		t.Error(err)
	}
	for i := range 50 {
		c.Fault(fmt.Sprint(i), "x")
	}
	if err := c.Err("bad"); len(errs.Details(err)) != most || !strings.Contains(err.Error(), "30 more") {
		t.Error(err)
	}
}

func TestPlain(t *testing.T) {
	for _, c := range []struct {
		in   string
		most int
		want string
	}{
		{"", 10, ""},
		{"a line\nand\r\ta tab", 100, "a line and  a tab"},
		{"red \x1b[31m, \xff, \u202e", 100, "red \uFFFD[31m, \uFFFD, \uFFFD"},
		{"éééééé", 10, "ééééé"},
		{"123456789é", 10, "123456789\uFFFD"}, // cut within
	} {
		if got := Plain(c.in, c.most); got != c.want {
			t.Errorf("%q: %q, want %q", c.in, got, c.want)
		}
	}
}
