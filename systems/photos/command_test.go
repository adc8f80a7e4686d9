package photos

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"plumb/base/errs"
	"plumb/engines/placement"
)

// console runs the room's commands against a server, as a person.
func console(t *testing.T, h *house) func(name string, args ...string) (out string, err error) {
	server := httptest.NewServer(h.http)
	t.Cleanup(server.Close)
	return func(name string, args ...string) (string, error) {
		t.Setenv("PLUMB_TOKEN", h.tokens[name])
		for _, c := range Commands() {
			cmd := c.New()
			if cmd.Name() != args[0] {
				continue
			}
			var out bytes.Buffer
			cmd.SetOut(&out)
			cmd.SetErr(&out)
			cmd.SilenceErrors, cmd.SilenceUsage = true, true
			if args = args[1:]; cmd.Name() != "place" {
				args = append(args, "--server", server.URL)
			}
			cmd.SetArgs(args)
			err := cmd.ExecuteContext(t.Context())
			return out.String(), err
		}
		return "", fmt.Errorf("no command %s", args[0])
	}
}

func TestPhotosGoAndComeByTheCommandLine(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		run := console(t, h)
		must := func(name string, args ...string) string {
			t.Helper()
			out, err := run(name, args...)
			if err != nil {
				t.Fatalf("%v: %v\n%s", args, err, out)
			}
			return out
		}
		from := t.TempDir()
		for name, body := range map[string][]byte{"a.jpg": photograph(1), "sub/b.JPG": photograph(2), "sub/same.jpg": photograph(1), "notes.txt": []byte("no photo"), "bad.png": []byte("no photo either")} {
			path := filepath.Join(from, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, body, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		out, err := run("ada", "put", from, "--album", "Holiday", "--json")
		var put carried
		if jerr := json.Unmarshal([]byte(out), &put); err == nil || jerr != nil || put.Photos != 2 || put.Same != 1 || len(put.Skipped) != 1 || len(put.Failed) != 1 || !strings.Contains(put.Failed[0], "bad.png") {
			t.Fatalf("%s %v %v", out, err, jerr)
		}
		if out := must("ada", "list", "lisbon"); strings.Count(out, "\n") != 2 || !strings.Contains(out, "Canon EOS R5") {
			t.Errorf("list: %s", out)
		}
		if out := must("ada", "list", "--camera", "nikon"); out != "" {
			t.Errorf("list: %s", out)
		}
		albums, _, err := h.Albums(t.Context(), h.who["ada"], "", "", 0)
		if err != nil || len(albums) != 1 || albums[0].Photos != 2 {
			t.Fatalf("%+v %v", albums, err)
		}
		to := t.TempDir()
		if out := must("ada", "get", "--album", albums[0].ID, to); !strings.HasPrefix(out, "2 photos") {
			t.Errorf("get: %s", out)
		}
		if b, err := os.ReadFile(filepath.Join(to, "b.JPG")); err != nil || !bytes.Equal(b, photograph(2)) {
			t.Errorf("what came is %d bytes, %v", len(b), err)
		}
		if out := must("ada", "get", to); !strings.Contains(out, "0 photos") || !strings.Contains(out, "2 there already") {
			t.Errorf("get again: %s", out)
		}
		must("ada", "get", put.IDs[0], "--size", "small", to)
		if list, err := filepath.Glob(filepath.Join(to, "*-small.jpg")); err != nil || len(list) != 1 {
			t.Errorf("%v %v", list, err)
		}
		link := strings.TrimSpace(must("ada", "link", albums[0].ID, "--downloads", "--life", "1h"))
		if got := h.shown(Visit{Token: link[strings.LastIndex(link, "/")+1:]}); !strings.HasPrefix(got, "Holiday") {
			t.Errorf("%s shows %s", link, got)
		}
		if out := must("ada", "link", albums[0].ID, "--revoke"); out != "1 link is ended.\n" {
			t.Errorf("revoke: %q", out)
		}
		if _, err := run("bob", "link", albums[0].ID); !errs.Is(err, errs.NotFound) {
			t.Errorf("somebody else's: %v", err)
		}
		if _, err := run("ada", "shards"); !errs.Is(err, errs.Denied) {
			t.Errorf("shards are operators': %v", err)
		}
	})
}

func TestShardsByTheCommandLine(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		run := console(t, h)
		h.put("ada", photograph(1))
		for _, c := range []struct {
			args []string
			says string
		}{
			{[]string{"add-shard", "second", "--weight", "2"}, "Shard second is there"},
			{[]string{"shards"}, "second  active"},
			{[]string{"migrations"}, "add second"},
			{[]string{"heal", "second"}, "under way"},
			{[]string{"backup", "first", "dir:" + t.TempDir()}, "under way"},
			{[]string{"restore", "dir:" + t.TempDir()}, "under way"},
			{[]string{"repairs"}, "backup"},
			{[]string{"drain", "second"}, "move away"},
		} {
			out, err := run("boss", c.args...)
			if err != nil || !strings.Contains(out, c.says) {
				t.Errorf("%v: %v\n%s", c.args, err, out)
			}
		}
	})
}

func TestPlacing(t *testing.T) {
	h := &house{t: t, tokens: map[string]string{}}
	run := console(t, h)
	keys := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keys, []byte("ada\nbob\n\nada\ncarol \n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var r placement.Result
	out, err := run("", "place", "--strategy", "modulo", "--nodes", "3", "--keys", keys, "--json")
	if err != nil || json.Unmarshal([]byte(out), &r) != nil || r.Keys != 3 || r.Nodes != 3 {
		t.Errorf("%s %v", out, err)
	}
	out, err = run("", "place", "--nodes", "10", "--add", "1", "--weights", "1,2", "--keys", "2000")
	if err != nil || !strings.Contains(out, "2,000 keys") {
		t.Errorf("%s %v", out, err)
	}
	for _, bad := range [][]string{{"--strategy", "astrology"}, {"--nodes", "0"}, {"--weights", "a"}, {"--keys", "/nowhere"}, {"--keys", "-5"}, {"--keys", "0"}} {
		if _, err := run("", append([]string{"place"}, bad...)...); !errs.Is(err, errs.Invalid) {
			t.Errorf("%v: %v", bad, err)
		}
	}
}
