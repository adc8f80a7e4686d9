package squeeze_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"plumb/engines/cas/squeeze"
)

func Example() {
	chunk := []byte(strings.Repeat("content that says the same again and again. ", 100))
	packed, ok := squeeze.Pack(nil, chunk, chunk[:16])
	again, err := squeeze.Unpack(nil, packed, int64(len(chunk)))
	fmt.Println(ok, len(packed) < len(chunk)/10, bytes.Equal(again, chunk), err)
	// Output: true true true <nil>
}

// Whatever is packed is at least a sixteenth shorter, and unpacks to what it was.
func TestWhatIsPackedIsShorterAndComesBack(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		word := rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(r, "word")
		plain := bytes.Repeat(word, rapid.IntRange(1, 400).Draw(r, "times"))
		plain = plain[:min(len(plain), squeeze.MaxSize)]
		packed, ok := squeeze.Pack(nil, plain, plain)
		if !ok {
			return
		}
		if len(packed) >= len(plain)-len(plain)/16 {
			r.Fatalf("%d bytes became %d", len(plain), len(packed))
		}
		if again, err := squeeze.Unpack(nil, packed, int64(len(plain))); err != nil || !bytes.Equal(again, plain) {
			r.Fatal(err)
		}
		if _, err := squeeze.Unpack(nil, packed, int64(len(plain)+1)); err == nil {
			r.Fatal("another length is taken")
		}
	})
}

func TestWhatDoesNotShrinkStays(t *testing.T) {
	random := make([]byte, 300_000)
	rand.Read(random)
	text := bytes.Repeat([]byte("a picture's bytes "), 1000)
	for name, c := range map[string]struct{ plain, head []byte }{
		"random": {random, random}, "a JPEG": {text, []byte("\xff\xd8\xff\xe0")}, "an MP4": {text, []byte("\x00\x00\x00\x20ftypisom")}, "short": {text[:100], text},
		"random, then text": {append(random[:64<<10:64<<10], text...), random},
	} {
		if _, ok := squeeze.Pack(nil, c.plain, c.head); ok {
			t.Errorf("%s was packed", name)
		}
	}
}

func BenchmarkPack(b *testing.B) {
	random := make([]byte, 256<<10)
	rand.Read(random)
	for name, chunk := range map[string][]byte{"text": bytes.Repeat([]byte("some words of a text, and others. "), 8000)[:256<<10], "random": random} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(chunk)))
			var out []byte
			for b.Loop() {
				out, _ = squeeze.Pack(out[:0], chunk, chunk)
			}
		})
	}
}
