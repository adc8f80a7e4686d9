package photos

import (
	"net/http"

	"plumb/engines/web"
)

// A phone that has put this room on its home screen offers it wherever photos are
// shared (Web Share Target). What is shared comes as a form that the system sends
// without a page of ours, and so without the session's token; the worker keeps it in the
// browser, and the page uploads it like any other.

// manifest is the room as an app.
const manifest = `{
 "name": "Plumb photos", "short_name": "Photos", "id": "/photos/", "start_url": "/photos/", "scope": "/photos/", "display": "standalone",
 "background_color": "#14171a", "theme_color": "#0f5c6e",
 "icons": [{"src": "/static/icon.svg", "sizes": "any", "type": "image/svg+xml", "purpose": "any"}],
 "share_target": {"action": "/photos/share", "method": "POST", "enctype": "multipart/form-data",
  "params": {"files": [{"name": "photos", "accept": ["image/jpeg", "image/png", "image/webp", "image/gif", "image/heic", "image/avif"]}]}}
}
`

func (s *System) appManifest(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Cache-Control", "public, max-age=3600")
	return web.Send(w, r, http.StatusOK, "application/manifest+json", []byte(manifest))
}

// workerJS is what the browser runs beside the room's pages. It is served here and not
// with the static files, for it may see no other address than those below its own.
var workerJS = asset("pages/worker.js")

func (s *System) appWorker(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Cache-Control", "no-cache")
	return web.Send(w, r, http.StatusOK, "text/javascript; charset=utf-8", []byte(workerJS))
}
