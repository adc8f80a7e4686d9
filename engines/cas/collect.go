package cas

import (
	"context"
	"time"

	"plumb/base/errs"
)

var errTodo = errs.New(errs.Internal, "cas: not there yet")

// pause is between the first thing that there is to free and the collector's coming.
const pause = 5 * time.Second

// nudge tells the collector that there is something to free.
func (s *Store) nudge() {
	select {
	case s.knock <- struct{}{}:
	default:
	}
}

// giveUp notes a Pending that nobody will take, or that was taken: the collector finds
// out.
func (s *Store) giveUp(id string) {
	s.upMu.Lock()
	s.up = append(s.up, id)
	s.upMu.Unlock()
	s.nudge()
}

func (s *Store) background() {
	defer s.work.Done()
	<-s.ctx.Done()
}

// stop ends what goes on in the background.
func (s *Store) stop() {
	s.cancel()
	s.work.Wait()
}

// Collect frees what nothing refers to, and rewrites packs with much dead in them,
// until nothing is left to do or ctx ends. progress may be nil.
func (s *Store) Collect(ctx context.Context, progress func(Progress)) (CollectResult, error) {
	return CollectResult{}, errTodo
}

// Scrub reads and verifies everything. progress may be nil.
func (s *Store) Scrub(ctx context.Context, progress func(Progress)) (ScrubResult, error) {
	return ScrubResult{}, errTodo
}

// Rekey wraps all data keys anew with Needs.Key, so that Needs.Old can go.
func (s *Store) Rekey(ctx context.Context) (packs int64, err error) { return 0, errTodo }

// Check compares every count with what it counts; nil when all are exact.
func (s *Store) Check(ctx context.Context) error { return errTodo }
