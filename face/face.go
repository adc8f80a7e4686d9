// Package face is what every room shows the house: a struct of values, read by
// app and console. Fields left empty mean "none". Nothing registers itself:
//
//	func (s *System) Face() face.Face {
//		return face.Face{
//			Name:  "vending",
//			Title: "Vending fleet",
//			Asks:  "188,888 machines report at midnight. What breaks, and what holds?",
//			Pages: []web.Page{{Pattern: "GET /{$}", Access: web.Person, Handler: s.overview}},
//		}
//	}
package face

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"plumb/base/ids"
	"plumb/engines/devices"
	"plumb/engines/jobs"
	"plumb/engines/web"
)

// Face lists a room's doors.
type Face struct {
	Name      string // folder, URL prefix, table prefix, queue and subject; as ids.Name
	Title     string // menu text
	Asks      string // the question in one sentence
	Group     string // the start page's group: one of Groups
	Questions []int  // numbers of the questions that the room answers, 1-16

	Pages    []web.Page // below /Name/
	Prefixes []string   // further URL prefixes, such as "/dav/"
	API      []web.Op   // below /api/v1/Name/
	Work     []jobs.Work
	Topics   []devices.Topic // of MQTT, all of the realm Name, for its machines

	Run   func(ctx context.Context) error           // background loop until ctx ends
	Check func(ctx context.Context) error           // invariants hold and dependencies answer; nil error: healthy
	Live  func(ctx context.Context) (Figure, error) // one figure on the start page; answered within milliseconds
	Demo  func(ctx context.Context) error           // fills the room with demonstration data, then plays until ctx ends
	// Behind is how long the work that waits in this process will take, at the
	// measured speed; it tells autoscalers, and is answered from memory.
	Behind func() time.Duration

	Collect []prometheus.Collector // metrics, named plumb_<Name>_...
	Links   []Link                 // the room's own pages, shown under its Use tab
	About   About
}

// Figure is one number with what it counts: {"181,204", "of 188,888 reported tonight"}.
type Figure struct{ Value, Label string }

// Link is a page of the room, for its menu and for search.
type Link struct {
	Title, Path string
	Access      web.Access // of the page; "": shown to everybody
}

// For says whether who is shown the link.
func (l Link) For(who web.Who) bool { return l.Access == "" || who.May(l.Access) }

// About is what the About tab says, in plain paragraphs.
type About struct {
	Answer   []string // the answer to the question
	Limits   []string // what it does not do, and where it stops being worth it
	ScaleOut []string // how it runs on several machines
	Docs     string   // path in the project: docs/vending.md
}

// Groups are the start page's groups, in order.
var Groups = []string{"Devices and money", "Files and media", "Data", "Heavy work", "People"}

// Store says what a command of a room needs before it can run.
type Store int

// What a command needs.
const (
	Nothing Store = iota // files named on the command line only
	Data                 // the data folder (--data); refused while a server holds it
	Server               // a running server (--server URL, PLUMB_TOKEN)
)

// Command is one of a room's command-line verbs. It is declared without opening
// anything, so that --help costs nothing.
type Command struct {
	System string
	Needs  Store
	New    func() *cobra.Command
}

// Valid returns an error that names what is missing or undeclared. app refuses
// to start with an invalid face.
func (f Face) Valid() error {
	if err := ids.Name("a face's name", f.Name); err != nil {
		return err
	}
	if f.Title == "" || f.Asks == "" {
		return fmt.Errorf("face %s: title and question must be given", f.Name)
	}
	known := false
	for _, g := range Groups {
		known = known || g == f.Group
	}
	if !known {
		return fmt.Errorf("face %s: group %q is none of %v", f.Name, f.Group, Groups)
	}
	for _, p := range f.Pages {
		if !p.Access.Declared() {
			return fmt.Errorf("face %s: page %q declares no access", f.Name, p.Pattern)
		}
		_, path, _ := strings.Cut(p.Pattern, " ")
		if p.Root && !slices.ContainsFunc(f.Prefixes, func(prefix string) bool { return strings.HasPrefix(path, prefix) }) {
			return fmt.Errorf("face %s: page %q is below none of its prefixes %q", f.Name, p.Pattern, f.Prefixes)
		}
	}
	for _, t := range f.Topics {
		if t.Realm != f.Name || t.Handle == nil {
			return fmt.Errorf("face %s: topic %q of %q is not its own, or has no handler", f.Name, t.Name, t.Realm)
		}
	}
	prefix := "/api/v1/" + f.Name + "/"
	for _, o := range f.API {
		if !o.Access.Declared() {
			return fmt.Errorf("face %s: operation %s %s declares no access", f.Name, o.Method, o.Path)
		}
		if o.Path != strings.TrimSuffix(prefix, "/") && (len(o.Path) <= len(prefix) || o.Path[:len(prefix)] != prefix) {
			return fmt.Errorf("face %s: operation %s %s is not below %s", f.Name, o.Method, o.Path, prefix)
		}
	}
	return nil
}
