package shard

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"plumb/base/errs"
	"plumb/engines/cas"
)

var errTodo = errs.New(errs.Internal, "not there yet")

// Load is what one shard holds and does, over all processes.
type Load struct {
	No                    int64
	Name, Domain          string
	State                 State
	Weight                float64
	Share                 float64 // of everything, by weight
	Up                    bool    // it answers this process
	Owners, Photos, Bytes int64   // Bytes as Tally counted them
	Objects, Stored       int64   // contents, and the bytes that they take
	Coming, Leaving       int64   // owners who are to move
	Requests              float64 // a second, over the last minutes, as all rates here
	In, Out               float64 // bytes a second
	CPU                   float64 // processor seconds a second
	P50, P99              time.Duration
	Free, Size            int64 // bytes of the bucket's disk; 0: not known
}

// HotOwner is an owner who is asked for much.
type HotOwner struct {
	Owner, Shard string
	Requests     float64 // a second
	In, Out      float64 // bytes a second
	CPU          float64 // processor seconds a second
}

func (s *Set) Board(ctx context.Context) ([]Load, error)   { return nil, errTodo }
func (s *Set) Hot(ctx context.Context) ([]HotOwner, error) { return nil, errTodo }

// Proposal is moves that would even a load.
type Proposal struct {
	ID            string
	By            string // bytes, requests, bandwidth, cpu
	Made          time.Time
	Before, After float64 // the most loaded shard over the mean, by weight
	Moves         []Move
	Note          string // what it cannot reach, and why
}

// Move is one owner of a proposal.
type Move struct {
	Owner, From, To string
	Load            float64 // of what the proposal is by
	Bytes           int64   // to copy
}

func (s *Set) Propose(ctx context.Context, by string) (Proposal, error) { return Proposal{}, errTodo }
func (s *Set) Execute(ctx context.Context, proposal string) (Migration, error) {
	return Migration{}, errTodo
}

// Count says what a door did for an owner.
func (s *Set) Count(owner string, in, out int64, took, cpu time.Duration) {}

// Export calls w with every row of the owner that changed after since, and then all of
// their links, and returns the number to go on from.
func (s *Set) Export(ctx context.Context, owner string, since int64, w func(Row) error) (int64, error) {
	return 0, errTodo
}

// Import writes rows that Export gave. fetch puts a content that the shard lacks; nil
// without an error means that it is not to be had, and leaves the column empty.
func (s *Set) Import(ctx context.Context, owner string, rows []Row, fetch func(ctx context.Context, at *Shard, h cas.Hash) (*cas.Pending, error)) error {
	return errTodo
}

func (s *Set) Collectors() []prometheus.Collector { return nil }

type doors struct{}

func newDoors() *doors { return &doors{} }

type boards struct{}

func (s *Set) forgetLoad(ctx context.Context) error { return nil }
func (s *Set) flushLoad(ctx context.Context) error  { return nil }
