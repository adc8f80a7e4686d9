package files

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"plumb/engines/cas"
	"plumb/engines/web"
)

// The JSON API, its wire types and its description. Contents and zips stream beside it:
// see web_content.go.

// apiRoot is where the operations are.
const apiRoot = "/api/v1/files"

// api lists the operations.
func (s *System) api() []web.Op {
	op := func(method, path, summary string) huma.Operation {
		// A root's path is empty, which huma takes for a missing one; the verbs check the rest.
		return huma.Operation{Method: method, Path: apiRoot + path, Summary: summary, SkipValidateParams: strings.HasSuffix(path, "{path...}")}
	}
	created := func(o huma.Operation) huma.Operation { o.DefaultStatus = http.StatusCreated; return o }
	none := func(o huma.Operation) huma.Operation { o.DefaultStatus = http.StatusNoContent; return o }
	list := op("GET", "/list/{path...}", "List a folder, by name")
	list.Description = "A path is a/b in one's own tree, or @ID/b below a file or folder that somebody shares or published."
	return []web.Op{
		web.Operation(web.Public, list, s.getList),
		web.Operation(web.Public, op("GET", "/stat/{path...}", "A file or folder, with the way to it"), s.getStat),
		web.Operation(web.Person, created(op("POST", "/folders/{path...}", "Make a folder")), s.postFolder),
		web.Operation(web.Person, op("POST", "/move", "Move or rename"), s.postMove),
		web.Operation(web.Person, created(op("POST", "/copy", "Copy a file, or a folder with all that is below it")), s.postCopy),
		web.Operation(web.Person, created(op("POST", "/instant", "Give a file content that you keep already, without sending it")), s.postInstant),
		web.Operation(web.Person, op("GET", "/versions/{path...}", "Earlier contents of a file"), s.getVersions),
		web.Operation(web.Person, op("POST", "/revert", "Make an earlier content the file's again"), s.postRevert),
		web.Operation(web.Person, op("GET", "/bin", "What you removed, the last first"), s.getBin),
		web.Operation(web.Person, op("POST", "/bin/{id}/restore", "Take it out of the bin"), s.postRestore),
		web.Operation(web.Person, none(op("DELETE", "/bin/{id}", "End it for good")), s.deleteBinned),
		web.Operation(web.Person, op("DELETE", "/bin", "Empty the bin"), s.deleteBin),
		web.Operation(web.Person, op("POST", "/publish", "Let everybody read it, or no longer"), s.postPublish),
		web.Operation(web.Public, op("GET", "/public", "What others published, the newest first"), s.getPublic),
		web.Operation(web.Person, op("GET", "/shared", "What others share with you"), s.getShared),
		web.Operation(web.Person, op("GET", "/shares/{path...}", "With whom it is shared"), s.getShares),
		web.Operation(web.Person, created(op("POST", "/shares", "Share it with a person")), s.postShare),
		web.Operation(web.Person, none(op("DELETE", "/shares", "End a person's rights")), s.deleteShare),
		web.Operation(web.Person, created(op("POST", "/links", "Make a link for people without an account")), s.postLink),
		web.Operation(web.Person, op("GET", "/links", "Your links, the newest first"), s.getLinks),
		web.Operation(web.Person, none(op("DELETE", "/links/{id}", "End a link")), s.deleteLink),
		web.Operation(web.Public, op("GET", "/search", "Search names: your own, what is shared with you, what is public"), s.getSearch),
		web.Operation(web.Person, op("GET", "/quota", "What you keep, and may keep"), s.getQuota),
		web.Operation(web.Operator, op("PUT", "/quota/{person}", "Give a person a quota of their own"), s.putQuota),
		web.Operation(web.Person, op("GET", "/stats", "What is stored, and what storing it once saves"), s.getStats),
		web.Operation(web.Public, created(op("POST", "/flags", "Report a file to the operators")), s.postFlag),
		web.Operation(web.Operator, op("GET", "/flags", "Reports, the newest first"), s.getFlags),
		web.Operation(web.Operator, none(op("POST", "/flags/{id}/dismiss", "Close a report without consequence")), s.postDismiss),
		web.Operation(web.Operator, op("GET", "/blocked", "Contents that were taken down"), s.getBlocked),
		web.Operation(web.Operator, none(op("PUT", "/blocked/{sha256}", "Take a content down, under every name and for good")), s.putBlocked),
		web.Operation(web.Operator, none(op("DELETE", "/blocked/{sha256}", "Undo a takedown")), s.deleteBlocked),
		web.Operation(web.Operator, op("POST", "/collect", "Free what nothing refers to"), s.postCollect),
		web.RawOperation(web.Operator, op("POST", "/scrub", "Read and verify everything; answers with NDJSON: progress, then the result"), s.postScrub),
		web.Operation(web.Operator, op("POST", "/rekey", "Wrap all keys anew with the house's present key"), s.postRekey),
	}
}

