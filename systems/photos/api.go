package photos

import (
	"context"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"plumb/base/errs"
	"plumb/engines/web"
)

// The JSON API: what it offers, and the operations whose bodies are photos. Wire types
// and handlers of the rest stand in api_photos.go, api_albums.go and api_shards.go.

// apiRoot is where the operations are.
const apiRoot = "/api/v1/photos"

func op(method, path, summary string) huma.Operation {
	return huma.Operation{Method: method, Path: apiRoot + path, Summary: summary}
}

func created(o huma.Operation) huma.Operation { o.DefaultStatus = http.StatusCreated; return o }
func none(o huma.Operation) huma.Operation    { o.DefaultStatus = http.StatusNoContent; return o }
func accepted(o huma.Operation) huma.Operation {
	o.DefaultStatus = http.StatusAccepted
	return o
}

// api lists the operations.
func (s *System) api() []web.Op {
	return slices.Concat(s.bodyOps(), []web.Op{
		web.Operation(web.Person, op("GET", "", "List your photos, the last taken first; search them"), s.getList),
		web.Operation(web.Person, op("GET", "/months", "The months in which photos were taken"), s.getMonths),
		web.Operation(web.Person, op("GET", "/stats", "What you keep, and may keep"), s.getStats),
		web.Operation(web.Person, op("GET", "/{id}", "A photo"), s.getPhoto),
		web.Operation(web.Person, op("PATCH", "/{id}", "Change its caption, time, or who may know its place"), s.patchPhoto),
		web.Operation(web.Person, none(op("DELETE", "/{id}", "Put a photo into the bin")), s.deletePhoto),
		web.Operation(web.Person, op("POST", "/favourites", "Make photos favourites, or no longer"), s.postFavourites),
		web.Operation(web.Person, op("GET", "/bin", "What you removed, the last first"), s.getBin),
		web.Operation(web.Person, op("POST", "/bin", "Put photos into the bin"), s.postBin),
		web.Operation(web.Person, op("POST", "/bin/restore", "Take photos out of the bin"), s.postRestore),
		web.Operation(web.Person, none(op("DELETE", "/bin/{id}", "End a photo of the bin for good")), s.deleteBinned),
		web.Operation(web.Person, op("DELETE", "/bin", "Empty the bin"), s.deleteBin),

		web.Operation(web.Person, op("GET", "/albums", "Your albums, the last made first"), s.getAlbums),
		web.Operation(web.Person, created(op("POST", "/albums", "Make an album")), s.postAlbum),
		web.Operation(web.Person, op("GET", "/albums/{id}", "An album"), s.getAlbum),
		web.Operation(web.Person, op("PATCH", "/albums/{id}", "Change its title or cover"), s.patchAlbum),
		web.Operation(web.Person, none(op("DELETE", "/albums/{id}", "End an album and its links; its photos stay")), s.deleteAlbum),
		web.Operation(web.Person, op("GET", "/albums/{id}/photos", "Its photos, in order"), s.getAlbumPhotos),
		web.Operation(web.Person, op("POST", "/albums/{id}/photos", "Put photos at its end"), s.postAlbumPhotos),
		web.Operation(web.Person, op("POST", "/albums/{id}/take-out", "Take photos out of it"), s.postTakeOut),
		web.Operation(web.Person, op("POST", "/albums/{id}/order", "Put photos before another"), s.postOrder),
		web.Operation(web.Person, created(op("POST", "/albums/{id}/links", "Make a link to an album, for people without an account")), s.postAlbumLink),
		web.Operation(web.Person, created(op("POST", "/{id}/links", "Make a link to a photo")), s.postPhotoLink),
		web.Operation(web.Person, op("GET", "/links", "Your links, the newest first"), s.getLinks),
		web.Operation(web.Person, none(op("DELETE", "/links/{id}", "End a link, at once")), s.deleteLink),
		web.Operation(web.Person, op("POST", "/links/revoke", "End all links to an album or a photo, or all you made"), s.postRevoke),
	}, s.shardOps(), s.repairOps())
}

