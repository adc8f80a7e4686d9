// Package sqltext cuts SQL files into statements and translates the house's
// words for columns into SQLite's. It knows no database.
package sqltext

import "strings"

// A word is a piece of SQL text: an identifier or keyword, a punctuation mark,
// or something that the splitter must not look into (a string, a quoted
// identifier, a comment, a dollar-quoted body).
type word struct {
	text   string
	opaque bool // do not look inside
	space  bool // blanks or a comment
}

func (w word) is(keyword string) bool { return !w.opaque && strings.EqualFold(w.text, keyword) }

// words cuts SQL into words; put together they are the text again. It follows
// PostgreSQL's lexical rules (manual, section 4.1), of which SQLite's are a
// subset but for `...` and [...], which the house does not use.
func words(sql string) []word {
	var out []word
	for len(sql) > 0 {
		n, w := 1, word{}
		c := sql[0]
		switch {
		case strings.IndexByte(blanks, c) >= 0:
			w.space = true
		case strings.HasPrefix(sql, "--"):
			n, w.space, w.opaque = until(sql, 2, "\n"), true, true
		case strings.HasPrefix(sql, "/*"):
			n, w.space, w.opaque = comment(sql), true, true
		case c == '\'' || c == '"':
			n, w.opaque = until(sql, 1, string(c)), true // '' inside makes two words: no harm
		case c == '$':
			if tag := dollarTag(sql); tag != "" {
				n, w.opaque = until(sql, len(tag), tag), true
			}
		case letter(c):
			for n < len(sql) && (letter(sql[n]) || sql[n] >= '0' && sql[n] <= '9' || sql[n] == '$') {
				n++
			}
		}
		w.text, sql = sql[:n], sql[n:]
		out = append(out, w)
	}
	return out
}

const blanks = " \t\r\n\f\v"

func letter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0x80
}

// until returns the length of sql up to and with end, looked for from from.
func until(sql string, from int, end string) int {
	if i := strings.Index(sql[from:], end); i >= 0 {
		return from + i + len(end)
	}
	return len(sql)
}

// comment returns the length of a /* comment */, which may hold others.
func comment(sql string) int {
	depth := 0
	for i := 0; i+1 < len(sql); i++ {
		switch sql[i : i+2] {
		case "/*":
			depth++
			i++
		case "*/":
			depth--
			i++
		}
		if depth == 0 {
			return i + 1
		}
	}
	return len(sql)
}

// dollarTag returns the $$ or $tag$ that sql begins with; "" for $1.
func dollarTag(sql string) string {
	for i := 1; i < len(sql); i++ {
		if sql[i] == '$' {
			return sql[:i+1]
		}
		if !letter(sql[i]) && (i == 1 || sql[i] < '0' || sql[i] > '9') {
			return ""
		}
	}
	return ""
}

// Split cuts a file into its statements, without their semicolons. One that
// holds only blanks and comments is left out. The semicolons in a trigger's
// BEGIN ... END are its own.
func Split(sql string) []string {
	var out []string
	var text strings.Builder
	var first []string // the keywords that the statement begins with
	depth := 0
	end := func() {
		if len(first) > 0 {
			out = append(out, strings.Trim(text.String(), blanks))
		}
		text.Reset()
		first, depth = nil, 0
	}
	for _, w := range words(sql) {
		if w.text == ";" && depth == 0 {
			end()
			continue
		}
		text.WriteString(w.text)
		if w.space {
			continue
		}
		if len(first) < 4 {
			first = append(first, strings.ToUpper(w.text))
		}
		switch {
		case !trigger(first):
		case w.is("BEGIN") || w.is("CASE"):
			depth++
		case w.is("END") && depth > 0:
			depth--
		}
	}
	end()
	return out
}

// trigger: CREATE TRIGGER, CREATE TEMP TRIGGER.
func trigger(first []string) bool {
	for _, w := range first {
		if w == "TRIGGER" {
			return first[0] == "CREATE"
		}
	}
	return false
}

// ToSQLite translates the types in a CREATE TABLE or ALTER TABLE, and makes
// the table STRICT, so that SQLite refuses a value of the wrong type as
// PostgreSQL does. A type that STRICT does not know is an error there, which
// is what the house wants: times are BIGINT, and booleans too.
func ToSQLite(q string) string {
	ws := words(q)
	var first []string
	for _, w := range ws {
		if !w.space && len(first) < 2 {
			first = append(first, strings.ToUpper(w.text))
		}
	}
	if len(first) < 2 || first[1] != "TABLE" || first[0] != "CREATE" && first[0] != "ALTER" {
		return q
	}
	var b strings.Builder
	last := "" // the last word that means something
	for _, w := range ws {
		text := w.text
		switch {
		case w.is("BIGINT") || w.is("SMALLINT"):
			text = "INTEGER"
		case w.is("BYTEA"):
			text = "BLOB"
		case w.is("DOUBLE"):
			text = "REAL"
		case w.is("PRECISION") && strings.EqualFold(last, "DOUBLE"):
			text = ""
		}
		b.WriteString(text)
		if !w.space {
			last = w.text
		}
	}
	if first[0] == "CREATE" && last == ")" {
		b.WriteString("\nSTRICT")
	}
	return b.String()
}
