package photos

import (
	"context"
	"encoding/json"
)

// subjectChanged says that something of a person's changed. What must arrive is in the
// database; this says "look".
const subjectChanged = "photos.changed"

// Changed is the payload of photos.changed.
type Changed struct {
	Owner string   `json:"owner"`
	What  string   `json:"what"` // uploaded, ready, broken, changed, remove, restore, purge, favour, album
	IDs   []string `json:"ids,omitempty"`
}

// mostAnnounced bounds the ids of one announcement.
const mostAnnounced = 100

// changed announces. A loss does no harm: nobody relies on it.
func (s *System) changed(ctx context.Context, owner, what string, list ...string) {
	data, err := json.Marshal(Changed{owner, what, list[:min(len(list), mostAnnounced)]})
	if err == nil && s.n.Bus != nil {
		err = s.n.Bus.Publish(context.WithoutCancel(ctx), subjectChanged, data)
	}
	if err != nil {
		s.n.Log.Debug("a change was not announced", "what", what, "error", err)
	}
}
