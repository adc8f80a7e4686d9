package photos

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"plumb/engines/web"
)

// machines lets a test be a machine.
type machines struct{}

func (machines) Authenticate(r *http.Request) (web.Who, error) {
	if r.Header.Get("X-Machine") != "" {
		return web.Who{Kind: "machine", ID: "m-1"}, nil
	}
	return web.Who{}, nil
}

// Every operation, and what it answers to the owner of what it names, to somebody else,
// and to an operator who is neither. Strangers and machines get none of them.
var accessTable = map[string]struct {
	body                   any
	owner, other, operator int
}{
	"POST /api/v1/photos":                         {photograph(77), 201, 201, 201},
	"GET /api/v1/photos":                          {nil, 200, 200, 200},
	"GET /api/v1/photos/months":                   {nil, 200, 200, 200},
	"GET /api/v1/photos/stats":                    {nil, 200, 200, 200},
	"GET /api/v1/photos/{photo}":                  {nil, 200, 404, 404},
	"GET /api/v1/photos/{photo}/{size}":           {nil, 200, 404, 404},
	"PATCH /api/v1/photos/{photo}":                {map[string]any{"caption": "Mine"}, 200, 404, 404},
	"DELETE /api/v1/photos/{photo}":               {nil, 204, 404, 404},
	"POST /api/v1/photos/favourites":              {map[string]any{"photos": []string{"{photo}"}}, 200, 200, 200},
	"GET /api/v1/photos/bin":                      {nil, 200, 200, 200},
	"POST /api/v1/photos/bin":                     {map[string]any{"photos": []string{"{photo}"}}, 200, 200, 200},
	"POST /api/v1/photos/bin/restore":             {map[string]any{"photos": []string{"{photo}"}}, 200, 200, 200},
	"DELETE /api/v1/photos/bin/{binned}":          {nil, 204, 404, 404},
	"DELETE /api/v1/photos/bin":                   {nil, 200, 200, 200},
	"GET /api/v1/photos/albums":                   {nil, 200, 200, 200},
	"POST /api/v1/photos/albums":                  {map[string]any{"title": "A", "photos": []string{"{photo}"}}, 201, 404, 404},
	"GET /api/v1/photos/albums/{album}":           {nil, 200, 404, 404},
	"PATCH /api/v1/photos/albums/{album}":         {map[string]any{"title": "B"}, 200, 404, 404},
	"DELETE /api/v1/photos/albums/{album}":        {nil, 204, 404, 404},
	"GET /api/v1/photos/albums/{album}/photos":    {nil, 200, 404, 404},
	"POST /api/v1/photos/albums/{album}/photos":   {map[string]any{"photos": []string{"{photo}"}}, 200, 404, 404},
	"POST /api/v1/photos/albums/{album}/take-out": {map[string]any{"photos": []string{"{photo}"}}, 200, 404, 404},
	"POST /api/v1/photos/albums/{album}/order":    {map[string]any{"photos": []string{"{photo}"}}, 200, 404, 404},
	"POST /api/v1/photos/albums/{album}/links":    {map[string]any{}, 201, 404, 404},
	"POST /api/v1/photos/{photo}/links":           {map[string]any{}, 201, 404, 404},
	"GET /api/v1/photos/links":                    {nil, 200, 200, 200},
	"DELETE /api/v1/photos/links/{link}":          {nil, 204, 404, 404},
	"POST /api/v1/photos/links/revoke":            {map[string]any{"album": "{album}"}, 200, 404, 404},

	"GET /api/v1/photos/shards":                         {nil, 403, 403, 200},
	"POST /api/v1/photos/shards":                        {map[string]any{"name": "third"}, 403, 403, 201},
	"PATCH /api/v1/photos/shards/{shard}":               {map[string]any{"weight": 2}, 403, 403, 202},
	"DELETE /api/v1/photos/shards/{shard}":              {nil, 403, 403, 409},
	"POST /api/v1/photos/shards/{shard}/drain":          {nil, 403, 403, 202},
	"POST /api/v1/photos/shards/{shard}/heal":           {nil, 403, 403, 202},
	"POST /api/v1/photos/shards/{shard}/lost":           {nil, 403, 403, 202},
	"POST /api/v1/photos/shards/{shard}/backup":         {map[string]any{"place": "dir:{dir}"}, 403, 403, 202},
	"POST /api/v1/photos/restore":                       {map[string]any{"place": "dir:{dir}"}, 403, 403, 202},
	"GET /api/v1/photos/migrations":                     {nil, 403, 403, 200},
	"GET /api/v1/photos/migrations/{migration}":         {nil, 403, 403, 200},
	"POST /api/v1/photos/migrations/{migration}/pause":  {nil, 403, 403, -1}, // as it happens to be over already or not
	"POST /api/v1/photos/migrations/{migration}/resume": {nil, 403, 403, -1},
	"GET /api/v1/photos/alarms":                         {nil, 403, 403, 200},
	"GET /api/v1/photos/hot":                            {nil, 403, 403, 200},
	"POST /api/v1/photos/proposals":                     {map[string]any{"by": "bytes"}, 403, 403, 201},
	"POST /api/v1/photos/proposals/{none}/execute":      {nil, 403, 403, 404},
	"PUT /api/v1/photos/pins/{person}":                  {map[string]any{"shard": "second"}, 403, 403, 202},
	"GET /api/v1/photos/repairs":                        {nil, 403, 403, 200},
	"GET /api/v1/photos/repairs/{none}":                 {nil, 403, 403, 404},
}

