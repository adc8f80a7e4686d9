package files

import (
	"strings"
	"testing"
	"time"

	"plumb/base/errs"
)

func TestWriteReadListMoveCopyRemove(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx, ada := t.Context(), h.who["ada"]
		first := h.put("ada", "trips/2026/map.txt", "the map")
		h.put("ada", "trips/notes.md", "# notes")
		h.put("ada", "a.txt", "a")
		if got := h.names("ada", ""); got != "a.txt trips/" {
			t.Errorf("the root holds %q", got)
		}
		if got := h.text("ada", "trips/2026/map.txt") + h.text("ada", "@"+first.ID); got != "the mapthe map" {
			t.Errorf("read %q", got)
		}
		if first.Version != 1 || first.Type != "text/plain" || first.Hash != hashOfText("the map") {
			t.Errorf("%+v", first)
		}
		second := h.put("ada", "trips/2026/map.txt", "a better map")
		if second.ID != first.ID || second.Version != 2 {
			t.Errorf("a second content: %+v", second)
		}
		if err := h.Move(ctx, ada, "trips/2026", "years", false); err != nil {
			t.Fatal(err)
		}
		if got := h.names("ada", "") + "; " + h.text("ada", "years/map.txt") + "; " + h.text("ada", "trips/2026/map.txt"); got != "a.txt trips/ years/; a better map; (not found)" {
			t.Error(got)
		}
		kind(t, "a folder below itself", h.Move(ctx, ada, "years", "years/deep", false), errs.Conflict)
		kind(t, "a taken name", h.Move(ctx, ada, "a.txt", "trips/notes.md", false), errs.Conflict)
		kind(t, "no such folder", h.Move(ctx, ada, "a.txt", "nowhere/a.txt", false), errs.Conflict)
		kind(t, "nothing", h.Move(ctx, ada, "b.txt", "c.txt", false), errs.NotFound)
		kind(t, "a root", h.Move(ctx, ada, "", "c", false), errs.Invalid)
		if err := h.Move(ctx, ada, "a.txt", "trips/notes.md", true); err != nil {
			t.Fatal(err)
		}
		if err := h.Copy(ctx, ada, "trips", "copies", false); err != nil {
			t.Fatal(err)
		}
		if err := h.Copy(ctx, ada, "years/map.txt", "copies/map.txt", false); err != nil {
			t.Fatal(err)
		}
		kind(t, "a copy onto itself", h.Copy(ctx, ada, "years/map.txt", "years/map.txt", true), errs.Conflict)
		if got := h.names("ada", "copies") + "; " + h.text("ada", "copies/notes.md"); got != "map.txt notes.md; a" {
			t.Error(got)
		}
		if err := h.Copy(ctx, ada, "copies", "copies/inside", false); err != nil {
			t.Fatal(err)
		}
		if got := h.names("ada", "copies/inside"); got != "map.txt notes.md" {
			t.Errorf("a copy into itself holds %q", got)
		}
		if err := h.Remove(ctx, ada, "copies"); err != nil {
			t.Fatal(err)
		}
		if got := h.text("ada", "copies/map.txt") + h.names("ada", ""); got != "(not found)trips/ years/" {
			t.Error(got)
		}
		h.sound()
	})
}

