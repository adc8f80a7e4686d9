package fleet

import (
	"context"
	"strings"
	"testing"

	"plumb/base/errs"
	"plumb/base/ids"
	"plumb/engines/bus"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

// A token that one house gave is good in the house that adopts the machine.
func TestAMachineIsHandedOver(t *testing.T) {
	each(t, func(t *testing.T, from *process) {
		other := sqldbtest.Open(t, sqldbtest.SQLite, sqldb.Options{RunTwice: true})
		b := bus.Memory()
		defer b.Close()
		to := start(t, other, b)
		defer to.Close()

		token := from.enrol("m-1")
		give := func(id string) (c Credential, err error) {
			err = from.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
				c, err = from.Credential(ctx, tx, "test", id)
				return err
			})
			return c, err
		}
		take := func(c Credential, replace bool) error {
			err := to.write(func(ctx context.Context, tx *sqldb.Tx) error { return to.Adopt(ctx, tx, c, replace) })
			to.Changed(ctx, c.Realm, c.ID)
			return err
		}
		c, err := give("m-1")
		if err != nil || c.Token != ids.Hash(token) {
			t.Fatalf("%+v %v", c, err)
		}
		c.Cohort = "Rome"
		for range 2 { // the same again changes nothing
			if err := take(c, false); err != nil {
				t.Fatal(err)
			}
		}
		if m, err := to.ByToken(ctx, token); err != nil || m != (Machine{"test", "m-1", "Rome"}) {
			t.Errorf("%+v %v", m, err)
		}
		if st, err := to.Standing(ctx, "test", "m-1"); err != nil || !st.Enrolled.Equal(c.Enrolled) {
			t.Errorf("%+v %v", st, err)
		}

		stolen := c
		stolen.ID = "m-2"
		if err := take(stolen, true); !errs.Is(err, errs.Conflict) {
			t.Errorf("another machine's token: %v", err)
		}
		fresh := c
		fresh.Token = ids.Hash(ids.Token())
		if err := take(fresh, false); !errs.Is(err, errs.Conflict) {
			t.Errorf("other credentials: %v", err)
		}
		if _, err := to.ByToken(ctx, token); err != nil {
			t.Errorf("a refused adoption took effect: %v", err)
		}
		if err := take(fresh, true); err != nil {
			t.Error(err)
		}
		if _, err := to.ByToken(ctx, token); !errs.Is(err, errs.Unknown) {
			t.Errorf("the replaced token: %v", err)
		}

		// Neither without a token is anybody else's, and a revoked one stays so.
		for _, id := range []string{"m-3", "m-4"} {
			if err := take(Credential{Machine: Machine{"test", id, ""}, Enrolled: c.Enrolled, Revoked: c.Enrolled}, false); err != nil {
				t.Errorf("%s without a token: %v", id, err)
			}
		}
		if st, err := to.Standing(ctx, "test", "m-3"); err != nil || st.HasToken || st.Revoked.IsZero() {
			t.Errorf("%+v %v", st, err)
		}
		for _, bad := range []string{token, strings.Repeat("g", 64), "ab", strings.ToUpper(ids.Hash("x"))} {
			if err := take(Credential{Machine: Machine{"test", "m-5", ""}, Token: bad}, false); !errs.Is(err, errs.Invalid) {
				t.Errorf("credential %q: %v", bad, err)
			}
		}
		if err := take(Credential{Machine: Machine{"test", "m 6", ""}}, false); !errs.Is(err, errs.Invalid) {
			t.Errorf("a bad id: %v", err)
		}
		if _, err := give("nobody"); !errs.Is(err, errs.NotFound) {
			t.Error(err)
		}
	})
}

func TestAMachineMoves(t *testing.T) {
	each(t, func(t *testing.T, p *process) {
		token := p.enrol("m-1")
		move := func(id string) error {
			err := p.write(func(ctx context.Context, tx *sqldb.Tx) error { return p.Move(ctx, tx, "test", id, "Rome") })
			p.Changed(ctx, "test", id)
			return err
		}
		if err := move("m-1"); err != nil {
			t.Fatal(err)
		}
		if m, err := p.ByToken(ctx, token); err != nil || m.Cohort != "Rome" {
			t.Errorf("%+v %v", m, err)
		}
		if err := move("nobody"); !errs.Is(err, errs.NotFound) {
			t.Error(err)
		}
	})
}
