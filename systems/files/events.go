package files

import (
	"context"
	"encoding/json"
)

// subjectChanged says that something in a tree changed. What must arrive is in the
// database; this says "look".
const subjectChanged = "files.changed"

// Changed is the payload of files.changed.
type Changed struct {
	Owner  string `json:"owner,omitempty"`  // whose tree
	Node   string `json:"node,omitempty"`   // what changed
	Parent string `json:"parent,omitempty"` // where it is now
	What   string `json:"what"`             // written, made, moved, copied, removed, restored, published, shared, blocked
}

// changed announces. A loss does no harm: nobody relies on it.
func (s *System) changed(ctx context.Context, n Node, what string) {
	s.lookups.changed(n.Owner)
	data, err := json.Marshal(Changed{n.Owner, n.ID, n.Parent, what})
	if err == nil {
		err = s.n.Bus.Publish(context.WithoutCancel(ctx), subjectChanged, data)
	}
	if err != nil {
		s.n.Log.Debug("a change was not announced", "what", what, "error", err)
	}
}
