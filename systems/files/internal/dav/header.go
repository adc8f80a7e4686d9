package dav

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

	"plumb/base/errs"
)

// Depth is a Depth header.
type Depth int

// The depths. Absent stands for no header.
const (
	Absent Depth = iota
	Zero
	One
	Infinity
)

// ParseDepth reads a Depth header. Errors: Invalid.
func ParseDepth(s string) (Depth, error) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "":
		return Absent, nil
	case "0":
		return Zero, nil
	case "1":
		return One, nil
	case "infinity":
		return Infinity, nil
	}
	return Absent, errs.New(errs.Invalid, "a depth is 0, 1 or infinity, not %.20q", s)
}

// MaxLife is how long a lock holds without being refreshed.
const MaxLife = time.Hour

// ParseTimeout returns how long a lock is to hold: what the first entry of a Timeout
// header that can be read asks for, 1 s to MaxLife; MaxLife where there is none.
func ParseTimeout(s string) time.Duration {
	for part := range strings.SplitSeq(s, ",") {
		part = strings.ToLower(strings.TrimSpace(part))
		if part == "infinite" {
			return MaxLife
		}
		digits, ok := strings.CutPrefix(part, "second-")
		if n, err := strconv.ParseUint(digits, 10, 32); ok && err == nil {
			return min(max(time.Duration(n), 1)*time.Second, MaxLife)
		}
	}
	return MaxLife
}

// ParseOverwrite reads an Overwrite header: true unless it is F. Errors: Invalid.
func ParseOverwrite(s string) (bool, error) {
	switch strings.ToUpper(strings.TrimSpace(s)) {
	case "", "T":
		return true, nil
	case "F":
		return false, nil
	}
	return false, errs.New(errs.Invalid, "Overwrite is T or F, not %.20q", s)
}

// ParseToken reads a Lock-Token header, <plumb:...>. There are clients that leave the
// brackets out. Errors: Invalid.
func ParseToken(s string) (string, error) {
	s = strings.TrimSpace(s)
	if in, ok := strings.CutPrefix(s, "<"); ok && strings.HasSuffix(in, ">") {
		s = in[:len(in)-1]
	}
	if !strings.Contains(s, ":") || strings.ContainsAny(s, "<> ") {
		return "", errs.New(errs.Invalid, "Lock-Token must be a URI in angle brackets")
	}
	return s, nil
}

// Space is the part of a house's addresses that is WebDAV's.
type Space struct {
	Prefix string   // of the paths, "/dav/"
	Hosts  []string // by which this house is reached: host or host:port
}

// ErrElsewhere marks the Invalid error of an address that is not in the space.
var ErrElsewhere = errs.New(errs.Invalid, "the address is another server's, or not WebDAV's here")

// Path returns the path that a URI names: an absolute one, or one that begins with a
// slash. The scheme does not matter: a proxy before us may have ended TLS. Errors:
// Invalid, with ErrElsewhere for one that is not here.
func (s Space) Path(uri string) (string, error) {
	u, err := url.Parse(strings.TrimSpace(uri))
	if err != nil || u.Opaque != "" || u.RawQuery != "" || u.Fragment != "" || !strings.HasPrefix(u.Path, "/") {
		return "", errs.New(errs.Invalid, "%.200q is no address of a file or folder", uri)
	}
	switch {
	case u.Host == "" && u.Scheme == "":
	case u.Scheme != "http" && u.Scheme != "https" || !s.here(u):
		return "", errs.Wrap(errs.Invalid, ErrElsewhere, "%.200q is not this server's", uri)
	}
	path, ok := strings.CutPrefix(u.EscapedPath()+"/", s.Prefix)
	if !ok {
		return "", errs.Wrap(errs.Invalid, ErrElsewhere, "%.200q is not below %s", uri, s.Prefix)
	}
	return Unescape(path)
}

// here says whether a URL's host is one of ours, whatever the usual port.
func (s Space) here(u *url.URL) bool {
	for _, h := range s.Hosts {
		if h != "" && bareHost(h) == bareHost(u.Host) {
			return true
		}
	}
	return false
}

// bareHost folds case, and drops the port that http or https would have anyway.
func bareHost(h string) string {
	h = strings.ToLower(h)
	for _, port := range []string{":80", ":443"} {
		if s, ok := strings.CutSuffix(h, port); ok {
			return s
		}
	}
	return h
}

// Unescape reads the percent-encoded path of an address. Unlike a path that was decoded
// as a whole, it tells a slash within a name from one between names, and refuses it.
// Names come out in Unicode's form NFC.
// Errors: Invalid.
func Unescape(path string) (string, error) {
	var names []string
	for part := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		name, err := url.PathUnescape(part)
		if err != nil || strings.Contains(name, "/") {
			return "", errs.New(errs.Invalid, "%.100q is no name", part)
		}
		names = append(names, name)
	}
	return norm.NFC.String(strings.Join(names, "/")), nil
}

// Escape is the way back: a path as it stands in an address.
func Escape(path string) string {
	names := strings.Split(path, "/")
	for i, n := range names {
		names[i] = url.PathEscape(n)
	}
	return strings.Join(names, "/")
}
