package files

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"plumb/base/errs"
	"plumb/engines/web"
)

// mostText is how much of a text a page shows.
const mostText = 256 << 10

// filePage is pages/file.html.
type filePage struct {
	heading
	preview
	Content  string // where its bytes are
	Note     note
	Versions []Version
	More     string // query of older versions
	Fault    string
}

// Above is the page of the folder that holds the file, for those who may see it.
func (p filePage) Above() string {
	if len(p.Crumbs) > 0 {
		return p.Crumbs[len(p.Crumbs)-1].Path
	}
	return "/files/"
}

// Icon names the picture that stands for a node's type.
func (n Node) Icon() string {
	switch main, _, _ := strings.Cut(n.Type, "/"); {
	case n.Folder:
		return "folder"
	case main == "image", main == "audio", main == "video":
		return main
	}
	return "file"
}

// preview is how a page shows a content, without running any of it.
type preview struct {
	Look string // image, audio, video, pdf, text; "" for none
	Src  string // where its bytes are
	Text string
	Cut  bool // there is more of the text
}

// lookOf says how a type is shown. Markup is shown as the text that it is; SVG as a
// picture, in which a browser runs no script.
func lookOf(kind string) string {
	main, sub, _ := strings.Cut(kind, "/")
	switch {
	case kind == "application/pdf":
		return "pdf"
	case main == "image" && (inline[kind] || sub == "svg+xml"):
		return "image"
	case (main == "audio" || main == "video") && inline[kind]:
		return main
	case main == "text", strings.HasSuffix(sub, "json"), strings.HasSuffix(sub, "xml"), strings.HasSuffix(sub, "yaml"), sub == "toml", sub == "javascript", sub == "sql", sub == "x-sh":
		return "text"
	}
	return ""
}

// peek reads what a page shows of a file. A content that cannot be read now has no preview.
func (s *System) peek(ctx context.Context, n Node) (preview, error) {
	p := preview{Look: lookOf(n.Type)}
	if n.Blocked {
		return preview{}, nil
	}
	if p.Look != "text" {
		return p, nil
	}
	f, err := s.open(ctx, n)
	if err != nil {
		return preview{}, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, mostText))
	if err != nil {
		return preview{}, err
	}
	if bytes.IndexByte(b, 0) >= 0 {
		return preview{}, nil // it only calls itself a text
	}
	p.Cut = n.Size > mostText
	p.Text = strings.ToValidUTF8(string(trimRune(b)), "\uFFFD")
	return p, nil
}

// contentAt is where the API gives the content of a node.
func contentAt(n Node) string { return "/api/v1/files/content/@" + n.ID }

// showOne shows the file of p's heading.
func (s *System) showOne(w http.ResponseWriter, r *http.Request, p filePage) error {
	ctx, who, q := r.Context(), asker(r), r.URL.Query()
	var err error
	if p.preview, err = s.peek(ctx, p.Node); err != nil {
		if !errs.Is(err, errs.Busy) && !errs.Is(err, errs.Internal) {
			return err
		}
		s.n.Log.Error("a preview cannot be read", "file", p.ID, "error", err)
		p.Fault = "its content cannot be read just now"
	}
	p.Content = contentAt(p.Node)
	p.Src = p.Content
	if p.MayWrite() {
		var next string
		if p.Versions, next, err = s.Versions(ctx, who, p.At(), q.Get("cursor"), 20); err != nil {
			return err
		}
		if next != "" {
			p.More = "?cursor=" + url.QueryEscape(next)
		}
	}
	if p.Note, err = s.noteOf(ctx, who, q); err != nil {
		return err
	}
	status := http.StatusOK
	if p.Fault != "" {
		status = http.StatusUnprocessableEntity
	}
	if p.Look == "pdf" {
		w.Header().Set("Content-Security-Policy", framing(ctx))
	}
	return s.show(w, r, web.View{Title: p.Name, Template: "file.html", Data: p, Status: status})
}

// framing is the policy of a page on which the browser's own viewer draws a PDF, in a
// frame whose content is from here.
func framing(ctx context.Context) string {
	return web.Policy(web.Nonce(ctx)) + "; frame-src 'self'"
}

func (s *System) doRevert(w http.ResponseWriter, r *http.Request) error {
	return s.changeVersion(w, r, "reverted", func(ctx context.Context, path string, n int64) error {
		_, err := s.Revert(ctx, asker(r), path, n)
		return err
	})
}

func (s *System) doForget(w http.ResponseWriter, r *http.Request) error {
	return s.changeVersion(w, r, "forgotten", func(ctx context.Context, path string, n int64) error {
		return s.Forget(ctx, asker(r), path, n)
	})
}

// changeVersion does something with an earlier content, and shows the file again.
func (s *System) changeVersion(w http.ResponseWriter, r *http.Request, did string, do func(context.Context, string, int64) error) error {
	path, err := nodeAt(r)
	if err != nil {
		return err
	}
	n, err := strconv.ParseInt(r.PostFormValue("version"), 10, 64)
	if err != nil {
		return errs.New(errs.NotFound, "there is no such version")
	}
	if err := do(r.Context(), path, n); err != nil {
		if !mayFail(err) {
			return err
		}
		h, herr := s.head(r, path)
		if herr != nil {
			return herr
		}
		return s.showOne(w, r, filePage{heading: h, Fault: said(err)})
	}
	return back(w, r, "/files/n/"+r.PathValue("id"), "did", did)
}
