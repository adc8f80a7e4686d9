package answers

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"unicode/utf8"
)

var update = flag.Bool("update", false, "write the golden files anew")

func open(t testing.TB) *Book {
	t.Helper()
	b, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTheBookIsWhole(t *testing.T) {
	b := open(t)
	systems := map[string]int{}
	rows := 0
	for _, q := range b.Questions {
		systems[q.System]++
		rows += len(q.Concerns)
		if len(q.Concerns) < 10 {
			t.Errorf("question %d names only %d concerns", q.Number, len(q.Concerns))
		}
		for _, c := range q.Concerns {
			if c.State != Unsolved && c.WhereText() == "" {
				t.Errorf("%s is %s and points nowhere", c.ID, c.State)
			}
			if !strings.HasSuffix(c.Text, ".") || len(c.Text) > 240 {
				t.Errorf("%s must be one sentence: %q", c.ID, c.Text)
			}
		}
		if n := strings.Count(q.Verdict, ". ") + 1; n < 2 || n > 5 {
			t.Errorf("question %d: the verdict has %d sentences", q.Number, n)
		}
	}
	if len(b.Questions) != 16 || len(systems) != 14 || rows < 230 {
		t.Errorf("%d questions, %d systems, %d rows", len(b.Questions), len(systems), rows)
	}
	q, ok := b.Question(12)
	if !ok || !strings.Contains(q.Title+q.Asks, "188,888") || q.System != "vending" {
		t.Errorf("question 12 is %q", q.Title)
	}
	if len(b.Of("photos")) != 2 || len(b.Of("music")) != 2 {
		t.Error("photos and music answer two questions each")
	}
	if _, c, ok := b.Concern("12.herd"); !ok || c.ID != "12.herd" {
		t.Error("12.herd is not found by its id")
	}
}

// sixteen returns a small text that loads, with rows as the rows of question 1.
func sixteen(rows string) string {
	var b strings.Builder
	b.WriteString("questions:\n")
	for n := 1; n <= 16; n++ {
		s := strings.NewReplacer("N", strconv.Itoa(n), "ROWS", "      - {id: N.a, kind: concern, text: T., state: open}")
		if n == 1 {
			s = strings.NewReplacer("N", "1", "ROWS", rows)
		}
		text := s.Replace("  - number: N\n    seed: S\n    system: music\n    kind: K\n    title: T\n    asks: A\n    verdict: V\n    concerns:\nROWS\n")
		b.WriteString(strings.ReplaceAll(text, "N.a", strconv.Itoa(n)+".a"))
	}
	return b.String()
}

const goodRows = `      - id: 1.a
        kind: concern
        text: A row.
        state: proven
        where:
          - claim: "music/zipf: even"
          - doc: docs/music.md#limits
      - {id: 1.b, kind: solution, text: Another., state: declined, where: [{reason: it costs more than it gives}]}`

func TestPlantedFaultsAreCaughtWithTheirLine(t *testing.T) {
	if _, err := Parse("x.yaml", []byte(sixteen(goodRows))); err != nil {
		t.Fatalf("the text without a fault: %v", err)
	}
	for _, c := range []struct{ name, old, new, want string }{
		{"unknown key of a row", "        text: A row.\n", "        text: A row.\n        colour: red\n", `x.yaml:13: concern: unknown key "colour"`},
		{"unknown key of a question", "    seed: S\n", "    seed: S\n    sead: S\n", `x.yaml:4: question: unknown key "sead"`},
		{"unknown key at the top", "questions:\n", "more: 1\nquestions:\n", `x.yaml:1: the file: unknown key "more"`},
		{"key twice", "    seed: S\n", "    seed: S\n    seed: T\n", `x.yaml:4: question: the key "seed" stands twice`},
		{"missing field of a row", "        kind: concern\n", "", `x.yaml:10: concern: the key "kind" is missing`},
		{"missing field of a question", "    verdict: V\n", "", `x.yaml:2: question: the key "verdict" is missing`},
		{"empty text", "text: A row.", `text: " "`, "x.yaml:12: text is empty"},
		{"text over two lines", "text: A row.", `text: "a\nb"`, "x.yaml:12: text holds a line break"},
		{"unknown state", "state: proven", "state: proved", `x.yaml:13: 1.a: unknown state "proved"`},
		{"unknown kind", "kind: concern\n", "kind: worry\n", `x.yaml:11: 1.a: kind must be one of`},
		{"duplicate id", "id: 1.b", "id: 1.a", "x.yaml:17: 1.a stands at line 10 already"},
		{"foreign id", "id: 1.b", "id: 2.b", "x.yaml:17: 2.b stands under question 1"},
		{"id without a word", "id: 1.b", "id: 1", `x.yaml:17: id must be like 12.some-words`},
		{"proven without a claim", `- claim: "music/zipf: even"`, "- page: /music/", "x.yaml:10: 1.a is proven, so where must name its claim"},
		{"done without a door", "state: proven", "state: done", "x.yaml:10: 1.a is done, so where must name its api, page, command"},
		{"open, yet closed", "state: proven", "state: open", "x.yaml:10: 1.a is open, yet points somewhere"},
		{"unknown pointer", "- doc: docs/music.md#limits", "- file: docs/music.md", `x.yaml:16: 1.a: unknown kind of pointer "file"`},
		{"pointer without a form", "- doc: docs/music.md#limits", "- api: /api/v1/x", `x.yaml:16: 1.a: "/api/v1/x" is not of the form`},
		{"pointer twice", "- doc: docs/music.md#limits", `- claim: "music/zipf: even"`, "x.yaml:16: 1.a points to claim: music/zipf: even twice"},
		{"pointer of bare text", "- doc: docs/music.md#limits", "- docs/music.md", "x.yaml:16: 1.a: a pointer is one line"},
		{"declined with more than its reason", "gives}]", "gives}, {page: /music/}]", "x.yaml:17: 1.b is declined, so where must hold its reason and nothing else"},
		{"empty where", "[{reason: it costs more than it gives}]", "[]", "x.yaml:17: 1.b: where must be a list"},
		{"number out of range", "number: 1\n", "number: 17\n", `x.yaml:2: number must be 1 to 16, not "17"`},
		{"numbers out of order", "number: 2\n    seed: S\n    system: music\n    kind: K\n    title: T\n    asks: A\n    verdict: V\n    concerns:\n      - {id: 2.a", "number: 3\n    seed: S\n    system: music\n    kind: K\n    title: T\n    asks: A\n    verdict: V\n    concerns:\n      - {id: 3.b", "x.yaml:18: question 3 stands where question 2 belongs"},
		{"system that is no name", "system: music", "system: My Music", `x.yaml:4: system must be a system's name`},
		{"broken YAML", "questions:\n", "questions: [\n", "x.yaml:"},
		{"second document", "questions:\n", "---\na: 1\n---\nquestions:\n", "x.yaml: more than one document"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := sixteen(goodRows)
			if !strings.Contains(text, c.old) {
				t.Fatalf("the fault cannot be planted: no %q", c.old)
			}
			_, err := Parse("x.yaml", []byte(strings.Replace(text, c.old, c.new, 1)))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
	if _, err := Parse("x.yaml", nil); err == nil || !strings.Contains(err.Error(), "x.yaml:1: empty") {
		t.Errorf("an empty file: %v", err)
	}
}

func TestPointersThatPointNowhereAreNamed(t *testing.T) {
	b, err := Parse("x.yaml", []byte(sixteen(goodRows)))
	if err != nil {
		t.Fatal(err)
	}
	known := Known{Claims: NewSet("music/zipf: even"), Docs: NewSet("docs/music.md#limits")}
	if faults := b.Check(known); len(faults) != 0 {
		t.Errorf("all is known, yet %v", faults)
	}
	known.Docs = nil // no documents at hand: a released program
	if faults := b.Check(known); len(faults) != 0 {
		t.Errorf("documents are not at hand, yet %v", faults)
	}
	known.Docs = NewSet("docs/music.md")
	want := "x.yaml:16: 1.a points nowhere: doc: docs/music.md#limits"
	if faults := b.Check(known); len(faults) != 1 || faults[0].Error() != want {
		t.Errorf("got %v, want %s", faults, want)
	}
	if faults := b.Check(Known{}); len(faults) != 1 || !strings.Contains(faults[0].Error(), "x.yaml:15: 1.a points nowhere: claim: music/zipf: even") {
		t.Errorf("got %v", faults)
	}
}

func TestAnchorsAreThoseOfTheForges(t *testing.T) {
	docs, err := DocsIn(fstest.MapFS{
		"docs/a.md":      {Data: []byte("# A room: what's in it\n\n## Limits\ntext # not\n```\n# code\n```\n## Limits\n#hashtag\n")},
		"docs/b/c.md":    {Data: []byte("no heading")},
		"docs/notes.txt": {Data: []byte("# Not Markdown")},
	}, "docs")
	if err != nil {
		t.Fatal(err)
	}
	want := NewSet("docs/a.md", "docs/a.md#a-room-whats-in-it", "docs/a.md#limits", "docs/a.md#limits-1", "docs/b/c.md")
	for name := range want {
		if !docs[name] {
			t.Errorf("%s is missing", name)
		}
	}
	if len(docs) != len(want) {
		t.Errorf("got %v", docs)
	}
	if _, err := DocsIn(fstest.MapFS{}, "docs"); err == nil {
		t.Error("a folder that is not there must be an error")
	}
}

// sample is a question with a row in every state.
func sample() (Question, Extras) {
	q := Question{
		Number: 12, Seed: "003, Q8", System: "vending", Kind: "find and fix the problems",
		Title: "188,888 vending machines report at midnight", Figures: []string{"188,888 machines"},
		Asks: "Each machine reports at midnight. What is wrong?", Verdict: "They are a herd. Spread them <= an hour.",
		Concerns: []Concern{
			{ID: "12.herd", Kind: "concern", Text: "All machines call in the same moment, many times more than the server can take.", State: Proven, Where: []Pointer{{Kind: "claim", To: "vending/herd: none-lost"}, {Kind: "doc", To: "docs/vending.md#slots"}}},
			{ID: "12.identity", Kind: "technique", Text: "Each machine has its own token.", State: Done, Where: []Pointer{{Kind: "api", To: "POST /api/v1/vending/machines"}}},
			{ID: "12.peak", Kind: "technique", Text: "Know the rate at the peak.", State: Sized, Where: []Pointer{{Kind: "plan", To: "vending: peak"}}},
			{ID: "12.cache", Kind: "solution", Text: "Cache what is read often.", State: Declined, Where: []Pointer{{Kind: "reason", To: "a look-up by key is fast enough"}}},
			{ID: "12.routes", Kind: "technique", Text: "Plan the routes.", State: Unsolved},
		},
	}
	is := func(want, text string) func(a, b string) (string, bool) {
		return func(a, b string) (string, bool) { return text, a+"/"+b == want }
	}
	e := Extras{
		Figure:    func(s, x, c string) (string, bool) { return "0 lost (== 0), holds", s+x+c == "vendingherdnone-lost" },
		BreakEven: is("vending/herd", "fine up to 12,345 machines"),
		Size:      is("vending/peak", "Reports a second: 53 (P10 to P90: 51 to 58)"),
		Words:     func(string) []string { return []string{"prove", "plan", "serve"} },
	}
	return q, e
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (write it anew with -update):\n%s", path, got)
	}
}

func TestTellGolden(t *testing.T) {
	q, e := sample()
	var out bytes.Buffer
	if err := Tell(&out, q, e, Look{Width: 80}); err != nil {
		t.Fatal(err)
	}
	golden(t, "tell.txt", out.Bytes())
}

func TestJSONGolden(t *testing.T) {
	q, e := sample()
	var out bytes.Buffer
	if err := JSON(&out, []Question{q}, e); err != nil {
		t.Fatal(err)
	}
	golden(t, "tell.json", out.Bytes())
}

func TestEveryQuestionFitsItsWidth(t *testing.T) {
	b := open(t)
	for _, width := range []int{40, 60, 80, 120} {
		var out bytes.Buffer
		if err := List(&out, b, Look{Width: width}); err != nil {
			t.Fatal(err)
		}
		for _, q := range b.Questions {
			if err := Tell(&out, q, Extras{}, Look{Width: width}); err != nil {
				t.Fatal(err)
			}
		}
		for line := range strings.Lines(out.String()) {
			line = strings.TrimSuffix(line, "\n")
			// A pointer is one long word that must stay whole to be copied.
			if n := utf8.RuneCountInString(line); n > width && strings.Contains(strings.TrimSpace(line), " ") && !strings.Contains(line, "/") {
				t.Errorf("%d columns at width %d: %s", n, width, line)
			}
			if strings.TrimRight(line, " ") != line {
				t.Errorf("spaces at the end: %q", line)
			}
		}
	}
}

func TestColourIsNeverTheOnlySign(t *testing.T) {
	q, e := sample()
	var plain, coloured bytes.Buffer
	if err := errors.Join(Tell(&plain, q, e, Look{}), Tell(&coloured, q, e, Look{Colour: true})); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(plain.String(), "\x1b") || !strings.Contains(coloured.String(), "\x1b[32m12.herd\x1b[0m") {
		t.Error("colours must be there when asked for, and only then")
	}
	if got := regexp.MustCompile("\x1b\\[[0-9]+m").ReplaceAllString(coloured.String(), ""); got != plain.String() {
		t.Errorf("without its colours the text differs:\n%s", got)
	}
	if LookFor(&plain, func(string) string { return "" }).Colour {
		t.Error("a pipe gets no colours")
	}
}

func TestTheJSONOfTheBookKeepsItsContract(t *testing.T) {
	var out bytes.Buffer
	if err := JSON(&out, open(t).Questions, Extras{}); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Questions []struct {
			Number   int
			Concerns []struct{ ID, Text, State, Where string }
		}
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Questions) != 16 {
		t.Fatalf("%d questions", len(got.Questions))
	}
	for _, q := range got.Questions {
		for _, c := range q.Concerns {
			if (c.Where == "") != (c.State == "open") || c.ID == "" || c.Text == "" {
				t.Errorf("%+v", c)
			}
		}
	}
}

func TestAWriterThatFailsIsReported(t *testing.T) {
	q, e := sample()
	full := failing{}
	if Tell(full, q, e, Look{}) == nil || List(full, open(t), Look{}) == nil || JSON(full, []Question{q}, e) == nil {
		t.Error("a full disk must not look like success")
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestSearch(t *testing.T) {
	b := open(t)
	for _, c := range []struct{ words, first string }{
		{"vending", "question 12"},
		{"188,888", "question 12"},
		{"188888", "question 12"},
		{"crossword", "question 7"},
		{"16", "question 16"},
		{"VENDING jitter", "concern 12.jitter"},
		{"gdpr", "concern 2.personal-data"},
	} {
		hits := b.Search(c.words, 20)
		if len(hits) == 0 {
			t.Errorf("%q finds nothing", c.words)
			continue
		}
		got := hits[0].Kind + " " + hits[0].ID
		if hits[0].ID == "" {
			got += strconv.Itoa(hits[0].Question)
		}
		if got != c.first {
			t.Errorf("%q finds %s first, want %s", c.words, got, c.first)
		}
	}
	if hits := b.Search("the", 5); len(hits) != 5 {
		t.Errorf("a limit of 5 gave %d", len(hits))
	}
	for _, none := range []string{"", " ,;", "zzqq", "vending zzqq"} {
		if hits := b.Search(none, 5); len(hits) != 0 {
			t.Errorf("%q finds %v", none, hits)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sixteen(goodRows))
	f.Add("questions:\n  - number: 1\n")
	f.Add("questions: &a [*a]")
	f.Add("\xff\x00: {")
	f.Fuzz(func(t *testing.T, text string) {
		b, err := Parse("f.yaml", []byte(text))
		if err != nil {
			if !strings.Contains(err.Error(), "f.yaml") {
				t.Errorf("a fault without its file: %v", err)
			}
			return
		}
		// What loads keeps the invariants, and can be told.
		if len(b.Questions) != 16 {
			t.Errorf("%d questions", len(b.Questions))
		}
		for _, q := range b.Questions {
			for _, c := range q.Concerns {
				if c.Closed() == (len(c.Where) == 0) {
					t.Errorf("%s is %s with %d pointers", c.ID, c.State, len(c.Where))
				}
			}
			if err := Tell(&bytes.Buffer{}, q, Extras{}, Look{}); err != nil {
				t.Error(err)
			}
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	for b.Loop() {
		open(b)
	}
}

func ExampleBook_Search() {
	book, err := Open()
	if err != nil {
		panic(err)
	}
	for _, hit := range book.Search("vending jitter", 3) {
		os.Stdout.WriteString(hit.ID + "\n")
	}
	// Output: 12.jitter
}
