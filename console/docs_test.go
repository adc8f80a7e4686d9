package console

import (
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
)

func TestMarkdown(t *testing.T) {
	for src, want := range map[string]string{
		"# A b\n\none\ntwo\n":                                      `<h1 id="a-b">A b</h1>` + "\n<p>one two</p>\n",
		"## Same\n## Same\n":                                       `<h2 id="same">Same</h2>` + "\n" + `<h2 id="same-1">Same</h2>` + "\n",
		"- a **b**\n  goes on\n- `c*d*`\n":                         "<ul>\n<li>a <strong>b</strong> goes on</li>\n<li><code>c*d*</code></li>\n</ul>\n",
		"1. a\n2. b\n":                                             "<ol>\n<li>a</li>\n<li>b</li>\n</ol>\n",
		"```go\n# not a <heading>\n```\n# One\n":                   `<pre tabindex="0"><code># not a &lt;heading&gt;` + "\n</code></pre>\n" + `<h1 id="one">One</h1>` + "\n",
		"| a | b |\n|---|--:|\n| `x|y` | z\\|w |\n":                `<div class="scroll" tabindex="0"><table class="text">` + "\n<tr><th>a</th><th>b</th></tr>\n<tr><td><code>x|y</code></td><td>z|w</td></tr>\n</table></div>\n",
		"[x](vending.md#limits)":                                   `<p><a href="/docs/vending#limits">x</a></p>` + "\n",
		"[x](../README.md) [y](#z)":                                `<p>x <a href="#z">y</a></p>` + "\n",
		"[x](javascript:alert(1))":                                 "<p>x)</p>\n",
		"[x](https://example.com/?a=1&b=2)":                        `<p><a href="https://example.com/?a=1&amp;b=2">x</a></p>` + "\n",
		"- a\n  ```sh\n  b *c*\n    d\n  ```\n  e\n- f\n":          "<ul>\n<li>a\n" + `<pre tabindex="0"><code>` + "b *c*\n  d\n</code></pre>\ne</li>\n<li>f</li>\n</ul>\n",
		"1. a\n\n   ```\n   b\n\n   c\n   ```\n\n2. d\n\ne\n":      "<ol>\n<li>a\n" + `<pre tabindex="0"><code>` + "b\n\nc\n</code></pre>\n</li>\n<li>d</li>\n</ol>\n<p>e</p>\n",
		"- a\n\n```\nb\n```\n":                                     "<ul>\n<li>a</li>\n</ul>\n" + `<pre tabindex="0"><code>` + "b\n</code></pre>\n",
		"*`a *b* c`, 2 CPUs (x), seed 1.*\n<!-- /a -->\nd\n<!-- b": "<p><em><code>a *b* c</code>, 2 CPUs (x), seed 1.</em></p>\n<p>d &lt;!-- b</p>\n",
		"**a `b` *c* [d](#e)** *f*, (*g **h** i*)":                 `<p><strong>a <code>b</code> <em>c</em> <a href="#e">d</a></strong> <em>f</em>, (<em>g <strong>h</strong> i</em>)</p>` + "\n",
		"2 * 3 * 4, a*b*c, *.go and *.html, ** x **, *a `b*`":      "<p>2 * 3 * 4, a*b*c, *.go and *.html, ** x **, *a <code>b*</code></p>\n",
		"[*x* `y`](https://e.com/*a*)":                             `<p><a href="https://e.com/*a*"><em>x</em> <code>y</code></a></p>` + "\n",
		"<b>a</b> `unclosed":                                       "<p>&lt;b&gt;a&lt;/b&gt; `unclosed</p>\n",
		"```\nno end":                                              `<pre tabindex="0"><code>no end` + "\n</code></pre>\n",
	} {
		if got := string(markdown(".", src)); got != want {
			t.Errorf("%q\n got %q\nwant %q", src, got, want)
		}
	}
	if got := string(markdown("decisions", "[x](0002-b.md) [up](../architecture.md)")); got != `<p><a href="/docs/decisions/0002-b">x</a> <a href="/docs/architecture">up</a></p>`+"\n" {
		t.Error(got)
	}
}

// FuzzMarkdown: whatever the text, only our own tags come out.
func FuzzMarkdown(f *testing.F) {
	for _, s := range []string{"# a\n\n| `x|` |\n", "- a\n  b\n1. c", "[a](b.md\"onclick=x)", "**<script>**", "```\n", "[<](https://\">)", "|\n|-|", "- a\n  ```\n<b>", "1. a\n\n  ```\n  *b*\n", "*a **b** `c*` [*d*](#*e*)*", "***a***", "<!-- a -->"} {
		f.Add(s)
	}
	ours := regexp.MustCompile(`^(/?(p|h[1-6]|ul|ol|li|pre|code|strong|em|table|tr|th|td|div|a)|h[1-6] id="[^"<>]*"|pre tabindex="0"|div class="scroll" tabindex="0"|table class="text"|a href="(https?://|#|/docs/)[^"<>]*")$`)
	f.Fuzz(func(t *testing.T, src string) {
		out := string(markdown(".", src))
		for _, part := range strings.Split(out, "<")[1:] {
			tag, _, ok := strings.Cut(part, ">")
			if !ok || !ours.MatchString(tag) {
				t.Errorf("%q makes the tag %q", src, tag)
			}
		}
	})
}

func TestExamplesOfSchemasEnd(t *testing.T) {
	type node struct {
		Name string `json:"name"`
		Next *node  `json:"next,omitempty"`
		Kids []node `json:"kids,omitempty"`
	}
	reg := huma.NewMapRegistry("#/", huma.DefaultSchemaNamer)
	s := sketch{reg}
	schema := huma.SchemaFromType(reg, reflect.TypeFor[node]())
	if ex := s.example(schema); ex == "" || len(ex) > 100_000 {
		t.Errorf("an example of %d bytes", len(ex))
	}
	if n := len(s.fields(schema, "", 0)); n == 0 || n > 1000 {
		t.Errorf("%d fields", n)
	}
}
