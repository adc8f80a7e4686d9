package farm

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"os"
	"os/exec"
	"testing"
	"unicode/utf8"

	"plumb/engines/farm/leash"
)

// FuzzAnswers reads what a child that was taken over may send: whatever it is, the
// parent keeps its bounds, and no output looks whole that was not closed.
func FuzzAnswers(f *testing.F) {
	frames := func(list ...string) []byte {
		var b bytes.Buffer
		for _, s := range list {
			writeFrame(&b, s[0], []byte(s[1:]))
		}
		return b.Bytes()
	}
	f.Add(frames("b", `r{}`))
	f.Add(frames("b", "oname", "dsome", "dmore", "c", "oother", "c", `r{"failed":true,"kind":"invalid","text":"no","log":"no no"}`))
	f.Add(frames("b", "oname", "dsome", `r{"failed":true,"kind":"invalid"}`))
	f.Add(frames("b", "oname", "dsome"))
	f.Add(frames("b", "oname", "cwhat"))
	f.Add(frames("r{}"))
	f.Add([]byte("d\xff\xff\xff\xff"))
	proc, err := leash.Start(exec.Command("true"))
	if err != nil {
		f.Fatal(err)
	}
	<-proc.Ended()
	tasks, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { tasks.Close() })
	const most = 1000
	f.Fuzz(func(t *testing.T, stream []byte) {
		p := &Pool{o: Options{Limits: Limits{Output: most}}}
		c := &child{proc: proc, to: tasks, from: tasks, in: bufio.NewReader(bytes.NewReader(stream)), said: &said{}}
		total := 0
		r := &run{pool: p, c: c, task: Task{Out: func(name string, in io.Reader) error {
			if name == "" || len(name) > maxName || plain(name) != name {
				t.Errorf("an output is called %q", name)
			}
			b, err := io.ReadAll(in)
			if total += len(b); total > most {
				t.Errorf("%d bytes came through", total)
			}
			if err == nil && !bytes.Contains(stream, binary.BigEndian.AppendUint32([]byte("c"), 0)) {
				t.Error("nothing ended this output")
			}
			return err
		}}}
		res, err := r.exchange(task{Name: "x"})
		if err == nil {
			err = res.err()
		}
		if err != nil && (len(err.Error()) > 4*maxText || !utf8.ValidString(err.Error())) {
			t.Errorf("a text of %d bytes", len(err.Error()))
		}
		if cap(c.buf) > maxData {
			t.Errorf("a buffer of %d bytes", cap(c.buf))
		}
	})
}

// FuzzServe gives a child tasks that nobody made: it answers or ends, and does not panic.
func FuzzServe(f *testing.F) {
	var b bytes.Buffer
	writeFrame(&b, frameTask, []byte(`{"name":"copy","params":null,"size":5}`))
	f.Add(b.Bytes())
	f.Add([]byte("t\x00\x00\x00\x02{}"))
	f.Add([]byte("t\x00\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		s := server{works: map[string]Work{"copy": copyWork}, in: bytes.NewReader(stream), out: bufio.NewWriter(io.Discard), input: bytes.NewReader([]byte("hello"))}
		_ = s.serve(context.Background(), hello{})
	})
}
