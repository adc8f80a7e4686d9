package bucket

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"plumb/base/errs"
)

const (
	// partSize is what one Put holds in memory at most, so that a part can be
	// sent again. An object of up to one part is one request.
	partSize = 16 << 20
	// s3Tries bounds how often one request is sent: 5xx, 429, a broken line.
	s3Tries = 4
	// conflictTries bounds how often Put asks again while S3 cannot say yet
	// which of several writers wins.
	conflictTries = 6
)

// s3 keeps objects in an S3 store, through single requests and, above one
// part, multipart uploads. IfAbsent is If-None-Match: *, at the request or at
// the completion of the upload, so that the store picks the winner.
type s3 struct {
	core   minio.Core
	bucket string
}

// openS3 opens "s3://ACCESS@host:port/bucket", with these settings after a "?":
//
//	tls=0             plain HTTP
//	region=NAME       us-east-1 if not given
//	secret_file=PATH  where the secret is; else PLUMB_S3_SECRET_FILE names the
//	                  file, else PLUMB_S3_SECRET is the secret
//
// The bucket must exist.
func openS3(ctx context.Context, address string) (Bucket, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errs.New(errs.Invalid, "the S3 address cannot be read; it is s3://ACCESS@host:port/bucket")
	}
	if _, has := u.User.Password(); has {
		return nil, errs.New(errs.Invalid, "the S3 secret does not belong in the address; put it into PLUMB_S3_SECRET or a file (secret_file=PATH)")
	}
	name := strings.TrimPrefix(u.Path, "/")
	access := u.User.Username()
	if u.Host == "" || access == "" || name == "" || strings.Contains(name, "/") {
		return nil, errs.New(errs.Invalid, "%s: an S3 address is s3://ACCESS@host:port/bucket", address)
	}
	q := u.Query()
	for k := range q {
		if k != "tls" && k != "region" && k != "secret_file" {
			return nil, errs.New(errs.Invalid, "%s: unknown setting %q; known are tls, region and secret_file", address, k)
		}
	}
	tls := q.Get("tls")
	if tls != "" && tls != "0" && tls != "1" {
		return nil, errs.New(errs.Invalid, "%s: tls is 0 or 1", address)
	}
	secret, err := s3Secret(q.Get("secret_file"))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", address, err)
	}
	region := q.Get("region")
	if region == "" {
		region = "us-east-1"
	}
	client, err := minio.New(u.Host, &minio.Options{
		Creds:      credentials.NewStaticV4(access, secret, ""),
		Secure:     tls != "0",
		Region:     region,
		MaxRetries: s3Tries,
		// Other S3 stores than Amazon's know the bucket in the path everywhere.
		BucketLookup: minio.BucketLookupPath,
	})
	if err != nil {
		return nil, errs.New(errs.Invalid, "%s: %v", address, err)
	}
	s := &s3{minio.Core{Client: client}, name}
	there, err := client.BucketExists(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", address, s.kind(name, err))
	}
	if !there {
		return nil, errs.New(errs.NotFound, "%s: there is no bucket %q", address, name)
	}
	return s, nil
}

func s3Secret(file string) (string, error) {
	if file == "" {
		file = os.Getenv("PLUMB_S3_SECRET_FILE")
	}
	secret := os.Getenv("PLUMB_S3_SECRET")
	if file != "" {
		raw, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("read the S3 secret: %w", err)
		}
		secret = strings.TrimSpace(string(raw))
	}
	if secret == "" {
		return "", errs.New(errs.Invalid, "the S3 secret is missing: set PLUMB_S3_SECRET, or name a file in PLUMB_S3_SECRET_FILE")
	}
	return secret, nil
}

