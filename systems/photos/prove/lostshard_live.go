package prove

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"plumb/engines/lab"
	"plumb/engines/sqldb"
)

// Rows of the designs of this package.

func deletePlain(ctx context.Context, tx *sqldb.Tx) error {
	_, err := tx.Exec(ctx, `DELETE FROM plain_photos`)
	return err
}

func countPlain(n *int64) sqldb.Fn {
	return func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, `SELECT count(*) FROM plain_photos`).Scan(n)
	}
}

// plainRow is a row in a backup.
type plainRow struct {
	ID, Name string
	Owner    int64
}

func (sh *plainShard) noteRow(ctx context.Context, id, folder string) error {
	row := plainRow{ID: id}
	err := sh.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, `SELECT owner, name FROM plain_photos WHERE id = $1`, id).Scan(&row.Owner, &row.Name)
	})
	if err != nil {
		return err
	}
	text, err := json.Marshal(row)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, id+".row"), text, 0o600)
}

func (sh *plainShard) backFrom(ctx context.Context, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var row plainRow
	if err := json.Unmarshal(text, &row); err != nil {
		return err
	}
	body, err := os.ReadFile(strings.TrimSuffix(path, ".row"))
	if err != nil {
		return err
	}
	return sh.keep(ctx, row.ID, int(row.Owner), row.Name, body)
}

// served loses two shards of the built design, one after the other.
func (a losing) served(ctx context.Context, b *lab.Bench, row *lab.Design) error {
	h, err := newHouse(ctx, b, a.people, append([]string{"--photos-throttle", "0"}, a.args...)...)
	if err != nil {
		return err
	}
	defer func() { h.Kill9() }()
	for i := range fourShards - 1 {
		if _, err := h.addShard(ctx, fmt.Sprintf("shard-%02d", i+2)); err != nil {
			return err
		}
	}
	l := newLibrary(b, row.Name, h)
	if err := l.fill(ctx, a.people, a.most, a.typical); err != nil {
		return err
	}
	if err := a.captions(ctx, h, l); err != nil {
		return err
	}
	if err := h.sizesMade(ctx); err != nil {
		return err
	}
	board, err := h.board(ctx)
	if err != nil {
		return err
	}
	const first, second = "shard-02", "shard-03"
	row.Set("photos", float64(len(l.kept))).Set("there", float64(board[first].Photos))
	// Started anew it has nothing in memory: what is read after the loss is not from there.
	h.Kill9()
	if err := h.start(ctx, h.data); err != nil {
		return err
	}
	report, _, err := a.beside(ctx, l, "lost", func(ctx context.Context) error { return a.loseBucket(ctx, row, h, l, first) })
	if err != nil {
		return err
	}
	if err := a.settled(ctx, row, l, report.Calls); err != nil {
		return err
	}
	row.Metrics["failed_after"] += float64(l.failedWrites.Load())
	return a.loseAll(ctx, b, row, h, l, second)
}

// loseBucket deletes a shard's files, looks what can be read, and has it healed.
func (a losing) loseBucket(ctx context.Context, row *lab.Design, h *house, l *library, name string) error {
	disk := filepath.Join(h.data, "photos", name, "blobs")
	if err := vanish(disk); err != nil {
		return err
	}
	n, err := l.lost(ctx)
	if err != nil {
		return err
	}
	row.Set("unavailable", float64(n))
	pause(ctx, time.Second)
	if err := os.Mkdir(disk, 0o700); err != nil {
		return err
	}
	row.Set("failed_after", -float64(l.failedWrites.Load()))
	began := time.Now()
	if err := h.repair(ctx, "/shards/"+name+"/heal"); err != nil {
		return err
	}
	row.Set("repair_s", time.Since(began).Seconds())
	return nil
}

