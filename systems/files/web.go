package files

import (
	"plumb/engines/web"
	"plumb/face"
)

// pages lists the room's pages, below /files.
func (s *System) pages() []web.Page { return nil }

// links are the room's own pages in its menu.
func (s *System) links() []face.Link { return nil }
