package prove

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"plumb/engines/lab/child"
)

// reportSlots is how many selections a simulated machine has: its report then
// has about 3 KB, as the mean audit file of real machines.
const reportSlots = 40

// enrolled is a machine that a running server knows.
type enrolled struct {
	id, token string
}

// enrol makes n machines known to the server through its API.
func enrol(ctx context.Context, s *child.Server, n int) ([]enrolled, error) {
	out := make([]enrolled, n)
	for i := range out {
		id := "m-" + strconv.Itoa(i)
		var answer struct {
			Token string `json:"token"`
		}
		status, err := post(ctx, s.Client, s.URL+"/api/v1/vending/machines", s.Token, map[string]string{"id": id, "city": "Berlin"}, &answer)
		if err == nil && (status != http.StatusCreated || answer.Token == "") {
			err = fmt.Errorf("status %d", status)
		}
		if err != nil {
			return nil, fmt.Errorf("enrol machine %s: %w", id, err)
		}
		out[i] = enrolled{id, answer.Token}
	}
	return out, nil
}

// reportBody is a report with that id, as a machine sends it.
func reportBody(id string, taken time.Time) []byte {
	type slot struct {
		Slot      string `json:"slot"`
		SKU       string `json:"sku"`
		Remaining int    `json:"remaining"`
		Capacity  int    `json:"capacity"`
		Price     int    `json:"price"`
	}
	report := struct {
		ID     string   `json:"report_id"`
		Taken  string   `json:"taken_at"`
		Slots  []slot   `json:"slots"`
		Faults []string `json:"faults"`
	}{ID: id, Taken: taken.UTC().Format(time.RFC3339), Faults: []string{}}
	for i := range reportSlots {
		report.Slots = append(report.Slots, slot{fmt.Sprintf("%c%d", 'A'+i/10, i%10), fmt.Sprintf("sku-%d", i), (len(id)*7 + i) % 11, 10, 150})
	}
	body, err := json.Marshal(report)
	if err != nil {
		panic(err) // plain values always marshal
	}
	return body
}

// post sends v (bytes as they are, all else as JSON) and decodes the answer
// into out, where that is not nil and the status is good.
func post(ctx context.Context, c *http.Client, url, token string, v, out any) (status int, err error) {
	body, ok := v.([]byte)
	if !ok {
		if body, err = json.Marshal(v); err != nil {
			return 0, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	res, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return res.StatusCode, err
	}
	if out != nil && res.StatusCode < 300 {
		err = json.Unmarshal(answer, out)
	}
	return res.StatusCode, err
}
