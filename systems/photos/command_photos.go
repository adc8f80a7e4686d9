package photos

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"plumb/base/errs"
	"plumb/base/ids"
	"plumb/base/units"
	"plumb/engines/remote"
)

// atOnceSent is how many photos a command sends or fetches at once.
const atOnceSent = 4

// mostSaid is how many failures are told one by one.
const mostSaid = 100

// carried is what became of a put or get.
type carried struct {
	Photos  int64    `json:"photos"` // that were sent or fetched
	Bytes   int64    `json:"bytes"`
	Same    int64    `json:"same"`    // that were there already
	Skipped []string `json:"skipped"` // what is no photo by its name
	Failed  []string `json:"failed"`  // the first hundred, each with its reason
	IDs     []string `json:"ids,omitempty"`
	Album   string   `json:"album,omitempty"` // the id of the one that was made

	mu  sync.Mutex
	bad int
}

func newCarried() *carried {
	return &carried{Skipped: []string{}, Failed: []string{}}
}

// done counts what became of one.
func (c *carried) done(name, id string, size int64, same bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		if c.bad++; len(c.Failed) < mostSaid {
			c.Failed = append(c.Failed, name+": "+err.Error())
		}
		return
	}
	if id != "" {
		c.IDs = append(c.IDs, id)
	}
	if same {
		c.Same++
		return
	}
	c.Photos++
	c.Bytes += size
}

// end prints what became of all.
func (c *carried) end(s *session, cmd *cobra.Command, did string) error {
	if err := s.print(cmd, c, func(w io.Writer) {
		fmt.Fprintf(w, "%s with %s %s, %s there already.\n", several(c.Photos, "photo", "photos"), units.Bytes(float64(c.Bytes)), did, units.Count(c.Same))
		if c.Album != "" {
			fmt.Fprintf(w, "The album is %s; plumb photos link makes a link to it.\n", c.Album)
		}
		for _, f := range c.Failed {
			fmt.Fprintf(w, "failed: %s\n", f)
		}
	}); err != nil {
		return err
	}
	if c.bad > 0 {
		return fmt.Errorf("%s failed", several(int64(c.bad), "photo", "photos"))
	}
	return nil
}

// endings are those of photos' files.
var endings = []string{".jpg", ".jpeg", ".png", ".gif", ".webp", ".heic", ".heif", ".avif"}

// putCommand is `plumb photos put`.
func putCommand(s *session) *cobra.Command {
	var album string
	cmd := &cobra.Command{
		Use: "put PATH...", Short: "Upload photos, and folders of them", Args: cobra.MinimumNArgs(1),
		Long: "Uploads files, and from folders all that are photos by their names, four at once. What you have already is not\n" +
			"kept twice, so that an upload that broke off is begun again by the same command. --album makes an album of them.",
		Example: "  plumb photos put ~/Pictures/2026\n  plumb photos put *.jpg --album Holiday",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.open()
			if err != nil {
				return err
			}
			out := newCarried()
			sent := map[string]string{} // id by path
			var mu sync.Mutex
			err = besideEach(cmd.Context(), walkPhotos(cmd.Context(), args, out), func(ctx context.Context, path string) {
				id, size, same, err := sendPhoto(ctx, c, path)
				out.done(path, id, size, same, err)
				if err == nil {
					mu.Lock()
					sent[path] = id
					mu.Unlock()
				}
			})
			if err != nil {
				return err
			}
			if album != "" && len(sent) > 0 {
				if out.Album, err = fillAlbum(cmd.Context(), c, album, sent); err != nil {
					return err
				}
			}
			return out.end(s, cmd, "uploaded")
		},
	}
	cmd.Flags().StringVar(&album, "album", "", "title of an album to make of them")
	return cmd
}

