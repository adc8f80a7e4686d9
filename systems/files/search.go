package files

import (
	"context"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"plumb/base/errs"
	"plumb/engines/sqldb"
)

// Bounds of one search.
const (
	mostOwners = 1000                  // whose trees are looked through: one's own, and of those who share something
	mostLooked = 2000                  // words that are looked at in one call; the cursor goes on from there
	evenTime   = 50 * time.Millisecond // a search beside others' names takes a multiple of it
)

// Found is what search found, with what who may do with it.
type Found struct {
	Node
	Rights Rights
}

// Search returns what who may see by the words of its name: each of the words that were
// asked for begins one. One's own comes first. A page may be short, or empty, and still
// have a next one: others' names are looked at before it is known that who may not see
// them. Errors: Invalid without a word.
func (s *System) Search(ctx context.Context, who Person, text, cursor string, limit int) ([]Found, string, error) {
	asked := words(text)
	if len(asked) == 0 {
		return nil, "", errs.New(errs.Invalid, "search for a word: letters or digits")
	}
	at, err := readSpot(cursor)
	if err != nil {
		return nil, "", err
	}
	// The longest word is the rarest, mostly.
	slices.SortStableFunc(asked, func(a, b string) int { return len(b) - len(a) })
	limit = page(limit)
	var next string
	asks, began := 0, time.Now() // the real world's time, which the asker's clock measures too
	list, err := read(ctx, s, "search", func(ctx context.Context, tx *sqldb.Tx) ([]Found, error) {
		var found []Found
		looked := 0
		next = ""
		owners, err := s.store.openOwners(ctx, tx, who)
		if err != nil {
			return nil, err
		}
		asks = len(owners)
		for _, owner := range after(owners, at.owner) {
			from := spot{owner: owner} // the last that who may see, and how many were looked at since
			if owner == at.owner {
				from = at
			}
			for here := from; ; here.skip = 0 {
				hits, err := s.store.hits(ctx, tx, here, asked[0])
				if err != nil {
					return nil, err
				}
				for _, h := range hits {
					looked++
					here.word, here.node = h.word, h.node.ID
					from.skip++
					f, err := s.match(ctx, tx, who, h, asked)
					if err != nil {
						return nil, err
					}
					if f.Rights >= Read {
						found, from = append(found, f), spot{owner, h.word, h.node.ID, 0}
					}
					if len(found) == limit || looked == mostLooked {
						next = from.String()
						return found, nil
					}
				}
				if len(hits) < batch {
					break
				}
			}
		}
		return found, nil
	})
	if asks > 1 || asks == 1 && who.ID == "" {
		err = errIfNot(err, evenOut(ctx, began))
	}
	return list, next, err
}

// evenOut waits for the next multiple of evenTime since a moment. The words of names that
// the asker may not see take time to pass over; some dozens of microseconds each, which
// would spell them out to whoever asks for one beginning after the other.
func evenOut(ctx context.Context, began time.Time) error {
	select {
	case <-time.After(evenTime - time.Since(began)%evenTime):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// match says what who may do with a hit: None where other words lack.
func (s *System) match(ctx context.Context, tx *sqldb.Tx, who Person, h hit, asked []string) (Found, error) {
	has := words(h.node.Name)
	// A name with several words that begin alike is found by the first of them.
	if first := slices.IndexFunc(sorted(has), func(w string) bool { return strings.HasPrefix(w, asked[0]) }); first < 0 || sorted(has)[first] != h.word {
		return Found{}, nil
	}
	for _, a := range asked[1:] {
		if !slices.ContainsFunc(has, func(w string) bool { return strings.HasPrefix(w, a) }) {
			return Found{}, nil
		}
	}
	r, err := s.may(ctx, tx, who, h.node)
	return Found{h.node, r}, err
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}

// after drops the owners that an earlier page is through with.
func after(owners []string, at string) []string {
	if i := slices.Index(owners, at); i >= 0 {
		return owners[i:]
	}
	return owners
}

// openOwners returns whose trees hold something that who may see: who first.
func (store) openOwners(ctx context.Context, tx *sqldb.Tx, who Person) ([]string, error) {
	var owners []string
	if who.ID != "" {
		owners = append(owners, who.ID)
	}
	rows, err := tx.Query(ctx, openOwnersSQL, who.ID, int64(mostOwners))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var owner string
		if err := rows.Scan(&owner); err != nil {
			return nil, err
		}
		if owner != who.ID {
			owners = append(owners, owner)
		}
	}
	return owners, rows.Err()
}

// spot is how far a search is. It is told to who searches: so it names only what they
// may see, and counts from there.
type spot struct {
	owner, word, node string
	skip              int64
}

func (at spot) String() string {
	return base64.RawURLEncoding.EncodeToString([]byte(at.owner + "\x00" + at.word + "\x00" + at.node + "\x00" + strconv.FormatInt(at.skip, 10)))
}

func readSpot(cursor string) (spot, error) {
	if cursor == "" {
		return spot{}, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	parts := strings.Split(string(text), "\x00")
	if err != nil || len(parts) != 4 || !utf8.Valid(text) {
		return spot{}, errs.New(errs.Invalid, "this is no cursor of a search")
	}
	skip, err := strconv.ParseInt(parts[3], 10, 64)
	if err != nil || skip < 0 {
		return spot{}, errs.New(errs.Invalid, "this is no cursor of a search")
	}
	return spot{parts[0], parts[1], parts[2], skip}, nil
}

// hit is a word and the node in whose name it stands.
type hit struct {
	word string
	node Node
}

// hits returns the next names of an owner in which a word begins with a prefix.
func (store) hits(ctx context.Context, tx *sqldb.Tx, at spot, prefix string) (list []hit, err error) {
	rows, err := tx.Query(ctx, hitsSQL, at.owner, at.word, at.node, prefix, prefix+"\U0010ffff", int64(batch), at.skip)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var h hit
		h.node, err = scanNode(func(dest ...any) error { return rows.Scan(append([]any{&h.word}, dest...)...) })
		if err != nil {
			return nil, err
		}
		list = append(list, h)
	}
	return list, rows.Err()
}

const (
	openOwnersSQL = `SELECT owner FROM (
			SELECT n.owner FROM files_shares AS s JOIN files_nodes AS n ON n.id = s.node WHERE s.person = $1
			UNION
			SELECT owner FROM files_nodes WHERE public = 1) AS o
		ORDER BY owner LIMIT $2`
	hitsSQL = `SELECT w.word, ` + nodeColumns + ` FROM files_words AS w JOIN files_nodes AS n ON n.id = w.node
		WHERE w.owner = $1 AND (w.word, w.node) > ($2, $3) AND w.word >= $4 AND w.word < $5 ORDER BY w.word, w.node LIMIT $6 OFFSET $7`
)
