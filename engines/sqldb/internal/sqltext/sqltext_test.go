package sqltext

import (
	"slices"
	"strings"
	"testing"
)

func TestSplit(t *testing.T) {
	for text, want := range map[string][]string{
		"":                                   nil,
		" ; ;-- only a comment;\n /* ; */ ;": nil,
		"SELECT 1":                           {"SELECT 1"},
		"SELECT ';'; SELECT \"a;b\" ;":       {"SELECT ';'", `SELECT "a;b"`},
		"SELECT 'it''s; fine'; SELECT 2":     {"SELECT 'it''s; fine'", "SELECT 2"},
		"SELECT $1; SELECT $2":               {"SELECT $1", "SELECT $2"},
		"SELECT 1 /* a /* nested; */ b; */; SELECT 2": {"SELECT 1 /* a /* nested; */ b; */", "SELECT 2"},
		"DO $x$ BEGIN a; b; END $x$; SELECT 1":        {"DO $x$ BEGIN a; b; END $x$", "SELECT 1"},
		"CREATE FUNCTION f() AS $$ x; $$; SELECT 1":   {"CREATE FUNCTION f() AS $$ x; $$", "SELECT 1"},
		"CREATE TRIGGER a AFTER INSERT ON t BEGIN UPDATE t SET n = CASE WHEN 1 THEN 2 END; DELETE FROM t; END; SELECT 1": {
			"CREATE TRIGGER a AFTER INSERT ON t BEGIN UPDATE t SET n = CASE WHEN 1 THEN 2 END; DELETE FROM t; END", "SELECT 1"},
		"CREATE TRIGGER a BEFORE INSERT ON t EXECUTE FUNCTION f(); SELECT 1": {"CREATE TRIGGER a BEFORE INSERT ON t EXECUTE FUNCTION f()", "SELECT 1"},
		"BEGIN; SELECT 1; END": {"BEGIN", "SELECT 1", "END"},
		"SELECT 'open; string": {"SELECT 'open; string"},
	} {
		if got := Split(text); !slices.Equal(got, want) {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestToSQLite(t *testing.T) {
	for text, want := range map[string]string{
		"CREATE TABLE t (a BIGINT, b BYTEA, c DOUBLE PRECISION, d TEXT DEFAULT 'BIGINT')": "CREATE TABLE t (a INTEGER, b BLOB, c REAL , d TEXT DEFAULT 'BIGINT')\nSTRICT",
		"create table t (a bigint) -- BIGINT":                                             "create table t (a INTEGER) -- BIGINT\nSTRICT",
		"CREATE TABLE t (a BIGINT) WITHOUT ROWID":                                         "CREATE TABLE t (a INTEGER) WITHOUT ROWID",
		"ALTER TABLE t ADD COLUMN d DOUBLE PRECISION NOT NULL DEFAULT 0":                  "ALTER TABLE t ADD COLUMN d REAL  NOT NULL DEFAULT 0",
		"CREATE INDEX i ON t (bigint)":                                                    "CREATE INDEX i ON t (bigint)",
		"SELECT CAST(1 AS BIGINT)":                                                        "SELECT CAST(1 AS BIGINT)",
	} {
		if got := ToSQLite(text); got != want {
			t.Errorf("%q:\n got %q\nwant %q", text, got, want)
		}
	}
}

// FuzzSplit: words lose nothing, and a statement that was split off is one
// statement.
func FuzzSplit(f *testing.F) {
	for _, s := range []string{"SELECT ';';SELECT 2", "$$;$$ ; $a$ $b$ $a$", "/* /* */ ; */;--\n;", "CREATE TRIGGER x BEGIN ;CASE;END;END;1", "'\"'\"';'", "$1;$"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var all strings.Builder
		for _, w := range words(text) {
			all.WriteString(w.text)
		}
		if all.String() != text {
			t.Fatalf("words of %q make %q", text, all.String())
		}
		for _, q := range Split(text) {
			if again := Split(q); len(again) != 1 || again[0] != q {
				t.Fatalf("%q splits into %q", q, again)
			}
		}
		ToSQLite(text)
	})
}