// walkPhotos yields the files that are named, and the photos below folders.
func walkPhotos(ctx context.Context, roots []string, out *carried) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, root := range roots {
			err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
				switch {
				case ctx.Err() != nil:
					return ctx.Err()
				case err != nil:
					out.done(path, "", 0, false, err)
				case d.IsDir():
				case path == root, slices.Contains(endings, strings.ToLower(filepath.Ext(path))) && d.Type().IsRegular():
					if !yield(path) {
						return fs.SkipAll
					}
				case len(out.Skipped) < mostSaid:
					out.mu.Lock()
					out.Skipped = append(out.Skipped, path)
					out.mu.Unlock()
				}
				return nil
			})
			if err != nil {
				return // ctx has ended
			}
		}
	}
}

// besideEach runs fn for each path, a few at once.
func besideEach(ctx context.Context, paths func(func(string) bool), fn func(ctx context.Context, path string)) error {
	work := make(chan string)
	var all sync.WaitGroup
	for range atOnceSent {
		all.Go(func() {
			for path := range work {
				fn(ctx, path)
			}
		})
	}
	for path := range paths {
		work <- path
	}
	close(work)
	all.Wait()
	return ctx.Err()
}

// sendPhoto uploads a file. A server that is busy is asked again, a few times.
func sendPhoto(ctx context.Context, c *remote.Client, path string) (id string, size int64, same bool, err error) {
	for try := 0; ; try++ {
		id, size, same, err = sendOnce(ctx, c, path)
		if try == 4 || !errs.Is(err, errs.Busy) || ctx.Err() != nil {
			return id, size, same, err
		}
		select {
		case <-time.After(time.Second << try):
		case <-ctx.Done():
		}
	}
}

func sendOnce(ctx context.Context, c *remote.Client, path string) (id string, size int64, same bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", 0, false, err
	}
	res, err := c.Do(ctx, "POST", "?name="+url.QueryEscape(filepath.Base(path)), io.NopCloser(f), info.Size(),
		"Content-Type", "application/octet-stream", "X-Modified", info.ModTime().UTC().Format(time.RFC3339Nano))
	if err != nil {
		return "", 0, false, err
	}
	defer res.Body.Close()
	var p photoOut
	err = remote.Read(res, &p)
	return p.ID, info.Size(), p.DuplicateOf != "", err
}

// fillAlbum makes an album of what was sent, in the order of the paths, and returns its id.
func fillAlbum(ctx context.Context, c *remote.Client, title string, sent map[string]string) (string, error) {
	var paths, list []string
	for path := range sent {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	for _, path := range paths {
		list = append(list, sent[path])
	}
	var al albumOut
	if err := c.Call(ctx, "POST", "/albums", albumBody{Title: title}, &al); err != nil {
		return "", err
	}
	for part := range slices.Chunk(list, MaxChange) {
		if err := c.Call(ctx, "POST", "/albums/"+al.ID+"/photos", photosBody{part}, nil); err != nil {
			return "", err
		}
	}
	return al.ID, nil
}

// getCommand is `plumb photos get`.
func getCommand(s *session) *cobra.Command {
	var size, album string
	cmd := &cobra.Command{
		Use: "get [ID...] [--album ID] FOLDER", Short: "Fetch photos into a folder", Args: cobra.MinimumNArgs(1),
		Long:    "Fetches photos by their ids, those of an album, or all you have, into FOLDER under their own names, verified. A\nphoto that is there already with the same bytes is not fetched again.",
		Example: "  plumb photos get Backup\n  plumb photos get --album 0193b0f2-0000-7000-8000-000000000000 Holiday\n  plumb photos get 0193b0f2-0000-7000-8000-000000000001 --size large .",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.open()
			if err != nil {
				return err
			}
			if size != Original && sizeIndex(size) < 0 {
				return errs.New(errs.Invalid, "--size is small, medium, large or original, not %q", size)
			}
			list, folder := args[:len(args)-1], args[len(args)-1]
			if err := os.MkdirAll(folder, 0o777); err != nil {
				return err
			}
			out := newCarried()
			all, err := fetched(cmd.Context(), c, list, album)
			if err != nil {
				return err
			}
			names := map[string]bool{}
			paths := func(yield func(string) bool) {
				for i := range all {
					if !yield(strconv.Itoa(i)) {
						return
					}
				}
			}
			for i := range all {
				all[i].Name = fileName(all[i], size, names)
			}
			err = besideEach(cmd.Context(), paths, func(ctx context.Context, at string) {
				i, _ := strconv.Atoi(at) // it is one of ours
				n, same, err := fetchPhoto(ctx, c, all[i], size, folder)
				out.done(all[i].ID, all[i].ID, n, same, err)
			})
			if err != nil {
				return err
			}
			return out.end(s, cmd, "fetched")
		},
	}
	cmd.Flags().StringVar(&size, "size", Original, "small, medium, large or original")
	cmd.Flags().StringVar(&album, "album", "", "an album's id: all of its photos")
	return cmd
}

