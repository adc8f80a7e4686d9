package photos

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"plumb/base/errs"
	"plumb/base/ids"
	"plumb/engines/jobs"
	"plumb/engines/sqldb"
	"plumb/systems/photos/internal/shard"
)

//go:embed repairs/schema/*.sql
var repairSchema embed.FS

// RepairKind is what a Repair does.
type RepairKind string

// The kinds.
const (
	Heal    RepairKind = "heal"    // reads a shard's photos, and puts back what its bucket lost
	Leave   RepairKind = "leave"   // has the copies that a shard holds made elsewhere
	Rebuild RepairKind = "rebuild" // makes the rows of lost shards anew, where their people are placed now
	Backup  RepairKind = "backup"  // copies a shard's photos and rows to a place
	Restore RepairKind = "restore" // brings back whom such a place has, and no shard
)

// The states of a repair.
const (
	Running = "running"
	Ended   = "done"
	Failed  = "failed"
)

// Repair is work on all photos of a shard. It goes on after a crash, in any process.
type Repair struct {
	ID           string
	Kind         RepairKind
	Shard        string // its name; "": all
	Place        string // a bucket's URL, of Backup and Restore
	State        string
	Begun, Ended time.Time
	Photos       int64 // looked at
	Fixed        int64 // put back, copied or brought back
	Lost         int64 // of which nothing was found
	Bytes        int64 // written
	Error        string

	no    int64
	since time.Time
	reach reach
	mu    sync.Mutex // counts, while several photos are at work
	saved time.Time
}

// reach is how far a repair is: everything up to there is done.
type reach struct {
	Phase int    `json:"phase,omitempty"`
	Shard int64  `json:"shard,omitempty"`
	Owner string `json:"owner,omitempty"`
	Photo string `json:"photo,omitempty"`
}

const (
	repairColumns = `id, kind, shard, name, place, since, state, begun, ended, photos, fixed, lost, bytes, spot, error`

	addRepairSQL   = `INSERT INTO photos_repairs (` + repairColumns + `) VALUES ($1, $2, $3, $4, $5, $6, 'running', $7, 0, 0, 0, 0, 0, '{}', '')`
	repairSQL      = `SELECT ` + repairColumns + ` FROM photos_repairs WHERE id = $1`
	repairsSQL     = `SELECT ` + repairColumns + ` FROM photos_repairs WHERE id < $1 ORDER BY id DESC LIMIT $2`
	goingRepairSQL = `SELECT ` + repairColumns + ` FROM photos_repairs WHERE kind = $1 AND shard = $2 AND place = $3 AND state = 'running'`
	saveRepairSQL  = `UPDATE photos_repairs SET state = $2, ended = $3, photos = $4, fixed = $5, lost = $6, bytes = $7, spot = $8, error = $9 WHERE id = $1`
)

// repairSlice is how long one job works at a repair before it makes room for others.
const repairSlice = 45 * time.Second

// openRepairs brings the house's table up to date.
func (s *System) openRepairs(ctx context.Context) error {
	tables, err := fs.Sub(repairSchema, "repairs")
	if err != nil {
		return err
	}
	return s.n.DB.Migrate(ctx, "photos_repairs", tables)
}

// startRepair begins a repair, or returns the one of its kind that is under way.
func (s *System) startRepair(ctx context.Context, r *Repair) (*Repair, error) {
	now := s.now()
	r.ID, r.State, r.Begun = ids.New(now), Running, now
	if r.since.IsZero() {
		r.since = now
	}
	err := s.n.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		old, err := scanRepair(tx.QueryRow(ctx, goingRepairSQL, string(r.Kind), r.no, r.Place).Scan)
		if err == nil {
			r = old
			return nil
		}
		if err != sqldb.ErrNoRows {
			return err
		}
		if _, err := tx.Exec(ctx, addRepairSQL, r.ID, string(r.Kind), r.no, r.Shard, r.Place, r.since.UnixMicro(), now.UnixMicro()); err != nil {
			return err
		}
		return s.n.Jobs.Add(ctx, tx, "photos.repair", repairJob{r.ID})
	})
	return r, err
}

type repairJob struct {
	ID string `json:"id"`
}

// repairWork is the job.
func (s *System) repairWork() jobs.Work {
	return jobs.Work{Kind: "photos.repair", Max: 2, Timeout: 3 * time.Minute, Tries: 100, Unique: true, Run: s.repair}
}

// repair works at a repair for a while.
func (s *System) repair(ctx context.Context, payload []byte) error {
	var j repairJob
	if err := json.Unmarshal(payload, &j); err != nil {
		return errs.Wrap(errs.Invalid, err, "read a repair's job")
	}
	r, err := s.repairByID(ctx, j.ID)
	if err != nil || r.State != Running {
		return err
	}
	slice, cancel := context.WithTimeout(ctx, repairSlice)
	defer cancel()
	err = s.repairStep(slice, r)
	switch {
	case err == nil:
		r.State, r.Ended, r.Error = Ended, s.now(), ""
		s.n.Log.Info("a repair is done", "kind", r.Kind, "shard", r.Shard, "photos", r.Photos, "fixed", r.Fixed, "lost", r.Lost)
	case slice.Err() != nil && ctx.Err() == nil:
		if err := s.saveRepair(ctx, r); err != nil {
			return err
		}
		return errs.TryAfter(100*time.Millisecond, "repair %s goes on", r.ID)
	case errs.Is(err, errs.Invalid), errs.Is(err, errs.NotFound):
		r.State, r.Ended, r.Error = Failed, s.now(), err.Error()
	default:
		r.Error = err.Error()
		return errors.Join(err, s.saveRepair(context.WithoutCancel(ctx), r))
	}
	return s.saveRepair(ctx, r)
}

