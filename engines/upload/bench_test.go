package upload

import (
	"bytes"
	"strconv"
	"testing"

	"plumb/base/clock"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

// BenchmarkUpload takes whole uploads through the HTTP server: small ones (a create and
// a PATCH), and large ones in one PATCH or in PATCHes of 8 MiB.
func BenchmarkUpload(b *testing.B) {
	for _, kind := range sqldbtest.Kinds() {
		for name, c := range map[string]struct{ size, chunk int }{
			"10KB":          {10_000, 10_000},
			"64MiB":         {64 << 20, 64 << 20},
			"64MiB-by-8MiB": {64 << 20, 8 << 20},
		} {
			b.Run(kind+"/"+name, func(b *testing.B) {
				p := newPlace(b, sqldbtest.Open(b, kind, sqldb.Options{}), clock.System{})
				p.o = Options{}
				h := p.open()
				b.SetBytes(int64(c.size))
				content := random(c.size)
				for i := range b.N {
					copy(content, strconv.Itoa(i)) // never the same twice
					loc := h.create(c.size, nil)
					for at := 0; at < c.size; at += c.chunk {
						h.want(204, "PATCH", loc, content[at:min(at+c.chunk, c.size)], patchAt(int64(at), nil))
					}
				}
			})
		}
	}
}

// BenchmarkChecksum is what each algorithm costs.
func BenchmarkChecksum(b *testing.B) {
	block := bytes.Repeat([]byte("0123456789abcdef"), 2048)
	for _, a := range algorithms {
		b.Run(a, func(b *testing.B) {
			b.SetBytes(int64(len(block)))
			h := newHash(a)
			for range b.N {
				h.Write(block)
			}
		})
	}
}
