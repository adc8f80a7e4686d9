package jobs

import (
	"context"
	"log/slog"
)

// quiet passes on River's warnings and errors. Its news of every few seconds
// (counts, migrations) are in the metrics and on the operations page.
type quiet struct{ slog.Handler }

// Enabled is slog.Handler's.
func (q quiet) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && q.Handler.Enabled(ctx, l)
}

// WithAttrs is slog.Handler's.
func (q quiet) WithAttrs(a []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(a)} }

// WithGroup is slog.Handler's.
func (q quiet) WithGroup(name string) slog.Handler { return quiet{q.Handler.WithGroup(name)} }
