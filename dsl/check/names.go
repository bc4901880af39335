package check

import (
	"forge/dsl"
)

// nameLine is one line of a weights section.
type nameLine struct {
	text  *dsl.Str  // the tensor's name in the file; nil for a line that lends the names of one part to another
	key   []dsl.Seg // instead of text
	value dsl.Expr
	env   env
	cell  *dsl.Cell
}

// writeLine takes a cell of a weights section that is no setting.
func (t *Table) writeLine(c *checker, k *dsl.Cell, e env) bool {
	if k.Text == nil && (k.Let || len(k.Key) == 1 && k.Key[0].Index == nil && k.Key[0].Name.Name != "layers") {
		return false
	}
	t.lines = append(t.lines, &nameLine{k.Text, k.Key, k.Value, e, k})
	return true
}

// checkpoint names every tensor of the model's checkpoint.
func (c *checker) checkpoint(w, modelTable *Table, m *Model) *Names {
	return &Names{Name: w.Name, Span: w.Span}
}
