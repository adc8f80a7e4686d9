package files

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"plumb/base/errs"
	"plumb/base/ids"
	"plumb/systems/files/internal/remote"
)

// getCommand is `plumb files get`.
func getCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "get PATH [FOLDER]", Short: "Fetch a file, or a folder with all that is below it", Args: cobra.RangeArgs(1, 2),
		Long: "Fetches a file or folder into FOLDER (the present one, when it is not named) under its own name. What is\n" +
			"there already with the same content is not fetched again; other files of the same names are replaced.\n" +
			"With - as FOLDER a file goes to standard output. Each file appears when it is whole.",
		Example: "  plumb files get trips/2026 Downloads\n  plumb files get dumps/house.sql - | psql house",
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.with(cmd, func(ctx context.Context, sh shelf) error {
				from, into := strings.Trim(args[0], "/"), append(args, ".")[1]
				if into == "-" {
					return cat(ctx, sh, from, cmd.OutOrStdout())
				}
				n, err := sh.Stat(ctx, from)
				if err != nil {
					return err
				}
				if n.Name == "" {
					n.Name = "files"
				}
				t := newCarrier(newMeter(cmd, "get"), sh)
				return t.end(s, cmd, "fetched", t.getAny(ctx, sh, n, from, filepath.Join(into, n.Name)))
			})
		},
	}
}

// cat writes a content to w.
func cat(ctx context.Context, sh shelf, from string, w io.Writer) error {
	r, err := sh.Get(ctx, from)
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(w, r)
	return err
}

// getAny fetches a node. The server's names were checked when they were made; one that
// would leave the folder is refused all the same, because the server may be anybody's.
func (t *carrier) getAny(ctx context.Context, sh shelf, n remote.Node, from, to string) error {
	if _, err := cleanName(n.Name); err != nil || !filepath.IsLocal(n.Name) {
		return errs.New(errs.Invalid, "the server names a file %q, which is no name", n.Name)
	}
	if n.Kind == "file" {
		t.carry(from, n.Size, func() (bool, error) { return t.getFile(ctx, sh, n, from, to) })
		return nil
	}
	if err := os.MkdirAll(to, 0o777); err != nil {
		return err
	}
	list, err := listing(ctx, sh, from)
	if err != nil {
		return err
	}
	for _, below := range list {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := t.getAny(ctx, sh, below, strings.TrimPrefix(from+"/"+below.Name, "/"), filepath.Join(to, below.Name)); err != nil {
			return err
		}
	}
	return nil
}

// getFile fetches one file and verifies it.
func (t *carrier) getFile(ctx context.Context, sh shelf, n remote.Node, from, to string) (same bool, err error) {
	if info, err := os.Stat(to); err == nil && info.Mode().IsRegular() && info.Size() == n.Size {
		f, err := os.Open(to)
		if err != nil {
			return false, err
		}
		defer f.Close()
		if same, err := isContent(f, n.SHA256); err != nil || same {
			return same, err
		}
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
		return false, err
	}
	r, err := sh.Get(ctx, from)
	if err != nil {
		return false, err
	}
	defer r.Close()
	tmp, err := os.OpenFile(filepath.Join(filepath.Dir(to), ".plumb-"+ids.Token()[:12]), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return false, err
	}
	defer os.Remove(tmp.Name()) // after the rename there is nothing left to remove
	h := sha256.New()
	_, err = io.Copy(io.MultiWriter(tmp, h), &told{r, t.bar})
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil && hex.EncodeToString(h.Sum(nil)) != n.SHA256 {
		err = errs.New(errs.Conflict, "other bytes came than those of the content %s", n.SHA256)
	}
	if err == nil {
		err = os.Chtimes(tmp.Name(), time.Time{}, n.Modified)
	}
	if err == nil {
		err = os.Rename(tmp.Name(), to)
	}
	return false, err
}
