package files

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"plumb/engines/cas"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

// BenchmarkServe reads a file over a kept connection: all of it, and ranges of it, bare
// and sealed.
func BenchmarkServe(b *testing.B) {
	body := make([]byte, 5<<20)
	rand.Read(body)
	for _, plain := range []bool{true, false} {
		for _, size := range []int{64 << 10, len(body)} {
			b.Run(fmt.Sprintf("plain=%v/%d", plain, size), func(b *testing.B) {
				h := open(b, sqldbtest.Open(b, sqldbtest.SQLite, sqldb.Options{}), func(up *setup) { up.cas = cas.Options{Plain: plain} })
				h.put("ada", "d/f", string(body))
				server := httptest.NewServer(h.http)
				defer server.Close()
				conn, err := net.Dial("tcp", server.Listener.Addr().String())
				if err != nil {
					b.Fatal(err)
				}
				defer conn.Close()
				r := bufio.NewReaderSize(conn, 64<<10)
				b.SetBytes(int64(size))
				for i := range b.N {
					off := (i * 7919 * 4096) % (len(body) - size + 1)
					fmt.Fprintf(conn, "GET %sd/f HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nRange: bytes=%d-%d\r\n\r\n", contentURL, h.tokens["ada"], off, off+size-1)
					res, err := http.ReadResponse(r, nil)
					if err != nil {
						b.Fatal(err)
					}
					if n, err := io.Copy(io.Discard, res.Body); err != nil || n != int64(size) || res.StatusCode != 206 {
						b.Fatal(res.Status, n, err)
					}
				}
			})
		}
	}
}

// BenchmarkWrite stores small files of fresh content, as many at once as wait.
func BenchmarkWrite(b *testing.B) {
	for _, kind := range sqldbtest.Kinds() {
		b.Run(kind, func(b *testing.B) {
			h := open(b, sqldbtest.Open(b, kind, sqldb.Options{}))
			b.SetParallelism(32)
			b.SetBytes(4096)
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					body := make([]byte, 4096)
					rand.Read(body)
					if _, _, err := h.Write(context.Background(), h.who["ada"], fmt.Sprintf("%x/%x", body[:1], body[:8]), bytes.NewReader(body), WriteOptions{Size: 4096}); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