// named gives the parameters of the room's paths the names that the table has.
func named(path string) string {
	for _, r := range [][2]string{{"/albums/{id}", "/albums/{album}"}, {"/bin/{id}", "/bin/{binned}"}, {"/links/{id}", "/links/{link}"}, {"/migrations/{id}", "/migrations/{migration}"},
		{"/proposals/{id}", "/proposals/{none}"}, {"/repairs/{id}", "/repairs/{none}"}, {"{name}", "{shard}"}, {"/photos/{id}", "/photos/{photo}"}} {
		path = strings.Replace(path, r[0], r[1], 1)
	}
	return path
}

func TestWhoMayDoWhat(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		ada := h.who["ada"]
		h.add("second")
		if _, err := h.PinPerson(ctx, h.who["boss"], "ada", "first"); err != nil {
			t.Fatal(err)
		}
		h.settle()
		migrations, _, err := h.Migrations(ctx, h.who["boss"], "", 1)
		if err != nil {
			t.Fatal(err)
		}
		// Each operation gets things of its own, so that none takes what another needs.
		n := uint64(0)
		fresh := func() map[string]string {
			n++
			p, q := h.put("ada", photograph(2*n)), h.put("ada", photograph(2*n+1))
			al, err := h.MakeAlbum(ctx, ada, "Hers", []string{p.ID})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := h.Remove(ctx, ada, q.ID); err != nil {
				t.Fatal(err)
			}
			return map[string]string{"photo": p.ID, "album": al.ID, "binned": q.ID, "link": h.link("ada", Target{Album: al.ID}, LinkOptions{}).ID, "size": "small", "shard": "second",
				"migration": migrations[0].ID, "none": "019cb8b8-1e00-700a-b34f-be8b400b8d25", "person": "bob", "dir": t.TempDir()}
		}
		seen := 0
		for _, o := range h.Face().API {
			key := o.Method + " " + named(o.Path)
			c, ok := accessTable[key]
			if !ok {
				t.Errorf("the table lacks %s", key)
				continue
			}
			seen++
			things := fresh()
			if strings.Contains(o.Path, "{name}") { // what is done to it would stop the next
				things["shard"] = fmt.Sprint("s", n)
				h.add(things["shard"])
			}
			fill := func(s string) string {
				for name, v := range things {
					s = strings.ReplaceAll(s, "{"+name+"}", v)
				}
				return s
			}
			path, body := fill(named(o.Path)), c.body
			if m, ok := body.(map[string]any); ok {
				filled := map[string]any{}
				for k, v := range m {
					switch v := v.(type) {
					case string:
						filled[k] = fill(v)
					case []string:
						filled[k] = []string{fill(v[0])}
					default:
						filled[k] = v
					}
				}
				body = filled
			}
			problem(t, key+" by a stranger", h.call(o.Method, path, "", body), 401, "")
			problem(t, key+" by a machine", h.call(o.Method, path, "", body, "X-Machine", "yes"), 403, "")
			for _, by := range []struct {
				name   string
				status int
			}{{"bob", c.other}, {"boss", c.operator}, {"ada", c.owner}} {
				w := h.call(o.Method, path, by.name, body)
				if w.Code != by.status && by.status >= 0 {
					t.Errorf("%s by %s: %d %s, want %d", key, by.name, w.Code, w.Body, by.status)
				}
				if w.Code >= 400 {
					problem(t, key+" by "+by.name, w, w.Code, "")
				}
				if p, err := h.Get(ctx, ada, things["photo"]); by.name != "ada" && (err != nil || p.Caption != "" || p.Favourite || !p.Binned.IsZero()) {
					t.Errorf("%s by %s changed a photo of hers: %+v %v", key, by.name, p, err)
				}
			}
		}
		if seen != len(accessTable) {
			t.Errorf("of %d rows of the table %d are operations", len(accessTable), seen)
		}
	})
}

