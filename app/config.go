package app

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"plumb/base/errs"
	"plumb/engines/cas"
	"plumb/systems/files"
	"plumb/systems/photos"
	"plumb/systems/vending"
)

// Config is everything that a person can set, with a field per engine and room.
type Config struct {
	Data    string // data folder; one process at a time
	Listen  string // host:port of the HTTP door
	MQTT    string // host:port of the MQTT door; "" or "off": none
	MQTTTLS string // host:port of the MQTT door that speaks TLS; "": none

	SQL     string // "" for SQLite in the data folder, or postgres://...
	NATS    string // "" for the bus in memory, or nats://...
	Bucket  string // "" for DATA/blobs, or s3://KEY@host:port/bucket
	KeyFile string // "" for DATA/keys/house.key; clustered processes share one

	TLSCert, TLSKey string // PEM files; both or none
	ClientCA        string // PEM file with the authorities of machines' certificates; "": none are asked for
	Insecure        bool   // allow a public address without TLS
	TrustedProxy    string // CIDR whose X-Forwarded-* headers are believed
	URL             string // how browsers and machines reach this house; "" derives it from Listen

	Demo     bool          // fill the rooms with demonstration data and play
	Drain    time.Duration // how long requests may finish after SIGTERM
	LogLevel string        // debug, info, warn, error
	LogJSON  bool

	NoSync bool // the lab's broken twin: acknowledges before anything is durable

	CAS     Contents
	Files   files.Config
	Photos  photos.Config
	Vending vending.Config
}

// Contents says how contents are kept (engines/cas).
type Contents struct {
	Plain       bool   // new contents lie bare
	VerifyOnHit bool   // known content is compared byte for byte
	Replica     string // a bucket with a copy, from which the scrubber repairs; "": none
	Cache       int64  // bytes of opened content kept for who reads it again; 0: none
	KeyFile     string // of the key that wraps contents' keys; "": the house's key
	OldKeyFile  string // of the one before, until `plumb files rekey` is done; "": none
}

// Clustered says whether several processes may share this house's state.
func (c Config) Clustered() bool { return c.SQL != "" }

// Setting is one key: a flag --a-b, a variable PLUMB_A_B and a line "a-b:" (or
// "a: {b: ...}") in plumb.yaml.
type Setting struct {
	Key    string // words by "-", a room's keys by "room."
	Help   string
	Value  any // pointer into a Config: *string, *bool, *int, *float64, *time.Duration
	Hidden bool
	Secret bool // never from a flag, never printed
}

// Settings lists the keys of c; their present values are the defaults.
func (c *Config) Settings() []Setting {
	return append([]Setting{
		{Key: "data", Value: &c.Data, Help: "data folder, one process at a time"},
		{Key: "listen", Value: &c.Listen, Help: "address of the pages and the API"},
		{Key: "mqtt", Value: &c.MQTT, Help: "address at which machines speak MQTT, or off"},
		{Key: "mqtt-tls", Value: &c.MQTTTLS, Help: "address at which machines speak MQTT over TLS (needs --tls-cert)"},
		{Key: "sql", Value: &c.SQL, Help: "postgres://... (default: SQLite in the data folder)"},
		{Key: "nats", Value: &c.NATS, Help: "nats://... (default: announcements in this process only)"},
		{Key: "bucket", Value: &c.Bucket, Help: "s3://KEY@host:port/bucket (default: files in the data folder)"},
		{Key: "key-file", Value: &c.KeyFile, Help: "file with the house's key, the same for all processes of a cluster (default: DATA/keys/house.key)"},
		{Key: "tls-cert", Value: &c.TLSCert, Help: "PEM file with the certificate chain"},
		{Key: "tls-key", Value: &c.TLSKey, Help: "PEM file with the certificate's key"},
		{Key: "client-ca", Value: &c.ClientCA, Help: "PEM file with the authorities that sign machines' certificates (CN: id, OU: system)"},
		{Key: "insecure", Value: &c.Insecure, Help: "allow an address other than loopback without TLS"},
		{Key: "trusted-proxy", Value: &c.TrustedProxy, Help: "network (CIDR) whose X-Forwarded headers are believed"},
		{Key: "url", Value: &c.URL, Help: "how browsers and machines reach this house (default: from --listen)"},
		{Key: "demo", Value: &c.Demo, Help: "fill the systems with demonstration data that lives"},
		{Key: "drain", Value: &c.Drain, Help: "how long requests may finish after SIGTERM"},
		{Key: "log-level", Value: &c.LogLevel, Help: "debug, info, warn or error"},
		{Key: "log-json", Value: &c.LogJSON, Help: "log as JSON"},
		{Key: "unsafe-no-sync", Value: &c.NoSync, Hidden: true, Help: "acknowledge before data is durable; only for the proof that this loses data"},
		{Key: "cas.plain", Value: &c.CAS.Plain, Help: "leave new contents bare instead of sealing them: faster, and readable by whoever gets the disk"},
		{Key: "cas.verify-on-hit", Value: &c.CAS.VerifyOnHit, Help: "compare known content byte for byte, and not by its SHA-256 only; then time tells whether content was known"},
		{Key: "cas.cache", Value: &c.CAS.Cache, Help: "memory for opened contents that are read again and again (0: none)"},
		{Key: "cas.replica", Value: &c.CAS.Replica, Help: "bucket with a copy of the contents, from which a scrub repairs: dir:PATH or s3://..."},
		{Key: "cas.key-file", Value: &c.CAS.KeyFile, Help: "file with the key that wraps the contents' keys (default: the house's key)"},
		{Key: "cas.old-key-file", Value: &c.CAS.OldKeyFile, Help: "file with the key before that one, until plumb files rekey is done"},
	}, slices.Concat(filesSettings(&c.Files), photosSettings(&c.Photos), vendingSettings(&c.Vending))...)
}

