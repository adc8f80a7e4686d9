// Package ids makes the house's identifiers: UUIDv7 for rows (RFC 9562, sorted
// by time), random tokens for secrets, and the rule for names chosen outside.
//
//	id := ids.New(n.Clock.Now())     // "0193b0f2-..."
//	token := ids.Token()             // 256 random bits, shown once
//	row.Hash = ids.Hash(token)       // what is stored
package ids

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"time"

	"plumb/base/errs"
)

// New returns a UUIDv7 whose first 48 bits are now in milliseconds.
func New(now time.Time) string {
	var b [16]byte
	rand.Read(b[6:]) // never fails, by crypto/rand's contract
	ms := uint64(now.UnixMilli())
	for i := range 6 {
		b[i] = byte(ms >> (40 - 8*i))
	}
	b[6] = b[6]&0x0f | 0x70
	b[8] = b[8]&0x3f | 0x80
	var s [36]byte
	hex.Encode(s[0:8], b[0:4])
	hex.Encode(s[9:13], b[4:6])
	hex.Encode(s[14:18], b[6:8])
	hex.Encode(s[19:23], b[8:10])
	hex.Encode(s[24:36], b[10:16])
	s[8], s[13], s[18], s[23] = '-', '-', '-', '-'
	return string(s[:])
}

// Token returns 256 random bits as 43 characters that are safe in a URL.
func Token() string {
	var b [32]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// Hash returns the SHA-256 of a random token, in hex. A token has 256 bits of
// its own, so that no salt or slow hash is needed.
func Hash(token string) string {
	h := sha256.Sum256([]byte(token))
	return hex.EncodeToString(h[:])
}

// Name checks an id that was chosen outside: 1 to 64 of A-Z a-z 0-9 _ and -.
func Name(what, s string) error {
	if s == "" || len(s) > 64 {
		return errs.New(errs.Invalid, "%s must have 1 to 64 characters, not %d", what, len(s))
	}
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' {
			continue
		}
		return errs.New(errs.Invalid, "%s may hold letters, digits, _ and - only; character %d is %q", what, i+1, s[i])
	}
	return nil
}
