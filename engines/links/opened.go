package links

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"time"
)

// Bounds of what is remembered of passwords that fitted.
const (
	openedTime = 15 * time.Minute // since the password was last given
	mostOpened = 10_000
)

// opened remembers who opened which link, so that whoever looks through a folder types
// the password once, and is not counted, nor the password hashed, at each picture in it.
// What is remembered holds for one address, and ends there with the first password that
// is another: so nobody can guess beside the count of tries.
type opened struct {
	key [32]byte // of this process
	mu  sync.Mutex
	by  map[visit]pass // guarded by mu
}

type visit struct{ link, remote string }

type pass struct {
	sum [32]byte // of the password and what is stored of it
	at  time.Time
}

func newOpened() *opened {
	o := &opened{by: map[visit]pass{}}
	rand.Read(o.key[:]) // never fails (crypto/rand)
	return o
}

func (o *opened) sum(stored, password string) (sum [32]byte) {
	m := hmac.New(sha256.New, o.key[:])
	m.Write([]byte(stored + "\x00" + password))
	m.Sum(sum[:0])
	return sum
}

// fits says whether this very password opened the link for this address a while ago.
func (o *opened) fits(v visit, stored, password string, now time.Time) bool {
	sum := o.sum(stored, password)
	o.mu.Lock()
	defer o.mu.Unlock()
	p, ok := o.by[v]
	if !ok {
		return false
	}
	if !hmac.Equal(p.sum[:], sum[:]) || now.Sub(p.at) >= openedTime {
		delete(o.by, v)
		return false
	}
	p.at = now
	o.by[v] = p
	return true
}

// keep remembers a password that fitted.
func (o *opened) keep(v visit, stored, password string, now time.Time) {
	sum := o.sum(stored, password)
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.by) >= mostOpened {
		for old, p := range o.by {
			if now.Sub(p.at) >= openedTime {
				delete(o.by, old)
			}
		}
	}
	for old := range o.by {
		if len(o.by) < mostOpened {
			break
		}
		delete(o.by, old) // any one
	}
	o.by[v] = pass{sum, now}
}