func TestBinRestoreAndPurge(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx, ada := t.Context(), h.who["ada"]
		n := h.put("ada", "d/one", "1")
		h.put("ada", "d/one", "11")
		h.put("ada", "d/e/two", "22")
		if err := h.Remove(ctx, ada, "d/one"); err != nil {
			t.Fatal(err)
		}
		h.clock.Advance(time.Second)
		if err := h.Remove(ctx, ada, "d"); err != nil {
			t.Fatal(err)
		}
		bin, next, err := h.Bin(ctx, ada, "", 1)
		if err != nil || len(bin) != 1 || bin[0].Name != "d" || next == "" {
			t.Fatalf("%+v, %q, %v", bin, next, err)
		}
		folder := bin[0]
		bin, next, err = h.Bin(ctx, ada, next, 1)
		if err != nil || len(bin) != 1 || bin[0].Name != "one" || next != "" {
			t.Fatalf("%+v, %q, %v", bin, next, err)
		}
		_, err = h.Restore(ctx, ada, n.ID, "")
		kind(t, "what lay in a folder of the bin", err, errs.Conflict)
		_, err = h.Restore(ctx, h.who["bob"], folder.ID, "")
		kind(t, "somebody else's", err, errs.NotFound)
		if got, err := h.Restore(ctx, ada, n.ID, "elsewhere"); err != nil || got.Name != "elsewhere" {
			t.Fatalf("%+v, %v", got, err)
		}
		h.put("ada", "d", "a file of that name")
		if got, err := h.Restore(ctx, ada, folder.ID, ""); err != nil || got.Name != "d (2)" {
			t.Fatalf("%+v, %v", got, err)
		}
		if got := h.text("ada", "elsewhere") + h.text("ada", "d (2)/e/two"); got != "1122" {
			t.Error(got)
		}
		for _, path := range []string{"elsewhere", "d (2)", "d"} {
			if err := h.Remove(ctx, ada, path); err != nil {
				t.Fatal(err)
			}
		}
		kind(t, "a purge of what is not in the bin", h.Purge(ctx, ada, "no-such-id"), errs.NotFound)
		if got, err := h.EmptyBin(ctx, ada); err != nil || got != 3 {
			t.Errorf("%d purged, %v", got, err)
		}
		if u, err := h.Quota(ctx, ada); err != nil || u.Used != 0 || u.Files != 0 {
			t.Errorf("%+v, %v", u, err)
		}
		h.sound()
	})
}

func TestVersionsAndTheirEnd(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx, ada := t.Context(), h.who["ada"]
		for _, text := range []string{"one", "two", "two", "three"} {
			h.put("ada", "f", text)
			h.clock.Advance(24 * time.Hour)
		}
		list, next, err := h.Versions(ctx, ada, "f", "", 1)
		if err != nil || len(list) != 1 || list[0].Version != 2 || next == "" {
			t.Fatalf("%+v, %q, %v", list, next, err)
		}
		if list, next, err = h.Versions(ctx, ada, "f", next, 1); err != nil || len(list) != 1 || list[0].Hash != hashOfText("one") || next != "" {
			t.Fatalf("%+v, %q, %v", list, next, err)
		}
		if n, err := h.Revert(ctx, ada, "f", 1); err != nil || n.Version != 4 || h.text("ada", "f") != "one" {
			t.Errorf("%+v, %v", n, err)
		}
		if u, _ := h.Quota(ctx, ada); u.Used != int64(len("one"+"two"+"three"+"one")) {
			t.Errorf("%+v", u)
		}
		if err := h.Forget(ctx, ada, "f", 3); err != nil {
			t.Fatal(err)
		}
		_, err = h.OpenVersion(ctx, ada, "f", 3)
		kind(t, "a forgotten version", err, errs.NotFound)
		_, _, err = h.Versions(ctx, h.who["bob"], "@"+mustStat(h, "ada", "f").ID, "", 0)
		kind(t, "somebody else's versions", err, errs.NotFound)
		h.sound()
		h.clock.Advance(30 * 24 * time.Hour)
		h.put("ada", "old", "bin")
		if err := h.Remove(ctx, ada, "old"); err != nil {
			t.Fatal(err)
		}
		if err := h.expire(ctx); err != nil {
			t.Fatal(err)
		}
		if list, _, err := h.Versions(ctx, ada, "f", "", 0); err != nil || len(list) != 0 {
			t.Errorf("old versions stay: %+v, %v", list, err)
		}
		if bin, _, _ := h.Bin(ctx, ada, "", 0); len(bin) != 1 {
			t.Errorf("what was removed just now is gone: %+v", bin)
		}
		h.clock.Advance(31 * 24 * time.Hour)
		if err := h.expire(ctx); err != nil {
			t.Fatal(err)
		}
		if bin, _, _ := h.Bin(ctx, ada, "", 0); len(bin) != 0 {
			t.Errorf("the bin keeps %+v", bin)
		}
		h.sound()
	})
}

