package shard

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"plumb/base/errs"
	"plumb/base/ids"
	"plumb/engines/sqldb"
)

const (
	evenEnough  = 1.05 // most loaded shard over the mean at which a proposal stops
	mostMoves   = 500  // of a proposal
	candidates  = 1000 // owners of a shard that are looked at
	keepPropose = 24 * time.Hour
)

// Proposal is moves that would even a load.
type Proposal struct {
	ID            string
	By            string // bytes, requests, bandwidth, cpu
	Made          time.Time
	Before, After float64 // the most loaded shard over the mean, by weight; 1 is even
	Moves         []Move
	Note          string // what it does not reach, and why; "" when it reaches all
}

// Move is one owner of a proposal.
type Move struct {
	Owner, From, To string
	Load            float64 // of what the proposal is by: bytes, or a rate
	Bytes           int64   // to copy
}

// side is a shard in a proposal.
type side struct {
	no     int64
	name   string
	weight float64
	load   float64
	owners []heavy // who may move away
}

type heavy struct {
	owner string
	load  float64
}

func (x *side) level() float64 { return x.load / x.weight }

// Propose looks which few owners would have to move so that no active shard has more than
// 1.05 of the mean of bytes, requests, bandwidth (bytes in and out) or cpu, by weight. It changes nothing. Errors:
// Invalid.
func (s *Set) Propose(ctx context.Context, by string) (Proposal, error) {
	p, err := s.propose(ctx, by)
	if err != nil {
		return Proposal{}, fmt.Errorf("propose moves by %.20s: %w", by, err)
	}
	return p, nil
}

func (s *Set) propose(ctx context.Context, by string) (Proposal, error) {
	sides, err := s.sides(ctx, by)
	if err != nil {
		return Proposal{}, err
	}
	now := s.n.Clock.Now()
	p := Proposal{ID: ids.New(now), By: by, Made: now.UTC().Truncate(time.Microsecond), Before: unevenness(sides)}
	moved := map[string]bool{}
	for len(p.Moves) < mostMoves && unevenness(sides) > evenEnough {
		from, to, h := bestMove(sides, moved)
		if h == nil {
			p.Note = whyNot(sides, by)
			break
		}
		moved[h.owner] = true
		fixed, bytes, err := s.mayPropose(ctx, h.owner, from.no)
		if err != nil {
			return p, err
		}
		if fixed {
			continue
		}
		from.load -= h.load
		to.load += h.load
		p.Moves = append(p.Moves, Move{h.owner, from.name, to.name, h.load, bytes})
	}
	if len(p.Moves) == mostMoves {
		p.Note = fmt.Sprintf("stopped at %d moves: carry them out and look again, or change the weights", mostMoves)
	}
	p.After = unevenness(sides)
	body, err := json.Marshal(p)
	if err != nil {
		return p, err
	}
	return p, s.houseWrite(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := tx.Exec(ctx, sqlProposalsForget, now.Add(-keepPropose).UnixMicro()); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, sqlProposalPut, p.ID, now.UnixMicro(), string(body))
		return err
	})
}

// sides returns the active shards with their load and their heaviest owners.
func (s *Set) sides(ctx context.Context, by string) ([]*side, error) {
	if !slices.Contains([]string{"bytes", "requests", "bandwidth", "cpu"}, by) {
		return nil, errs.New(errs.Invalid, "load is by bytes, requests, bandwidth or cpu, not %.20q", by)
	}
	loads, err := s.Board(ctx)
	if err != nil {
		return nil, err
	}
	var list []*side
	byName := map[string]*side{}
	for _, l := range loads {
		if l.State != Active {
			continue
		}
		if !l.Up {
			return nil, errs.TryAfter(10*time.Second, "shard %s does not answer", l.Name)
		}
		x := &side{no: l.No, name: l.Name, weight: l.Weight}
		x.load = map[string]float64{"bytes": float64(l.Bytes), "requests": l.Requests, "bandwidth": l.In + l.Out, "cpu": l.CPU}[by]
		list, byName[l.Name] = append(list, x), x
	}
	if by != "bytes" {
		hot, err := s.Hot(ctx)
		if err != nil {
			return nil, err
		}
		for _, h := range hot {
			load := map[string]float64{"requests": h.Requests, "bandwidth": h.In + h.Out, "cpu": h.CPU}[by]
			if x := byName[h.Shard]; x != nil && load > 0 {
				x.owners = append(x.owners, heavy{h.Owner, load})
			}
		}
		return list, nil
	}
	for _, x := range list {
		if x.owners, err = s.heaviest(ctx, x.no); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// heaviest returns the owners of a shard with the most bytes.
func (s *Set) heaviest(ctx context.Context, no int64) (list []heavy, err error) {
	at, err := s.ByNo(no)
	if err != nil {
		return nil, err
	}
	err = at.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		list = nil
		rows, err := tx.Query(ctx, sqlOwnersHeavy, int64(candidates))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var h heavy
			var bytes int64
			if err := rows.Scan(&h.owner, &bytes); err != nil {
				return err
			}
			h.load = float64(bytes)
			list = append(list, h)
		}
		return rows.Err()
	})
	return list, err
}

