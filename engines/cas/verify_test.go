package cas_test

import (
	"os"
	"testing"

	"plumb/base/errs"
	"plumb/engines/bucket"
	"plumb/engines/cas"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

// TestVerifyOne loses one content's object, and heals that content alone.
func TestVerifyOne(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		dir := t.TempDir()
		b, err := bucket.Folder(dir)
		if err != nil {
			t.Fatal(err)
		}
		s := open(t, db, b, cas.Options{})
		lost, flipped := random(1, 900_000), random(2, 700_000)
		whole := keep(t, db, s, random(3, 1000), cas.PutOptions{})
		none := keep(t, db, s, nil, cas.PutOptions{})
		first := keep(t, db, s, lost, cas.PutOptions{})
		if err := os.Remove(objects(t, dir)[0]); err != nil {
			t.Fatal(err)
		}
		second := keep(t, db, s, flipped, cas.PutOptions{})
		change(t, objects(t, dir)[0], func(b []byte) []byte { b[len(b)/2] ^= 4; return b })

		for _, h := range []cas.Hash{first, second} { // whoever has the object open reads it still
			if err := s.Verify(t.Context(), h); !errs.Is(err, errs.Internal) {
				t.Errorf("a damaged content is %v", err)
			}
		}
		for _, h := range []cas.Hash{whole, none} {
			if err := s.Verify(t.Context(), h); err != nil {
				t.Errorf("a whole content is %v", err)
			}
		}
		if st := stats(t, s); st.Bad < 2 {
			t.Errorf("%d chunks are in quarantine", st.Bad)
		}
		keep(t, db, s, lost, cas.PutOptions{})
		if err := s.Verify(t.Context(), first); err != nil {
			t.Errorf("after it came again: %v", err)
		}
		if err := s.Verify(t.Context(), second); !errs.Is(err, errs.Internal) {
			t.Errorf("the other is %v", err)
		}
		if err := s.Verify(t.Context(), cas.Hash{1}); !errs.Is(err, errs.NotFound) {
			t.Errorf("an unknown one is %v", err)
		}
		if err := s.Check(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
