package vending

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
	"plumb/systems/vending/internal/dts"
)

// auditText is a sealed audit of a machine of 24 selections: 2 KB, as real ones are.
func auditText(serial string, sold int64) string {
	var b strings.Builder
	fmt.Fprintf(&b, "ST*001*0001\r\nID1*%s*SNACK 24*105***A-17\r\nID4*2*1978*EUR\r\nVA1*%d*%d*9000*60\r\nCA2*90000*600*6000*40\r\nCA3*0*1250*1000*2\r\nCA15*4350*0*0*0\r\n", serial, sold*150, sold)
	for i := range int64(24) {
		fmt.Fprintf(&b, "PA1*%d*%d*ARTICLE %d*10\r\nPA2*%d*%d*%d*%d\r\nPA3*1*0*0\r\nPA4*0*0*0\r\nPA5*20260304*120000*0\r\n", 10+i, 150+i, i, sold+i, (sold+i)*150, (sold+i)%10, (sold+i)%10*150)
	}
	b.WriteString("EA2*EGS*104*104**0*95206\r\nEA2*EJL_12*1*1**0\r\nEA3*12*20260304*235500*GW-1\r\n")
	set := b.String()
	return "DXS*PLB0001*VA*V0/6*1\r\n" + set + dts.Seal([]byte(set)) + "\r\nSE*133*0001\r\nDXE*1*1\r\n"
}

// BenchmarkDTS compares what a durable audit costs through the real HTTP handler, as
// a gateway sends them and one by one, with what its row costs the database alone.
func BenchmarkDTS(b *testing.B) {
	const machines, batch = 2000, 1000
	for _, kind := range sqldbtest.Kinds() {
		b.Run(kind, func(b *testing.B) {
			h := benchHouse(b, kind)
			var enrol strings.Builder
			enrol.WriteString("id,city\n")
			for i := range machines {
				fmt.Fprintf(&enrol, "m-%d,Berlin\n", i)
			}
			if w := h.call("POST", apiRoot+"/machines/import", boss, enrol.String(), "Content-Type", "text/csv"); w.Code != 200 {
				b.Fatal(w.Body)
			}
			bodies := make(map[string]string)
			for i := range machines {
				bodies[fmt.Sprint("m-", i)] = fmt.Sprint("SN", i)
			}
			var next atomic.Int64
			parallel := func(b *testing.B, callers, files int, fn func(n int64)) {
				b.SetParallelism(max(1, callers/runtime.GOMAXPROCS(0)))
				b.ReportAllocs()
				before := cpu()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						fn(next.Add(1))
					}
				})
				b.ReportMetric(float64(files*b.N)/b.Elapsed().Seconds(), "files/s")
				b.ReportMetric((cpu()-before).Seconds()*1e6/float64(files*b.N), "cpu-µs/file")
			}
			// What is sent is made before it is measured.
			for _, callers := range []int{1, 4} {
				b.Run(fmt.Sprintf("gateway-%d", callers), func(b *testing.B) {
					sent := make([][]byte, b.N)
					for k := range sent {
						n := next.Add(1)
						var body bytes.Buffer
						enc := json.NewEncoder(&body)
						for i := range int64(batch) {
							id := fmt.Sprint("m-", (n*batch+i)%machines)
							if err := enc.Encode(fileIn{Machine: id, File: auditText(bodies[id], n)}); err != nil {
								b.Fatal(err)
							}
						}
						sent[k] = body.Bytes()
					}
					var at atomic.Int64
					b.ResetTimer()
					parallel(b, callers, batch, func(int64) {
						w := h.callRaw("POST", apiRoot+"/dts", boss, "application/x-ndjson", sent[at.Add(1)-1])
						if n := strings.Count(w.Body.String(), `"stored"`); n != batch {
							b.Errorf("%d of %d stored: %d %.300s", n, batch, w.Code, w.Body)
						}
					})
				})
			}
			b.Run("single", func(b *testing.B) {
				parallel(b, 512, 1, func(n int64) {
					id := fmt.Sprint("m-", n%machines)
					w := h.callRaw("POST", apiRoot+"/machines/"+id+"/dts", boss, "text/plain", []byte(auditText(bodies[id], 1e6+n)))
					if w.Code != 200 {
						b.Errorf("%d %s", w.Code, w.Body)
					}
				})
			})
			b.Run("database", func(b *testing.B) {
				const many = 250
				text := auditText("SN1", 7)
				parallel(b, 4, many, func(n int64) {
					rows := make([][]any, many)
					for i := range rows {
						rows[i] = []any{fmt.Sprint("m-", (n*many+int64(i))%machines), fmt.Sprintf("%064d", n*many+int64(i)), int64(n), "ok", text}
					}
					err := h.n.DB.Batch(context.Background(), func(ctx context.Context, tx *sqldb.Tx) error {
						return auditSQL.query(ctx, tx, rows, func(r *sqldb.Rows) error { return nil })
					})
					if err != nil {
						b.Error(err)
					}
				})
			})
		})
	}
}

func (h *house) callRaw(method, path, token, kind string, body []byte) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, path, bytes.NewReader(body))
	req.Header.Set("Content-Type", kind)
	req.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	h.http.ServeHTTP(w, req)
	return w
}
