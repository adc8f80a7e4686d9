package shard

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"plumb/base/errs"
	"plumb/engines/bucket/buckettest"
	"plumb/engines/sqldb/sqldbtest"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 5 && os.Args[1] == "die" {
		fmt.Fprintln(os.Stderr, child(os.Args[2], os.Args[3], os.Args[4]))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// A shard that is given up takes its owners with it; nobody else notices, not even those
// who were moving to it, and who lived there begin anew.
func TestAShardIsGivenUp(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		h := newHouse(t, kind)
		s, ctx := h.process(), context.Background()
		for _, n := range []string{"second", "third"} {
			_, _, err := s.Add(ctx, New{Name: n})
			must(t, err)
		}
		want := map[string]map[string]string{}
		for i := range 18 {
			must(t, put(ctx, s, name(i), "p-"+name(i), "text of "+name(i)))
			want[name(i)] = map[string]string{"p-" + name(i): "text of " + name(i)}
		}
		// Two are there because they were sent: what one of them left behind is still there.
		sent := []string{}
		for i := 100; len(sent) < 2; i++ {
			if s.dir.Load().mapped(name(i)) == 1 {
				sent = append(sent, name(i))
				must(t, put(ctx, s, name(i), "p-"+name(i), "text of "+name(i)))
			}
		}
		for i, owner := range sent {
			_, err := s.Pin(ctx, owner, "second")
			must(t, err)
			settled(t, s)
			if i == 0 {
				_, err = s.Tidy(ctx)
				must(t, err)
			}
		}
		at := homes(t, s)
		// Some are on the way there, as far as may be.
		n, going := 0, []string{"begin", "copy", "leave", "ready", "switch"}
		for owner, from := range at {
			if from == "second" || n == len(going) {
				continue
			}
			_, err := s.Pin(ctx, owner, "second")
			must(t, err)
			s.hold = time.Millisecond
			dying(s, going[n], 1)
			if _, err := s.Move(ctx, time.Minute); err == nil {
				t.Errorf("the move did not end at %s", going[n])
			}
			s.hook = nil
			n++
		}
		lost := s.dir.Load().shards[2]
		must(t, lost.DB.Close())
		s.leave = 50 * time.Millisecond
		other := h.process()
		must(t, other.dir.Load().shards[2].DB.Close())
		if _, err := s.MarkLost(ctx, "none"); !errs.Is(err, errs.NotFound) {
			t.Errorf("an unknown shard: %v", err)
		}
		for i := range 18 {
			if at[name(i)] != "second" {
				reads(t, s, name(i), want[name(i)])
			}
		}
		_, err := s.MarkLost(ctx, "second")
		must(t, err)
		for range 20 {
			settled(t, s)
		}
		reads(t, s, sent[1], map[string]string{"p-" + sent[1]: "text of " + sent[1]})
		reads(t, other, sent[1], map[string]string{"p-" + sent[1]: "text of " + sent[1]})
		for _, owner := range append([]string{sent[0]}, slices.Sorted(maps.Keys(want))...) {
			if at[owner] == "second" {
				delete(want, owner)
				list, _, err := photosOf(ctx, other, owner)
				if err != nil || len(list) != 0 {
					t.Errorf("%s has %v, %v", owner, list, err)
				}
				must(t, put(ctx, other, owner, "new", "new"))
				must(t, deleteOne(ctx, s, owner, "new"))
			} else {
				id := "more-" + owner
				must(t, put(ctx, other, owner, id, "more"))
				want[owner][id] = "more"
			}
		}
		for owner, photos := range want {
			reads(t, s, owner, photos)
			reads(t, other, owner, photos)
		}
		if _, err := s.MarkLost(ctx, "second"); !errs.Is(err, errs.Conflict) {
			t.Errorf("a second time: %v", err)
		}
		must(t, s.Check(ctx))
		must(t, s.Remove(ctx, "second"))
	})
}

