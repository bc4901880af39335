package main

import (
	"fmt"

	"forge/dsl/diag"
)

// printDiagnostics writes what is wrong with recipes: text with source lines on standard error, or one JSON document.
func (a *app) printDiagnostics(found diag.List) {
	for _, d := range found {
		fmt.Fprintln(a.stderr, d.Error())
	}
}
