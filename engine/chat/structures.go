package chat

import (
	"errors"
	"fmt"

	"github.com/nikolalohinski/gonja/v2/builtins"
	controlStructures "github.com/nikolalohinski/gonja/v2/builtins/control_structures"
	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/nodes"
	"github.com/nikolalohinski/gonja/v2/parser"
	"github.com/nikolalohinski/gonja/v2/tokens"
)

// hook is a node that does something when rendering comes to it.
type hook struct {
	at *tokens.Token
	do func() error
}

func (h *hook) Position() *tokens.Token                                    { return h.at }
func (h *hook) String() string                                             { return "limit" }
func (h *hook) Execute(*exec.Renderer, *nodes.ControlStructureBlock) error { return h.do() }

// before puts a hook in front of a body, after one behind it.
func before(body *nodes.Wrapper, do func() error) {
	h := &nodes.ControlStructureBlock{Location: body.Location, Name: "limit", ControlStructure: &hook{body.Location, do}}
	body.Nodes = append([]nodes.Node{h}, body.Nodes...)
}

func after(body *nodes.Wrapper, do func() error) {
	h := &nodes.ControlStructureBlock{Location: body.Location, Name: "limit", ControlStructure: &hook{body.Location, do}}
	body.Nodes = append(body.Nodes, h)
}

// unsupported is an error at a place of the template.
func unsupported(text string, at *tokens.Token) error {
	e := &parser.SyntaxError{Message: text}
	if at != nil {
		e.Line, e.Column = at.Line, at.Col
	}
	return e
}

// forParser counts each turn of a loop.
func (r *rendering) forParser(p, args *parser.Parser) (nodes.ControlStructure, error) {
	at := args.Current()
	parse, _ := builtins.ControlStructures.Get("for")
	structure, err := parse(p, args)
	if err != nil {
		return nil, err
	}
	loop, isFor := structure.(*controlStructures.ForControlStructure)
	if !isFor || loop.Recursive {
		return nil, unsupported("a recursive loop is not supported", at)
	}
	before(loop.BodyWrapper, r.step)
	return loop, nil
}

// macroParser counts each call of a macro, and how many are within each other.
func (r *rendering) macroParser(p, args *parser.Parser) (nodes.ControlStructure, error) {
	at := args.Current()
	parse, _ := builtins.ControlStructures.Get("macro")
	structure, err := parse(p, args)
	if err != nil {
		return nil, err
	}
	macro, isMacro := structure.(*controlStructures.MacroControlStructure)
	if !isMacro {
		return nil, unsupported("a macro of this kind is not supported", at)
	}
	before(macro.Wrapper, func() error {
		if r.depth++; r.depth > maxDepth {
			return fmt.Errorf("macros call each other more than %d deep", maxDepth)
		}
		return r.step()
	})
	after(macro.Wrapper, func() error {
		r.depth--
		return nil
	})
	return macro, nil
}

// set bounds what a variable keeps: `{% set x = x ~ x %}` in a loop would double it each time.
type set struct {
	exec.ControlStructure
	name string
}

func (r *rendering) setParser(p, args *parser.Parser) (nodes.ControlStructure, error) {
	at := args.Current()
	parse, _ := builtins.ControlStructures.Get("set")
	structure, err := parse(p, args)
	if err != nil {
		return nil, err
	}
	inner, runs := structure.(exec.ControlStructure)
	if !runs || at == nil {
		return nil, unsupported("a variable can't be set in this way", at)
	}
	return &set{inner, at.Val}, nil
}

func (s *set) Execute(r *exec.Renderer, block *nodes.ControlStructureBlock) error {
	if err := s.ControlStructure.Execute(r, block); err != nil {
		return err
	}
	value, _ := r.Environment.Context.Get(s.name)
	if fields, isNamespace := value.(map[string]any); isNamespace {
		for _, v := range fields {
			if tooLong(v) {
				return errTooLong
			}
		}
	}
	if tooLong(value) {
		return errTooLong
	}
	return nil
}

func tooLong(value any) bool {
	if v, isValue := value.(*exec.Value); isValue {
		value = v.Interface()
	}
	switch v := value.(type) {
	case string:
		return len(v) > maxText
	case []any:
		return len(v) > maxSteps
	case exec.ValuesList:
		return len(v) > maxSteps
	}
	return false
}

// generation is Hugging Face's mark around what the assistant said; it changes no text.
type generation struct {
	at   *tokens.Token
	body *nodes.Wrapper
}

func generationParser(p, args *parser.Parser) (nodes.ControlStructure, error) {
	g := &generation{at: p.Current()}
	if !args.End() {
		return nil, args.Error("`generation` takes nothing", args.Current())
	}
	body, end, err := p.WrapUntil("endgeneration")
	if err != nil {
		return nil, err
	}
	if !end.End() {
		return nil, end.Error("`endgeneration` takes nothing", end.Current())
	}
	g.body = body
	return g, nil
}

func (g *generation) Position() *tokens.Token { return g.at }
func (g *generation) String() string          { return "generation" }
func (g *generation) Execute(r *exec.Renderer, _ *nodes.ControlStructureBlock) error {
	return r.ExecuteWrapper(g.body)
}

// rangeOf is Python's range, not longer than a template may loop.
func (r *rendering) rangeOf(_ *exec.Evaluator, params *exec.VarArgs) (*exec.Value, error) {
	var bounds []int
	for _, a := range params.Args {
		if !a.IsInteger() {
			return nil, errors.New("range takes whole numbers")
		}
		bounds = append(bounds, a.Integer())
	}
	start, stop, step := 0, 0, 1
	switch len(bounds) {
	case 1:
		stop = bounds[0]
	case 2:
		start, stop = bounds[0], bounds[1]
	case 3:
		start, stop, step = bounds[0], bounds[1], bounds[2]
	default:
		return nil, errors.New("range takes one, two or three numbers")
	}
	if step == 0 {
		return nil, errors.New("the step of range is 0")
	}
	out := []any{}
	for i := start; step > 0 && i < stop || step < 0 && i > stop; i += step {
		if len(out) == maxSteps {
			return nil, fmt.Errorf("range has more than %d numbers", maxSteps)
		}
		out = append(out, i)
	}
	return exec.AsValue(out), nil
}
