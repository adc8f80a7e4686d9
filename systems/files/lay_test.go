package files

import (
	"strings"
	"testing"

	"plumb/base/errs"
	"plumb/engines/sqldb"
	"plumb/engines/sqldb/sqldbtest"
)

// Of files that are settled together, one that may not be there fails alone, and the
// rest are counted once.
func TestSettlingTogether(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := open(t, db)
		bad := h.put("ada", "away", strings.Repeat("bad", 70_000))
		if err := h.Block(t.Context(), h.who["boss"], bad.Hash, "not ours"); err != nil {
			t.Fatal(err)
		}
		texts := []string{"small", strings.Repeat("large", 60_000), strings.Repeat("bad", 70_000), "small"}
		var list []*laid
		for i, text := range texts {
			l, err := h.lay(t.Context(), h.who["ada"], "d/"+string(rune('a'+i)), strings.NewReader(text), WriteOptions{Size: int64(len(text))})
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, l)
		}
		for i, err := range h.settleAll(t.Context(), h.who["ada"], list) {
			if (err != nil) != (i == 2) || i == 2 && !errs.Is(err, errs.Barred) {
				t.Error(i, err)
			}
		}
		for i, text := range texts {
			if name := "d/" + string(rune('a'+i)); i != 2 && h.text("ada", name) != text {
				t.Error(name, "has another text")
			}
		}
		h.sound()
	})
}