func (s *s3) Put(ctx context.Context, key string, r io.Reader, size int64, opt PutOptions) error {
	b, err := newBody(ctx, key, r, size)
	if err != nil {
		return err
	}
	first, more, err := readPart(b, size)
	if err != nil {
		return s.wrap("put", key, err)
	}
	for try := 1; ; try++ {
		if more {
			err = s.putParts(ctx, key, first, b, opt)
		} else {
			err = s.putOne(ctx, key, first, opt)
		}
		// Another writer is in flight and may yet fail. A multipart body is
		// used up by then, so only the small ones ask again.
		if more || try == conflictTries || minio.ToErrorResponse(err).Code != "ConditionalRequestConflict" {
			return s.wrap("put", key, err)
		}
		select {
		case <-time.After(time.Duration(try) * 50 * time.Millisecond):
		case <-ctx.Done():
			return s.wrap("put", key, ctx.Err())
		}
	}
}

// readPart reads up to one part of b, of which size bytes are known to come
// (-1: unknown). more says that the part is full and b may hold further ones.
func readPart(b *body, size int64) (part []byte, more bool, err error) {
	if size >= 0 && size <= partSize {
		part = make([]byte, size)
		_, err = io.ReadFull(b, part)
		if size == 0 {
			_, err = b.Read(nil) // a body that should be empty is held to it too
		}
		if err == io.EOF {
			err = nil
		}
		return part, false, err
	}
	var buf bytes.Buffer
	if size > partSize {
		buf.Grow(partSize + bytes.MinRead)
	}
	n, err := io.CopyN(&buf, b, partSize)
	if err == io.EOF {
		return buf.Bytes(), false, nil
	}
	return buf.Bytes(), n == partSize, err
}

func (s *s3) putOne(ctx context.Context, key string, data []byte, opt PutOptions) error {
	// With the hash in the signature the store checks the bytes that arrive.
	_, err := s.core.PutObject(ctx, s.bucket, key, bytes.NewReader(data), int64(len(data)), "", hash(data), putOptions(opt))
	return err
}

// putParts uploads first and what is left of b in parts, one at a time.
func (s *s3) putParts(ctx context.Context, key string, first []byte, b *body, opt PutOptions) (err error) {
	id, err := s.core.NewMultipartUpload(ctx, s.bucket, key, minio.PutObjectOptions{})
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			// The caller may have been cancelled; the parts must go all the same.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			s.core.AbortMultipartUpload(ctx, s.bucket, key, id)
		}
	}()
	var parts []minio.CompletePart
	part, more := first, true
	for len(part) > 0 {
		p, err := s.core.PutObjectPart(ctx, s.bucket, key, id, len(parts)+1, bytes.NewReader(part), int64(len(part)),
			minio.PutObjectPartOptions{Sha256Hex: hash(part)})
		if err != nil {
			return err
		}
		parts = append(parts, minio.CompletePart{PartNumber: p.PartNumber, ETag: p.ETag})
		if !more {
			break
		}
		part, more, err = nextPart(part, b)
		if err != nil {
			return err
		}
	}
	_, err = s.core.CompleteMultipartUpload(ctx, s.bucket, key, id, parts, putOptions(opt))
	return err
}

// nextPart reads the next part into the memory of the last one.
func nextPart(last []byte, b *body) (part []byte, more bool, err error) {
	last = last[:partSize]
	n, err := io.ReadFull(b, last)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return last[:n], false, nil
	}
	return last[:n], true, err
}

func putOptions(opt PutOptions) (o minio.PutObjectOptions) {
	if opt.IfAbsent {
		o.SetMatchETagExcept("*")
	}
	return o
}

func hash(data []byte) string {
	h := sha256.Sum256(data)
	return hex.EncodeToString(h[:])
}

func (s *s3) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	if err := CheckKey(key); err != nil {
		return nil, err
	}
	if off < 0 {
		_, err := checkRange(key, off, n, 0)
		return nil, err
	}
	if n == 0 {
		return s.nothing(ctx, key, off)
	}
	var o minio.GetObjectOptions
	if n > 0 {
		o.Set("Range", fmt.Sprintf("bytes=%d-%d", off, off+min(n, MaxSize)-1))
	} else if off > 0 {
		o.Set("Range", fmt.Sprintf("bytes=%d-", off))
	}
	r, _, _, err := s.core.GetObject(ctx, s.bucket, key, o)
	// No range of HTTP is empty, so a store refuses the one at the end.
	if minio.ToErrorResponse(err).StatusCode == http.StatusRequestedRangeNotSatisfiable {
		return s.nothing(ctx, key, off)
	}
	if err != nil {
		return nil, s.wrap("get", key, err)
	}
	return r, nil
}