// bodyOps are the operations whose bodies are photos.
func (s *System) bodyOps() []web.Op {
	image := map[string]*huma.MediaType{"image/*": {Schema: &huma.Schema{Type: "string", Format: "binary"}}}
	post := op("POST", "", "Upload a photo, or several in a form")
	post.Description = "The body is the photo, of known length or not (JPEG, PNG, GIF, WebP, HEIC, AVIF: by its bytes, not by its label), or multipart/form-data with photos as files. " +
		"201 with the photo; 200 with duplicate_of where you have the same bytes already. A form with several files is answered by a list, each with its status. " +
		"?name= and X-Modified (RFC 3339) say more of the file, ?album= puts it there. 413 names the limit that was passed, 507 says that the disk is full."
	post.RequestBody = &huma.RequestBody{Required: true, Content: image}
	post.MaxBodyBytes = -1
	get := op("GET", "/{id}/{size}", "A photo: original, large, medium or small")
	get.Description = "HEAD too. Ranges and conditional requests as RFC 9110 has them. The original is byte for byte what came. A size that is not made yet is made at once; 503 says to come again."
	get.Responses = map[string]*huma.Response{"200": {Description: "The photo", Content: image}, "206": {Description: "Parts of it", Content: image}}
	return []web.Op{
		web.RawOperation(web.Person, post, s.postPhoto).Describe(nil, photoOut{}),
		web.RawOperation(web.Person, get, s.getImage),
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

// postPhoto takes a photo, or several in a form.
func (s *System) postPhoto(w http.ResponseWriter, r *http.Request) error {
	o := UploadOptions{Name: r.URL.Query().Get("name"), Size: r.ContentLength, Album: r.URL.Query().Get("album")}
	if text := r.Header.Get("X-Modified"); text != "" {
		var err error
		if o.Modified, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return web.Malformed(errs.New(errs.Invalid, "X-Modified is a time as RFC 3339 has it, such as 2026-11-22T21:40:00Z"))
		}
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")) // what a photo is, its bytes say
	if kind == "multipart/form-data" {
		return s.postForm(w, r, o)
	}
	key := r.Header.Get("Idempotency-Key")
	body := &incoming{w: w, r: r.Body}
	p, again, err := s.Upload(Again(r.Context(), key), person(r.Context()), body, o)
	if err != nil {
		s.measures.refuse(err)
		drain(w, r, body)
		return err
	}
	status, out := uploaded(p, again)
	if !again {
		w.Header().Set("Location", apiRoot+"/"+p.ID)
	}
	web.WriteJSON(w, status, out)
	return nil
}

// drain reads what is left of a body that was refused, up to mostDrain: who still sends
// would see a broken connection and no reason.
func drain(w http.ResponseWriter, r *http.Request, body io.Reader) {
	if r.ContentLength > mostDrain {
		w.Header().Set("Connection", "close")
		return
	}
	if _, err := io.CopyN(io.Discard, body, mostDrain); err != io.EOF {
		w.Header().Set("Connection", "close")
	}
}

// uploaded is the answer to an upload.
func uploaded(p Photo, again bool) (int, photoOut) {
	out := p.out()
	if !again {
		return http.StatusCreated, out
	}
	out.DuplicateOf = p.ID
	return http.StatusOK, out
}

// formOut is what became of one file of a form.
type formOut struct {
	Name   string        `json:"name"`
	Status int           `json:"status" doc:"As if it had been sent alone"`
	Photo  *photoOut     `json:"photo,omitempty"`
	Error  *web.Document `json:"error,omitempty"`
}

type formsOut struct {
	Photos []formOut `json:"photos"`
}

// mostParts bounds the parts of a form.
const mostParts = mostFiles + mostFields

// postForm takes the photos of a form while they arrive; one that is refused does not
// stop the others. A form with one file is answered as a body would be.
func (s *System) postForm(w http.ResponseWriter, r *http.Request, o UploadOptions) error {
	parts, err := web.Parts(r)
	if err != nil {
		return err
	}
	o.Size = -1
	out := formsOut{Photos: []formOut{}}
	var first error
	for n := 0; ; n++ {
		p, err := parts.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return web.Malformed(errs.Wrap(errs.Invalid, err, "the form ended early, after %d photos", len(out.Photos)))
		}
		if n >= mostParts {
			return errs.New(errs.TooLarge, "a form may hold %d photos", mostFiles)
		}
		if p.FileName() == "" {
			continue // another field
		}
		one, uerr := s.formPart(w, r, p, o, len(out.Photos))
		if uerr != nil && first == nil {
			first = uerr
		}
		out.Photos = append(out.Photos, one)
		if uerr != nil && r.Context().Err() != nil {
			return uerr
		}
	}
	switch {
	case len(out.Photos) == 0:
		return errs.New(errs.Invalid, "the form holds no photo: send it as a file")
	case len(out.Photos) == 1 && first != nil:
		return first
	case len(out.Photos) == 1:
		web.WriteJSON(w, out.Photos[0].Status, out.Photos[0].Photo)
	default:
		web.WriteJSON(w, http.StatusMultiStatus, out)
	}
	return nil
}

// formPart takes the next photo of a form.
func (s *System) formPart(w http.ResponseWriter, r *http.Request, p *multipart.Part, o UploadOptions, n int) (formOut, error) {
	o.Name = p.FileName()
	ctx := r.Context()
	if key := r.Header.Get("Idempotency-Key"); key != "" {
		ctx = Again(ctx, key+"."+strconv.Itoa(n))
	}
	photo, again, err := s.Upload(ctx, person(ctx), &incoming{w: w, r: p}, o)
	out := formOut{Name: cleanName(o.Name)}
	if err != nil {
		s.measures.refuse(err)
		out.Status = web.Status(err)
		out.Error = &web.Document{Title: http.StatusText(out.Status), Status: out.Status, Detail: errs.Message(err)}
		return out, err
	}
	status, said := uploaded(photo, again)
	out.Status, out.Photo = status, &said
	return out, nil
}

// incoming is a body that comes at its sender's pace: the deadline moves on with what
// comes, and its faults are the sender's.
type incoming struct {
	w     http.ResponseWriter
	r     io.Reader
	moved time.Time
}

// bodyPause is how long a body may give nothing.
const bodyPause = 2 * time.Minute

func (in *incoming) Read(b []byte) (int, error) {
	if now := time.Now(); now.Sub(in.moved) > 10*time.Second {
		in.moved = now
		c := http.NewResponseController(in.w)
		c.SetReadDeadline(now.Add(bodyPause)) // a recorder has none
		c.SetWriteDeadline(now.Add(2 * bodyPause))
	}
	n, err := in.r.Read(b)
	if err != nil && err != io.EOF {
		err = web.Malformed(errs.Wrap(errs.Invalid, err, "the body could not be read to its end"))
	}
	return n, err
}

// getImage answers with a photo in a size.
func (s *System) getImage(w http.ResponseWriter, r *http.Request) error {
	size := r.PathValue("size")
	img, err := s.OpenImage(r.Context(), person(r.Context()), r.PathValue("id"), size)
	if err != nil {
		return err
	}
	sendImage(w, r, img, cacheOf(size), r.URL.Query().Get("download") != "")
	return nil
}

// answer wraps an answer as huma wants it.
type answer[T any] struct{ Body T }

func answered[T any](v T, err error) (*answer[T], error) {
	if err != nil {
		return nil, err
	}
	return &answer[T]{v}, nil
}

// Retryable is the header of a request that may have to be sent again.
type Retryable struct {
	Key string `header:"Idempotency-Key" maxLength:"255" doc:"Chosen by the client, good for 24 hours: the same key with the same body gets the same answer and does nothing more"`
}

// again puts the key into ctx.
func (r Retryable) again(ctx context.Context) context.Context { return Again(ctx, r.Key) }

// Paged are the parameters of a list.
type Paged struct {
	Cursor string `query:"cursor" maxLength:"256" doc:"next of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

// readTime reads a date or a time of a query; "" is the zero time. A date stands for its
// beginning, or its end.
func readTime(name, text string, end bool) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		if end {
			t = t.AddDate(0, 0, 1)
		}
		return t, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, web.Malformed(errs.New(errs.Invalid, "%s is a date such as 2026-11-22, or a time as RFC 3339 has it", name))
	}
	return t, nil
}
