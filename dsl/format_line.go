package dsl

import "strconv"

// The formatter's documents of cells, statements and values.

// assigned is `= value` after a name.
func (w *writer) assigned(value Expr) row {
	return row{gap{}, w.word("="), gap{}, w.expr(value)}
}

func (w *writer) cell(c *Cell) document {
	var doc row
	if c.Let {
		doc = append(doc, w.word("let"), gap{})
	}
	if c.Text != nil {
		doc = append(doc, w.str(*c.Text))
	}
	for i, segment := range c.Key {
		if i > 0 {
			doc = append(doc, w.word("."))
		}
		doc = append(doc, w.word(segment.Name.Name))
		if segment.Index != nil {
			doc = append(doc, w.word("["), w.expr(segment.Index), w.word("]"))
		}
	}
	return append(doc, w.assigned(c.Value)...)
}

func (w *writer) stmt(s Stmt) document {
	switch s := s.(type) {
	case *Weight:
		doc := row{w.word("weight"), gap{}, w.word(s.Name.Name), w.shape(s.Shape)}
		if s.Init != nil {
			doc = append(doc, gap{}, w.word("~"), gap{}, w.expr(s.Init))
		}
		return w.guarded(doc, s.Guard)
	case *State:
		doc := row{w.word("state"), gap{}, w.word(s.Name.Name), w.shape(s.Shape)}
		return w.guarded(append(doc, w.assigned(s.Value)...), s.Guard)
	case *Part:
		doc := row{w.word("part"), gap{}, w.word(s.Name.Name)}
		if s.Bank != nil {
			doc = append(doc, w.shape(*s.Bank))
		}
		return append(doc, w.assigned(s.Value)...)
	case *Require:
		doc := row{w.word("require"), gap{}, w.expr(s.Cond)}
		if s.Why != nil {
			doc = append(doc, w.comma(), gap{}, w.str(*s.Why))
		}
		return doc
	case *Effect:
		doc := row{w.word(s.Kind), gap{}, w.word(s.Name.Name)}
		return append(doc, w.assigned(s.Value)...)
	case *Return:
		return row{w.word("return"), gap{}, w.expr(s.Value)}
	}
	return w.equation(s.(*Equation))
}

func (w *writer) equation(e *Equation) document {
	var doc row
	for i, one := range e.Names {
		if i > 0 {
			doc = append(doc, w.comma(), gap{})
		}
		doc = append(doc, w.word(one.Name))
	}
	if e.Shape != nil {
		doc = append(doc, w.word(":"), gap{}, w.shape(*e.Shape))
	}
	return append(doc, w.assigned(e.Value)...)
}

// guarded adds the trailing `if`.
func (w *writer) guarded(doc row, guard Expr) document {
	if guard == nil {
		return doc
	}
	return append(doc, gap{}, w.word("if"), gap{}, w.expr(guard))
}

func (w *writer) expr(e Expr) document {
	switch e := e.(type) {
	case *Number:
		raw := e.Raw
		if raw == "" {
			raw = numberText(e)
		}
		if e.Unit == "" {
			return w.word(raw)
		}
		return row{w.word(raw), gap{}, w.word(e.Unit)}
	case *Text:
		return w.str(e.Str)
	case *Bool:
		return w.word(strconv.FormatBool(e.Value))
	case *Name:
		return w.word(e.Name)
	case *Paren:
		return w.group(func() []document {
			return []document{w.word("("), nested{softLine{}, w.expr(e.X)}, softLine{}, w.word(")")}
		})
	case *List:
		if len(e.Items) == 1 && e.Items[0].Over != nil {
			return w.list("[", "]", "", 1, func(int) document {
				return w.group(func() []document { return append([]document{w.expr(e.Items[0].Value)}, w.loop(e.Items[0])...) })
			})
		}
		return w.list("[", "]", ",", len(e.Items), func(i int) document { return w.item(e.Items[i]) })
	case *Call:
		return row{w.expr(e.Fn), w.list("(", ")", ",", len(e.Args), func(i int) document {
			argument := e.Args[i]
			if argument.Name.Name == "" {
				return w.expr(argument.Value)
			}
			return append(row{w.word(argument.Name.Name)}, w.assigned(argument.Value)...)
		})}
	case *Index:
		return row{w.expr(e.X), w.axes(e)}
	case *Member:
		return row{w.expr(e.X), w.word("."), w.word(e.Name.Name)}
	case *Unary:
		doc := row{w.word(e.Op)}
		if e.Op == "not" {
			doc = append(doc, gap{})
		}
		return append(doc, w.expr(e.X))
	case *Binary:
		return w.chain(e)
	}
	return w.choice(e.(*Cond))
}

// choice is broken before `if` and before `else`, or not at all.
func (w *writer) choice(c *Cond) document {
	return w.group(func() []document {
		then := w.expr(c.Then)
		return []document{then, nested{
			softLine{text: " "}, w.word("if"), gap{}, w.expr(c.If),
			softLine{text: " "}, w.word("else"), gap{}, w.expr(c.Else),
		}}
	})
}

// item is one of several items of a list.
func (w *writer) item(item ListItem) document {
	if item.Over == nil {
		return w.expr(item.Value)
	}
	return w.group(func() []document { return []document{w.expr(item.Value), nested(w.loop(item))} })
}

// loop is the `for` of an item: below the value where it has no room behind it, and deeper where other items follow.
func (w *writer) loop(item ListItem) []document {
	return []document{softLine{text: " "}, w.word("for"), gap{}, w.word(item.Var.Name), gap{}, w.word("in"), gap{}, w.expr(item.Over)}
}

// axes is the bracket of an Index.
func (w *writer) axes(e *Index) document {
	return w.group(func() []document {
		parts := []document{w.word("[")}
		items := nested{softLine{}}
		add := func(axes []Expr) {
			for i, axis := range axes {
				if i > 0 {
					items = append(items, w.comma(), softLine{" ", true})
				}
				items = append(items, w.expr(axis))
			}
		}
		add(e.Axes)
		if e.Arrow {
			items = append(items, softLine{text: " "}, w.word("->"), gap{})
			add(e.To)
		}
		return append(parts, items, softLine{}, w.word("]"))
	})
}

// chain is operators of one strength, broken before each of them. A schedule of three pieces or more always is; a range never.
func (w *writer) chain(e *Binary) document {
	if e.Op == ".." {
		return row{w.expr(e.X), w.word(e.Op), w.expr(e.Y)}
	}
	return w.group(func() []document {
		links := []*Binary{e}
		for strength[e.Op] != power {
			left, ok := links[len(links)-1].X.(*Binary)
			if !ok || strength[left.Op] != strength[e.Op] {
				break
			}
			links = append(links, left)
		}
		first := w.expr(links[len(links)-1].X)
		var rest nested
		for i := len(links) - 1; i >= 0; i-- {
			rest = append(rest, softLine{text: " "}, w.word(links[i].Op), gap{}, w.expr(links[i].Y))
		}
		parts := []document{first, rest}
		if e.Op == "then" && len(links) >= 2 {
			parts = append(parts, group{force: true})
		}
		return parts
	})
}

// numberText writes a number that no source has.
func numberText(n *Number) string {
	if n.Whole {
		return strconv.FormatInt(n.Int, 10)
	}
	text := strconv.FormatFloat(n.Value, 'g', -1, 64)
	if _, err := strconv.Atoi(text); err == nil {
		text += ".0"
	}
	return text
}