// person is who asks, as the verbs know them.
func person(ctx context.Context) Person {
	who := web.WhoIs(ctx)
	if who.Kind != "person" {
		return Person{}
	}
	return Person{ID: who.ID, Operator: who.May(web.Operator)}
}

// Retryable is the header of a request that may have to be sent again.
type Retryable struct {
	Key string `header:"Idempotency-Key" maxLength:"255" doc:"Chosen by the client, good for 24 hours: the same key with the same body gets the same answer and does nothing more"`
}

// again puts the key into ctx.
func (r Retryable) again(ctx context.Context) context.Context {
	return Again(ctx, web.WhoIs(ctx).ID, r.Key)
}

// answer wraps an answer as huma wants it.
type answer[T any] struct{ Body T }

func answered[T any](v T, err error) (*answer[T], error) {
	if err != nil {
		return nil, err
	}
	return &answer[T]{v}, nil
}

type nodeOut struct {
	ID       string     `json:"id" doc:"Its own address is @ID"`
	Name     string     `json:"name"`
	Kind     string     `json:"kind" enum:"file,folder"`
	Owner    string     `json:"owner" doc:"A person's id"`
	Size     int64      `json:"size" doc:"Bytes; 0 for a folder"`
	SHA256   string     `json:"sha256,omitempty" doc:"Of a file's content; its ETag too"`
	Type     string     `json:"type,omitempty" doc:"Of the content"`
	Modified time.Time  `json:"modified_at"`
	Made     time.Time  `json:"made_at"`
	Version  int64      `json:"version"`
	Public   bool       `json:"public" doc:"Itself; a folder above it may be public too"`
	Binned   *time.Time `json:"removed_at,omitempty"`
	Blocked  bool       `json:"blocked,omitempty" doc:"Its content was taken down"`
	Rights   string     `json:"rights,omitempty" enum:"read,write,own" doc:"What you may do with it, where that was looked up"`
}

func (r Rights) String() string { return [...]string{"", "read", "write", "own"}[r&3] }

func (n Node) out() nodeOut {
	o := nodeOut{ID: n.ID, Name: n.Name, Kind: "folder", Owner: n.Owner, Size: n.Size, Type: n.Type, Modified: n.Modified, Made: n.Made, Version: n.Version, Public: n.Public, Blocked: n.Blocked}
	if !n.Folder {
		o.Kind, o.SHA256 = "file", n.Hash.String()
	}
	if !n.Binned.IsZero() {
		o.Binned = &n.Binned
	}
	return o
}

type nodesOut struct {
	Nodes []nodeOut `json:"nodes"`
	Next  string    `json:"next,omitempty" doc:"Cursor of the next page; absent on the last"`
}

func nodesAnswer(list []Node, next string, err error) (*answer[nodesOut], error) {
	out := nodesOut{Nodes: make([]nodeOut, 0, len(list)), Next: next}
	for _, n := range list {
		out.Nodes = append(out.Nodes, n.out())
	}
	return answered(out, err)
}

