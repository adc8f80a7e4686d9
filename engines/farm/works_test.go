package farm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"plumb/base/errs"
)

type outFunc = func(string) io.WriteCloser

// testWorks is what the test's children can do, most of it badly.
func testWorks() map[string]Work {
	works := map[string]Work{"copy": copyWork, "look": lookAround}
	// The others need their parameters alone: a text.
	for name, fn := range map[string]func(text string, out outFunc) error{
		"empty": func(string, outFunc) error { return nil },
		"grow": func(string, outFunc) error {
			var all [][]byte
			for len(all) >= 0 {
				all = append(all, bytes.Repeat([]byte{1}, 4<<20))
			}
			return nil
		},
		"huge": func(string, outFunc) error { return fmt.Errorf("%d", len(make([]byte, 8<<30))) },
		"take": func(text string, _ outFunc) error { return takeMemory(text, 30*time.Millisecond) },
		"map": func(text string, _ outFunc) error { // reserves MiB and forgets about them
			var mib int
			if _, err := fmt.Sscan(text, &mib); err != nil {
				return err
			}
			_, err := syscall.Mmap(-1, 0, mib<<20, syscall.PROT_NONE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
			return err
		},
		"hold":  func(text string, _ outFunc) error { return takeMemory(text, time.Hour) },
		"spin":  func(string, outFunc) error { spin(); return nil },
		"spins": func(string, outFunc) error { go spin(); spin(); return nil },
		"sleep": func(text string, out outFunc) error {
			if err := put(out, "asleep", "x"); err != nil {
				return err
			}
			d, err := time.ParseDuration(text)
			time.Sleep(d)
			return err
		},
		"exit":  func(string, outFunc) error { os.Exit(0); return nil },
		"panic": func(text string, _ outFunc) error { panic(text) },
		"panics": func(text string, _ outFunc) error {
			go panic(text)
			time.Sleep(time.Hour)
			return nil
		},
		"log": func(string, outFunc) error {
			for {
				fmt.Fprintln(os.Stderr, strings.Repeat("flood ", 1000))
			}
		},
		"raw": rawFrames,
		"invalid": func(text string, _ outFunc) error {
			return fmt.Errorf("wrapped: %w", errs.New(errs.Invalid, "%s", text))
		},
		"failure": func(text string, _ outFunc) error { return errors.New(text) },
		"half": func(text string, out outFunc) error {
			if _, err := io.WriteString(out("half"), text); err != nil {
				return err
			}
			return errs.New(errs.Invalid, "cut off")
		},
		"open":  func(text string, out outFunc) error { _, err := io.WriteString(out("open"), text); return err },
		"twice": func(_ string, out outFunc) error { out("a"); _, err := out("b").Write([]byte("x")); return err },
		"name":  func(text string, out outFunc) error { return out(text).Close() },
		"leak":  func(string, outFunc) error { go spin(); return nil },
		"brief": func(string, outFunc) error { go time.Sleep(2 * time.Millisecond); return nil },
		"stdout": func(string, outFunc) error {
			_, err := fmt.Println("a library that prints")
			return err
		},
	} {
		works[name] = func(_ context.Context, params json.RawMessage, _ *io.SectionReader, out outFunc) error {
			var text string
			if err := json.Unmarshal(params, &text); err != nil {
				return err
			}
			return fn(text, out)
		}
	}
	works["flood"] = func(_ context.Context, _ json.RawMessage, _ *io.SectionReader, out outFunc) error {
		w := out("flood")
		for {
			if _, err := w.Write(make([]byte, 100_000)); err != nil {
				return err
			}
		}
	}
	works["many"] = func(_ context.Context, _ json.RawMessage, _ *io.SectionReader, out outFunc) error {
		for i := range maxFiles + 1 {
			if err := out(fmt.Sprint(i)).Close(); err != nil {
				return err
			}
		}
		return nil
	}
	return works
}

func spin() {
	for n := 0; ; n++ {
		if n < 0 {
			return
		}
	}
}

// takeMemory takes so many MiB for a while and lets go of them.
func takeMemory(text string, d time.Duration) error {
	var mib int
	if _, err := fmt.Sscan(text, &mib); err != nil {
		return err
	}
	b := bytes.Repeat([]byte{1}, mib<<20)
	time.Sleep(d)
	if b[len(b)-1] != 1 {
		return errors.New("memory does not keep")
	}
	return nil
}

// rawFrames writes what a child that was taken over might write: words of a kind and a
// payload, or "head N" for a frame that says it is so long.
func rawFrames(text string, _ outFunc) error {
	var out bytes.Buffer
	for _, line := range strings.Split(text, "\n") {
		var n uint32
		if _, err := fmt.Sscanf(line, "head %d", &n); err == nil {
			out.Write(binary.BigEndian.AppendUint32([]byte("d"), n))
			continue
		}
		if line == "noise" {
			out.Write(bytes.Repeat([]byte{0xFF, 0x00, 0x13}, 100_000))
			continue
		}
		writeFrame(&out, line[0], []byte(line[1:]))
	}
	if _, err := os.NewFile(4, "answers").Write(out.Bytes()); err != nil { // at once
		return err
	}
	time.Sleep(time.Hour)
	return nil
}

func copyWork(_ context.Context, params json.RawMessage, in *io.SectionReader, out outFunc) error {
	w := out("copy")
	if _, err := io.Copy(w, in); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(in, 0, in.Size())); err != nil { // once more: it can seek
		return err
	}
	if err := put(out, "sum", fmt.Sprintf("%x", h.Sum(nil))); err != nil {
		return err
	}
	return put(out, "params", string(params))
}

func put(out outFunc, name, text string) error {
	w := out(name)
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	return w.Close()
}

// lookAround tells what a child can reach.
func lookAround(_ context.Context, params json.RawMessage, _ *io.SectionReader, out outFunc) error {
	var server string
	if err := json.Unmarshal(params, &server); err != nil {
		return err
	}
	tries := map[string]func() error{
		"read a file":     func() error { _, err := os.ReadFile("/etc/passwd"); return err },
		"list a folder":   func() error { _, err := os.ReadDir("/"); return err },
		"write a file":    func() error { return os.WriteFile("/tmp/plumb-farm-test", []byte("x"), 0o600) },
		"write the input": func() error { _, err := os.NewFile(5, "input").WriteAt([]byte("x"), 0); return err },
		"connect":         func() error { _, err := net.DialTimeout("tcp", server, time.Second); return err },
		"run a program":   func() error { return exec.Command("/bin/true").Run() },
		"kill the parent": func() error { return syscall.Kill(os.Getppid(), 0) },
		"kill its group":  func() error { return syscall.Kill(0, 0) },
		"more memory":     func() error { return syscall.Setrlimit(syscall.RLIMIT_AS, &syscall.Rlimit{Cur: 1 << 50, Max: 1 << 50}) },
		"fork": func() error {
			// As a shell would: a new process that shares nothing.
			pid, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
			if errno == 0 && pid == 0 {
				syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 0, 0, 0)
			}
			if errno != 0 {
				return errno
			}
			return nil
		},
	}
	done := map[string]string{}
	for name, try := range tries {
		done[name] = ""
		if err := try(); err != nil {
			done[name] = err.Error()
		}
	}
	limits, err := json.Marshal(done)
	if err != nil {
		return err
	}
	if err := put(out, "tries", string(limits)); err != nil {
		return err
	}
	return put(out, "env", strings.Join(os.Environ(), "\n"))
}
