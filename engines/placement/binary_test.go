package placement

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"pgregory.net/rapid"
)

// TestBytesAndBack: what is parsed places alike, has the same bytes, and goes on alike.
func TestBytesAndBack(t *testing.T) {
	keys := ids(800)
	each(t, func(t *testing.T, k Strategy) {
		rapid.Check(t, func(t *rapid.T) {
			s := anyTaught(t, k, anyNodes(t, 20, k.Even), keys)
			change := anyChange(t, s.Nodes(), k.Even)
			if rapid.Bool().Draw(t, "changed") {
				next, err := s.With(change)
				s = must(t, next, err)
			}
			b, err := s.MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			p, err := Parse(b)
			p = must(t, p, err)
			if again, _ := p.MarshalBinary(); !bytes.Equal(b, again) {
				t.Fatal("other bytes")
			}
			change = append(change, Node{Name: "later", Weight: 1})
			a, err := s.With(change)
			a = must(t, a, err)
			c, err := p.With(change)
			c = must(t, c, err)
			dst, dst2 := make([]int, 3), make([]int, 3)
			for _, pair := range [][2]*Snapshot{{s, p}, {a, c}} {
				if !slices.Equal(pair[0].Nodes(), pair[1].Nodes()) || pair[0].Strategy() != pair[1].Strategy() {
					t.Fatal("other nodes")
				}
				for _, key := range keys {
					n, m := pair[0].Places(dst, key), pair[1].Places(dst2, key)
					if !slices.Equal(dst[:n], dst2[:m]) {
						t.Fatalf("%s is on %v, then on %v", key, dst[:n], dst2[:m])
					}
				}
			}
		})
	})
}

// TestDamage: every byte that is another, and every end that is missing, is noticed.
func TestDamage(t *testing.T) {
	for _, name := range []string{"rendezvous", "jump", "range"} {
		b, _ := must2(New(name, list(4)))(t).MarshalBinary()
		for i := range b {
			bad := slices.Clone(b)
			bad[i] ^= 1 << (i % 8)
			if _, err := Parse(bad); err == nil {
				t.Errorf("%s: byte %d may be another", name, i)
			}
			if _, err := Parse(b[:i]); err == nil {
				t.Errorf("%s: %d bytes are enough", name, i)
			}
		}
	}
	_, err := Parse([]byte("plpl\x02 and what comes then"))
	check(t, err, "format version 2")
	_, err = Parse([]byte("PNG something else of this length"))
	check(t, err, "no placement snapshot")
}

// sealed makes bytes of a body, with a checksum that fits.
func sealed(body []byte) []byte {
	b := append([]byte(magic), body...)
	return binary.LittleEndian.AppendUint64(b, xxhash.Sum64(b))
}

// TestHostileBytes are refused for what they say, though their checksum fits.
func TestHostileBytes(t *testing.T) {
	head := func(strategy string, n int) *writer {
		w := &writer{}
		w.text(strategy)
		w.int(n)
		for i := range n {
			w.text(fmt.Sprint("n", i))
			w.float(1)
			w.text("")
		}
		w.int(0) // exceptions
		return w
	}
	with := func(w *writer, more func(*writer)) []byte { more(w); return w.b }
	for want, body := range map[string][]byte{
		"the nodes cannot be 32000":       {4, 'h', 'a', 's', 'h', 0x80, 0xfa, 1},
		"the nodes is not a number":       {4, 'h', 'a', 's', 'h', 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2},
		"there is no strategy":            head("hush", 2).b,
		"its nodes or its strategy":       head("", 2).b,
		"there are no 2^22 slots":         with(head("hash", 2), func(w *writer) { w.int(22) }),
		"there are no 2^3 slots":          with(head("hash", 2), func(w *writer) { w.int(3); w.b = append(w.b, make([]byte, 100)...) }),
		"there is no node 9 of 2":         with(head("jump", 2), func(w *writer) { w.u16(9); w.u16(0) }),
		"node 1 has two buckets":          with(head("jump", 2), func(w *writer) { w.u16(1); w.u16(1) }),
		"bytes are left over":             with(head("modulo", 2), func(w *writer) { w.u16(1) }),
		"it ends too early":               with(head("ring", 2), func(w *writer) { w.u16(1) }),
		"points for a weight of 1":        with(head("ring", 2), func(w *writer) { w.float(1e300) }),
		"there are no ranges":             with(head("range", 2), func(w *writer) { w.int(0) }),
		"does not begin after the one be": with(head("range", 2), func(w *writer) { w.int(1); w.text("a"); w.u16(0); w.float(1) }),
		"the entries cannot be 1000":      with(head("directory", 2), func(w *writer) { w.int(1000) }),
		"the entries are not in order":    with(head("directory", 2), func(w *writer) { w.int(1); w.u64(0); w.u16(0) }),
		"the entries collide": with(head("directory", 2), func(w *writer) {
			const n = 20_000
			w.int(n)
			for i := range n {
				w.u64(uint64(i+1) << 32)
				w.u16(0)
			}
		}),
	} {
		_, err := Parse(sealed(body))
		check(t, err, want)
	}
	tilts := head("hash", 2)
	tilts.int(16)
	tilts.b = append(tilts.b, make([]byte, 2<<16)...)
	tilts.floats([]float64{0, 1})
	_, err := Parse(sealed(tilts.b))
	check(t, err, "tilts: 0 is not")
}

