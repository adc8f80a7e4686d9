package files

import "plumb/engines/web"

// davPages are the methods of WebDAV, below /dav/.
func (s *System) davPages() []web.Page { return nil }
