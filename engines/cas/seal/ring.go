package seal

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
)

// A wrapped key: version (1 byte) | id of the master key (8) | nonce (12) | the key,
// encrypted with AES-256-GCM, and its tag (16). The associated data are the first
// nine bytes. It opens wherever it lies; what it seals opens only in its own place.
const (
	wrapVersion = 1
	keyID       = 8
	wrapHead    = 1 + keyID
	// WrappedSize is the bytes of a wrapped data key.
	WrappedSize = wrapHead + nonceSize + KeySize + Overhead
)

// Purposes of what is derived from a house key. A change of one orphans all data.
const (
	purposeMaster = "plumb cas data keys v1"
	purposeID     = "plumb cas key id v1"
)

// ErrNoKey says that a key was wrapped with a house key that is not in the ring.
var ErrNoKey = errors.New("the house's key that these data were sealed with is not at hand")

// Ring wraps data keys with the newest house key, and unwraps them with any. It is
// safe for concurrent use.
type Ring struct {
	newest  [keyID]byte
	masters map[[keyID]byte]cipher.AEAD
}

// NewKey returns a random data key.
func NewKey() []byte {
	key := make([]byte, KeySize)
	rand.Read(key) // it never fails
	return key
}

// NewRing derives a master key from the house's key, and from each earlier one
// (HKDF-SHA256, RFC 5869). Every key has KeySize bytes.
func NewRing(key []byte, old ...[]byte) (*Ring, error) {
	r := &Ring{masters: make(map[[keyID]byte]cipher.AEAD)}
	for i, house := range append([][]byte{key}, old...) {
		if len(house) != KeySize {
			return nil, fmt.Errorf("house key %d has %d bytes, not %d", i, len(house), KeySize)
		}
		id, aead, err := master(house)
		if err != nil {
			return nil, fmt.Errorf("derive the master key of house key %d: %w", i, err)
		}
		if i == 0 {
			r.newest = id
		}
		r.masters[id] = aead
	}
	return r, nil
}

// master derives a house key's master key, and the name under which it is known,
// which tells nothing of either.
func master(house []byte) (id [keyID]byte, aead cipher.AEAD, err error) {
	key, err := hkdf.Key(sha256.New, house, nil, purposeMaster, KeySize)
	if err != nil {
		return id, nil, err
	}
	name, err := hkdf.Key(sha256.New, key, nil, purposeID, keyID)
	if err != nil {
		return id, nil, err
	}
	aead, err = newGCM(key)
	return [keyID]byte(name), aead, err
}

// Wrap returns dataKey encrypted with the newest master key: WrappedSize bytes for a
// key of KeySize.
func (r *Ring) Wrap(dataKey []byte) []byte {
	out := make([]byte, wrapHead+nonceSize, wrapHead+nonceSize+len(dataKey)+Overhead)
	out[0] = wrapVersion
	copy(out[1:], r.newest[:])
	nonce := out[wrapHead:]
	rand.Read(nonce)
	return r.masters[r.newest].Seal(out, nonce, dataKey, out[:wrapHead])
}

// Unwrap returns the data key that was wrapped. Errors: ErrNoKey, ErrBad.
func (r *Ring) Unwrap(wrapped []byte) ([]byte, error) {
	if len(wrapped) < wrapHead+nonceSize+Overhead {
		return nil, fmt.Errorf("a wrapped key of %d bytes: %w", len(wrapped), ErrBad)
	}
	if wrapped[0] != wrapVersion {
		return nil, fmt.Errorf("a wrapped key of version %d: %w", wrapped[0], ErrBad)
	}
	aead, ok := r.masters[[keyID]byte(wrapped[1:wrapHead])]
	if !ok {
		return nil, fmt.Errorf("%w (it has the id %x)", ErrNoKey, wrapped[1:wrapHead])
	}
	body := wrapped[wrapHead:]
	key, err := aead.Open(nil, body[:nonceSize], body[nonceSize:], wrapped[:wrapHead])
	if err != nil {
		return nil, fmt.Errorf("a wrapped key: %w", ErrBad)
	}
	return key, nil
}

// Current says whether wrapped was made with the newest house key.
func (r *Ring) Current(wrapped []byte) bool {
	return len(wrapped) >= wrapHead && wrapped[0] == wrapVersion && [keyID]byte(wrapped[1:wrapHead]) == r.newest
}

// KeyID names the newest master key, as it stands in what Wrap makes.
func (r *Ring) KeyID() []byte { return append([]byte(nil), r.newest[:]...) }
