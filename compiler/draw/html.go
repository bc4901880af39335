package draw

import (
	_ "embed"
	"fmt"
	"html"
	"io"
	"strings"

	"forge/dsl/check"
	"forge/dsl/diag"
)

// The page's style and behaviour; it asks the network for nothing.
//
//go:embed page.html
var page string

// HTML writes the picture as a page that stands alone: the drawing and, for each box, its weights, its inside and its lines of the
// recipe. sources gives the texts of files by the names of places.
func (p *Picture) HTML(w io.Writer, sources func(name string) (string, bool)) error {
	details := &strings.Builder{}
	known := map[string]string{} // details by what they show
	address := func(b *Box) string {
		if b.Place.IsZero() && b.Body == nil {
			return ""
		}
		k := fmt.Sprint(b.Place, b.Title, bodyKey(b.Body))
		id, ok := known[k]
		if !ok {
			id = fmt.Sprintf("detail-%d", len(known))
			known[k] = id
			fmt.Fprintf(details, "<section data-id=%q>\n%s</section>\n", id, detail(b, sources))
		}
		return "#" + id
	}
	svg := drawing(p.Root, "", "", address)
	text := strings.NewReplacer("{{title}}", html.EscapeString(p.Title), "{{about}}", html.EscapeString(p.About), "{{drawing}}", svg, "{{details}}", details.String()).Replace(page)
	_, err := io.WriteString(w, text)
	return err
}

func bodyKey(b *check.Body) string {
	if b == nil {
		return ""
	}
	return fmt.Sprintf("%p", b)
}

// detail is what the page says of a box.
func detail(b *Box, sources func(string) (string, bool)) string {
	out := &strings.Builder{}
	words := b.label()
	fmt.Fprintf(out, "<h2>%s</h2>\n<p class=\"about\">%s</p>\n", html.EscapeString(words[0]), html.EscapeString(strings.Join(words[1:], " · ")))
	if !b.Place.IsZero() {
		fmt.Fprintf(out, "<p><code>%s</code></p>\n%s", html.EscapeString(b.Place.String()), listing(b.Place, b.Place.Start.Line, b.Place.End.Line, sources))
	}
	if b.Body == nil {
		return out.String()
	}
	if len(b.Body.Weights)+len(b.Body.States) > 0 {
		out.WriteString("<h3>Weights</h3>\n<table>\n")
		for _, w := range b.Body.Weights {
			fmt.Fprintf(out, "<tr><td><code>%s</code></td><td><code>%s</code></td><td>%s</td></tr>\n", w.Name, axesText(w.Axes), Count(entries(w.Axes)))
		}
		for _, s := range b.Body.States {
			fmt.Fprintf(out, "<tr><td><code>%s</code></td><td><code>%s</code></td><td>state</td></tr>\n", s.Name, axesText(s.Axes))
		}
		out.WriteString("</table>\n")
	}
	if b.Body.Out != nil {
		fmt.Fprintf(out, "<h3>Inside</h3>\n<div class=\"inside\">%s</div>\n", drawing(Inside(b.Body), "", "", func(*Box) string { return "" }))
	}
	def := b.Body.Built.Def
	at := def.Decl.Span
	fmt.Fprintf(out, "<h3>Definition</h3>\n<p><code>%s</code></p>\n%s", html.EscapeString(at.String()), listing(at, at.Start.Line, at.End.Line, sources))
	return out.String()
}

// listing is lines of a file with their numbers.
func listing(at diag.Span, from, to int, sources func(string) (string, bool)) string {
	source, ok := sources(at.File)
	if !ok {
		return ""
	}
	lines := strings.Split(source, "\n")
	out := &strings.Builder{}
	out.WriteString("<pre>")
	for n := max(from, 1); n <= min(to, len(lines)); n++ {
		fmt.Fprintf(out, "<span class=\"number\">%4d</span>  %s\n", n, html.EscapeString(lines[n-1]))
	}
	out.WriteString("</pre>\n")
	return out.String()
}
