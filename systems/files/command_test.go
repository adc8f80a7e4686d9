package files

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"plumb/base/errs"
)

// console runs the room's commands on a server and on a stopped store alike.
func console(t *testing.T, fn func(t *testing.T, h *house, run func(args ...string) (out, said string, err error))) {
	for _, where := range []string{"server", "data"} {
		t.Run(where, func(t *testing.T) {
			one(t, func(t *testing.T, h *house) {
				flags := []string{"--data", "there", "--person", "boss"}
				if where == "server" {
					server := httptest.NewServer(h.http)
					t.Cleanup(server.Close)
					t.Setenv("PLUMB_TOKEN", h.tokens["boss"])
					flags = []string{"--server", server.URL}
				}
				opener := func(context.Context, string) (*System, func() error, error) {
					return h.System, func() error { return nil }, nil
				}
				fn(t, h, func(args ...string) (string, string, error) {
					for _, c := range Commands(opener) {
						cmd := c.New()
						if cmd.Name() != args[0] {
							continue
						}
						var out, said bytes.Buffer
						cmd.SetOut(&out)
						cmd.SetErr(&said)
						cmd.SetIn(strings.NewReader("from a pipe"))
						cmd.SilenceErrors, cmd.SilenceUsage = true, true
						cmd.SetArgs(append(args[1:], flags...))
						err := cmd.ExecuteContext(t.Context())
						return out.String(), said.String(), err
					}
					return "", "", fmt.Errorf("no command %s", args[0])
				})
			})
		})
	}
}

// tree writes files below a fresh folder and returns its path.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tree")
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(text), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestPutAndGetWholeTrees(t *testing.T) {
	console(t, func(t *testing.T, h *house, run func(args ...string) (out, said string, err error)) {
		want := map[string]string{"a.txt": "a", "empty": "", "d/ünï файл": "b", "d/e/f/deep": strings.Repeat("deep ", 100_000)}
		for i := range 40 {
			want[fmt.Sprintf("many/%d", i)] = fmt.Sprint("file ", i%10)
		}
		dir := tree(t, want)
		if err := errors.Join(os.Symlink("/etc/passwd", filepath.Join(dir, "link")), os.Mkdir(filepath.Join(dir, "nothing in it"), 0o777)); err != nil {
			t.Fatal(err)
		}
		old := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
		if err := os.Chtimes(filepath.Join(dir, "a.txt"), old, old); err != nil {
			t.Fatal(err)
		}
		var put carriedOut
		out, said, err := run("put", dir, "--to", "backup/new", "--json")
		if jerr := json.Unmarshal([]byte(out), &put); err != nil || jerr != nil || put.Files != int64(len(want)) || put.Same != 0 || len(put.Skipped) != 1 || !strings.Contains(said, "link") {
			t.Fatalf("%v %s %s", err, out, said)
		}
		if err := os.WriteFile(filepath.Join(dir, "a.txt"), []byte("c"), 0o666); err != nil { // as long as before
			t.Fatal(err)
		}
		out, _, err = run("put", dir, "--to", "backup/new", "--json")
		if jerr := json.Unmarshal([]byte(out), &put); err != nil || jerr != nil || put.Files != 1 || put.Same != int64(len(want)-1) {
			t.Fatalf("%v %s", err, out)
		}
		into := t.TempDir()
		if out, said, err = run("get", "backup/new/tree", into); err != nil {
			t.Fatalf("%v %s %s", err, out, said)
		}
		want["a.txt"] = "c"
		for name, text := range want {
			if got, err := os.ReadFile(filepath.Join(into, "tree", name)); string(got) != text || err != nil {
				t.Errorf("%s: %.20q, %v", name, got, err)
			}
		}
		if info, err := os.Stat(filepath.Join(into, "tree", "nothing in it")); err != nil || !info.IsDir() {
			t.Errorf("an empty folder: %v", err)
		}
		out, _, err = run("get", "backup/new/tree", into, "--json")
		if jerr := json.Unmarshal([]byte(out), &put); err != nil || jerr != nil || put.Files != 0 || put.Same != int64(len(want)) {
			t.Fatalf("%v %s", err, out)
		}
		h.sound()
	})
}

func TestTheOtherCommands(t *testing.T) {
	console(t, func(t *testing.T, h *house, run func(args ...string) (out, said string, err error)) {
		if out, said, err := run("put", "-", "--to", "dumps/in.txt"); err != nil || !strings.Contains(out, "stored: 1 file, 11 B;") {
			t.Fatalf("%v %s %s", err, out, said)
		}
		if out, _, err := run("get", "dumps/in.txt", "-"); out != "from a pipe" || err != nil {
			t.Errorf("%q, %v", out, err)
		}
		if out, _, err := run("ls", "dumps"); !strings.Contains(out, "in.txt") || err != nil {
			t.Errorf("%q, %v", out, err)
		}
		if out, _, err := run("ls", "--json"); !strings.Contains(out, `"kind": "folder"`) || err != nil {
			t.Errorf("%q, %v", out, err)
		}
		if _, _, err := run("ls", "nowhere"); !errs.Is(err, errs.NotFound) {
			t.Errorf("nothing: %v", err)
		}
		var st statsOut
		out, _, err := run("stats", "--json")
		if jerr := json.Unmarshal([]byte(out), &st); err != nil || jerr != nil || st.Files != 1 || st.Saved == nil {
			t.Errorf("%q, %v", out, err)
		}
		if out, _, err := run("stats"); !strings.Contains(out, "saved: same file") || err != nil {
			t.Errorf("%q, %v", out, err)
		}
		if out, _, err := run("scrub"); !strings.Contains(out, "0 bad") || err != nil {
			t.Errorf("%q, %v", out, err)
		}
		if out, _, err := run("collect", "--json"); !strings.Contains(out, `"freed_bytes": 0`) || err != nil {
			t.Errorf("%q, %v", out, err)
		}
		if out, _, err := run("check"); err == nil && !strings.Contains(out, "exact") || err != nil && !strings.Contains(err.Error(), "--data") {
			t.Errorf("%q, %v", out, err)
		}
		if out, _, err := run("rekey"); !strings.Contains(out, "anew") || err != nil {
			t.Errorf("%q, %v", out, err)
		}
		if _, said, err := run("put", filepath.Join(t.TempDir(), "none")); !errs.Is(err, errs.Invalid) {
			t.Errorf("no such file: %v %s", err, said)
		}
	})
}

// A file that cannot be stored stops no other, and is told.
func TestAFailedFileStopsNoOther(t *testing.T) {
	console(t, func(t *testing.T, h *house, run func(args ...string) (out, said string, err error)) {
		dir := tree(t, map[string]string{"good": "good", "bad": "bad words"})
		if err := h.Block(t.Context(), h.who["boss"], hashOfText("bad words"), "test"); err != nil {
			t.Fatal(err)
		}
		_, said, err := run("put", dir)
		if err == nil || !strings.Contains(said, "bad: ") || !strings.Contains(said, "taken down") || h.text("boss", "tree/good") != "good" {
			t.Errorf("%v %s", err, said)
		}
	})
}
