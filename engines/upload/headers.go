package upload

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"hash"
	"hash/crc32"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"plumb/base/ids"
	"plumb/engines/cas"
)

// parseMeta reads an Upload-Metadata header: pairs of a key and a value in Base64
// with a space between, separated by commas.
func parseMeta(s string) (map[string]string, error) {
	if len(s) > MaxMeta {
		return nil, refuse(http.StatusRequestEntityTooLarge, "Upload-Metadata has more than %d bytes", MaxMeta)
	}
	meta := map[string]string{}
	if s == "" {
		return meta, nil
	}
	for i := range len(s) {
		// It is sent back with every HEAD: nothing may be in it that ends a header.
		if s[i] < ' ' || s[i] > '~' {
			return nil, refuse(http.StatusBadRequest, "Upload-Metadata holds a character that is not visible ASCII")
		}
	}
	for pair := range strings.SplitSeq(s, ",") {
		key, coded, _ := strings.Cut(strings.Trim(pair, " "), " ")
		if key == "" {
			return nil, refuse(http.StatusBadRequest, "Upload-Metadata holds an empty key")
		}
		value, err := base64.StdEncoding.DecodeString(strings.TrimLeft(coded, " "))
		if err != nil {
			return nil, refuse(http.StatusBadRequest, "the value of %.64q in Upload-Metadata is not Base64", key)
		}
		if _, twice := meta[key]; twice {
			return nil, refuse(http.StatusBadRequest, "the key %.64q stands twice in Upload-Metadata", key)
		}
		meta[key] = string(value)
	}
	return meta, nil
}

// parseSize reads a header that is a number of bytes.
func parseSize(name, s string) (int64, error) {
	if s == "" || len(s) > 19 || strings.Trim(s, "0123456789") != "" {
		return 0, refuse(http.StatusBadRequest, "%s must be a whole number of bytes", name)
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n > cas.MaxSize {
		return 0, refuse(http.StatusRequestEntityTooLarge, "%s is more than the limit of %d bytes", name, cas.MaxSize)
	}
	return n, nil
}

// parseConcat reads an Upload-Concat header: a kind, and the ids of a final upload's
// parts, whose addresses end in prefix and id.
func parseConcat(s, prefix string) (kind string, parts []string, err error) {
	switch {
	case s == "":
		return Normal, nil, nil
	case s == "partial":
		return Partial, nil, nil
	case !strings.HasPrefix(s, "final;"):
		return "", nil, refuse(http.StatusBadRequest, "Upload-Concat is neither partial nor final;ADDRESS ADDRESS ...")
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return "", nil, refuse(http.StatusBadRequest, "Upload-Concat holds a character that is not visible ASCII")
		}
	}
	for _, address := range strings.Fields(s[len("final;"):]) {
		u, err := url.Parse(address)
		if err != nil {
			return "", nil, refuse(http.StatusBadRequest, "Upload-Concat holds what is no address")
		}
		id := u.Path
		// The prefix is compared from its end, since a proxy may have put something before it.
		if i := strings.LastIndexByte(id, '/'); i >= 0 {
			if !strings.HasSuffix(id[:i+1], prefix) {
				return "", nil, refuse(http.StatusBadRequest, "Upload-Concat holds an address that is not of an upload here")
			}
			id = id[i+1:]
		}
		if !isID(id) {
			return "", nil, refuse(http.StatusBadRequest, "Upload-Concat holds an address that is not of an upload here")
		}
		parts = append(parts, id)
	}
	if len(parts) == 0 || len(parts) > MaxParts {
		return "", nil, refuse(http.StatusBadRequest, "a final upload has 1 to %d parts, not %d", MaxParts, len(parts))
	}
	return Final, parts, nil
}

// isID says whether s has the form of an upload's id.
func isID(s string) bool { return len(s) == 43 && ids.Name("", s) == nil }

// algorithms are those of Upload-Checksum, in the order in which they are told.
var algorithms = []string{"sha1", "sha256", "md5", "crc32"}

func newHash(algorithm string) hash.Hash {
	switch algorithm {
	case "sha1":
		return sha1.New()
	case "sha256":
		return sha256.New()
	case "md5":
		return md5.New()
	case "crc32":
		return crc32.NewIEEE()
	}
	return nil
}

// checksum is what a body must come to.
type checksum struct {
	want    []byte
	sums    map[string]hash.Hash // one, or all of them until a trailer says which
	trailer http.Header          // nil: the header came first
}

// checksumOf returns the checksum that a request carries or announces; nil for none.
func checksumOf(r *http.Request) (*checksum, error) {
	if s := r.Header.Get("Upload-Checksum"); s != "" {
		algorithm, want, err := parseChecksum(s)
		if err != nil {
			return nil, err
		}
		return &checksum{want: want, sums: map[string]hash.Hash{algorithm: newHash(algorithm)}}, nil
	}
	if _, announced := r.Trailer["Upload-Checksum"]; !announced {
		return nil, nil
	}
	c := &checksum{sums: map[string]hash.Hash{}, trailer: r.Trailer}
	for _, a := range algorithms {
		c.sums[a] = newHash(a)
	}
	return c, nil
}

// parseChecksum reads an Upload-Checksum header: an algorithm and the sum in Base64.
func parseChecksum(s string) (algorithm string, want []byte, err error) {
	algorithm, coded, _ := strings.Cut(s, " ")
	if !slices.Contains(algorithms, algorithm) {
		return "", nil, refuse(http.StatusBadRequest, "the algorithm of Upload-Checksum is none of %s", strings.Join(algorithms, ", "))
	}
	want, err = base64.StdEncoding.DecodeString(coded)
	if err != nil || len(want) != newHash(algorithm).Size() {
		return "", nil, refuse(http.StatusBadRequest, "Upload-Checksum holds no %s in Base64", algorithm)
	}
	return algorithm, want, nil
}

// Write adds bytes of the body.
func (c *checksum) Write(b []byte) (int, error) {
	for _, h := range c.sums {
		h.Write(b)
	}
	return len(b), nil
}

// check compares, when the body is at its end.
func (c *checksum) check() error {
	if c.trailer != nil {
		algorithm, want, err := parseChecksum(c.trailer.Get("Upload-Checksum"))
		if err != nil {
			return err
		}
		c.want, c.sums = want, map[string]hash.Hash{algorithm: c.sums[algorithm]}
	}
	for _, h := range c.sums {
		if subtle.ConstantTimeCompare(h.Sum(nil), c.want) != 1 {
			return refuse(statusChecksum, "the bytes that arrived do not match Upload-Checksum: none of them is kept")
		}
	}
	return nil
}
