package app

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"plumb/base/errs"
)

func TestFolderIsHeldByOne(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	d, err := OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFolder(dir); !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "process") {
		t.Errorf("a second holder: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := OpenFolder(dir)
	if err != nil {
		t.Fatalf("after the first gave it back: %v", err)
	}
	again.Close()
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder is open to others: %v %v", info.Mode(), err)
	}
}

func TestFolderOfAnotherVersionIsRefused(t *testing.T) {
	for text, ok := range map[string]bool{
		"plumb data 1\n": true, "plumb data 2\n": false, "plumb data -1\n": false, "plumb data 1x\n": false, "": false, "something else": false,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "VERSION"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := OpenFolder(dir)
		if (err == nil) != ok {
			t.Errorf("VERSION %q: %v", text, err)
		}
		if err == nil {
			d.Close()
		}
	}
}

func TestKeyIsMadeOnceAndReadStrictly(t *testing.T) {
	dir := t.TempDir()
	d, err := OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	first, err := d.Key("")
	if err != nil || len(first) != 32 {
		t.Fatalf("%x, %v", first, err)
	}
	if again, err := d.Key(""); err != nil || !bytes.Equal(first, again) {
		t.Errorf("the key changed: %v", err)
	}
	if info, err := os.Stat(filepath.Join(dir, "keys", "house.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key is open to others: %v", err)
	}
	short := filepath.Join(dir, "short")
	if err := os.WriteFile(short, []byte("abcd"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{short, filepath.Join(dir, "none")} {
		if _, err := d.Key(file); !errs.Is(err, errs.Invalid) {
			t.Errorf("key file %s: %v", file, err)
		}
	}
}

func TestPasswordsOfURLsAreNotShown(t *testing.T) {
	for in, want := range map[string]string{
		"postgres://u:secret@h/db": "postgres://u:***@h/db", "postgres://u:a@b@h/db": "postgres://u:***@h/db",
		"postgres://h/db": "postgres://h/db", "nats://n1,nats://n2": "nats://n1,nats://n2", "127.0.0.1:8080": "127.0.0.1:8080",
	} {
		if got := redact(in); got != want {
			t.Errorf("%s is shown as %s, want %s", in, got, want)
		}
	}
}