// Default returns the configuration before anybody set anything.
func Default() Config {
	return Config{
		Data: "plumb-data", Listen: "127.0.0.1:8080", MQTT: "127.0.0.1:1883",
		Drain: 15 * time.Second, LogLevel: "info",
		CAS:   Contents{Cache: cas.DefaultCache},
		Files: files.Defaults(), Photos: photos.Defaults(), Vending: vending.Defaults(),
	}
}

// Source says where an effective value came from.
type Source struct{ Key, Value, From string }

// Load resolves flags over PLUMB_* variables over the file over defaults. given
// holds the flags that were set; file is the --config file, or "" for plumb.yaml
// if it exists. Unknown keys in the file are errors with their line.
func Load(given map[string]string, environ []string, file string) (Config, []Source, error) {
	c := Default()
	settings := c.Settings()
	fromFile, err := readFile(file, settings)
	if err != nil {
		return c, nil, err
	}
	env := map[string]string{}
	for _, kv := range environ {
		k, v, _ := strings.Cut(kv, "=")
		env[k] = v
	}
	var sources []Source
	for _, s := range settings {
		from, text, set := "default", "", false
		if v, ok := fromFile[s.Key]; ok {
			from, text, set = v.where, v.text, true
		}
		if v, ok := env[s.Env()]; ok {
			from, text, set = s.Env(), v, true
		}
		if v, ok := given[s.Flag()]; ok {
			from, text, set = "--"+s.Flag(), v, true
		}
		if set {
			if err := s.set(text); err != nil {
				return c, nil, errs.New(errs.Invalid, "%s (from %s): %v", s.Key, from, err)
			}
		}
		sources = append(sources, Source{s.Key, s.text(), from})
	}
	return c, sources, c.valid(given)
}

// off is the word for no listener.
const off = "off"

// public says whether a host is reached from other machines.
func public(host string) bool {
	ip := net.ParseIP(host)
	return host != "localhost" && (ip == nil || !ip.IsLoopback())
}

