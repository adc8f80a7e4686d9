package fleet

import (
	"context"
	"crypto/x509"
	"fmt"
	"strings"

	"plumb/base/errs"
	"plumb/engines/devices"
	"plumb/engines/sqldb"
)

// Device implements devices.Authenticator. A machine logs in with its token as
// the password and its id as the user name (which may be left out), or with a
// client certificate alone, see ByCertificate. Errors: Unknown.
func (f *Fleet) Device(ctx context.Context, user, password string, cert *x509.Certificate) (devices.Device, error) {
	var m Machine
	var err error
	if password == "" && cert != nil {
		m, err = f.ByCertificate(ctx, cert)
	} else {
		m, err = f.ByToken(ctx, password)
	}
	if err != nil {
		return devices.Device{}, err
	}
	if user != "" && user != m.ID {
		return devices.Device{}, errs.New(errs.Unknown, "the credentials are not those of machine %.64s", user)
	}
	return devices.Device{Realm: m.Realm, ID: m.ID}, nil
}

// ByCertificate returns the machine that a client certificate names: by its
// common name the id, by its organisational unit the realm. The listener has
// verified that one of the house's authorities signed it. Errors: Unknown for a
// machine that is not enrolled, or revoked.
func (f *Fleet) ByCertificate(ctx context.Context, cert *x509.Certificate) (Machine, error) {
	if len(cert.Subject.OrganizationalUnit) != 1 {
		return Machine{}, errs.New(errs.Unknown, "the certificate names no realm: it needs one organisational unit (OU)")
	}
	m := Machine{Realm: cert.Subject.OrganizationalUnit[0], ID: cert.Subject.CommonName}
	now := f.n.Clock.Now()
	if known, ok := f.cache.byKey(m.Key(), now); ok {
		f.saw(m.Key(), now)
		return known, nil
	}
	err := f.n.DB.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, byIDSQL, m.Realm, m.ID).Scan(&m.Cohort)
	})
	if err == sqldb.ErrNoRows {
		return Machine{}, errs.New(errs.Unknown, "machine %.64s is not in good standing: it is not enrolled here, or it was revoked", m.ID)
	}
	if err != nil {
		return Machine{}, fmt.Errorf("look up a machine's certificate: %w", err)
	}
	f.saw(m.Key(), now)
	return m, nil
}

// Watch calls fn with every machine whose standing changed, in whichever process:
// what it may do has to be looked up anew. stop ends it.
func (f *Fleet) Watch(fn func(realm, id string)) (stop func(), err error) {
	return f.n.Bus.Subscribe(subject, func(_ string, data []byte) {
		realm, id, _ := strings.Cut(string(data), "/")
		fn(realm, id)
	})
}
