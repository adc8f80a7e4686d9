package prove

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"plumb/engines/lab"
	"plumb/engines/lab/labtest"
	"plumb/engines/sqldb"
)

// The tests here drive the real program: $PLUMB, or one that is built for them.
func TestMain(m *testing.M) { os.Exit(labtest.Main(m)) }

// measure runs an experiment as plumb prove does, and returns its claims by id.
func measure(t *testing.T, e lab.Experiment) map[string]lab.Judged {
	t.Helper()
	var out, said bytes.Buffer
	seed := uint64(time.Now().UnixNano())
	lab.Run(t.Context(), []lab.Experiment{e}, lab.Options{Seed: seed, JSON: true}, &out, &said)
	var report lab.Report
	if err := json.Unmarshal(out.Bytes(), &report); err != nil || len(report.Results) != 1 || report.Results[0].Error != "" {
		t.Fatalf("seed %d: %v\n%s\n%s", seed, err, out.String(), said.String())
	}
	claims := map[string]lab.Judged{}
	for _, c := range report.Results[0].Claims {
		claims[c.ID] = c
	}
	t.Logf("seed %d, %.1f s", seed, report.Results[0].Seconds)
	return claims
}

// holdAll fails for each claim that does not hold.
func holdAll(t *testing.T, claims map[string]lab.Judged) {
	t.Helper()
	for id, c := range claims {
		if !c.Holds {
			t.Errorf("%s: %s: %s (control: %s)", id, c.Text, c.Figure, c.Control)
		}
	}
}

// Nothing acknowledged is lost when the power goes or the server is killed, nothing is
// left over, every count is exact; and with the syncs switched off something is lost:
// else this test would say nothing. A short series; make soak cuts 200 times.
func TestPowerCuts(t *testing.T) {
	labtest.NeedFUSE(t)
	rounds := 3
	if os.Getenv("PLUMB_SOAK") != "" {
		rounds = 300 // every third is a kill
	}
	e := PowerCut()
	var bad *lab.Design // what would come of a built design that does not sync
	e.Run = func(ctx context.Context, b *lab.Bench) error {
		built := &cutting{b: b, name: "as served", clients: 8, rounds: rounds, kills: true, renew: 20}
		naive := &cutting{b: b, name: "answers first", args: []string{"--unsafe-no-sync"}, clients: 8, rounds: 2, renew: 1}
		for _, c := range []*cutting{naive, built} {
			if err := c.run(ctx, 0, 1); err != nil {
				return err
			}
		}
		naive.record(b.Design(naive.name, lab.Naive, "once"))
		built.record(b.Design(built.name, lab.Built, "once", "durable"))
		bad = &lab.Design{Name: "bad", Kind: lab.Built, Metrics: map[string]float64{}}
		naive.record(bad)
		return nil
	}
	holdAll(t, measure(t, e))
	for _, c := range e.Claims {
		if c.ID == "kept" && c.Judge(&lab.Result{Units: e.Metrics, Designs: []*lab.Design{bad}}).Holds {
			t.Errorf("%q holds without syncs too", c.Text)
		}
	}
}

// What holds of originals does not depend on how fast the machine is.
func TestOriginals(t *testing.T) { holdAll(t, measure(t, Originals())) }

// A built design that is as bad as the others is found out.
func TestABrokenDesignIsFoundOut(t *testing.T) {
	e := Originals()
	e.Run = func(ctx context.Context, b *lab.Bench) error {
		here, err := b.TempDir()
		if err != nil {
			return err
		}
		there, _, err := otherDisk(here)
		if err != nil {
			return err
		}
		defer os.RemoveAll(there)
		for kind, l := range map[lab.Kind]lending{
			lab.Naive:    &linkedDisk{links: links{here, there, "soft"}},
			lab.Textbook: &linkedDisk{links: links{here, there, "hard"}, hard: true},
			lab.Built:    &linkedDisk{links: links{here, there, "bad"}, hard: true},
		} {
			if err := lend(ctx, b, b.Design(string(kind)+" one", kind), l, 2); err != nil {
				return err
			}
		}
		return nil
	}
	for _, id := range []string{"built-right", "built-once", "than-hard"} {
		if c := measure(t, e)[id]; c.Holds {
			t.Errorf("hard links are taken for the built design by %q: %s", c.Text, c.Figure)
		}
	}
	e = Race()
	e.Run = func(ctx context.Context, b *lab.Bench) error {
		for _, kind := range []lab.Kind{lab.Naive, lab.Textbook, lab.Built} {
			if err := runOneRace(ctx, b, b.Design(string(kind)+" one", kind), raceHashes, 2, 30<<10); err != nil {
				return err
			}
		}
		return nil
	}
	claims := measure(t, e)
	for _, id := range []string{"once", "right"} {
		if claims[id].Holds {
			t.Errorf("a table without transactions is taken for the built design by %q: %s", claims[id].Text, claims[id].Figure)
		}
	}
}

// The audit is not blind: what is put into a store behind its back is counted.
func TestTheAuditSees(t *testing.T) {
	ctx := t.Context()
	s, err := startBuilt(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Kill9()
	for i := range 3 {
		if _, err := s.put(ctx, fmt.Sprint("f", i), noise(1, fmt.Sprint(i), 300_000)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.collect(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	look := func(want audited) {
		t.Helper()
		if got, err := audit(ctx, s.data); err != nil || got != want {
			t.Errorf("%+v %v, want %+v", got, err, want)
		}
	}
	look(audited{blobs: 3})
	there, err := objects(s.data)
	if err != nil || len(there) == 0 {
		t.Fatal(len(there), err)
	}
	for id := range there {
		path := filepath.Join(s.data, "blobs", "cas", id[len(id)-2:], id)
		if err := os.Rename(path, path+"x"); err != nil {
			t.Fatal(err)
		}
		look(audited{blobs: 3, missing: 1, orphans: 1})
		if err := os.Rename(path+"x", path); err != nil {
			t.Fatal(err)
		}
		break
	}
	db, err := sqldb.Open(ctx, "sqlite:"+filepath.Join(s.data, "plumb.db"), sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{
		`UPDATE cas_blobs SET refs = refs + 1 WHERE hash = (SELECT min(hash) FROM cas_blobs)`,
		`UPDATE cas_chunks SET refs = refs + 1 WHERE id = (SELECT min(id) FROM cas_chunks)`,
		`UPDATE files_quota SET used = used + 1`,
		`UPDATE files_nodes SET hash = (SELECT max(id) FROM cas_chunks WHERE id NOT IN (SELECT hash FROM cas_blobs)) WHERE name = 'f2'`,
	} {
		if err := db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error { _, err := tx.Exec(ctx, q); return err }); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := audit(ctx, s.data)
	if err != nil || got.miscounted < 4 {
		t.Errorf("%+v %v: four rows are wrong", got, err)
	}
}