func TestPlacesAreChecked(t *testing.T) {
	h := newHouse(t, sqldbtest.SQLite)
	s, ctx := h.process(), context.Background()
	dir := t.TempDir()
	for what, n := range map[string]New{
		"no name": {}, "a path": {Name: "../x"}, "upper case": {Name: "X"}, "a long name": {Name: strings.Repeat("x", 33)},
		"no weight": {Name: "x", Weight: -1}, "a password": {Name: "x", SQL: "postgres://a:hunter2@h/d"}, "a password beside": {Name: "x", SQL: "postgres://h/d?password=hunter2"},
		"another database": {Name: "x", SQL: "mysql://h"}, "an S3 secret": {Name: "x", Bucket: "s3://a:hunter2@h/b"}, "memory": {Name: "x", Bucket: "mem:"},
	} {
		_, _, err := s.Add(ctx, n)
		if !errs.Is(err, errs.Invalid) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, _, err := s.Add(ctx, New{Name: "own", SQL: "sqlite:" + dir + "/db/own.db", Bucket: "dir:" + dir + "/blobs"})
	must(t, err)
	for what, n := range map[string]New{
		"the same name": {Name: "own"}, "the same database": {Name: "y", SQL: "sqlite:" + dir + "/db/own.db"},
		"the same bucket": {Name: "y", Bucket: "dir:" + dir + "/blobs"},
	} {
		if _, _, err := s.Add(ctx, n); !errs.Is(err, errs.Conflict) {
			t.Errorf("%s: %v", what, err)
		}
	}
	another := newHouse(t, sqldbtest.SQLite).process()
	if _, _, err := another.Add(ctx, New{Name: "y", Bucket: "dir:" + dir + "/blobs"}); !errs.Is(err, errs.Conflict) {
		t.Errorf("another house's bucket: %v", err)
	}
	if len(s.Shards()) != 2 {
		t.Errorf("%d shards", len(s.Shards()))
	}
	must(t, s.Check(ctx))
}

// In a cluster a shard is a schema and a part of the house's bucket.
func TestAShardInACluster(t *testing.T) {
	url := buckettest.S3(t)
	h := newHouse(t, sqldbtest.Postgres, func(n *Needs, _ *Config) { n.Bucket = url })
	s, other, ctx := h.process(), h.process(), context.Background()
	want := map[string]map[string]string{}
	for i := range 6 {
		text := strings.Repeat("a photo that is large enough for an object ", 5000) + name(i)
		must(t, put(ctx, s, name(i), name(i), text))
		want[name(i)] = map[string]string{name(i): text}
	}
	_, _, err := s.Add(ctx, New{Name: "a-b"})
	must(t, err)
	settled(t, other)
	whole(t, s, want)
	_, err = other.Tidy(ctx)
	must(t, err)
	whole(t, other, want)
	list, err := s.blobs.List(ctx, "photos/a-b/cas/", "", 1)
	if err != nil || len(list) != 1 {
		t.Errorf("%v, %v", list, err)
	}
}

// child is a process that ends at a step: it adds a shard, moves, and clears up.
func child(url, folder, step string) error {
	n, c := needsOf(url, folder)
	s, err := Open(context.Background(), n, c)
	if err != nil {
		return err
	}
	count := 0
	s.hook = func(name string) error {
		if name == step {
			if count++; count == 2 || name == "publish" || name == "again" {
				syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
		}
		return nil
	}
	s.c.Movers = 1
	if _, _, err := s.Add(context.Background(), New{Name: "second"}); err != nil {
		return err
	}
	if _, err := s.Move(context.Background(), time.Minute); err != nil {
		return err
	}
	_, err = s.Tidy(context.Background())
	return err
}

// A process that is killed leaves nothing that the next one does not finish.
func TestKilledProcesses(t *testing.T) {
	for _, step := range []string{"fences", "again", "publish", "copy", "leave", "ready", "switch", "here", "finish", "erase"} {
		t.Run(step, func(t *testing.T) {
			h := newHouse(t, sqldbtest.SQLite)
			ctx, want := context.Background(), map[string]map[string]string{}
			n, c := needsOf(h.url, h.folder)
			s, err := Open(ctx, n, c)
			must(t, err)
			for i := range 8 {
				must(t, put(ctx, s, name(i), name(i), "text of "+name(i)))
				want[name(i)] = map[string]string{name(i): "text of " + name(i)}
			}
			s.Close()
			must(t, n.DB.Close())
			cmd := exec.Command(os.Args[0], "die", h.url, h.folder, step)
			said, err := cmd.CombinedOutput()
			if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
				t.Fatalf("it was not killed: %v, %s", err, said)
			}
			s = h.process()
			s.leave = 50 * time.Millisecond
			for i := range 8 {
				must(t, put(ctx, s, name(i), name(i)+"-after", "after"))
				want[name(i)][name(i)+"-after"] = "after"
			}
			// Leases are for who may still be there.
			must(t, s.houseWrite(ctx, expireLeases))
			must(t, s.finishPending(ctx))
			must(t, s.houseWrite(ctx, expireLeases))
			settled(t, s)
			whole(t, s, want)
			_, err = s.Tidy(ctx)
			must(t, err)
			whole(t, s, want)
			list, _, err := s.Migrations(ctx, "", 10)
			if err != nil || len(list) != 1 || list[0].State != Done || list[0].OwnersDone == 0 {
				t.Errorf("%+v, %v", list, err)
			}
			if _, err := os.Stat(filepath.Join(h.folder, "second", "shard.db")); err != nil {
				t.Error(err)
			}
		})
	}
}
