package draw

import (
	"fmt"
	"io"
	"strings"
)

// heading is a box's first line: what it is and how often.
func (b *Box) heading() string {
	if b.Times > 1 {
		return fmt.Sprintf("%s ×%d", b.Title, b.Times)
	}
	return b.Title
}

// caption is a box's second line: the block it is built from and its parameters.
func (b *Box) caption() string {
	var words []string
	if b.Block != "" && b.Block != b.Title {
		words = append(words, b.Block)
	}
	if b.Params > 0 {
		words = append(words, Count(b.Params))
	}
	return strings.Join(words, " · ")
}

// label is all that is written in a box, a line each.
func (b *Box) label() []string {
	var lines []string
	for _, l := range append([]string{b.heading(), b.caption()}, b.Lines...) {
		if l != "" {
			lines = append(lines, l)
		}
	}
	return lines
}

// link is the address of a box's place: the file and its line.
func (b *Box) link() string {
	if b.Place.IsZero() {
		return ""
	}
	return fmt.Sprintf("%s#L%d", b.Place.File, b.Place.Start.Line)
}

// Dot writes the picture for Graphviz: parts that are opened are clusters.
func (p *Picture) Dot(w io.Writer) error {
	out := &strings.Builder{}
	fmt.Fprintf(out, "digraph forge {\n  compound=true;\n  label=%q;\n  labelloc=t;\n  node [shape=box, style=\"rounded,filled\", fillcolor=white, fontname=\"sans-serif\"];\n  edge [fontname=\"sans-serif\", fontsize=10];\n", p.Title+"\n"+p.About)
	dot(out, p.Root, "  ")
	out.WriteString("}\n")
	_, err := io.WriteString(w, out.String())
	return err
}

func dot(out *strings.Builder, b *Box, indent string) {
	for _, c := range b.Boxes {
		url := ""
		if c.link() != "" {
			url = fmt.Sprintf(", URL=%q", c.link())
		}
		if len(c.Boxes) == 0 {
			fmt.Fprintf(out, "%s%s [label=%q, fillcolor=%q%s];\n", indent, c.ID, strings.Join(c.label(), "\n"), colors[c.Role].fill, url)
			continue
		}
		fmt.Fprintf(out, "%ssubgraph cluster_%s {\n%s  label=%q;\n", indent, c.ID, indent, strings.Join(c.label(), "\n"))
		dot(out, c, indent+"  ")
		fmt.Fprintf(out, "%s}\n", indent)
	}
	for _, e := range b.Edges {
		from, to := b.Boxes[e.From], b.Boxes[e.To]
		attrs := []string{fmt.Sprintf("label=%q", from.Shape)}
		if len(from.Boxes) > 0 {
			attrs = append(attrs, "ltail=cluster_"+from.ID)
		}
		if len(to.Boxes) > 0 {
			attrs = append(attrs, "lhead=cluster_"+to.ID)
		}
		fmt.Fprintf(out, "%s%s -> %s [%s];\n", indent, from.last().ID, to.first().ID, strings.Join(attrs, ", "))
	}
}

// first and last are the boxes without an inside that stand for a box where only such can be joined.
func (b *Box) first() *Box {
	for len(b.Boxes) > 0 {
		b = b.Boxes[0]
	}
	return b
}

func (b *Box) last() *Box {
	for len(b.Boxes) > 0 {
		b = b.Boxes[len(b.Boxes)-1]
	}
	return b
}

// Mermaid writes the picture as a Mermaid flowchart, which many viewers of Markdown draw.
func (p *Picture) Mermaid(w io.Writer) error {
	out := &strings.Builder{}
	fmt.Fprintf(out, "---\ntitle: %q\n---\nflowchart TB\n", p.Title+": "+p.About)
	mermaid(out, p.Root, "  ")
	_, err := io.WriteString(w, out.String())
	return err
}

func mermaid(out *strings.Builder, b *Box, indent string) {
	quote := strings.NewReplacer(`"`, "#quot;", "<", "#lt;", ">", "#gt;").Replace
	for _, c := range b.Boxes {
		var lines []string
		for _, l := range c.label() {
			lines = append(lines, quote(l))
		}
		text := strings.Join(lines, "<br/>")
		if len(c.Boxes) == 0 {
			fmt.Fprintf(out, "%s%s[\"%s\"]\n", indent, c.ID, text)
			if c.link() != "" {
				fmt.Fprintf(out, "%sclick %s href \"%s\"\n", indent, c.ID, c.link())
			}
			continue
		}
		fmt.Fprintf(out, "%ssubgraph %s [\"%s\"]\n", indent, c.ID, text)
		mermaid(out, c, indent+"  ")
		fmt.Fprintf(out, "%send\n", indent)
	}
	for _, e := range b.Edges {
		from, to := b.Boxes[e.From], b.Boxes[e.To]
		if from.Shape == "" {
			fmt.Fprintf(out, "%s%s --> %s\n", indent, from.ID, to.ID)
			continue
		}
		fmt.Fprintf(out, "%s%s -- \"%s\" --> %s\n", indent, from.ID, from.Shape, to.ID)
	}
}