func TestRefusalsSayWhatIsWrong(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		p := h.put("ada", photograph(1))
		id := "/" + p.ID
		for _, c := range []struct {
			method, path string
			body         any
			status       int
			says         string
		}{
			{"GET", id + "/huge", nil, 404, "small, medium, large and original"},
			{"GET", "/nothing", nil, 404, "no photo"},
			{"GET", "?cursor=!!", nil, 422, "cursor"},
			{"GET", "?cursor=MTIuQUJD", nil, 422, "cursor"},
			{"GET", "?limit=0", nil, 422, "limit"},
			{"GET", "?limit=1001", nil, 422, "limit"},
			{"GET", "?from=yesterday", nil, 400, "from"},
			{"GET", "?album=none", nil, 404, "album"},
			{"GET", "?q=a+b+c+d+e+f+g+h+i+j+k", nil, 422, "10 words"},
			{"PATCH", id, map[string]any{"taken_at": "soon"}, 422, "taken_at"},
			{"PATCH", id, map[string]any{"captoin": "x"}, 422, "captoin"},
			{"PATCH", id, map[string]any{"caption": "a\x01b"}, 422, "control"},
			{"PATCH", id, map[string]any{"caption": strings.Repeat("é", 600)}, 422, "bytes"},
			{"POST", "/bin", map[string]any{"photos": []string{}}, 422, "photos"},
			{"POST", "/bin", map[string]any{"photos": make([]string, 1001)}, 422, "photos"},
			{"POST", "/albums", map[string]any{"title": ""}, 422, "title"},
			{"POST", "/albums", map[string]any{"title": "  "}, 422, "title"},
			{"POST", "/albums", map[string]any{"title": "x", "photos": []string{"none"}}, 404, "photo"},
			{"POST", id + "/links", map[string]any{"expires": "2020-01-01T00:00:00Z"}, 422, "over"},
			{"POST", id + "/links", map[string]any{"expires": "2027-01-01T00:00:00Z", "expires_in_s": 5}, 422, "one end"},
			{"POST", id + "/links", map[string]any{"expires_in_s": 1 << 40}, 422, "ten years"},
			{"POST", id + "/links", map[string]any{"password": strings.Repeat("x", 300)}, 422, "password"},
			{"POST", "/links/revoke", map[string]any{}, 422, "all"},
			{"POST", "/links/revoke", map[string]any{"album": "x", "photo": "y"}, 422, ""},
			{"DELETE", "/links/none", nil, 404, "link"},
			{"DELETE", "/bin" + id, nil, 404, "bin"},
			{"PUT", id, nil, 405, ""},
		} {
			problem(t, c.method+" "+c.path, h.call(c.method, apiRoot+c.path, "ada", c.body), c.status, c.says)
		}
		for _, c := range []struct {
			method, path string
			body         any
			status       int
			says         string
		}{
			{"POST", "/shards", map[string]any{"name": "First One"}, 422, "name"},
			{"POST", "/shards", map[string]any{"name": "first"}, 409, "first"},
			{"POST", "/shards", map[string]any{"name": "x", "weight": -1}, 422, "weight"},
			{"POST", "/shards", map[string]any{"name": "x", "sql": "mysql://x"}, 422, ""},
			{"POST", "/shards", map[string]any{"name": "x", "sql": "postgres://user:secret@h/db"}, 422, "password"},
			{"POST", "/shards/none/drain", nil, 404, "none"},
			{"POST", "/shards/first/drain", nil, 409, ""},
			{"DELETE", "/shards/first", nil, 409, ""},
			{"POST", "/proposals", map[string]any{"by": "beauty"}, 422, "by"},
			{"POST", "/shards/first/backup", map[string]any{"place": "dir:relative"}, 422, "root"},
			{"PUT", "/pins/nobody", map[string]any{"shard": "first"}, 404, ""},
			{"PUT", "/pins/ada", map[string]any{"shard": "none"}, 404, ""},
		} {
			problem(t, c.method+" "+c.path, h.call(c.method, apiRoot+c.path, "boss", c.body), c.status, c.says)
		}
	})
}
