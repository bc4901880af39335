package plan

import (
	"fmt"
	"strings"

	"forge/compiler/op"
)

// String lists the memory and the steps: what each reads and writes, where that lies, and which part of the recipe it comes from. A step
// with an ampersand may run together with the one before it.
func (p *Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "plan %s: %d steps, %d buffers, %.3g FLOPs\n", p.Name, len(p.Steps), len(p.Buffers), p.FLOPs)
	fmt.Fprintf(&b, "  arena    %s (at least %s at once, %s without sharing)\n", bytes(p.ArenaSize), bytes(p.LiveSize), bytes(p.UnplannedSize))
	fmt.Fprintf(&b, "  store    %s in %d storages\n", bytes(p.StoreSize), len(p.Storages))
	for _, v := range p.Inputs {
		fmt.Fprintf(&b, "  input    %s %s at %d\n", v.Buffer.Name, typeText(v), v.Buffer.Offset)
	}
	for _, o := range p.Outputs {
		fmt.Fprintf(&b, "  output   %s = %s\n", o.Name, operandText(o.Value))
	}
	b.WriteString("\n")
	for i, s := range p.Steps {
		var out, in []string
		for _, v := range s.Out {
			out = append(out, operandText(v))
		}
		for _, v := range s.In {
			in = append(in, operandText(v))
		}
		sign := "="
		if s.Accumulate {
			sign = "+="
		}
		with := " "
		if s.Region != i {
			with = "&"
		}
		fmt.Fprintf(&b, "%5d%s %s %s %s %s", i, with, strings.Join(out, ", "), sign, s.Op.Name, strings.Join(in, ", "))
		if text := op.AttrText(s.Attrs); text != "" {
			fmt.Fprintf(&b, "  %s", text)
		}
		if s.Node != nil && s.Node.Place.Text != "" {
			fmt.Fprintf(&b, "  // %s", s.Node.Place.Text)
		}
		b.WriteString("\n")
	}
	b.WriteString("\nbuffers\n")
	for _, buffer := range p.Buffers {
		switch buffer.Kind {
		case Storage:
			fmt.Fprintf(&b, "  %-10s %12s  storage\n", "#"+fmt.Sprint(buffer.ID)+" "+buffer.Name, bytes(int64(buffer.Size)))
		default:
			fmt.Fprintf(&b, "  %-10s %12s  at %d, steps %d to %d\n", "#"+fmt.Sprint(buffer.ID)+" "+buffer.Name, bytes(int64(buffer.Size)), buffer.Offset, buffer.First, buffer.Last)
		}
	}
	return b.String()
}

func operandText(v *Value) string {
	name := fmt.Sprintf("#%d", v.Buffer.ID)
	if v.Buffer.Name != "" {
		name = v.Buffer.Name
	}
	if v.Offset != 0 {
		name += fmt.Sprintf("+%d", v.Offset)
	}
	text := name + typeText(v)
	if !v.Contiguous() {
		text += fmt.Sprintf("/%v", v.Strides)
	}
	return text
}

func typeText(v *Value) string {
	text := v.Shape.String()
	if v.Dtype == op.Int32 {
		text += " int32"
	}
	return text
}

// bytes is the size of n values.
func bytes(n int64) string {
	size := float64(4 * n)
	for _, unit := range []string{"B", "KiB", "MiB", "GiB"} {
		if size < 1024 {
			return fmt.Sprintf("%.4g %s", size, unit)
		}
		size /= 1024
	}
	return fmt.Sprintf("%.4g TiB", size)
}