func (s *System) repairStep(ctx context.Context, r *Repair) error {
	switch r.Kind {
	case Heal:
		return s.healing(ctx, r)
	case Leave:
		return s.leaving(ctx, r)
	case Rebuild:
		return s.rebuilding(ctx, r)
	case Backup:
		return s.backingUp(ctx, r)
	case Restore:
		return s.restoring(ctx, r)
	}
	return errs.New(errs.Invalid, "there is no repair %q", r.Kind)
}

// count adds to what a repair did.
func (r *Repair) count(fixed, lost, bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Fixed, r.Lost, r.Bytes = r.Fixed+fixed, r.Lost+lost, r.Bytes+bytes
}

func (s *System) saveRepair(ctx context.Context, r *Repair) error {
	text, err := json.Marshal(r.reach)
	if err != nil {
		return err
	}
	r.saved = s.now()
	err = s.n.DB.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, saveRepairSQL, r.ID, r.State, micros(r.Ended), r.Photos, r.Fixed, r.Lost, r.Bytes, string(text), r.Error)
		return err
	})
	if err != nil {
		return fmt.Errorf("note how far repair %s is: %w", r.ID, err)
	}
	return nil
}

// saveSometimes saves when that is two seconds ago.
func (s *System) saveSometimes(ctx context.Context, r *Repair) error {
	if s.now().Sub(r.saved) < 2*time.Second {
		return nil
	}
	return s.saveRepair(ctx, r)
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func (s *System) repairByID(ctx context.Context, id string) (*Repair, error) {
	var r *Repair
	err := s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		r, err = scanRepair(tx.QueryRow(ctx, repairSQL, id).Scan)
		return err
	})
	if err == sqldb.ErrNoRows {
		return nil, errNone("repair", id)
	}
	return r, err
}

func scanRepair(scan func(...any) error) (*Repair, error) {
	r := &Repair{}
	var kind, text string
	var since, begun, ended int64
	if err := scan(&r.ID, &kind, &r.no, &r.Shard, &r.Place, &since, &r.State, &begun, &ended, &r.Photos, &r.Fixed, &r.Lost, &r.Bytes, &text, &r.Error); err != nil {
		return nil, err
	}
	r.Kind, r.since, r.Begun, r.Ended = RepairKind(kind), when(since), when(begun), when(ended)
	return r, json.Unmarshal([]byte(text), &r.reach)
}

// atOnce is how many photos a repair works at beside each other.
const atOnce = 4

const (
	walkSQL = `SELECT ` + photoColumns + ` FROM photos_photos AS p WHERE p.gone = 0` + hereSQL + ` AND (p.owner, p.id) > ($1, $2) ORDER BY p.owner, p.id LIMIT $3`
	// The rows that name a shard among their copies; its number with a comma at both sides.
	holdingSQL = `SELECT ` + photoColumns + ` FROM photos_photos AS p WHERE p.gone = 0` + hereSQL + ` AND (p.owner, p.id) > ($1, $2) AND ',' || p.copies || ',' LIKE $4 ORDER BY p.owner, p.id LIMIT $3`
)

// holder is the pattern of rows that name a shard among their copies.
func holder(no int64) string { return fmt.Sprintf("%%,%d,%%", no) }

// walk visits the photos of a shard from the repair's reach on, several at once; but,
// unless 0, leaves out those of which that shard holds no copy.
func (s *System) walk(ctx context.Context, r *Repair, at *shard.Shard, but int64, visit func(ctx context.Context, p Photo) error) error {
	const batch = 64
	for {
		var list []Photo
		err := at.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
			if but == 0 {
				list, err = photos(ctx, tx, walkSQL, r.reach.Owner, r.reach.Photo, int64(batch))
			} else {
				list, err = photos(ctx, tx, holdingSQL, r.reach.Owner, r.reach.Photo, int64(batch), holder(but))
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("read the photos of shard %s: %w", at.Name, err)
		}
		if err := besides(ctx, list, visit); err != nil {
			return err
		}
		if len(list) > 0 {
			last := list[len(list)-1]
			r.reach.Owner, r.reach.Photo, r.Photos = last.Owner, last.ID, r.Photos+int64(len(list))
		}
		if err := s.saveSometimes(ctx, r); err != nil {
			return err
		}
		if len(list) < batch {
			return nil
		}
	}
}

// besides visits a list, several at once, and returns the first error.
func besides(ctx context.Context, list []Photo, visit func(ctx context.Context, p Photo) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	turns := make(chan struct{}, atOnce)
	for _, p := range list {
		turns <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-turns }()
			if err := visit(ctx, p); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// next goes to the next phase, or the next shard of one.
func (r *Repair) next(phase int, no int64) { r.reach = reach{Phase: phase, Shard: no} }

// Repairs lists repairs, the latest first. Errors: Denied.
func (s *System) Repairs(ctx context.Context, p Person, cursor string, limit int) (list []*Repair, next string, err error) {
	limit = page(limit)
	if cursor == "" {
		cursor = "~" // after every id
	}
	list, err = operate(p, "look at repairs", func() (list []*Repair, err error) {
		err = s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			list = nil
			rows, err := tx.Query(ctx, repairsSQL, cursor, int64(limit+1))
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				r, err := scanRepair(rows.Scan)
				if err != nil {
					return err
				}
				list = append(list, r)
			}
			return rows.Err()
		})
		return list, err
	})
	list, next = trim(list, limit, func(r *Repair) string { return r.ID })
	return list, next, err
}

// Repair returns one. Errors: NotFound; Denied.
func (s *System) Repair(ctx context.Context, p Person, id string) (*Repair, error) {
	return operate(p, "look at a repair", func() (*Repair, error) { return s.repairByID(ctx, id) })
}
