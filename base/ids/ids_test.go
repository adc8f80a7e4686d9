package ids

import (
	"strings"
	"testing"
	"time"

	"plumb/base/errs"
)

func TestNewIsVersion7AndSorted(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_123)
	a, b := New(at), New(at.Add(time.Millisecond))
	if len(a) != 36 || a[14] != '7' || !strings.ContainsRune("89ab", rune(a[19])) {
		t.Errorf("not a UUIDv7: %s", a)
	}
	if !strings.HasPrefix(a, "018bcfe5-687b-") {
		t.Errorf("time is not in front: %s", a)
	}
	if a >= b {
		t.Errorf("%s is not before %s", a, b)
	}
}

func TestTokensDiffer(t *testing.T) {
	a, b := Token(), Token()
	if a == b || len(a) != 43 || Hash(a) == Hash(b) || len(Hash(a)) != 64 {
		t.Error(a, b)
	}
}

func TestName(t *testing.T) {
	for _, good := range []string{"a", "M_1-x", strings.Repeat("z", 64)} {
		if err := Name("machine id", good); err != nil {
			t.Error(good, err)
		}
	}
	for _, bad := range []string{"", strings.Repeat("z", 65), "a b", "ä", "a/b", "a\x00"} {
		if err := Name("machine id", bad); !errs.Is(err, errs.Invalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
