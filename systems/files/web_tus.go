package files

import "plumb/engines/web"

// tusOps are the operations of tus, below /api/v1/files/tus/.
func (s *System) tusOps() []web.Op { return nil }
