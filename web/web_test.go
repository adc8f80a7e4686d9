package web_test

import (
	"bytes"
	"compress/gzip"
	"encoding/xml"
	"fmt"
	"io"
	"io/fs"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"plumb/web"
)

func read(t *testing.T, name string) string {
	t.Helper()
	for _, tree := range web.Files() {
		if b, err := fs.ReadFile(tree, name); err == nil {
			return string(b)
		}
	}
	t.Fatalf("no file %s", name)
	return ""
}

// schemes reads the tokens of the light and the dark scheme from the sheet.
func schemes(t *testing.T) (light, dark map[string]string) {
	t.Helper()
	css := read(t, "console.css")
	token := regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{6});`)
	at := strings.Index(css, "prefers-color-scheme: dark")
	if at < 0 {
		t.Fatal("no dark scheme")
	}
	end := at + strings.Index(css[at:], "} }")
	light, dark = map[string]string{}, map[string]string{}
	for _, m := range token.FindAllStringSubmatch(css[:at], -1) {
		light[m[1]], dark[m[1]] = m[2], m[2]
	}
	for _, m := range token.FindAllStringSubmatch(css[at:end], -1) {
		dark[m[1]] = m[2]
	}
	return light, dark
}

// contrast is WCAG 2.2's ratio of two colours' relative luminances.
func contrast(a, b string) float64 {
	l := func(hex string) float64 {
		var sum float64
		for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
			n, err := strconv.ParseUint(hex[1+2*i:3+2*i], 16, 8)
			if err != nil {
				return math.NaN()
			}
			c := float64(n) / 255
			if c <= 0.04045 {
				c /= 12.92
			} else {
				c = math.Pow((c+0.055)/1.055, 2.4)
			}
			sum += weight * c
		}
		return sum
	}
	x, y := l(a), l(b)
	return (math.Max(x, y) + 0.05) / (math.Min(x, y) + 0.05)
}

// TestContrast holds every pair that carries text to 4.5:1, and what only
// outlines a control to 3:1 (WCAG 2.2, 1.4.3 and 1.4.11), in both schemes.
func TestContrast(t *testing.T) {
	light, dark := schemes(t)
	for scheme, tokens := range map[string]map[string]string{"light": light, "dark": dark} {
		need := func(fore, back string, least float64) {
			f, b := tokens[fore], tokens[back]
			if f == "" || b == "" {
				t.Fatalf("%s: no token %s or %s", scheme, fore, back)
			}
			if c := contrast(f, b); !(c >= least) {
				t.Errorf("%s: %s %s on %s %s is %.2f, must be %.1f", scheme, fore, f, back, b, c, least)
			}
		}
		for _, ground := range []string{"paper", "card", "sunk"} {
			for _, text := range []string{"ink", "soft", "accent", "good", "bad", "mid"} {
				need(text, ground, 4.5)
			}
			need("edge", ground, 3)
		}
		for _, pair := range [][2]string{{"on-accent", "accent"}, {"accent", "accent-soft"}, {"good", "good-soft"}, {"bad", "bad-soft"}, {"mid", "mid-soft"}} {
			need(pair[0], pair[1], 4.5)
		}
	}
	if c := contrast("#000000", "#ffffff"); math.Abs(c-21) > 0.01 {
		t.Errorf("black on white is %v", c)
	}
}

// TestSheetUsesItsTokens finds a variable that nobody defined, and a colour
// that is written outside of the tokens.
func TestSheetUsesItsTokens(t *testing.T) {
	css := read(t, "console.css")
	for _, m := range regexp.MustCompile(`var\(--([a-z0-9-]+)`).FindAllStringSubmatch(css, -1) {
		if !strings.Contains(css, "--"+m[1]+":") {
			t.Errorf("--%s is used and never defined", m[1])
		}
	}
	_, rules, _ := strings.Cut(css, "/* Ground */")
	rules, _, _ = strings.Cut(rules, "@media print")
	if hex := regexp.MustCompile(`#[0-9a-fA-F]{3,8}\b`).FindString(rules); hex != "" {
		t.Errorf("the colour %s stands outside of the tokens", hex)
	}
	if strings.Contains(css, "url(") || strings.Contains(css, "@import") {
		t.Error("the sheet loads something")
	}
	if open, shut := strings.Count(css, "{"), strings.Count(css, "}"); open != shut {
		t.Errorf("%d braces open, %d close", open, shut)
	}
}

// TestIcons: the sprite is well formed and its symbols have names of their own.
func TestIcons(t *testing.T) {
	for _, name := range []string{"icons.svg", "icon.svg"} {
		seen := map[string]bool{}
		d := xml.NewDecoder(strings.NewReader(read(t, name)))
		for {
			tok, err := d.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if e, ok := tok.(xml.StartElement); ok && e.Name.Local == "symbol" {
				for _, a := range e.Attr {
					if a.Name.Local == "id" && seen[a.Value] {
						t.Errorf("%s: two icons named %s", name, a.Value)
					} else if a.Name.Local == "id" {
						seen[a.Value] = true
					}
				}
			}
		}
	}
}

// TestScriptsLoadOnlyEachOther: imports are relative and exist, and nothing
// needs what the content security policy forbids.
func TestScriptsLoadOnlyEachOther(t *testing.T) {
	names := []string{"js/main.js", "js/times.js", "js/tables.js", "js/progress.js", "js/sliders.js", "js/files.js", "js/photos.js", "js/photos-upload.js"}
	for _, name := range names {
		js := read(t, name)
		for _, m := range regexp.MustCompile(`from "([^"]+)"`).FindAllStringSubmatch(js, -1) {
			if !strings.HasPrefix(m[1], "./") {
				t.Errorf("%s imports %s", name, m[1])
				continue
			}
			read(t, "js/"+strings.TrimPrefix(m[1], "./"))
		}
		for _, bad := range []string{"eval(", "new Function", "innerHTML", "http://", "https://", "style="} {
			if strings.Contains(js, bad) {
				t.Errorf("%s: %s", name, bad)
			}
		}
	}
}

// TestFirstPageIsSmall: all that a first page loads is below 100 KB compressed,
// with room for the page itself.
func TestFirstPageIsSmall(t *testing.T) {
	total, said := 0, ""
	for _, name := range []string{"console.css", "icons.svg", "icon.svg", "htmx.min.js", "js/main.js", "js/times.js", "js/tables.js", "js/progress.js", "js/sliders.js"} {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := io.WriteString(z, read(t, name)); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		total += b.Len()
		said += fmt.Sprintf(" %s %d", name, b.Len())
	}
	if total > 60<<10 {
		t.Errorf("%d bytes:%s", total, said)
	}
	t.Logf("%d bytes compressed:%s", total, said)
}

// TestLicences: what others wrote is listed and has its licence beside it.
func TestLicences(t *testing.T) {
	list := read(t, "README.md")
	for _, name := range []string{"htmx.min.js", "tus.min.js"} {
		if !strings.Contains(list, "`"+name+"`") || len(read(t, strings.TrimSuffix(name, ".min.js")+".LICENSE")) < 100 {
			t.Errorf("%s has no licence here", name)
		}
	}
}
