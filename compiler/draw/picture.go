// Package draw makes pictures of models: boxes for what has weights, arrows with the shapes of what flows, layers that are the same
// folded into one. A checked model flows in; text for Graphviz, Mermaid, SVG or a page that stands alone comes out. It draws what the
// recipe says, not what it is compiled to, so a model of any size is drawn at once; and it reads no files: the sources that a page
// shows are handed to it.
//
// picture.go says what is drawn: boxes within boxes and the arrows on each level. layout.go gives every box a place. dot.go, mermaid.go,
// svg.go and html.go write.
package draw

import (
	"fmt"
	"strings"

	"forge/dsl"
	"forge/dsl/check"
	"forge/dsl/diag"
)

// Picture is a model as it is drawn.
type Picture struct {
	Title string
	About string // parameters, stage
	Root  *Box
}

// Box is one thing in the picture: a block with its weights, an equation, what goes in or comes out.
type Box struct {
	ID    string // unique in the picture, made of letters, digits and `_`
	Role  Role
	Title string   // attn; layers 3…60
	Block string   // the block it is built from, "" for an equation
	Lines []string // what else is written in it
	Times int      // how many the box stands for: folded layers, experts of a bank
	// Params counts the trained numbers in all that the box stands for.
	Params int64
	Place  diag.Span // in the recipe, or in the block whose line it is
	Shape  string    // of what comes out
	Body   *check.Body

	Boxes []*Box
	Edges []Edge
}

// Edge is an arrow between two boxes of a level, by their positions in it.
type Edge struct{ From, To int }

// Role decides a box's color.
type Role string

// The roles.
const (
	Input     Role = "input" // and what comes out
	Layer     Role = "layer"
	Attention Role = "attention"
	Experts   Role = "experts"
	Router    Role = "router"
	Norm      Role = "norm"
	Dense     Role = "dense"
	Equation  Role = "equation"
)

// Model is the picture of a stage's model.
func Model(r *check.Recipe, s *check.Stage) *Picture {
	m := s.Model
	n := m.Count()
	about := fmt.Sprintf("%s parameters, %s active a token", Count(n.Params), Count(n.Active))
	if n.MTP > 0 {
		about += fmt.Sprintf(", %s more for multi-token prediction", Count(n.MTP))
	}
	b := &builder{opened: map[*check.Built]string{}}
	root := &Box{ID: "model", Role: Layer, Title: m.Name, Place: m.Span}
	stream := []*check.Axis{check.Batch, check.SeqAxis, m.DimAxis()}
	shape := axesText(stream)
	table := int64(m.Vocab) * int64(m.Dim)
	add := func(x *Box, from ...int) int {
		x.ID = fmt.Sprintf("b%d", b.next())
		root.Boxes = append(root.Boxes, x)
		for _, f := range from {
			root.Edges = append(root.Edges, Edge{f, len(root.Boxes) - 1})
		}
		return len(root.Boxes) - 1
	}
	tokens := add(&Box{Role: Input, Title: "tokens", Shape: "[batch, seq]"})
	embed := add(&Box{Role: Dense, Title: "embed", Lines: []string{axesText([]*check.Axis{m.VocabAxis(), m.DimAxis()})}, Params: table, Place: m.Span, Shape: shape}, tokens)
	last := embed
	for i := 0; i < len(m.Layers); {
		j := i + 1
		for j < len(m.Layers) && m.Layers[j] == m.Layers[i] {
			j++
		}
		title := fmt.Sprintf("layer %d", i)
		if j-i > 1 {
			title = fmt.Sprintf("layers %d…%d", i, j-1)
		}
		x := b.part(title, m.Layers[i].Body(stream), true)
		x.Role, x.Times = Layer, j-i
		x.Params *= int64(j - i)
		last = add(x, last)
		i = j
	}
	norm := b.part("norm", m.Norm.Body(stream), false)
	norm.Role = Norm
	normed := add(norm, last)
	head := &Box{Role: Dense, Title: "head", Params: table, Lines: []string{axesText([]*check.Axis{m.VocabAxis(), m.DimAxis()})}, Place: m.Span, Shape: axesText([]*check.Axis{check.Batch, check.SeqAxis, m.VocabAxis()})}
	if m.Tied {
		head.Params, head.Lines = 0, []string{"the table of embed"}
	}
	if m.MTP == nil {
		add(&Box{Role: Input, Title: "logits"}, add(head, normed))
	} else {
		x := b.part("mtp", m.MTP.Body(stream, stream), true)
		x.Role, x.Times = Layer, m.MTPDepth
		x.Params *= int64(m.MTPDepth)
		x.Lines = append(x.Lines, "training: what comes after the next token")
		at := add(head, normed)
		add(&Box{Role: Input, Title: "logits"}, at)
		next := add(x, last, embed)
		again := *head
		again.Params, again.Lines, again.Title = 0, []string{"the same table"}, "head"
		add(&Box{Role: Input, Title: "logits of later tokens"}, add(&again, next))
	}
	return &Picture{Title: r.Name, About: about, Root: root}
}

