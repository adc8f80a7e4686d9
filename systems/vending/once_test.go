package vending

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"testing"

	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

// A machine's token is lost for good when the answer is lost on the line; with a
// key the request can be sent again and gets the very same token.
func TestEnrolAgainWithTheSameKey(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := open(t, db)
		body := map[string]any{"id": "m-1", "city": "Berlin"}
		enrol := func(key string, body any) (int, map[string]any) {
			w := h.call("POST", "/api/v1/vending/machines", boss, body, "Idempotency-Key", key)
			var out map[string]any
			if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
				t.Fatalf("%v: %s", err, w.Body)
			}
			return w.Code, out
		}
		status, first := enrol("k-1", body)
		again, second := enrol("k-1", body)
		if status != http.StatusCreated || again != http.StatusCreated || first["token"] == "" || first["token"] != second["token"] {
			t.Errorf("got %d %v and %d %v, want the same token twice", status, first, again, second)
		}
		if status, _ := enrol("k-1", map[string]any{"id": "m-2", "city": "Berlin"}); status != http.StatusConflict {
			t.Errorf("the key with another body: status %d, want 409", status)
		}
		if status, _ := enrol("k-2", body); status != http.StatusConflict {
			t.Errorf("another key for the same machine: status %d, want 409", status)
		}
		if err := db.Read(context.Background(), func(ctx context.Context, tx *sqldb.Tx) error {
			var kept []byte
			if err := tx.QueryRow(ctx, `SELECT answer FROM once_answer`).Scan(&kept); err != nil {
				return err
			}
			if bytes.Contains(kept, []byte(first["token"].(string))) {
				t.Error("the token stands in the database as it is")
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	})
}

// A code is used up by its first use; the machine whose answer was lost asks
// again with its key.
func TestRedeemAgainWithTheSameKey(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := open(t, db)
		h.enrol("m-1")
		var code struct{ Code string }
		w := h.call("POST", "/api/v1/vending/machines/m-1/code", boss, nil)
		if err := json.Unmarshal(w.Body.Bytes(), &code); err != nil || code.Code == "" {
			t.Fatalf("%v: %s", err, w.Body)
		}
		redeem := func(key string) (int, string) {
			w := h.call("POST", "/api/v1/vending/enrol", "", map[string]any{"code": code.Code}, "Idempotency-Key", key)
			var out struct{ Token string }
			_ = json.Unmarshal(w.Body.Bytes(), &out) // a refusal has none
			return w.Code, out.Token
		}
		status, token := redeem("k-1")
		again, same := redeem("k-1")
		if status != http.StatusOK || again != http.StatusOK || token == "" || token != same {
			t.Errorf("got %d %q and %d %q, want the same token twice", status, token, again, same)
		}
		if status, other := redeem("k-2"); status != http.StatusUnauthorized || other != "" {
			t.Errorf("another key: status %d, token %q; the code is used", status, other)
		}
	})
}