func mustStat(h *house, name, path string) Node {
	h.t.Helper()
	n, err := h.Stat(h.t.Context(), h.who[name], path)
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

func TestQuotaIsExactAndHolds(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx, ada := t.Context(), h.who["ada"]
		h.put("ada", "d/a", strings.Repeat("a", 600))
		_, _, err := h.Write(ctx, ada, "b", strings.NewReader(strings.Repeat("b", 500)), WriteOptions{Size: -1})
		kind(t, "too much, of unknown length", err, errs.TooLarge)
		_, _, err = h.Write(ctx, ada, "b", strings.NewReader(strings.Repeat("b", 500)), WriteOptions{Size: 500})
		kind(t, "too much", err, errs.TooLarge)
		if !strings.Contains(errs.Message(err), "quota") {
			t.Errorf("the refusal says %q", errs.Message(err))
		}
		kind(t, "too large a copy", h.Copy(ctx, ada, "d", "e", false), errs.TooLarge)
		if got := h.names("ada", ""); got != "d/" {
			t.Errorf("the root holds %q", got)
		}
		h.put("ada", "b", strings.Repeat("b", 400))
		_, err = h.SetQuota(ctx, ada, "ada", -1)
		kind(t, "one's own quota", err, errs.Denied)
		if u, err := h.SetQuota(ctx, h.who["boss"], "ada", 2000); err != nil || u != (Usage{2, 1000, 2000}) {
			t.Errorf("%+v, %v", u, err)
		}
		if err := h.Copy(ctx, ada, "d", "e", false); err != nil {
			t.Error(err)
		}
		h.sound()
	}, func(up *setup) { up.files.Quota = 1000 })
}

func TestConditionsHoldBeforeAnythingChanges(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		write := func(o WriteOptions, text string) error {
			o.Size = -1
			_, _, err := h.Write(t.Context(), h.who["ada"], "f", strings.NewReader(text), o)
			return err
		}
		kind(t, "If-Match on nothing", write(WriteOptions{IfMatch: "*"}, "x"), errs.Stale)
		if err := write(WriteOptions{IfNoneMatch: "*"}, "one"); err != nil {
			t.Fatal(err)
		}
		kind(t, "If-None-Match on something", write(WriteOptions{IfNoneMatch: "*"}, "x"), errs.Stale)
		tag := mustStat(h, "ada", "f").ETag()
		if err := write(WriteOptions{IfMatch: `"other", ` + tag}, "two"); err != nil {
			t.Error(err)
		}
		kind(t, "the tag from before", write(WriteOptions{IfMatch: tag}, "x"), errs.Stale)
		if got := h.text("ada", "f"); got != "two" {
			t.Errorf("the file says %q", got)
		}
	})
}

func TestSearchFindsWhatOneMaySee(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		for _, path := range []string{"Reise/Übersicht 2026.txt", "Reise/karte uber alles.txt", "private/secret uber.txt", "testing test.txt"} {
			h.put("ada", path, path)
			h.clock.Advance(time.Second)
		}
		h.put("bob", "uber mine.txt", "x")
		find := func(name, text string) string {
			t.Helper()
			var names []string
			for cursor := ""; ; {
				list, next, err := h.Search(ctx, h.who[name], text, cursor, 1)
				if err != nil {
					return "(" + string(errs.KindOf(err)) + ")"
				}
				for _, f := range list {
					names = append(names, f.Name)
				}
				if cursor = next; next == "" {
					return strings.Join(names, "; ")
				}
			}
		}
		if got := find("ada", "UBER"); got != "karte uber alles.txt; secret uber.txt; Übersicht 2026.txt" {
			t.Errorf("ada finds %q", got)
		}
		if got := find("ada", "test"); got != "testing test.txt" {
			t.Errorf("a name with two such words: %q", got)
		}
		if got := find("ada", "über 20"); got != "Übersicht 2026.txt" {
			t.Errorf("two words: %q", got)
		}
		if got := find("bob", "uber"); got != "uber mine.txt" {
			t.Errorf("bob finds %q", got)
		}
		if _, err := h.Share(ctx, h.who["ada"], "Reise", "bob", Read); err != nil {
			t.Fatal(err)
		}
		if got := find("bob", "uber"); got != "uber mine.txt; karte uber alles.txt; Übersicht 2026.txt" {
			t.Errorf("bob finds %q", got)
		}
		if got := find("eve", "uber") + find("", "uber"); got != "" {
			t.Errorf("others find %q", got)
		}
		if _, err := h.Publish(ctx, h.who["ada"], "Reise/karte uber alles.txt", true); err != nil {
			t.Fatal(err)
		}
		if got := find("eve", "uber") + find("", "uber"); got != "karte uber alles.txtkarte uber alles.txt" {
			t.Errorf("others find %q", got)
		}
		if got := find("", "--"); got != "(invalid)" {
			t.Errorf("no word: %q", got)
		}
	})
}