// nothing answers for the empty range at off.
func (s *s3) nothing(ctx context.Context, key string, off int64) (io.ReadCloser, error) {
	info, err := s.Stat(ctx, key)
	if err != nil {
		return nil, err
	}
	if _, err := checkRange(key, off, 0, info.Size); err != nil {
		return nil, err
	}
	return http.NoBody, nil
}

func (s *s3) Stat(ctx context.Context, key string) (Info, error) {
	if err := CheckKey(key); err != nil {
		return Info{}, err
	}
	o, err := s.core.StatObject(ctx, s.bucket, key, minio.StatObjectOptions{})
	if err != nil {
		return Info{}, s.wrap("stat", key, err)
	}
	return Info{key, o.Size, o.LastModified}, nil
}

func (s *s3) List(ctx context.Context, prefix, after string, max int) ([]Info, error) {
	if err := checkList(prefix, after, max); err != nil {
		return nil, err
	}
	parent := ctx
	ctx, cancel := context.WithCancel(parent)
	defer cancel() // ends the listing when max is reached
	var list []Info
	for o := range s.core.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{
		Prefix: prefix, StartAfter: after, MaxKeys: max, Recursive: true,
	}) {
		if o.Err != nil {
			return nil, s.wrap("list", prefix+"*", o.Err)
		}
		if CheckKey(o.Key) != nil {
			continue // none of ours
		}
		list = append(list, Info{o.Key, o.Size, o.LastModified})
		if len(list) == max {
			break
		}
	}
	// A cancelled listing just ends.
	if err := parent.Err(); err != nil {
		return nil, s.wrap("list", prefix+"*", err)
	}
	return list, nil
}

func (s *s3) Delete(ctx context.Context, key string) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	err := s.core.RemoveObject(ctx, s.bucket, key, minio.RemoveObjectOptions{})
	if minio.ToErrorResponse(err).Code == minio.NoSuchKey {
		err = nil
	}
	return s.wrap("delete", key, err)
}

func (s *s3) wrap(verb, key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %w", verb, key, s.kind(key, err))
}

// kind classifies what the store, or the way to it, answered.
func (s *s3) kind(key string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errs.KindOf(err) != errs.Internal {
		return err
	}
	var answer minio.ErrorResponse
	var line *url.Error
	switch {
	case errors.As(err, &line):
		// No answer: refused, reset, timed out.
		return errs.Wrap(errs.Busy, err, "the S3 store cannot be reached")
	case !errors.As(err, &answer):
		return err
	}
	switch {
	case answer.Code == minio.NoSuchKey, answer.Code == minio.NoSuchVersion:
		return missing(key)
	case answer.StatusCode == http.StatusNotFound && answer.Code != minio.NoSuchBucket && answer.Code != minio.NoSuchUpload:
		return missing(key)
	case answer.StatusCode == http.StatusPreconditionFailed:
		return exists(key)
	case answer.Code == "ConditionalRequestConflict":
		return errs.Wrap(errs.Busy, err, "another writer is storing %s", key)
	case answer.Code == "ObjectParentIsFile", answer.Code == "ExistingObjectIsDirectory":
		return exists(key) // versitygw's folders, as on our own disk
	case answer.StatusCode == http.StatusInsufficientStorage, answer.Code == "QuotaExceeded":
		return errs.Wrap(errs.Busy, fmt.Errorf("%w: %w", errs.ErrFull, err), "the S3 store is full")
	case answer.StatusCode == http.StatusTooManyRequests, answer.StatusCode == http.StatusServiceUnavailable:
		return errs.Wrap(errs.Busy, err, "the S3 store is busy")
	}
	return err
}
