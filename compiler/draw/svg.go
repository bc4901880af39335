package draw

import (
	"fmt"
	"html"
	"io"
	"strings"
)

// color is how a role looks.
type color struct{ fill, line, text string }

// colors are told apart by hue, and by the words in the boxes where hues are not seen.
var colors = map[Role]color{
	Input:     {"#f1f3f5", "#868e96", "#5c6670"},
	Layer:     {"#fbfbfd", "#adb5bd", "#5c6670"},
	Attention: {"#e3f0fd", "#3b82c4", "#1c6bb0"},
	Experts:   {"#fff1dc", "#d98a1f", "#9a5c06"},
	Router:    {"#f3e8fd", "#9254c8", "#7a3db3"},
	Norm:      {"#f1f3f5", "#98a1aa", "#5c6670"},
	Dense:     {"#e3f5e9", "#3f9d63", "#23803f"},
	Equation:  {"#ffffff", "#ced4da", "#5c6670"},
}

// SVG writes the picture as one drawing; every box with a place is a link to its line of the recipe.
func (p *Picture) SVG(w io.Writer) error {
	_, err := io.WriteString(w, drawing(p.Root, p.Title, p.About, func(b *Box) string { return b.link() }))
	return err
}

// drawing is an SVG element. link gives the address of a box, "" for none.
func drawing(b *Box, title, about string, link func(*Box) string) string {
	l := layout(b)
	top := 0.0
	if title != "" {
		top = 58
	}
	const margin = 16.0
	out := &strings.Builder{}
	width, height := max(l.w+2*margin, float64(len(about))*7+2*margin), l.h+top+2*margin
	fmt.Fprintf(out, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f" font-family="system-ui, 'Segoe UI', Helvetica, Arial, sans-serif">`+"\n", width, height, width, height)
	out.WriteString(`<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0,0.5 L7.5,4 L0,7.5 z" fill="#868e96"/></marker></defs>` + "\n")
	fmt.Fprintf(out, `<rect width="100%%" height="100%%" fill="#ffffff"/>`+"\n")
	if title != "" {
		fmt.Fprintf(out, `<text x="%.0f" y="34" font-size="20" font-weight="650" fill="#212529">%s</text>`+"\n", margin, html.EscapeString(title))
		fmt.Fprintf(out, `<text x="%.0f" y="54" font-size="13" fill="#5c6670">%s</text>`+"\n", margin, html.EscapeString(about))
	}
	l.x, l.y = (width-l.w)/2, top+margin
	draw(out, l, link)
	out.WriteString("</svg>\n")
	return out.String()
}

// draw writes a box, what is in it, and its arrows.
func draw(out *strings.Builder, p *placed, link func(*Box) string) {
	b := p.box
	fmt.Fprintf(out, `<g transform="translate(%.1f %.1f)">`+"\n", p.x, p.y)
	address := link(b)
	if address != "" {
		fmt.Fprintf(out, `<a href="%s">`, html.EscapeString(address))
	}
	c := colors[b.Role]
	radius := 7.0
	if b.Role == Input || b.Role == Equation && b.Title == "" {
		radius = p.h / 2
	}
	fmt.Fprintf(out, `<rect class="box" width="%.1f" height="%.1f" rx="%.1f" fill="%s" stroke="%s"/>`+"\n", p.w, p.h, radius, c.fill, c.line)
	if b.Times > 1 && b.Role == Layer { // a pile
		fmt.Fprintf(out, `<path d="M%.1f,-4 H%.1f a7,7 0 0 1 7,7 V%.1f" fill="none" stroke="%s"/>`+"\n", 10.0, p.w-3, p.h-10, c.line)
	}
	y := padding / 2
	line := func(text string, size float64, weight, fill string, height float64) {
		if text == "" {
			return
		}
		y += height
		fmt.Fprintf(out, `<text x="%.1f" y="%.1f" font-size="%.4g" font-weight="%s" fill="%s" text-anchor="middle">%s</text>`+"\n", p.w/2, y-4, size, weight, fill, html.EscapeString(text))
	}
	if b.Title == "" && len(b.Boxes) == 0 {
		y = (p.h-lineHeight)/2 - 1
	}
	line(b.heading(), 14, "600", "#212529", titleHeight)
	line(b.caption(), 12.5, "400", c.text, lineHeight)
	for _, l := range b.Lines {
		line(l, 12, "400", "#495057", lineHeight)
	}
	if address != "" {
		out.WriteString("</a>")
	}
	for i, way := range p.ways {
		fmt.Fprintf(out, `<path d="%s" fill="none" stroke="#868e96" stroke-width="1.3" marker-end="url(#arrow)"/>`+"\n", curve(way))
		e := b.Edges[i]
		if firstEdge(b, i) && b.Boxes[e.From].Shape != "" {
			fmt.Fprintf(out, `<text x="%.1f" y="%.1f" font-size="11" fill="#6c757d">%s</text>`+"\n", way[0].x+7, way[0].y+15, html.EscapeString(b.Boxes[e.From].Shape))
		}
	}
	for _, c := range p.boxes {
		draw(out, c, link)
	}
	out.WriteString("</g>\n")
}

// firstEdge reports whether no earlier edge leaves the same box: the shape is written once.
func firstEdge(b *Box, i int) bool {
	for _, e := range b.Edges[:i] {
		if e.From == b.Edges[i].From {
			return false
		}
	}
	return true
}

// curve is a path through points that enters and leaves each of them downwards.
func curve(way []point) string {
	out := &strings.Builder{}
	fmt.Fprintf(out, "M%.1f,%.1f", way[0].x, way[0].y)
	for i := 1; i < len(way); i++ {
		a, b := way[i-1], way[i]
		if a.x == b.x {
			fmt.Fprintf(out, " L%.1f,%.1f", b.x, b.y)
			continue
		}
		half := (b.y - a.y) / 2
		fmt.Fprintf(out, " C%.1f,%.1f %.1f,%.1f %.1f,%.1f", a.x, a.y+half, b.x, b.y-half, b.x, b.y)
	}
	return out.String()
}
