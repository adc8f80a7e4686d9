package prove

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
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

// enrol makes n machines known to the server, as an operator would: by a CSV file.
func enrol(ctx context.Context, s *child.Server, n int) ([]enrolled, error) {
	var file strings.Builder
	file.WriteString("id,city\n")
	for i := range n {
		fmt.Fprintf(&file, "m-%d,Berlin\n", i)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/api/v1/vending/machines/import", strings.NewReader(file.String()))
	if err != nil {
		return nil, fmt.Errorf("enrol %d machines: %w", n, err)
	}
	req.Header.Set("Authorization", "Bearer "+s.Token)
	req.Header.Set("Content-Type", "text/csv")
	res, err := s.Client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("enrol %d machines: %w", n, err)
	}
	defer res.Body.Close()
	var out []enrolled
	for lines := json.NewDecoder(res.Body); ; {
		var line struct{ ID, Status, Token, Detail string }
		if err := lines.Decode(&line); err == io.EOF {
			break
		} else if err != nil {
			return nil, fmt.Errorf("enrol %d machines: status %d: %w", n, res.StatusCode, err)
		}
		if line.Token == "" {
			return nil, fmt.Errorf("enrol machine %s: %s %s", line.ID, line.Status, line.Detail)
		}
		out = append(out, enrolled{line.ID, line.Token})
	}
	if len(out) != n {
		return nil, fmt.Errorf("enrol %d machines: %d answers", n, len(out))
	}
	return out, nil
}

// stored returns the ids of all reports that the server has of a machine, as
// often as it lists each.
func stored(ctx context.Context, s *child.Server, machine string) ([]string, error) {
	var out []string
	for cursor := ""; ; {
		var page struct {
			Reports []struct {
				ID string `json:"report_id"`
			} `json:"reports"`
			Next string `json:"next"`
		}
		at := s.URL + "/api/v1/vending/machines/" + machine + "/reports?limit=500"
		if cursor != "" {
			at += "&cursor=" + url.QueryEscape(cursor)
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
		if err != nil {
			return nil, err
		}
		status, err := do(s.Client, req, s.Token, &page)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("status %d", status)
		}
		if err != nil {
			return nil, fmt.Errorf("reports of machine %s: %w", machine, err)
		}
		for _, r := range page.Reports {
			out = append(out, r.ID)
		}
		if cursor = page.Next; cursor == "" {
			return out, nil
		}
	}
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

// post sends a JSON body and decodes the answer into out, where that is not nil
// and the status is good.
func post(ctx context.Context, c *http.Client, url, token string, body []byte, out any) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	return do(c, req, token, out)
}

func do(c *http.Client, req *http.Request, token string, out any) (status int, err error) {
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	if err != nil {
		return res.StatusCode, err
	}
	if out != nil && res.StatusCode < 300 {
		err = json.Unmarshal(answer, out)
	}
	return res.StatusCode, err
}
