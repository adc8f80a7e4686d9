package accounts_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"

	"plumb/base/clock"
	"plumb/engines/accounts"
	"plumb/engines/sqldb"
	"plumb/engines/web"
)

func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "accounts")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	db, err := sqldb.Open(ctx, "sqlite:"+filepath.Join(dir, "plumb.db"), sqldb.Options{})
	if err != nil {
		panic(err)
	}
	defer db.Close()
	people, err := accounts.New(ctx, accounts.Needs{DB: db, Clock: clock.System{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	// The first start makes the person admin, who signs in by a link, once.
	link, err := people.SignInLink(ctx, "admin", "http://127.0.0.1:8080")
	if err != nil {
		panic(err)
	}
	_, token, _ := strings.Cut(link, "?link=")
	session, err := people.OpenLink(ctx, token, "127.0.0.1")
	fmt.Println(session.Person.Name, err)
	_, err = people.OpenLink(ctx, token, "127.0.0.1")
	fmt.Println(err)

	r := httptest.NewRequest("GET", "/", nil)
	r.AddCookie(session.Cookie(false))
	who, err := people.Authenticate(r)
	fmt.Println(who.Name, who.May(web.Admin), err)
	// Output:
	// admin <nil>
	// begin a session: this link was used already, or is older than 24 hours: ask for a new one
	// admin true <nil>
}
