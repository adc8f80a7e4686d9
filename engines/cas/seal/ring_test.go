package seal

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func ring(t testing.TB, keys ...byte) *Ring {
	t.Helper()
	var old [][]byte
	for _, k := range keys[1:] {
		old = append(old, testKey(k))
	}
	r, err := NewRing(testKey(keys[0]), old...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestKeysAreWrappedByTheNewestAndUnwrappedByAny(t *testing.T) {
	before, dataKey := ring(t, 1), NewKey()
	wrapped := before.Wrap(dataKey)
	if len(wrapped) != WrappedSize || bytes.Contains(wrapped, dataKey[:8]) || bytes.Equal(wrapped, before.Wrap(dataKey)) {
		t.Fatalf("wrapped as %x", wrapped)
	}
	after := ring(t, 2, 1)
	got, err := after.Unwrap(wrapped)
	if err != nil || !bytes.Equal(got, dataKey) {
		t.Fatalf("after a rotation: %v", err)
	}
	if !before.Current(wrapped) || after.Current(wrapped) || after.Current(nil) || !after.Current(after.Wrap(got)) {
		t.Error("what is current is wrong")
	}
	if !bytes.Equal(before.KeyID(), wrapped[1:9]) || bytes.Equal(before.KeyID(), after.KeyID()) {
		t.Error("the key's id is not what stands in the wrapped key")
	}
	_, err = ring(t, 2).Unwrap(wrapped)
	if !errors.Is(err, ErrNoKey) || !strings.Contains(err.Error(), "not at hand (it has the id "+hex.EncodeToString(before.KeyID())) {
		t.Errorf("without the old key: %v", err)
	}
}

func TestDamagedWrappedKeysDoNotOpen(t *testing.T) {
	r := ring(t, 1, 2)
	rapid.Check(t, func(t *rapid.T) {
		wrapped := r.Wrap(testKey(9))
		if rapid.Bool().Draw(t, "cut") {
			wrapped = wrapped[:rapid.IntRange(0, len(wrapped)-1).Draw(t, "keep")]
		} else {
			wrapped[rapid.IntRange(0, len(wrapped)-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		}
		if key, err := r.Unwrap(wrapped); key != nil || !errors.Is(err, ErrBad) && !errors.Is(err, ErrNoKey) {
			t.Fatalf("%x, %v", key, err)
		}
	})
}

// Keys that were wrapped once must open for ever.
func TestGoldenWrappedKey(t *testing.T) {
	wrapped, err := hex.DecodeString("011f7de61c358553fbd0353835ed3ea9c469e6a4b4ca4c7d9690fc37bc03c804fa00f9bfac9eb32cbad2a070d65af3f661a8ac911d706e47feae7c61c5cfcefa39140f9bf6")
	if err != nil {
		t.Fatal(err)
	}
	if key, err := ring(t, 2, 1).Unwrap(wrapped); err != nil || !bytes.Equal(key, testKey(9)) {
		t.Errorf("%x, %v; new: %x", key, err, ring(t, 1).Wrap(testKey(9)))
	}
}

func FuzzUnwrap(f *testing.F) {
	r := ring(f, 1)
	f.Add(r.Wrap(testKey(9)))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, wrapped []byte) {
		key, err := r.Unwrap(wrapped)
		if (err == nil) != (key != nil) || err == nil && !r.Current(wrapped) {
			t.Fatalf("%x, %v", key, err)
		}
	})
}
