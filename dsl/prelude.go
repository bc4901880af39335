package dsl

import _ "embed"

// PreludeName is what users see as the prelude's file name. Parse allows `kind` and `builtin` headers in this file only.
const PreludeName = "prelude.forge"

// PreludeSource is the prelude: the header of every kind of section and of every value builder. The standard blocks lie in
// plugins/std.
//
//go:embed prelude.forge
var PreludeSource string