// builder numbers the boxes, and remembers where a block was drawn with its inside: once is enough.
type builder struct {
	n      int
	opened map[*check.Built]string
}

func (b *builder) next() int {
	b.n++
	return b.n
}

// part is the box of an applied block, opened where its inside is parts more than equations; whole opens it in any case.
func (b *builder) part(title string, body *check.Body, whole bool) *Box {
	x := &Box{ID: fmt.Sprintf("b%d", b.next()), Role: role(body), Title: title, Block: body.Built.Def.Name, Params: weights(body), Place: body.Built.Span, Shape: axesText(body.OutAxes), Body: body, Times: 1}
	first, again := b.opened[body.Built]
	switch {
	case again:
		x.Lines = []string{"as in " + first}
	case whole || opens(body):
		b.opened[body.Built] = title
		b.inside(x, body, false)
	default:
		x.Lines = attributes(body.Built)
	}
	return x
}

// Inside is the picture of one body, every equation drawn.
func Inside(body *check.Body) *Box {
	b := &builder{}
	x := &Box{ID: "inside", Role: Layer, Title: body.Built.Def.Name, Place: body.Built.Span, Body: body}
	b.inside(x, body, true)
	return x
}

// maxOpen is how many boxes an opened part has at most.
const maxOpen = 8

// opens reports whether a part is drawn with its inside.
func opens(body *check.Body) bool {
	parts := 0
	nodes := kept(body, false)
	for _, n := range nodes {
		if (n.Op == "apply" || n.Op == "route") && role(n.Body) != Norm {
			parts++
		}
	}
	return parts > 0 && len(nodes) <= maxOpen
}

// kept lists the nodes of a body that are drawn: what goes in, parts, named equations, the result, in order.
func kept(body *check.Body, deep bool) []*check.Node {
	reached := map[*check.Node]bool{}
	var reach func(n *check.Node)
	reach = func(n *check.Node) {
		if !reached[n] {
			reached[n] = true
			for _, a := range n.Args {
				reach(a)
			}
		}
	}
	if body.Out != nil {
		reach(body.Out)
	}
	var list []*check.Node
	for _, n := range body.Nodes {
		if reached[n] && drawn(body, n, deep) {
			list = append(list, n)
		}
	}
	return list
}

// drawn reports whether a node has a box. Without the text of the equations, products with a weight have one too.
func drawn(body *check.Body, n *check.Node, deep bool) bool {
	switch n.Op {
	case "weight", "state", "number", "schedule":
		return false
	case "input", "apply", "route":
		return true
	}
	return n.Name != "" || n == body.Out || !deep && weightOf(n) != nil
}

// weightOf is the weight that a product multiplies by, nil if there is none.
func weightOf(n *check.Node) *check.Node {
	if n.Op == "dot" {
		for _, a := range n.Args {
			if a.Op == "weight" {
				return a
			}
		}
	}
	return nil
}

// inside draws a body's nodes into its box. deep says that the box is drawn alone, with the text of its equations.
func (b *builder) inside(x *Box, body *check.Body, deep bool) {
	at := map[*check.Node]int{}
	seen := map[*check.Part]bool{}
	for _, n := range kept(body, deep) {
		var y *Box
		switch {
		case n.Op == "input":
			y = &Box{Role: Input, Title: n.Name, Place: n.Span}
		case n.Op == "apply":
			if deep {
				y = &Box{Role: role(n.Body), Title: n.Part.Name, Block: n.Body.Built.Def.Name, Params: weights(n.Body), Body: n.Body, Place: n.Body.Built.Span, Times: 1}
			} else {
				y = b.part(n.Part.Name, n.Body, false)
			}
			if seen[n.Part] {
				y.Params = 0
				y.Lines = []string{"the same weights again"}
			}
			seen[n.Part] = true
		case n.Op == "route":
			size := n.On[0].Size
			y = &Box{Role: Experts, Title: n.Part.Name, Block: n.Body.Built.Def.Name, Times: size, Params: weights(n.Body) * int64(size), Body: n.Body, Place: n.Body.Built.Span, Lines: attributes(n.Body.Built)}
		default:
			y = &Box{Role: Equation, Title: n.Name, Place: n.Span}
			if n == body.Out && n.Name == "" {
				y.Title = "return"
			}
			y.Lines = []string{clip(equationText(body, n), 44)}
			if deep {
				break
			}
			y.Lines = []string{symbol(n)}
			if w := weightOf(n); w != nil {
				y.Role, y.Title, y.Lines, y.Params = Dense, w.Name, []string{axesText(w.Axes)}, entries(w.Axes)
			} else if n == body.Out {
				y.Title = ""
			}
		}
		y.ID = fmt.Sprintf("b%d", b.next())
		y.Shape = axesText(n.Axes)
		at[n] = len(x.Boxes)
		x.Boxes = append(x.Boxes, y)
		for _, from := range sources(body, n, deep) {
			x.Edges = append(x.Edges, Edge{at[from], at[n]})
		}
	}
}