// FuzzParse gives Parse bytes whose checksum fits; what it takes must be a snapshot that
// works and has the same bytes again.
func FuzzParse(f *testing.F) {
	for _, k := range Strategies() {
		s, err := New(k.Name, list(3))
		if err != nil {
			f.Fatal(err)
		}
		if s, err = s.taught(slices.Values(ids(20))); err != nil {
			f.Fatal(err)
		}
		if s, err = s.WithExceptions(map[string]string{"a": "shard-1", "b": "shard-2"}); err != nil {
			f.Fatal(err)
		}
		b, _ := s.MarshalBinary()
		body := b[len(magic) : len(b)-sumBytes]
		f.Add(body[:min(len(body), 4096)]) // tables would keep it from trying much
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, err := Parse(body); err == nil && !strings.HasPrefix(string(body), magic) {
			t.Fatal("no magic, no error")
		}
		b := sealed(body)
		s, err := Parse(b)
		if err != nil {
			return
		}
		again, _ := s.MarshalBinary()
		if !bytes.Equal(again, b) {
			t.Fatalf("%q becomes %q", b, again)
		}
		dst := make([]int, 3)
		for _, key := range []string{"", "a", "b", string(body[:min(len(body), 40)])} {
			if i := s.Place(key); i < 0 || i >= s.Len() || s.Places(dst, key) < 1 || dst[0] != i {
				t.Fatalf("%q is on %d", key, i)
			}
		}
		if _, err := s.With(append(s.Nodes(), Node{Name: "one more", Weight: 1})); err != nil && s.Len() < MaxNodes && !strings.Contains(err.Error(), "cannot be placed on") {
			t.Fatal(err)
		}
	})
}

// FuzzKeys places any key by every strategy, and finds it there again.
func FuzzKeys(f *testing.F) {
	for _, k := range []string{"", "ada", "Ada\x00", "\xff\xfe\xfd", strings.Repeat("z", 10_000)} {
		f.Add(k, uint8(3))
	}
	all := map[string]*Snapshot{}
	for _, k := range Strategies() {
		s, err := New(k.Name, list(9))
		if err != nil {
			f.Fatal(err)
		}
		all[k.Name] = s
	}
	f.Fuzz(func(t *testing.T, key string, to uint8) {
		name := fmt.Sprintf("shard-%d", to%9)
		for strategy, s := range all {
			if i := s.Place(key); i < 0 || i >= 9 || i != s.Place(strings.Clone(key)) {
				t.Fatalf("%s: %q is on %d", strategy, key, i)
			}
			p, err := s.WithExceptions(map[string]string{key: name})
			if err != nil {
				if len(key) > MaxKey {
					continue
				}
				t.Fatal(err)
			}
			if got := p.Node(p.Place(key)).Name; got != name {
				t.Fatalf("%s: %q is on %s, not %s", strategy, key, got, name)
			}
			if p.Place(key+"x") != s.Place(key+"x") {
				t.Fatalf("%s: an exception for %q moves another key", strategy, key)
			}
		}
	})
}
