package vending

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"plumb/engines/fleet"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

// benchHouse opens the room as a server has it, on a database that syncs.
func benchHouse(b *testing.B, kind string) *house {
	if kind == sqldbtest.Postgres {
		db, err := sqldb.Open(context.Background(), sqldbtest.Cluster(b).Database(b), sqldb.Options{})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { db.Close() })
		return open(b, db, fast)
	}
	return open(b, sqldbtest.Open(b, kind, sqldb.Options{}), fast)
}

// fast lets one machine send as much as it can.
func fast(c *Config) { c.Rate, c.Capacity = 1_000_000, 1e6 }

// fullReport is what a machine of 24 slots sends: 2 KB.
func fullReport(id string) []byte {
	r := map[string]any{"report_id": id, "taken_at": noon, "faults": []any{map[string]any{"code": "coin_jam"}}}
	var slots []any
	for i := range 24 {
		slots = append(slots, map[string]any{"slot": fmt.Sprintf("%c%d", 'A'+i/6, i%6+1), "sku": "article-" + fmt.Sprint(i), "remaining": i % 10, "capacity": 10, "price": 150 + i})
	}
	r["slots"] = slots
	b, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	return b
}

// usual is a report around its id: what is measured is not how it is made.
var usual = bytes.SplitN(fullReport("@id@"), []byte("@id@"), 2)

func reportOf(id string) []byte {
	return append(append(append(make([]byte, 0, len(usual[0])+len(usual[1])+len(id)), usual[0]...), id...), usual[1]...)
}

// BenchmarkIngest compares what a report costs through the real HTTP handler with
// what the same rows cost the database alone, under the same concurrency.
func BenchmarkIngest(b *testing.B) {
	const callers, batch = 512, 25 // 512 single reports, or 40 batches, wait at a time
	for _, kind := range sqldbtest.Kinds() {
		b.Run(kind, func(b *testing.B) {
			h := benchHouse(b, kind)
			tokens := make([]string, 256)
			for i := range tokens {
				tokens[i] = h.enrol(fmt.Sprint("m-", i))
				h.post(b, tokens[i], "application/json", reportOf("first")) // its token is known from now on
			}
			var next atomic.Int64
			parallel := func(b *testing.B, rows int, fn func(n int64)) {
				b.SetParallelism(max(1, min(callers, 40*batch/rows/rows)/runtime.GOMAXPROCS(0)))
				b.ReportAllocs()
				before := cpu()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						fn(next.Add(1))
					}
				})
				b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "reports/s")
				b.ReportMetric((cpu()-before).Seconds()*1e6/float64(rows*b.N), "cpu-µs/report")
			}
			b.Run("http", func(b *testing.B) {
				parallel(b, 1, func(n int64) {
					h.post(b, tokens[n%int64(len(tokens))], "application/json", reportOf(fmt.Sprint("h-", n)))
				})
			})
			b.Run("database", func(b *testing.B) {
				parallel(b, 1, func(n int64) { h.alone(b, fmt.Sprint("m-", n%256), n, 1) })
			})
			b.Run("http ndjson", func(b *testing.B) {
				parallel(b, batch, func(n int64) {
					var body bytes.Buffer
					for i := range batch {
						body.Write(reportOf(fmt.Sprint("b-", n, "-", i)))
						body.WriteByte('\n')
					}
					h.post(b, tokens[n%int64(len(tokens))], "application/x-ndjson", body.Bytes())
				})
			})
			b.Run("database batch", func(b *testing.B) {
				parallel(b, batch, func(n int64) { h.alone(b, fmt.Sprint("m-", n%256), n, batch) })
			})
		})
	}
}

// cpu returns the processor time of this process so far: steadier than wall time
// on a machine that others use too. PostgreSQL's own is not in it.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func (h *house) post(b *testing.B, token, kind string, body []byte) {
	req := httptest.NewRequest(http.MethodPost, reportsPath, bytes.NewReader(body))
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", kind)
	w := httptest.NewRecorder()
	h.http.ServeHTTP(w, req)
	if w.Code != 200 {
		b.Errorf("%d %s", w.Code, w.Body)
	}
}

var benchBody = func() string {
	r, err := decodeReport(fullReport("x"))
	if err != nil {
		panic(err)
	}
	text, err := json.Marshal(body{Taken: &r.Taken, Slots: r.Slots, Faults: r.Faults})
	if err != nil {
		panic(err)
	}
	return string(text)
}()

// alone writes the rows of n reports and nothing else.
func (h *house) alone(b *testing.B, machine string, k int64, n int) {
	rows := make([]*incoming, n)
	for i := range rows {
		rows[i] = &incoming{id: fmt.Sprint("d-", k, "-", i), taken: noon.UnixMicro(), received: noon.UnixMicro(), body: benchBody, faults: 1, severity: 2, slots: 24, empty: 3}
	}
	err := h.n.DB.Batch(context.Background(), func(ctx context.Context, tx *sqldb.Tx) error {
		return h.store.take(ctx, tx, machine, rows, noon.UnixMicro())
	})
	if err != nil {
		b.Error(err)
	}
}

// BenchmarkReport is the path without HTTP and without a network.
func BenchmarkReport(b *testing.B) {
	h := benchHouse(b, sqldbtest.SQLite)
	h.enrol("m-1")
	m := fleet.Machine{Realm: realm, ID: "m-1", Cohort: "Berlin"}
	var next atomic.Int64
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_, err := h.Report(context.Background(), m, 1, func() ([]Report, error) {
				r, err := decodeReport(reportOf(fmt.Sprint("r-", next.Add(1))))
				return []Report{r}, err
			})
			if err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	text := fullReport("r-1")
	for name, decode := range map[string]func([]byte) (Report, error){"scan": decodeReport, "strict": decodeStrictly} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := decode(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
