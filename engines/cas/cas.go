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
//   - Memory is bounded: about 3 MiB a Put of large content, 1 MiB a reader, a few
//     thousand rows at most for the collector and the scrubber, and Options.Cache.
//
// # How it lies
//
// Content of up to 128 KiB is one chunk; longer is cut by engines/cas/cdc into chunks of
// 64 KiB to 1 MiB. A chunk is compressed (zstd) where that saves more than a sixteenth,
// and sealed by engines/cas/seal in frames of 64 KiB, so that a range costs its frames
// (or its chunk, if that is compressed). Chunks lie in packs:
//
//   - loose: a row of cas_loose, written by Take in the caller's own transaction. So a
//     small content costs one sync, and no file.
//   - object: cas/<last two digits of its id>/<id> in the bucket, up to 32 MiB. Whoever
//     puts at the same time appends to the same object, which is ended when somebody
//     waits for it and few others are being ended: many writers share its syncs.
//
// The collector gathers loose chunks into objects, up to 4,096 in one, and rewrites
// objects of which more than a quarter is dead, and small ones when there are many.
//
// An object is "plumb cas" and a zero (10 bytes), the version 1, 1 if its chunks are
// sealed, 4 zeros, the 16 bytes that name the store (cas_meta), and then the chunks, one
// after the other: SQL says where each begins, and holds the pack's data key, wrapped.
// Without SQL no chunk can be opened. The offset is the place that a chunk is sealed for,
// and its id the one that it is sealed with. A bare chunk without bytes is one zero byte.
//
// # What it costs
//
// A small Put and Take are about six statements in one transaction. A large one adds two
// transactions an object, with a row or two a chunk in the second. Open is one look-up;
// where the parts lie is one more for 8, 32, 128, and then each 256 of them, and kept.
// No cost grows with what is stored but as its indexes do: among a million chunks Open
// takes as long as among one. A chunk with its part and a blob take 500 (SQLite) to 700
// bytes (PostgreSQL) of SQL. Stats adds up some hundred rows at most, and a collection
// with nothing to do looks at a dozen indexes. Check and Scrub read everything.
//
// # What can be observed
//
// Known and unknown content take the same writes: the same bytes into the bucket or the
// database, the same number of transactions. What differs is one statement's kind (an
// update for an insert) and the time when the collector frees the bytes, which is not in
// the caller's answer. Opened content is kept for the sake of one owner's readers only
// (OpenFor): it does not tell another owner of the same bytes that they are read. Whether
// the system or its disk has bytes at hand is theirs to tell. Sizes of chunks are cut under a key of the store's own. Whoever
// sees the database or the bucket's traffic learns sizes.
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
	// Cache is how many bytes of opened content are kept for who reads it again:
	// DefaultCache when 0, none when negative. They are taken as they are needed, and
	// not given back before the store ends.
	Cache int64
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
	Freed                int64 // bytes that left: objects whole, with what of them was moved before
	Moved                int64 // bytes rewritten to free others
}
