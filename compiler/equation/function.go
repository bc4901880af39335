package equation

import "forge/compiler/op"

var functions = map[string]*op.Func{}

func init() {
	for _, f := range op.Functions() {
		functions[f.Name] = f
	}
}

// Function is the scalar function that an elementwise equation's Fn names.
func Function(name string) *op.Func {
	f := functions[name]
	if f == nil {
		panic("equation: no scalar function is called " + name)
	}
	return f
}