// Paged are the parameters of a list.
type Paged struct {
	Cursor string `query:"cursor" maxLength:"2048" doc:"next of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

// Pathed is the path in an address.
type Pathed struct {
	Path string `path:"path" maxLength:"4096"`
}

type listIn struct {
	Pathed
	Paged
}

func (s *System) getList(ctx context.Context, in *listIn) (*answer[nodesOut], error) {
	return nodesAnswer(s.List(ctx, person(ctx), in.Path, in.Cursor, in.Limit))
}

type stepOut struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type statOut struct {
	nodeOut
	Way []stepOut `json:"way" doc:"The folders down to it, as far up as you may see; a tree's root has no name"`
}

func (s *System) getStat(ctx context.Context, in *Pathed) (*answer[statOut], error) {
	n, r, err := s.StatRights(ctx, person(ctx), in.Path)
	if err != nil {
		return nil, err
	}
	out := statOut{nodeOut: n.out(), Way: []stepOut{}}
	out.Rights = r.String()
	way, err := s.Way(ctx, person(ctx), n)
	for _, step := range way {
		out.Way = append(out.Way, stepOut(step))
	}
	return answered(out, err)
}

type folderIn struct {
	Retryable
	Pathed
	Parents bool `query:"parents" doc:"Make the folders above it too; then one that is there already is no error"`
}

func (s *System) postFolder(ctx context.Context, in *folderIn) (*answer[nodeOut], error) {
	n, err := s.Mkdir(in.again(ctx), person(ctx), in.Path, in.Parents)
	return answered(n.out(), err)
}

type moveIn struct {
	Retryable
	Body moveBody
}

type moveBody struct {
	From      string `json:"from" minLength:"1" maxLength:"4096"`
	To        string `json:"to" minLength:"1" maxLength:"4096"`
	Overwrite bool   `json:"overwrite,omitempty" doc:"What stands there goes to the bin"`
}

func (s *System) postMove(ctx context.Context, in *moveIn) (*answer[nodeOut], error) {
	n, err := s.move(in.again(ctx), person(ctx), in.Body.From, in.Body.To, in.Body.Overwrite)
	return answered(n.out(), err)
}

func (s *System) postCopy(ctx context.Context, in *moveIn) (*answer[nodeOut], error) {
	n, err := s.copy(in.again(ctx), person(ctx), in.Body.From, in.Body.To, in.Body.Overwrite)
	return answered(n.out(), err)
}

type instantIn struct {
	Retryable
	Body instantBody
}

type instantBody struct {
	Path   string `json:"path" minLength:"1" maxLength:"4096"`
	SHA256 string `json:"sha256" minLength:"64" maxLength:"64"`
	Size   int64  `json:"size" minimum:"0"`
}

func (s *System) postInstant(ctx context.Context, in *instantIn) (*answer[nodeOut], error) {
	h, err := cas.ParseHash(in.Body.SHA256)
	if err != nil {
		return nil, err
	}
	n, _, err := s.Instant(in.again(ctx), person(ctx), in.Body.Path, h, in.Body.Size, WriteOptions{})
	return answered(n.out(), err)
}

type versionOut struct {
	Version  int64     `json:"version"`
	SHA256   string    `json:"sha256"`
	Size     int64     `json:"size"`
	Modified time.Time `json:"modified_at"`
	Replaced time.Time `json:"replaced_at"`
}

type versionsOut struct {
	Versions []versionOut `json:"versions"`
	Next     string       `json:"next,omitempty"`
}

func (s *System) getVersions(ctx context.Context, in *listIn) (*answer[versionsOut], error) {
	list, next, err := s.Versions(ctx, person(ctx), in.Path, in.Cursor, in.Limit)
	out := versionsOut{Versions: []versionOut{}, Next: next}
	for _, v := range list {
		out.Versions = append(out.Versions, versionOut{v.Version, v.Hash.String(), v.Size, v.Modified, v.Replaced})
	}
	return answered(out, err)
}

type revertIn struct {
	Retryable
	Body revertBody
}

type revertBody struct {
	Path    string `json:"path" minLength:"1" maxLength:"4096"`
	Version int64  `json:"version" minimum:"1"`
}

func (s *System) postRevert(ctx context.Context, in *revertIn) (*answer[nodeOut], error) {
	n, err := s.Revert(in.again(ctx), person(ctx), in.Body.Path, in.Body.Version)
	return answered(n.out(), err)
}

func (s *System) getBin(ctx context.Context, in *Paged) (*answer[nodesOut], error) {
	return nodesAnswer(s.Bin(ctx, person(ctx), in.Cursor, in.Limit))
}

type restoreIn struct {
	Retryable
	ID string `path:"id" maxLength:"64"`
	To string `query:"to" maxLength:"4096" doc:"Where to; where it was, when absent"`
}

func (s *System) postRestore(ctx context.Context, in *restoreIn) (*answer[nodeOut], error) {
	n, err := s.Restore(in.again(ctx), person(ctx), in.ID, in.To)
	return answered(n.out(), err)
}

type idIn struct {
	Retryable
	ID string `path:"id" maxLength:"64"`
}

func (s *System) deleteBinned(ctx context.Context, in *idIn) (*struct{}, error) {
	return nil, s.Purge(ctx, person(ctx), in.ID)
}

type emptiedOut struct {
	Purged int `json:"purged"`
}

func (s *System) deleteBin(ctx context.Context, _ *struct{}) (*answer[emptiedOut], error) {
	n, err := s.EmptyBin(ctx, person(ctx))
	return answered(emptiedOut{n}, err)
}

type searchIn struct {
	Paged
	Query string `query:"q" required:"true" minLength:"1" maxLength:"200" doc:"Words, each the beginning of one in the name"`
}

func (s *System) getSearch(ctx context.Context, in *searchIn) (*answer[nodesOut], error) {
	list, next, err := s.Search(ctx, person(ctx), in.Query, in.Cursor, in.Limit)
	out := nodesOut{Nodes: []nodeOut{}, Next: next}
	for _, f := range list {
		o := f.Node.out()
		o.Rights = f.Rights.String()
		out.Nodes = append(out.Nodes, o)
	}
	return answered(out, err)
}
