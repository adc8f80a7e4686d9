// Package bucket keeps blobs under keys: in a folder, in memory or in S3.
//
// A bucket knows whole objects only. An object appears complete or not at
// all, is durable when Put has answered, and never changes by halves:
//
//	b, err := bucket.Open(ctx, "dir:/var/lib/plumb/blobs")
//	err = b.Put(ctx, "ab/cd/abcd0123", file, size, bucket.PutOptions{IfAbsent: true})
//	r, err := b.Get(ctx, "ab/cd/abcd0123", 0, -1)
//
// Keys are made by the program, never by a user: see CheckKey. One suite
// (buckettest.Suite) holds all three implementations to this contract.
package bucket

import (
	"context"
	"io"
	"os"
	"strings"
	"time"

	"plumb/base/errs"
)

// Limits of every bucket.
const (
	MaxKey     = 512              // bytes of a key
	MaxSegment = 128              // bytes between two slashes of a key
	MaxSize    = int64(128) << 30 // bytes of an object; 8,192 parts of 16 MiB in S3
	MaxList    = 1000             // objects in one answer of List
)

// Bucket keeps objects under keys. It is safe for concurrent use. Its errors
// have these kinds (base/errs); an error that ctx caused wraps ctx.Err():
//
//	Invalid   the key, the range, or a body that is not of its stated size
//	NotFound  no such object
//	Conflict  the key is taken: see PutOptions
//	Busy      nothing was stored: the disk is full, the store cannot be reached; try later
//	TooLarge  over MaxSize
//	Internal  anything else
type Bucket interface {
	// Put stores size bytes of r under key; size -1 means until r ends. It
	// returns nil once the object is durable; a Put that fails stores nothing
	// and leaves an earlier object as it was. Only where the answer itself is
	// lost (the store dies, the line breaks) may the object be there all the same.
	Put(ctx context.Context, key string, r io.Reader, size int64, opt PutOptions) error

	// Get opens n bytes from offset off on; n < 0 means to the end, and a range
	// that reaches past the end is cut there. off may equal the size, not
	// exceed it. A reader sees one version of the object, whole, even when it
	// is replaced or deleted meanwhile, or an error. The caller closes it.
	Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, error)

	// Stat describes the object.
	Stat(ctx context.Context, key string) (Info, error)

	// List returns up to max (1 to MaxList) objects whose keys begin with
	// prefix and sort, byte by byte, after the key after. Fewer than max means
	// that there are no more; go on with the last key. A list of 1 is also the
	// way to ask whether the store is there: Stat cannot tell a lost bucket from
	// a missing object.
	List(ctx context.Context, prefix, after string, max int) ([]Info, error)

	// Delete removes the object, durably. One that is not there is no error.
	Delete(ctx context.Context, key string) error
}

// Opener is what a bucket in a folder has besides: its objects are files, which stay
// readable when they are deleted or replaced, and which the system can send by itself.
type Opener interface {
	// OpenFile opens an object for reading. The caller closes it. Errors: as Get's.
	OpenFile(ctx context.Context, key string) (*os.File, error)
}

// Roomer is what a bucket in a folder has besides: it knows its disk.
type Roomer interface {
	// Room returns how many bytes are free on the disk, and how many it has; zeros
	// where the system does not say.
	Room() (free, size int64)
}

// PutOptions changes how Put treats an object that is there already.
type PutOptions struct {
	// IfAbsent makes Put fail with Conflict when the key is taken, instead of
	// replacing the object. Of any number of writers at most one gets nil, and
	// whoever is told Conflict may rely on the object that is there: it is
	// durable. In S3 a writer whose answer got lost may meet its own object.
	IfAbsent bool
}

// Info describes an object.
type Info struct {
	Key      string
	Size     int64     // bytes
	Modified time.Time // when it was stored, by the store's clock; whole seconds in S3
}

// Open opens the bucket at url:
//
//	dir:PATH                      a folder, made if need be
//	mem:                          this process's memory, lost at its end
//	s3://ACCESS@host:port/bucket  an S3 store; see openS3 for its settings
func Open(ctx context.Context, url string) (Bucket, error) {
	scheme, rest, ok := strings.Cut(url, ":")
	switch {
	case ok && scheme == "dir" && rest != "":
		return Folder(rest)
	case ok && scheme == "mem" && rest == "":
		return Memory(), nil
	case ok && scheme == "s3":
		return openS3(ctx, url)
	}
	// The URL is not quoted: somebody may have put a secret in it.
	return nil, errs.New(errs.Invalid, "a bucket is dir:PATH, mem: or s3://ACCESS@host:port/bucket")
}

// CheckKey says whether key is fit to be one: segments of a-z 0-9 . _ - that do
// not begin with a dot, joined by single slashes. Upper case is out because
// some file systems would mix it up, and so is all that a path gives a meaning
// to. A key must not be another's folder: with an object "a" there is no "a/b"
// (Put answers Conflict, or, in S3 proper, stores both).
func CheckKey(key string) error {
	if len(key) == 0 || len(key) > MaxKey {
		return errs.New(errs.Invalid, "a key must have 1 to %d bytes, not %d", MaxKey, len(key))
	}
	for segment := range strings.SplitSeq(key, "/") {
		if segment == "" || segment[0] == '.' || len(segment) > MaxSegment {
			return errs.New(errs.Invalid, "key %.80q: each part needs 1 to %d bytes and must not begin with a dot", key, MaxSegment)
		}
	}
	return checkLetters(key)
}

// checkPrefix says whether a key could begin with prefix.
func checkPrefix(prefix string) error {
	if len(prefix) > MaxKey {
		return errs.New(errs.Invalid, "a prefix may have %d bytes, not %d", MaxKey, len(prefix))
	}
	return checkLetters(prefix)
}

func checkLetters(s string) error {
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-' || c == '/' {
			continue
		}
		return errs.New(errs.Invalid, "key %.80q may hold a-z, 0-9, dot, _, - and / only; byte %d is %q", s, i+1, c)
	}
	return nil
}

func checkList(prefix, after string, max int) error {
	if err := checkPrefix(prefix); err != nil {
		return err
	}
	if err := checkPrefix(after); err != nil {
		return err
	}
	if max < 1 || max > MaxList {
		return errs.New(errs.Invalid, "a list may have 1 to %d objects, not %d", MaxList, max)
	}
	return nil
}

// checkRange returns how many bytes of an object of size bytes are to be read.
func checkRange(key string, off, n, size int64) (int64, error) {
	if off < 0 || off > size {
		return 0, errs.New(errs.Invalid, "%s has %d bytes; offset %d is not among them", key, size, off)
	}
	if n < 0 || n > size-off {
		n = size - off
	}
	return n, nil
}