// repair orders a repair, and waits until all that were begun have ended, two minutes at
// most.
func (h *house) repair(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 2*time.Minute, errors.New("a repair takes more than two minutes"))
	defer cancel()
	if err := h.admin(ctx, "POST", path, nil, nil); err != nil {
		return err
	}
	for {
		var out struct {
			Repairs []struct{ ID, Kind, State, Error string }
		}
		if err := h.admin(ctx, "GET", "/repairs", nil, &out); err != nil {
			return err
		}
		going := false
		for _, r := range out.Repairs {
			if r.State == "failed" {
				return fmt.Errorf("a %s failed: %s", r.Kind, r.Error)
			}
			going = going || r.State == "running"
		}
		if !going {
			return nil
		}
		if !pause(ctx, 100*time.Millisecond) {
			return context.Cause(ctx)
		}
	}
}

// caption is what a photo's should be.
func caption(k kept, when string) string { return fmt.Sprintf("%s of %s", when, k.name) }

func (h *house) caption(ctx context.Context, k kept, when string) error {
	return h.do(ctx, "PATCH", roomAPI+"/"+k.id, h.people[k.owner].token, map[string]string{"caption": caption(k, when)}, nil)
}

// early says which photos get their caption at once, before manifests are written.
func early(k kept) bool { return k.size%2 == 0 }

// captions gives photos their captions, where manifests are waited for.
func (a losing) captions(ctx context.Context, h *house, l *library) error {
	if a.settle == 0 {
		return nil
	}
	return eachOf(ctx, 4, len(l.kept), func(ctx context.Context, i int) error {
		if !early(l.kept[i]) {
			return nil
		}
		return h.caption(ctx, l.kept[i], "old")
	})
}

// loseAll deletes a shard with its database, and has it given up and rebuilt.
func (a losing) loseAll(ctx context.Context, b *lab.Bench, row *lab.Design, h *house, l *library, name string) error {
	there, err := h.holds(ctx, name, l)
	if err != nil {
		return err
	}
	row.Set("there_db", float64(len(there)))
	var old, fresh []kept
	if a.settle > 0 {
		for _, k := range there {
			if early(k) {
				old = append(old, k)
			} else {
				fresh = append(fresh, k)
			}
		}
		b.Progress(0.6, "as served: until manifests are written")
		if !pause(ctx, a.settle) {
			return ctx.Err()
		}
		if err := eachOf(ctx, 4, len(fresh), func(ctx context.Context, i int) error { return h.caption(ctx, fresh[i], "fresh") }); err != nil {
			return err
		}
	}
	if err := vanish(filepath.Join(h.data, "photos", name)); err != nil {
		return err
	}
	began := time.Now()
	if err := h.repair(ctx, "/shards/"+name+"/lost"); err != nil {
		return err
	}
	row.Set("rebuild_s", time.Since(began).Seconds())
	n, err := l.lost(ctx)
	if err != nil {
		return err
	}
	row.Set("lost_db", float64(n))
	for what, list := range map[string][]kept{"old": old, "fresh": fresh} {
		missing := 0
		for _, k := range list {
			var out struct{ Caption string }
			err := h.do(ctx, "GET", roomAPI+"/"+k.id, h.people[k.owner].token, nil, &out)
			if err != nil || out.Caption != caption(k, what) {
				missing++
			}
		}
		if len(list) > 0 {
			row.Set(map[string]string{"old": "captions_old_pct", "fresh": "captions_new_pct"}[what], 100*float64(missing)/float64(len(list)))
		}
	}
	return nil
}

// holds returns the photos of the people who are on a shard, which its database says.
func (h *house) holds(ctx context.Context, name string, l *library) ([]kept, error) {
	owners, err := ownersAt(ctx, filepath.Join(h.data, "photos", name, "shard.db"))
	here := map[string]bool{}
	for _, owner := range owners {
		here[owner] = true
	}
	var list []kept
	for _, k := range l.kept {
		if here[h.people[k.owner].id] {
			list = append(list, k)
		}
	}
	return list, err
}
