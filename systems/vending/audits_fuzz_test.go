package vending

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"plumb/systems/vending/internal/dts"
)

// FuzzFileLine: whatever a gateway sends in a line is either a file that can be
// kept, or refused with a reason.
func FuzzFileLine(f *testing.F) {
	good, err := json.Marshal(fileIn{Machine: "m-1", File: audit("S", "260305*0800", map[string]int64{"1": 5}, "EA2*EJL_1*1*1**1")})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(good))
	for _, s := range []string{"", "{}", "null", "[]", `{"machine":"m-1","file":"ST*1\nID1*A\nST*2\nID1*B"}`, `{"machine":"m-1","base64":"U1QqMQpQQTEqMf8q"}`,
		`{"machine":"m-1","base64":""}`, `{"machine":"","file":"ST*1\nPA1*1*1"}`, `{"machine":"m\u0000","file":"ST*1\nID1*\u0000\nPA1*1*1"}`, `{"machine":"m-1","file":"\ud800"}`, strings.Repeat("[", 100)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		var b batch
		b.add(7, []byte(line))
		out, file := b.lines[0], b.files[0]
		if len(b.lines) != 1 || len(b.files) != 1 || out.Line != 7 {
			t.Fatalf("%+v", b)
		}
		if file == nil {
			if out.Status != "invalid" && out.Status != "conflict" || out.Detail == "" || !utf8.ValidString(out.Detail) {
				t.Fatalf("%q: %+v", line, out)
			}
			return
		}
		if out.Status != "" || out.Machine == "" || len(file.id) != 64 || !utf8.ValidString(file.body) || strings.ContainsRune(file.body, 0) {
			t.Fatalf("%q: %+v", line, out)
		}
		// What is kept can be read, now and in a year.
		text, err := kept(file.body)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := dts.Read(text); err != nil || !reflect.DeepEqual(again, file.file) {
			t.Fatalf("%q is kept as %q: %+v, %v", line, file.body, again, err)
		}
		for _, said := range []string{file.said.serial, file.said.countersText, file.said.stockText, file.said.faultsText} {
			if !utf8.ValidString(said) || strings.ContainsRune(said, 0) {
				t.Fatalf("%q says %q", line, said)
			}
		}
		var counters map[string]int64
		if err := unpack(file.said.countersText, &counters); err != nil || len(counters) != len(file.said.counters) {
			t.Fatalf("%q: %s, %v", line, file.said.countersText, err)
		}
	})
}
