package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"plumb/engines/lab/child"
	"plumb/engines/lab/powercut"
)

// TestCrashKill9 kills the server again and again while 2,000 machines report.
func TestCrashKill9(t *testing.T) {
	kills, every := 4, 1500*time.Millisecond
	if soak() {
		kills, every = 60, 3*time.Second
	}
	dir := t.TempDir()
	s, err := child.Start(t.Context(), child.Options{Systems: []string{"vending"}, Data: dir})
	if err != nil {
		t.Fatal(err)
	}
	f := newFleet(t, s, 2000)
	var url atomic.Value
	url.Store(s.URL)
	ctx, stop := context.WithCancel(t.Context())
	reporting := make(chan struct{})
	go func() {
		defer close(reporting)
		f.report(ctx, "k", func(int) string { return url.Load().(string) })
	}()
	for range kills {
		time.Sleep(every)
		s.Kill9()
		if s, err = child.Start(t.Context(), child.Options{Systems: []string{"vending"}, Data: dir}); err != nil {
			t.Fatal(err)
		}
		url.Store(s.URL)
	}
	time.Sleep(every)
	stop()
	<-reporting
	if err := s.Stop(); err != nil {
		t.Errorf("end after SIGTERM: %v", err)
	}
	f.judge(t, "sqlite:"+filepath.Join(dir, "plumb.db"))
}

// TestDiskFull fills the disk while machines report: they are refused with a
// clear error, nothing acknowledged is lost or corrupt, and service goes on by
// itself when there is room.
func TestDiskFull(t *testing.T) {
	backing, mount := t.TempDir(), t.TempDir()
	disk, err := powercut.Open(backing, mount, powercut.Options{})
	if err != nil {
		if os.Getenv("CI") == "" && errors.Is(err, fs.ErrNotExist) {
			t.Skip("no FUSE here: ", err)
		}
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Unmount(mount, syscall.MNT_DETACH) })
	s, err := child.Start(t.Context(), child.Options{Systems: []string{"vending"}, Data: mount})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill9)
	f := newFleet(t, s, 50)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	reporting := make(chan struct{})
	go func() {
		defer close(reporting)
		f.report(ctx, "d", func(int) string { return s.URL })
	}()
	await(t, "reports before the disk is full", func() bool { return f.n.Load() > 100 })
	disk.SetRoom(0)
	await(t, "a refusal for want of room", func() bool { return disk.Refused() > 0 && f.refused.Load() > 20 })
	disk.SetRoom(-1)
	before := f.n.Load()
	await(t, "reports after there is room again", func() bool { return f.n.Load() > before+100 })
	stop()
	<-reporting
	if err := s.Stop(); err != nil {
		t.Errorf("end after SIGTERM: %v", err)
	}
	if err := disk.Close(); err != nil {
		t.Fatal(err)
	}
	f.judge(t, "sqlite:"+filepath.Join(backing, "plumb.db"))
}

// await waits for what the machines bring about; the test fails after a minute.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	end := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(end) {
			t.Fatalf("waited a minute for %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
