package shard

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"

	"plumb/base/errs"
	"plumb/base/ids"
	"plumb/engines/sqldb"
)

const (
	hintBytes = 8  // two of the shard's number, six of the seal
	hintText  = 11 // characters, base64url
)

// seal is what only this house can put before a token. Six bytes of HMAC-SHA-256 (RFC
// 2104) do not keep the token secret, it has 256 random bits of its own: they spare the
// databases whoever guesses.
func (s *Set) seal(no uint16, token string) (b [hintBytes]byte) {
	binary.BigEndian.PutUint16(b[:], no)
	h := hmac.New(sha256.New, s.hintKey)
	h.Write(b[:2])
	h.Write([]byte(token))
	copy(b[2:], h.Sum(nil))
	return b
}

// Hint puts a shard's number before a link's token, so that the link is found with one
// look: 11 characters more.
func (s *Set) Hint(no int64, token string) string {
	b := s.seal(uint16(no), token)
	return base64.RawURLEncoding.EncodeToString(b[:]) + token
}

// errGuess is the one answer for a link that is none; it is what engines/links says.
func errGuess() error {
	return errs.New(errs.NotFound, "this link is not good, or no longer: ask for a new one")
}

// Find takes the hint off again, and returns the token and the shard that holds the
// link's owner now. A hint that was not made here costs no look at any database; one
// whose owner has moved is followed, and where its shard is gone all are asked. Errors:
// NotFound; Busy.
func (s *Set) Find(ctx context.Context, hinted string) (token string, at *Shard, err error) {
	if len(hinted) <= hintText || len(hinted) > 128 {
		return "", nil, errGuess()
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(hinted[:hintText])
	token = hinted[hintText:]
	if err != nil || len(raw) != hintBytes {
		return "", nil, errGuess()
	}
	no := binary.BigEndian.Uint16(raw)
	if want := s.seal(no, token); !hmac.Equal(raw, want[:]) {
		return "", nil, errGuess()
	}
	at, err = s.findLink(ctx, no, token)
	if err != nil && !errs.Is(err, errs.NotFound) {
		err = fmt.Errorf("find a link: %w", err)
	}
	return token, at, err
}

func (s *Set) findLink(ctx context.Context, no uint16, token string) (*Shard, error) {
	list := s.Shards()
	away := len(list) < len(s.dir.Load().records)
	for _, at := range list { // the hint's first
		if uint16(at.No) == no {
			at, err := s.linkAt(ctx, at, token)
			if at != nil || err != nil {
				return at, err
			}
		}
	}
	for _, at := range list {
		if uint16(at.No) == no {
			continue
		}
		at, err := s.linkAt(ctx, at, token)
		if at != nil || err != nil {
			return at, err
		}
	}
	if away { // it may be there
		d := s.dir.Load()
		for _, r := range d.records {
			if r.State != Lost {
				if _, err := d.shard(r.No); err != nil {
					return nil, err
				}
			}
		}
	}
	return nil, errGuess()
}

// linkAt returns the shard that now holds the owner of a link that at knows, or knew; nil
// when at never heard of it.
func (s *Set) linkAt(ctx context.Context, at *Shard, token string) (*Shard, error) {
	var owner string
	err := at.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		owner, err = at.Links.OwnerIn(ctx, tx, ids.Hash(token))
		return err
	})
	if errors.Is(err, sqldb.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	home := (*Shard)(nil)
	err = s.Read(ctx, owner, func(_ context.Context, _ *sqldb.Tx, at *Shard) error { home = at; return nil })
	return home, err
}
