package hooks

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"

	"plumb/base/bounds"
	"plumb/base/errs"
)

// secretPrefix is how Standard Webhooks marks a shared secret.
const secretPrefix = "whsec_"

// NewSecret makes a secret for a hook and its receiver.
func NewSecret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	return secretPrefix + base64.StdEncoding.EncodeToString(b[:])
}

// target is a hook that was checked; nil stands for one that goes nowhere.
type target struct {
	url     *url.URL
	secrets [][]byte
}

// parse checks a hook. Its errors do not quote it.
func parse(name string, h Hook) (*target, error) {
	var b bounds.Check
	b.Text("name", name, 1, 64)
	if err := b.Err("the webhook is not valid"); err != nil {
		return nil, err
	}
	if h.URL == "" {
		return nil, nil
	}
	u, err := url.Parse(h.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, errs.New(errs.Invalid, "its URL must be http://HOST/... or https://HOST/...")
	}
	u.Fragment = ""
	t := &target{url: u}
	for _, s := range strings.Fields(h.Secret) {
		rest, ok := strings.CutPrefix(s, secretPrefix)
		key, err := base64.StdEncoding.DecodeString(rest)
		if !ok || err != nil || len(key) < 24 || len(key) > 64 {
			return nil, errs.New(errs.Invalid, "its secret must be %s and 24 to 64 bytes in base64", secretPrefix)
		}
		t.secrets = append(t.secrets, key)
	}
	if len(t.secrets) < 1 || len(t.secrets) > 2 {
		return nil, errs.New(errs.Invalid, "it needs a secret, or two while the receiver changes it: %s and 24 to 64 bytes in base64", secretPrefix)
	}
	return t, nil
}

// sign returns the webhook-signature header: one signature a secret.
func (t *target) sign(id, stamp, body string) string {
	var list []string
	for _, key := range t.secrets {
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%s.%s", id, stamp, body)
		list = append(list, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return strings.Join(list, " ")
}
