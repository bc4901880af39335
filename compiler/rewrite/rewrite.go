// Package rewrite holds the rules that replace equations by equal ones which are cheaper. A rule is one file: the pattern, the
// replacement, and why they are equal. Rules see named axes and sizes, never a layout or a backend. Each is tried on every node,
// arguments first; what a rule does not recognise it leaves alone, so leaving any rule out only costs speed (`--no-rewrite` leaves
// out all of them, and tests compare both).
package rewrite

import "forge/compiler/equation"

// Rule is one rewrite.
type Rule struct {
	Name string
	Why  string // why both sides are equal, in one sentence
	// Apply gives the replacement of n, or n. n's arguments are rewritten already.
	Apply func(c *Context, n *equation.Node) *equation.Node
}

// Context is what a rule may ask about the program.
type Context struct {
	users    map[*equation.Node][]*equation.Node
	original map[*equation.Node]*equation.Node
	memo     map[any]*equation.Node
	taken    int
}

// Users lists who uses n, as the program was before this rule started; an output or update counts as nil.
func (c *Context) Users(n *equation.Node) []*equation.Node {
	if o := c.original[n]; o != nil {
		n = o
	}
	return c.users[n]
}

// Single reports whether n is used exactly once.
func (c *Context) Single(n *equation.Node) bool { return len(c.Users(n)) == 1 }

// Once makes a node at most once for a key, so that rewrites of several nodes can share it.
func (c *Context) Once(key any, make func() *equation.Node) *equation.Node {
	n := c.memo[key]
	if n == nil {
		n = make()
		c.memo[key] = n
	}
	return n
}

// Taken is a rule and how often it replaced something.
type Taken struct {
	Rule  string
	Count int
}

// Run applies the rules in order, each over the whole program.
func Run(p *equation.Program, rules []Rule) []Taken {
	var taken []Taken
	for _, r := range rules {
		c := &Context{users: equation.Users(p.Roots()), original: map[*equation.Node]*equation.Node{}, memo: map[any]*equation.Node{}}
		p.Rebuild(func(n, original *equation.Node) *equation.Node {
			c.original[n] = original
			m := r.Apply(c, n)
			if m != n {
				c.taken++
				m.Like(n)
				c.original[m] = original
			}
			return m
		})
		taken = append(taken, Taken{r.Name, c.taken})
	}
	return taken
}

// is reports whether n is the elementwise function fn.
func is(n *equation.Node, fn string) bool { return n.Kind == equation.Elementwise && n.Fn == fn }

// factor splits n into a node and a number it is multiplied by: x·3, 3·x, x/3 and −x, at any depth.
func factor(n *equation.Node) (*equation.Node, float64) {
	by := 1.0
	for {
		switch {
		case is(n, "mul") && n.Args[1].Kind == equation.Number:
			n, by = n.Args[0], by*n.Args[1].Num
		case is(n, "mul") && n.Args[0].Kind == equation.Number:
			n, by = n.Args[1], by*n.Args[0].Num
		case is(n, "div") && n.Args[1].Kind == equation.Number:
			n, by = n.Args[0], by/n.Args[1].Num
		case is(n, "neg"):
			n, by = n.Args[0], -by
		default:
			return n, by
		}
	}
}
