package equation

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// String is the node's right side, arguments by name.
func (n *Node) String() string { return n.text(func(m *Node) string { return label(m) }) }

func label(n *Node) string {
	if n.Kind == Number {
		return strconv.FormatFloat(n.Num, 'g', -1, 64)
	}
	if n.Name != "" {
		return n.Name
	}
	return string(n.Kind)
}

func axisNames(axes []*Axis) string {
	names := make([]string, len(axes))
	for i, a := range axes {
		if a == nil {
			names[i] = "·"
			continue
		}
		names[i] = a.Name
	}
	return strings.Join(names, ", ")
}

func (n *Node) text(arg func(*Node) string) string {
	args := make([]string, len(n.Args))
	for i, a := range n.Args {
		args[i] = arg(a)
	}
	list := strings.Join(args, ", ")
	switch n.Kind {
	case Input, Storage, Number:
		return label(n)
	case Elementwise:
		if sign, ok := map[string]string{"add": "+", "sub": "-", "mul": "*", "div": "/", "pow": "^"}[n.Fn]; ok && len(args) == 2 {
			return args[0] + " " + sign + " " + args[1]
		}
		return n.Fn + "(" + list + ")"
	case Reduce:
		return n.Fn + "[" + axisNames(n.On) + "](" + list + ")"
	case Apply:
		return n.Expr.String() + " of (" + list + ")"
	}
	s := string(n.Kind)
	switch {
	case len(n.To) > 0:
		s += "[" + axisNames(n.On) + " -> " + axisNames(n.To) + "]"
	case len(n.On) > 0:
		s += "[" + axisNames(n.On) + "]"
	case n.Scores != nil:
		s += "[" + axisNames(n.Scores.Features) + "; " + n.Scores.Key.Name + "]"
	}
	switch n.Kind {
	case Top, Prev, Slice, RoutePlan:
		list += ", " + strconv.Itoa(n.N)
	case RMSNorm:
		list += fmt.Sprintf(", eps = %g", n.Num)
	case Causal:
		if n.N > 0 {
			list += fmt.Sprintf(", window = %d", n.N)
		}
	case Attention:
		list += fmt.Sprintf(", scale = %.6g", n.Scores.Scale)
		if n.Scores.Window > 0 {
			list += fmt.Sprintf(", window = %d", n.Scores.Window)
		}
	}
	return s + "(" + list + ")"
}

// Print writes the equations, one a line: `path.name: [axis=size, …] = right side`, arguments before uses.
func (p *Program) Print(w io.Writer) error {
	names, taken := map[*Node]string{}, map[string]int{}
	var failed error
	line := func(format string, args ...any) {
		if _, err := fmt.Fprintf(w, format, args...); err != nil && failed == nil {
			failed = err
		}
	}
	Walk(p.Roots(), func(n *Node) {
		if n.Kind == Number {
			return
		}
		name := n.Name
		if n.Kind != Input && n.Kind != Storage {
			if name == "" {
				name = "_"
			}
			if n.Place.Path != "" {
				name = n.Place.Path + "." + name
			}
			taken[name]++
			if k := taken[name]; k > 1 || n.Name == "" {
				name += strconv.Itoa(k)
			}
		}
		names[n] = name
		sizes := make([]string, len(n.Axes))
		for i, a := range n.Axes {
			sizes[i] = fmt.Sprintf("%s=%d", a.Name, a.Size)
		}
		if n.Kind == Input || n.Kind == Storage {
			line("%-8s %s[%s]\n", n.Kind, name, strings.Join(sizes, ", "))
			return
		}
		line("%s: [%s] = %s\n", name, strings.Join(sizes, ", "), n.text(func(m *Node) string {
			if m.Kind == Number {
				return label(m)
			}
			return names[m]
		}))
	})
	for _, u := range p.Updates {
		line("update   %s = %s\n", names[u.Storage], names[u.Value])
	}
	for _, o := range p.Outputs {
		line("output   %s = %s\n", o.Name, names[o.Node])
	}
	return failed
}
