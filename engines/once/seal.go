package once

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
)

// sealer encrypts answers at rest (AES-256-GCM, NIST SP 800-38D), because an
// answer may hold a token that is stored nowhere else but as its hash. A sealed
// answer opens under its own scope and key only.
type sealer struct{ aead cipher.AEAD }

// newSealer derives the key for answers from the house's (HKDF, RFC 5869).
func newSealer(houseKey []byte) (*sealer, error) {
	key, err := hkdf.Key(sha256.New, houseKey, nil, "plumb once answers v1", 32)
	if err != nil {
		return nil, fmt.Errorf("derive the key for kept answers: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("make the cipher for kept answers: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("make the cipher for kept answers: %w", err)
	}
	return &sealer{aead}, nil
}

// place binds a sealed answer to its scope and key; neither holds a NUL.
func place(scope, key string) []byte { return []byte(scope + "\x00" + key) }

func (s *sealer) seal(scope, key string, answer []byte) []byte {
	nonce := make([]byte, s.aead.NonceSize(), s.aead.NonceSize()+len(answer)+s.aead.Overhead())
	rand.Read(nonce)
	return s.aead.Seal(nonce, nonce, answer, place(scope, key))
}

func (s *sealer) open(scope, key string, sealed []byte) ([]byte, error) {
	n := s.aead.NonceSize()
	if len(sealed) < n {
		return nil, fmt.Errorf("once: the answer to %s is cut short", key)
	}
	answer, err := s.aead.Open(nil, sealed[:n], sealed[n:], place(scope, key))
	if err != nil {
		return nil, fmt.Errorf("once: the answer to %s does not open with this house's key: %w", key, err)
	}
	return answer, nil
}
