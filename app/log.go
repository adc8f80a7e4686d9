package app

import (
	"io"
	"log/slog"
	"runtime/debug"
)

// Version is the release, set by the build.
var Version = "dev"

// Build returns the version and the compiler that built it.
func Build() string {
	v := "plumb " + Version
	if b, ok := debug.ReadBuildInfo(); ok {
		v += " (" + b.GoVersion + ")"
	}
	return v
}

// newLog writes to w, as text for people or as JSON for collectors.
func newLog(cfg Config, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.LogLevel)) // Config.valid has checked it
	o := &slog.HandlerOptions{Level: level}
	if cfg.LogJSON {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