// valid checks what concerns several keys at once.
func (c Config) valid(given map[string]string) error {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return errs.New(errs.Invalid, "listen: %q is not host:port: %v", c.Listen, err)
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return errs.New(errs.Invalid, "tls-cert and tls-key: give both or none")
	}
	if c.TLSCert == "" && (c.MQTTTLS != "" || c.ClientCA != "") {
		return errs.New(errs.Invalid, "mqtt-tls and client-ca need --tls-cert and --tls-key")
	}
	if public(host) && c.TLSCert == "" && !c.Insecure {
		return errs.New(errs.Invalid, "listen: %s is reachable from outside: give --tls-cert and --tls-key, or --insecure behind a proxy that speaks TLS", c.Listen)
	}
	if c.MQTT != "" && c.MQTT != off {
		if host, _, err = net.SplitHostPort(c.MQTT); err != nil {
			return errs.New(errs.Invalid, "mqtt: %q is neither host:port nor off: %v", c.MQTT, err)
		}
		if public(host) && !c.Insecure {
			return errs.New(errs.Invalid, "mqtt: %s is reachable from outside, and machines' tokens would be too: use --mqtt-tls, or --insecure behind a proxy that speaks TLS", c.MQTT)
		}
	}
	if c.SQL != "" && !strings.HasPrefix(c.SQL, "postgres://") && !strings.HasPrefix(c.SQL, "postgresql://") {
		return errs.New(errs.Invalid, "sql: want postgres://..., not %q", scheme(c.SQL))
	}
	if _, ok := given["sql"]; ok {
		if u, err := url.Parse(c.SQL); err == nil && u.User != nil {
			if _, has := u.User.Password(); has {
				return errs.New(errs.Invalid, "sql: a password does not belong on the command line: use PLUMB_SQL, PGPASSWORD or a PGPASSFILE")
			}
		}
	}
	if c.Clustered() && (c.NATS == "" || c.Bucket == "" || c.KeyFile == "") {
		return errs.New(errs.Invalid, "sql: a house on PostgreSQL needs --nats, --bucket and --key-file too, so that its processes share everything")
	}
	if !c.Clustered() && (c.NATS != "" || c.Bucket != "") {
		return errs.New(errs.Invalid, "nats and bucket: they go with --sql postgres://...; an embedded house needs neither")
	}
	if c.CAS.Cache < 0 || c.CAS.Cache > 1<<40 {
		return errs.New(errs.Invalid, "cas.cache: want 0 to 1 TiB, not %d", c.CAS.Cache)
	}
	if u, err := url.Parse(c.CAS.Replica); err == nil && u.User != nil {
		if _, has := u.User.Password(); has {
			return errs.New(errs.Invalid, "cas.replica: a password does not belong here: see the settings of --bucket")
		}
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.LogLevel) {
		return errs.New(errs.Invalid, "log-level: want debug, info, warn or error, not %q", c.LogLevel)
	}
	if u, err := url.Parse(c.URL); c.URL != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		return errs.New(errs.Invalid, "url: want http://... or https://..., not %q", c.URL)
	}
	if c.TrustedProxy != "" {
		if _, _, err := net.ParseCIDR(c.TrustedProxy); err != nil {
			return errs.New(errs.Invalid, "trusted-proxy: %v", err)
		}
	}
	if c.Drain < 0 || c.Drain > 10*time.Minute {
		return errs.New(errs.Invalid, "drain: want 0 s to 10 min, not %s", c.Drain)
	}
	return nil
}

func scheme(s string) string {
	s, _, _ = strings.Cut(s, ":")
	return s
}

// fileValue is a value of plumb.yaml and the place where it stands.
type fileValue struct{ text, where string }

// readFile reads path, a flat or once-nested YAML mapping, strictly.
func readFile(path string, settings []Setting) (map[string]fileValue, error) {
	named := path != ""
	if !named {
		path = "plumb.yaml"
	}
	src, err := os.ReadFile(path)
	if os.IsNotExist(err) && !named {
		return nil, nil
	}
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "read the configuration file %s", path)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(src, &doc); err != nil {
		return nil, errs.New(errs.Invalid, "%s: %v", path, err)
	}
	values := map[string]fileValue{}
	if len(doc.Content) == 0 {
		return values, nil
	}
	return values, flatten(path, "", doc.Content[0], settings, values)
}

// flatten walks one mapping; a nested mapping's keys are "room.key".
func flatten(path, prefix string, m *yaml.Node, settings []Setting, into map[string]fileValue) error {
	if m.Kind != yaml.MappingNode {
		return errs.New(errs.Invalid, "%s:%d: want keys and values", path, m.Line)
	}
	for i := 0; i+1 < len(m.Content); i += 2 {
		k, v := m.Content[i], m.Content[i+1]
		key := prefix + k.Value
		where := fmt.Sprintf("%s:%d", path, k.Line)
		switch {
		case v.Kind == yaml.MappingNode && prefix == "":
			if err := flatten(path, key+".", v, settings, into); err != nil {
				return err
			}
			continue
		case v.Kind != yaml.ScalarNode:
			return errs.New(errs.Invalid, "%s: %s wants one value", where, key)
		case !slices.ContainsFunc(settings, func(s Setting) bool { return s.Key == key }):
			return errs.New(errs.Invalid, "%s: unknown key %q; `plumb check` lists the keys", where, key)
		}
		if old, twice := into[key]; twice {
			return errs.New(errs.Invalid, "%s: %s stands at %s already", where, key, old.where)
		}
		into[key] = fileValue{v.Value, where}
	}
	return nil
}
