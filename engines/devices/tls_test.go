package devices

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// sign returns a certificate for a name; a nil authority signs itself.
func (a *authority) sign(t *testing.T, name string, from time.Time, more func(*x509.Certificate)) (tls.Certificate, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: from.Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature}
	more(c)
	parent, signer := c, key
	if a != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, parsed
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	own, cert := (*authority)(nil).sign(t, "our authority", time.Now().Add(-time.Minute), func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	})
	return &authority{cert, own.PrivateKey.(*ecdsa.PrivateKey)}
}

func forClient(c *x509.Certificate) {
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
}

// On a TLS listener a machine may come with a certificate instead of its token:
// one of our authority, for clients, and not over.
func TestClientCertificates(t *testing.T) {
	ours, others := newAuthority(t), newAuthority(t)
	server, _ := ours.sign(t, "localhost", time.Now().Add(-time.Minute), func(c *x509.Certificate) {
		c.IPAddresses, c.ExtKeyUsage = []net.IP{net.IPv4(127, 0, 0, 1)}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	pool := x509.NewCertPool()
	pool.AddCert(ours.cert)
	h := open(t, sqlite(t), Config{}, nil)
	if err := h.Listen("127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{server}, ClientCAs: pool, ClientAuth: tls.VerifyClientCertIfGiven, MinVersion: tls.VersionTLS12}); err != nil {
		t.Fatal(err)
	}
	at := h.Addresses()[1].String()
	try := func(o *paho.ClientOptions, with ...tls.Certificate) (paho.Client, error) {
		c := paho.NewClient(o.SetTLSConfig(&tls.Config{RootCAs: pool, Certificates: with}))
		token := c.Connect()
		if !token.WaitTimeout(10 * time.Second) {
			t.Fatal("no answer")
		}
		t.Cleanup(func() { c.Disconnect(0) })
		return c, token.Error()
	}
	options := func() *paho.ClientOptions {
		return paho.NewClientOptions().AddBroker("ssl://" + at).SetAutoReconnect(false).SetClientID("x")
	}
	good, _ := ours.sign(t, "m-1", time.Now().Add(-time.Minute), forClient)
	c, err := try(options(), good)
	if err != nil {
		t.Fatal(err)
	}
	done(t, c.Publish("vending/m-1/report", 1, false, "r-1"))
	if got := h.heard.all(); len(got) != 1 || got[0] != "m-1: r-1" {
		t.Errorf("the room heard %q", got)
	}
	if c, err = try(options().SetUsername("m-2").SetPassword("secret-m-2")); err != nil {
		t.Errorf("a token on the TLS listener: %v", err)
	} else {
		done(t, c.Publish("vending/m-2/report", 1, false, "r-1"))
	}
	theirs, _ := others.sign(t, "m-1", time.Now().Add(-time.Minute), forClient)
	over, _ := ours.sign(t, "m-1", time.Now().Add(-2*time.Hour), forClient)
	forServers, _ := ours.sign(t, "m-1", time.Now().Add(-time.Minute), func(c *x509.Certificate) {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	for what, cert := range map[string]tls.Certificate{"another authority's": theirs, "one that is over": over, "a server's": forServers} {
		if _, err := try(options(), cert); err == nil {
			t.Errorf("%s certificate was taken", what)
		}
	}
	if _, err := try(options()); err == nil {
		t.Error("neither certificate nor token, and let in")
	}
}