// sources are the drawn nodes that a node is computed from, each once.
func sources(body *check.Body, n *check.Node, deep bool) []*check.Node {
	var list []*check.Node
	seen := map[*check.Node]bool{}
	var visit func(m *check.Node)
	visit = func(m *check.Node) {
		for _, a := range m.Args {
			if seen[a] {
				continue
			}
			seen[a] = true
			if drawn(body, a, deep) {
				list = append(list, a)
			} else {
				visit(a)
			}
		}
	}
	visit(n)
	return list
}

// role tells a block by what it does.
func role(body *check.Body) Role {
	shared, wide := false, false
	for _, n := range body.Nodes {
		switch n.Op {
		case "cache", "scan":
			return Attention
		case "route":
			return Experts
		case "top":
			shared = true
		}
	}
	for _, w := range body.Weights {
		wide = wide || len(w.Axes) > 1
	}
	switch {
	case shared:
		return Router
	case !wide && len(body.Parts) == 0:
		return Norm
	case len(body.Parts) > 1:
		return Layer
	}
	return Dense
}

// weights counts the trained numbers of a body and its parts.
func weights(body *check.Body) int64 {
	total := int64(0)
	for _, w := range body.Weights {
		total += entries(w.Axes)
	}
	seen := map[*check.Part]bool{}
	for _, n := range body.Nodes {
		if n.Body == nil || n.Part == nil || seen[n.Part] {
			continue
		}
		seen[n.Part] = true
		inner := weights(n.Body)
		if n.Op == "route" {
			inner *= int64(n.On[0].Size)
		}
		total += inner
	}
	return total
}

func entries(axes []*check.Axis) int64 {
	n := check.WeightInfo{Axes: axes}
	return n.Entries()
}

// attributes are a block's numbers, as the box names them: heads 128, q_rank 1536.
func attributes(b *check.Built) []string {
	var words []string
	for _, p := range b.Def.Params {
		switch v := b.Attrs[p.Name].(type) {
		case check.Int:
			words = append(words, fmt.Sprintf("%s %d", p.Name, int64(v)))
		case check.Nothing:
			words = append(words, p.Name+" none")
		}
	}
	var lines []string
	for len(words) > 0 {
		n := min(3, len(words))
		lines = append(lines, strings.Join(words[:n], " · "))
		words = words[n:]
	}
	return lines
}

// symbol is what an equation of an opened part does, in short.
func symbol(n *check.Node) string {
	switch n.Op {
	case "add":
		return "+"
	case "mul":
		return "×"
	case "sub":
		return "−"
	}
	return n.Op
}

// equationText is the right side of the line that gives a node, as it is written.
func equationText(body *check.Body, n *check.Node) string {
	def := body.Built.Def
	source := ""
	for _, f := range def.Module.Files {
		if f.Name == def.File {
			source = f.Source
		}
	}
	for _, s := range def.Decl.Body {
		var value dsl.Expr
		switch s := s.(type) {
		case *dsl.Equation:
			for _, id := range s.Names {
				if id.Name == n.Name {
					value = s.Value
				}
			}
		case *dsl.Return:
			if n == body.Out && n.Name == "" {
				value = s.Value
			}
		}
		if value != nil {
			at := value.At()
			return strings.Join(strings.Fields(source[at.Start.Offset:at.End.Offset]), " ")
		}
	}
	return n.Op
}

func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// axesText prints axes with their sizes: [batch, seq, d=128].
func axesText(axes []*check.Axis) string {
	words := make([]string, len(axes))
	for i, a := range axes {
		words[i] = a.String()
	}
	return "[" + strings.Join(words, ", ") + "]"
}

// Count prints a number of parameters with four digits: 671.0B.
func Count(n int64) string {
	for _, u := range []struct {
		size int64
		name string
	}{{1e12, "T"}, {1e9, "B"}, {1e6, "M"}, {1e3, "k"}} {
		if n >= u.size {
			return fmt.Sprintf("%.4g%s", float64(n)/float64(u.size), u.name)
		}
	}
	return fmt.Sprint(n)
}
