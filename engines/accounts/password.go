package accounts

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"

	"plumb/base/bounds"
	"plumb/engines/web"
)

// argon2id's cost (RFC 9106), as OWASP advises for servers: 19 MiB, two passes.
const (
	memoryKiB = 19 * 1024
	passes    = 2
	saltLen   = 16
	keyLen    = 32
)

// SetPassword gives the person a password of 10 to 256 bytes; an empty one
// takes it away. Sessions stay.
func (a *Accounts) SetPassword(ctx context.Context, by web.Who, person, password string) error {
	stored, action := "", "password removed"
	if password != "" {
		var b bounds.Check
		b.Int("password length", int64(len(password)), 10, 256)
		if err := b.Err("the password is not valid"); err != nil {
			return err
		}
		var err error
		if stored, err = a.slow(ctx, func() string { return hashPassword(password) }); err != nil {
			return err
		}
		action = "password set"
	}
	return a.change(ctx, by, person, action, "", `UPDATE accounts_person SET password = $2 WHERE id = $1`, stored)
}

// slow runs fn when at most one other hashes: each takes 19 MiB and a core.
func (a *Accounts) slow(ctx context.Context, fn func() string) (string, error) {
	select {
	case a.hash <- struct{}{}:
		defer func() { <-a.hash }()
		return fn(), nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// hashPassword returns password in PHC form, $argon2id$v=19$m=...,t=...,p=1$salt$key.
func hashPassword(password string) string {
	salt := make([]byte, saltLen)
	rand.Read(salt)
	key := argon2.IDKey([]byte(password), salt, passes, memoryKiB, 1, keyLen)
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=1$%s$%s", argon2.Version, memoryKiB, passes, b64(salt), b64(key))
}

// checkPassword says whether password is the one that stored was made of. It
// takes as long when nothing is stored, so that time does not tell names apart.
func checkPassword(stored, password string) bool {
	salt, key, memory, time, ok := parsePHC(stored)
	if !ok {
		salt, key, memory, time = make([]byte, saltLen), make([]byte, keyLen), memoryKiB, passes
	}
	got := argon2.IDKey([]byte(password), salt, time, memory, 1, uint32(len(key)))
	return subtle.ConstantTimeCompare(got, key) == 1 && ok
}

// parsePHC reads what hashPassword wrote, with whatever cost it had then.
func parsePHC(s string) (salt, key []byte, memory, time uint32, ok bool) {
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return nil, nil, 0, 0, false
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=1", &memory, &time); err != nil || memory == 0 || memory > 1<<20 || time == 0 || time > 100 {
		return nil, nil, 0, 0, false
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[4])
	key, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	return salt, key, memory, time, err1 == nil && err2 == nil && len(key) == keyLen
}
