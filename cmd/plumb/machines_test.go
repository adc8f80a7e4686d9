package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"plumb/engines/lab/child"
	"plumb/engines/sqldb"
)

// soak says whether the long series was asked for.
func soak() bool { return os.Getenv("PLUMB_SOAK") != "" }

// fleet is simulated machines that report as fast as they are answered, and
// remember what was acknowledged. A report that was not is sent again with its
// id until it is, as a machine does.
type fleet struct {
	tokens []string
	client *http.Client

	mu    sync.Mutex
	acked map[string]bool // "machine/report"
	fault string          // an answer that no machine should get

	n       atomic.Int64 // acknowledged
	refused atomic.Int64 // answered with 429, 503 or 507
}

func newFleet(t *testing.T, s *child.Server, machines int) *fleet {
	t.Helper()
	f := &fleet{acked: map[string]bool{}, client: &http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: machines, MaxConnsPerHost: machines},
	}}
	var csv strings.Builder
	csv.WriteString("id,city\n")
	for i := range machines {
		fmt.Fprintf(&csv, "%s,Berlin\n", machineID(i))
	}
	f.tokens = importMachines(t, s, csv.String())
	if len(f.tokens) != machines {
		t.Fatalf("%d machines enrolled, want %d", len(f.tokens), machines)
	}
	return f
}

func machineID(i int) string { return "m-" + strconv.Itoa(i) }

func reportOf(id string) []byte {
	return fmt.Appendf(nil, `{"report_id":%q,"taken_at":%q,"slots":[{"slot":"A1","sku":"cola","remaining":3,"capacity":10,"price":150},{"slot":"A2","sku":"water","remaining":0,"capacity":10}],"faults":[{"code":"coin_jam"}]}`,
		id, time.Now().UTC().Format(time.RFC3339))
}

// report runs every machine until ctx ends. url is asked before each try, so
// that machines follow a server that moved.
func (f *fleet) report(ctx context.Context, wave string, url func(machine int) string) {
	var all sync.WaitGroup
	for i, token := range f.tokens {
		all.Go(func() {
			for k := 0; ctx.Err() == nil; k++ {
				f.deliver(ctx, i, token, fmt.Sprintf("%s-%d", wave, k), url)
			}
		})
	}
	all.Wait()
}

func (f *fleet) deliver(ctx context.Context, i int, token, id string, url func(int) string) {
	body := reportOf(id)
	for ctx.Err() == nil {
		status, answer, err := f.post(ctx, url(i), token, body)
		switch {
		case err != nil:
		case status == http.StatusOK:
			f.mu.Lock()
			f.acked[machineID(i)+"/"+id] = true
			f.mu.Unlock()
			f.n.Add(1)
			return
		case status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable || status == http.StatusInsufficientStorage:
			f.refused.Add(1)
		default:
			f.mu.Lock()
			f.fault = fmt.Sprintf("report %s of %s: status %d: %s", id, machineID(i), status, answer)
			f.mu.Unlock()
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(10*time.Millisecond + rand.N(90*time.Millisecond)):
		}
	}
}

func (f *fleet) post(ctx context.Context, url, token string, body []byte) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/api/v1/vending/reports", bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	res, err := f.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 1<<16))
	return res.StatusCode, string(answer), err
}

// judge fails the test unless every acknowledged report is in the database once.
func (f *fleet) judge(t *testing.T, url string) {
	t.Helper()
	f.client.CloseIdleConnections()
	if f.fault != "" {
		t.Error(f.fault)
	}
	if f.n.Load() == 0 {
		t.Fatal("nothing was acknowledged: the test says nothing")
	}
	db, err := sqldb.Open(t.Context(), url, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	found := map[string]int{}
	if err := db.Read(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		rows, err := tx.Query(ctx, `SELECT machine, id FROM vending_reports`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var machine, id string
			if err := rows.Scan(&machine, &id); err != nil {
				return err
			}
			found[machine+"/"+id]++
		}
		return rows.Err()
	}); err != nil {
		t.Fatal(err)
	}
	lost, doubled := 0, 0
	for key := range f.acked {
		if found[key] == 0 {
			lost++
		}
	}
	for _, n := range found {
		if n > 1 {
			doubled++
		}
	}
	if lost > 0 || doubled > 0 {
		t.Errorf("%d of %d acknowledged reports lost, %d doubled", lost, len(f.acked), doubled)
	}
	t.Logf("%d machines, %d reports acknowledged, %d in the database, %d tries refused, %d lost", len(f.tokens), len(f.acked), len(found), f.refused.Load(), lost)
}

// importMachines enrols a CSV and returns the tokens in its order.
func importMachines(t *testing.T, s *child.Server, csv string) []string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/api/v1/vending/machines/import", strings.NewReader(csv))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.Token)
	req.Header.Set("Content-Type", "text/csv")
	res, err := s.Client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode/100 != 2 {
		t.Fatalf("import: status %d, %v: %.300s", res.StatusCode, err, text)
	}
	var tokens []string
	for line := range strings.Lines(string(text)) {
		var m struct{ Status, Token, Detail string }
		if err := json.Unmarshal([]byte(line), &m); err != nil || m.Token == "" {
			t.Fatalf("import: %v: %.300s", err, line)
		}
		tokens = append(tokens, m.Token)
	}
	return tokens
}