// unevenness is the highest level over the mean.
func unevenness(sides []*side) float64 {
	load, weight, most := 0.0, 0.0, 0.0
	for _, x := range sides {
		load += x.load
		weight += x.weight
		most = max(most, x.level())
	}
	if load == 0 {
		return 1
	}
	return most / (load / weight)
}

// bestMove returns the owner on the highest shard whose move to the lowest brings both
// nearest together; nil when none helps.
func bestMove(sides []*side, moved map[string]bool) (from, to *side, best *heavy) {
	from = slices.MaxFunc(sides, func(a, b *side) int { return cmp.Compare(a.level(), b.level()) })
	to = slices.MinFunc(sides, func(a, b *side) int { return cmp.Compare(a.level(), b.level()) })
	gap := from.level() - to.level()
	ideal := gap / (1/from.weight + 1/to.weight)
	for i := range from.owners {
		h := &from.owners[i]
		if moved[h.owner] || h.load <= 0 || h.load/to.weight >= gap {
			continue
		}
		if best == nil || abs(h.load-ideal) < abs(best.load-ideal) {
			best = h
		}
	}
	return from, to, best
}

func abs(x float64) float64 { return max(x, -x) }

// whyNot says what keeps a load uneven.
func whyNot(sides []*side, by string) string {
	top := slices.MaxFunc(sides, func(a, b *side) int { return cmp.Compare(a.level(), b.level()) })
	var most heavy
	for _, h := range top.owners {
		if h.load > most.load {
			most = h
		}
	}
	if most.load > top.load/2 {
		return fmt.Sprintf("%s alone has %.0f%% of the %s of shard %s: no move helps, a larger shard or more copies would", most.owner, 100*most.load/top.load, by, top.name)
	}
	return fmt.Sprintf("what is left of the %s of shard %s is spread over owners who are too small or too many to be named: change the weights", by, top.name)
}

// mayPropose says whether an owner is fixed where they are, or elsewhere by now, and how
// much they have.
func (s *Set) mayPropose(ctx context.Context, owner string, no int64) (fixed bool, bytes int64, err error) {
	var why string
	var want int64
	err = s.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, sqlPinWhy, owner).Scan(&why, &want)
	})
	if err != nil && !errors.Is(err, sqldb.ErrNoRows) {
		return false, 0, err
	}
	if why == whyPin || want != 0 {
		return true, 0, nil
	}
	at, err := s.ByNo(no)
	if err != nil {
		return false, 0, err
	}
	st, found, err := at.standing(ctx, owner)
	return !found || st.state != here, st.bytes, err
}

// Execute carries out a proposal that is not older than a day. Owners who are elsewhere by
// now are left out. Errors: NotFound; Conflict when it was carried out already; Busy.
func (s *Set) Execute(ctx context.Context, id string) (Migration, error) {
	m, err := s.execute(ctx, id)
	if err != nil {
		return m, fmt.Errorf("carry out proposal %.40s: %w", id, err)
	}
	return m, nil
}

func (s *Set) execute(ctx context.Context, id string) (Migration, error) {
	var body, migration string
	err := s.houseWrite(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := tx.QueryRow(ctx, sqlProposal, id).Scan(&body, &migration); err != nil {
			return err
		}
		if migration != "" {
			return errs.New(errs.Conflict, "it was carried out already")
		}
		_, err := tx.Exec(ctx, sqlProposalUse, id)
		return err
	})
	if errors.Is(err, sqldb.ErrNoRows) {
		return Migration{}, errs.New(errs.NotFound, "there is no such proposal, or not any more: make another")
	}
	if err != nil {
		return Migration{}, err
	}
	var p Proposal
	if err := json.NewDecoder(strings.NewReader(body)).Decode(&p); err != nil {
		return Migration{}, err
	}
	d := s.dir.Load()
	var list []errand
	for _, m := range p.Moves {
		from, err := d.named(m.From)
		if err != nil {
			continue
		}
		to, err := d.named(m.To)
		if err != nil || to.State != Active {
			continue
		}
		if fixed, _, err := s.mayPropose(ctx, m.Owner, from.No); err != nil {
			return Migration{}, err
		} else if !fixed {
			list = append(list, errand{m.Owner, to.No, whyBalance})
		}
	}
	return s.sendAll(ctx, "balance "+p.By, list)
}