// fetched returns what is to be fetched.
func fetched(ctx context.Context, c *remote.Client, list []string, album string) (all []photoOut, err error) {
	for _, id := range list {
		var p photoOut
		if err := c.Call(ctx, "GET", "/"+url.PathEscape(id), nil, &p); err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	if len(list) > 0 && album == "" {
		return all, nil
	}
	return all, eachPage(ctx, c, "?album="+url.QueryEscape(album), func(p photoOut) { all = append(all, p) })
}

// eachPage calls fn with all photos of a list.
func eachPage(ctx context.Context, c *remote.Client, query string, fn func(p photoOut)) error {
	for cursor := ""; ; {
		var page photosOut
		if err := c.Call(ctx, "GET", query+"&limit=1000&cursor="+url.QueryEscape(cursor), nil, &page); err != nil {
			return err
		}
		for _, p := range page.Photos {
			fn(p)
		}
		if cursor = page.Next; cursor == "" {
			return nil
		}
	}
}

// fileName is a photo's name in a folder where others may have it too. The server may be
// anybody's: it cannot name a place elsewhere.
func fileName(p photoOut, size string, used map[string]bool) string {
	name := strings.TrimLeft(strings.NewReplacer("/", "_", `\`, "_", ":", "_").Replace(cleanName(p.Name)), ".")
	if name == "" {
		name = "photo"
	}
	if size != Original {
		name = sizedName(name, size, "")
	}
	for n, stemmed := 2, name; used[strings.ToLower(name)]; n++ {
		ext := filepath.Ext(stemmed)
		name = fmt.Sprintf("%s (%d)%s", strings.TrimSuffix(stemmed, ext), n, ext)
	}
	used[strings.ToLower(name)] = true
	return name
}

// fetchPhoto fetches one, and lets it appear when it is whole.
func fetchPhoto(ctx context.Context, c *remote.Client, p photoOut, size, folder string) (n int64, same bool, err error) {
	to := filepath.Join(folder, p.Name)
	if size == Original {
		if sum, err := fileSum(to); err == nil && sum == p.SHA256 {
			return 0, true, nil
		}
	}
	res, err := c.Do(ctx, "GET", "/"+url.PathEscape(p.ID)+"/"+size, nil, 0)
	if err != nil {
		return 0, false, err
	}
	defer res.Body.Close()
	tmp, err := os.OpenFile(filepath.Join(folder, ".plumb-"+ids.Token()[:12]), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return 0, false, err
	}
	defer os.Remove(tmp.Name()) // after the rename there is nothing left to remove
	h := sha256.New()
	n, err = io.Copy(io.MultiWriter(tmp, h), res.Body)
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil && size == Original && hex.EncodeToString(h.Sum(nil)) != p.SHA256 {
		err = errs.New(errs.Conflict, "other bytes came than those of photo %s", p.ID)
	}
	if err == nil {
		err = os.Chtimes(tmp.Name(), time.Time{}, p.Taken)
	}
	if err == nil {
		err = os.Rename(tmp.Name(), to)
	}
	return n, false, err
}

// fileSum is the SHA-256 of a file in hex.
func fileSum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// listCommand is `plumb photos list`.
func listCommand(s *session) *cobra.Command {
	q := url.Values{}
	flags := map[string]*string{}
	var favourite bool
	cmd := &cobra.Command{
		Use: "list [WORD...]", Short: "List your photos, the last taken first; search them",
		Example: "  plumb photos list\n  plumb photos list lisbon sunset --from 2026-05-01 --to 2026-05-31\n  plumb photos list --camera canon --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			q.Set("q", strings.Join(args, " "))
			for name, v := range flags {
				q.Set(name, *v)
			}
			q.Set("favourite", strconv.FormatBool(favourite))
			c, err := s.open()
			if err != nil {
				return err
			}
			out := photosOut{Photos: []photoOut{}}
			if err := eachPage(cmd.Context(), c, "?"+q.Encode(), func(p photoOut) { out.Photos = append(out.Photos, p) }); err != nil {
				return err
			}
			return s.print(cmd, out, func(w io.Writer) {
				for _, p := range out.Photos {
					place := ""
					if p.Place != nil {
						place = p.Place.Name
					}
					fmt.Fprintf(w, "%s\t%s\t%dx%d\t%s\t%s\t%s\t%s\n", p.ID, p.Taken.Format("2006-01-02 15:04"), p.Width, p.Height, units.Bytes(float64(p.Size)), p.Name, p.Camera, place)
				}
			})
		},
	}
	for name, help := range map[string]string{"camera": "words in the camera or lens", "place": "words in the place's name", "from": "taken from this date on",
		"to": "taken up to this date", "album": "an album's id: only those, in its order"} {
		flags[name] = cmd.Flags().String(name, "", help)
	}
	cmd.Flags().BoolVar(&favourite, "favourite", false, "only those")
	return cmd
}

// linkCommand is `plumb photos link`.
func linkCommand(s *session) *cobra.Command {
	var in linkBody
	var photo, revoke bool
	var life time.Duration
	cmd := &cobra.Command{
		Use: "link ALBUM", Short: "Make a link to an album or a photo, for people without an account", Args: cobra.ExactArgs(1),
		Long:    "Makes a link to an album by its id (to a photo, with --photo), good for 30 days unless --life says otherwise. A password\ncomes by PLUMB_LINK_PASSWORD. --revoke ends all links to it instead.",
		Example: "  plumb photos link 0193b0f2-0000-7000-8000-000000000000 --downloads --life 168h\n  plumb photos link 0193b0f2-0000-7000-8000-000000000000 --revoke",
		RunE: func(cmd *cobra.Command, args []string) error {
			root, target := "/albums/", revokeBody{Album: args[0]}
			if photo {
				root, target = "/", revokeBody{Photo: args[0]}
			}
			if revoke {
				var out revokedOut
				if err := s.ask(cmd, "POST", "/links/revoke", target, &out); err != nil {
					return err
				}
				return s.print(cmd, out, func(w io.Writer) {
					fmt.Fprintf(w, "%s ended.\n", several(int64(out.Revoked), "link is", "links are"))
				})
			}
			in.Password = os.Getenv("PLUMB_LINK_PASSWORD")
			if cmd.Flags().Changed("life") {
				seconds := int64(life / time.Second)
				in.LifeS = &seconds
			}
			var out linkOut
			if err := s.ask(cmd, "POST", root+url.PathEscape(args[0])+"/links", in, &out); err != nil {
				return err
			}
			return s.print(cmd, out, func(w io.Writer) { fmt.Fprintln(w, out.URL) })
		},
	}
	f := cmd.Flags()
	f.BoolVar(&photo, "photo", false, "the id is a photo's")
	f.BoolVar(&revoke, "revoke", false, "end all links to it")
	f.DurationVar(&life, "life", 0, "how long it is good; 0: until it is revoked")
	f.BoolVar(&in.Downloads, "downloads", false, "originals may be saved, without their places")
	f.BoolVar(&in.KeepLocation, "keep-location", false, "what it gives tells where it was taken")
	return cmd
}
