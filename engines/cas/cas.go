// Package cas keeps content once. A blob is named by the SHA-256 of its bytes;
// whoever stores the same bytes again gets another reference to the same blob, and
// an edited copy of a large one costs only its changes, because blobs are cut into
// chunks where their content says so.
//
//	store, err := cas.Open(ctx, cas.Needs{DB: db, Bucket: b, Key: houseKey, Clock: clock.System{}, Log: log}, cas.Options{})
//	p, err := store.Put(ctx, body, cas.PutOptions{})      // reads, hashes, stores; nothing refers to it yet
//	defer p.Close()
//	err = store.Write(ctx, p.Hash(), func(ctx context.Context, tx *sqldb.Tx) error {
//		if err := store.Take(ctx, tx, p); err != nil { // one reference, in the caller's transaction
//			return err
//		}
//		return insertMyRow(ctx, tx, name, p.Hash(), p.Size())
//	})
//	r, err := store.Open(ctx, p.Hash())                    // io.ReadSeekCloser, io.WriterTo
//	err = store.Write(ctx, hash, func(ctx context.Context, tx *sqldb.Tx) error {
//		return store.Drop(ctx, tx, hash)               // one reference less
//	})
//
// What holds:
//
//   - What Take's transaction committed can be read, whole and verified, until its
//     last reference is dropped: after a crash, a power cut, beside the collector.
//   - However many store the same bytes at once, in however many processes, one
//     blob stays, and its count of references is exact.
//   - A reference is added only while the blob is alive, in the same transaction
//     that looks. No grace period stands in for that.
//   - Put writes known content like unknown content, so that neither bytes nor time
//     tell whether somebody else has it (PutOptions.Trusted gives that up).
//   - At rest everything is sealed (AES-256-GCM) under keys that are themselves
//     wrapped by the house's key, which can be changed without rewriting content.
//   - Memory is bounded: a few chunks a Put or a reader, a few hundred rows a step
//     of the collector or the scrubber.
package cas

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"

	"plumb/base/clock"
	"plumb/base/errs"
	"plumb/engines/bucket"
	"plumb/engines/sqldb"
)

// Hash names content: the SHA-256 of its bytes (FIPS 180-4).
type Hash [sha256.Size]byte

// String returns the hash as 64 hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// ParseHash reads 64 hexadecimal digits. Errors: Invalid.
func ParseHash(s string) (Hash, error) {
	var h Hash
	if len(s) != 2*len(h) {
		return h, errs.New(errs.Invalid, "a SHA-256 has 64 hexadecimal digits, not %d characters", len(s))
	}
	if _, err := hex.Decode(h[:], []byte(s)); err != nil {
		return h, errs.New(errs.Invalid, "%.64q is not hexadecimal", s)
	}
	return h, nil
}

// Needs is what the engine is given.
type Needs struct {
	DB     *sqldb.DB
	Bucket bucket.Bucket
	Key    []byte   // the house's key, 32 bytes: wraps the data keys
	Old    [][]byte // earlier house keys, which still open what Rekey has not reached
	Clock  clock.Clock
	Log    *slog.Logger
}

// Options tunes a store. The zero value is right for a server.
type Options struct {
	// Plain leaves new content bare instead of sealing it. What is there stays
	// as it is, and both can be read.
	Plain bool
	// VerifyOnHit compares the bytes of known content with those that came, and
	// not their hashes only.
	VerifyOnHit bool
	// Replica is a copy of the bucket, made by whoever copies it, from which the
	// scrubber repairs; nil for none.
	Replica bucket.Bucket
	// Writers is how many objects are being ended at once: 3 when 0. What comes
	// meanwhile shares the next one.
	Writers int
	// Alone says that no other process uses the store, nor will while this one
	// does: what an earlier one left unfinished is then freed at once, and else a
	// day later.
	Alone bool
}

// PutOptions changes one Put.
type PutOptions struct {
	// Limit refuses more bytes than this as TooLarge: MaxSize when 0.
	Limit int64
	// Trusted skips writing what is known already. Its time tells whether the store
	// has the content, so it is for stores with one owner. Conflict says that what it
	// counted on went meanwhile, and r could not be read again: put once more.
	Trusted bool
	// Later returns before what was written is durable, so that many contents share an
	// object and its syncs: Pending.Ready must come before Take. Small ones go into
	// objects too. For who stores a whole tree.
	Later bool
	// Whole keeps the blob in one chunk up to 1 MiB, and else cuts it at fixed
	// lengths: for comparison, and for content that is never edited.
	Whole bool
}

// MaxSize is the most bytes of a blob.
const MaxSize = int64(128) << 30

// Stats is what a store holds. All bytes are counted in SQL and exact.
type Stats struct {
	Blobs      int64 // live, referred to
	References int64
	Logical    int64 // bytes of all references: what their owners see
	Unique     int64 // bytes of all blobs, each once
	Chunked    int64 // bytes of all chunks, each once, before compression
	Stored     int64 // bytes of all live chunks as they lie
	Waiting    int64 // bytes that the collector will free
	Chunks     int64
	Packs      int64 // objects in the bucket
	Loose      int64 // chunks that still lie in the database
	Bad        int64 // chunks in quarantine
}

// Extent is a run of a blob's bytes that lie bare in a file (Options.Plain on a
// folder bucket), so that the system can send them without copying.
type Extent struct {
	Off, N int64 // within the file
	File   io.ReaderAt
}

// Progress tells how far a long step is.
type Progress struct {
	Done, Total int64 // bytes
	What        string
}

// ScrubResult is what a scrub found.
type ScrubResult struct {
	Chunks, Bytes int64
	Bad, Repaired int64
	Orphans       int64    // objects that nothing named, removed
	Faults        []string // the first hundred: pack, offset, chunk, what is wrong
}

// CollectResult is what a collection did.
type CollectResult struct {
	Blobs, Chunks, Packs int64
	Freed                int64 // bytes
	Moved                int64 // bytes rewritten to free others
}
