package accounts

import (
	"testing"

	"plumb/base/errs"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

func TestOthersPasswordsAndPeopleByName(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		a := open(t, db, start(), nil)
		stored, err := a.HashPassword(t.Context(), "open sesame")
		if err != nil {
			t.Fatal(err)
		}
		for password, want := range map[string]bool{"open sesame": true, "open": false, "": false} {
			if ok, err := a.CheckPassword(t.Context(), "link 1", stored, password, "1.2.3.4:5"); ok != want || err != nil {
				t.Errorf("%q: %v, %v", password, ok, err)
			}
		}
		ada, err := a.Add(t.Context(), root, "ada")
		if err != nil {
			t.Fatal(err)
		}
		if p, err := a.Named(t.Context(), "ada"); err != nil || p.ID != ada.ID {
			t.Errorf("%+v, %v", p, err)
		}
		if p, err := a.ByID(t.Context(), ada.ID); err != nil || p.Name != "ada" {
			t.Errorf("%+v, %v", p, err)
		}
		if err := a.Disable(t.Context(), root, ada.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Named(t.Context(), "ada"); !errs.Is(err, errs.NotFound) {
			t.Errorf("a disabled person: %v", err)
		}
	})
}
