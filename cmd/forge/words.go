package main

import (
	"fmt"
	"slices"
	"strings"

	"forge/dsl/diag"
)

// joinComma joins names for reading.
func joinComma(names []string) string { return strings.Join(names, ", ") }

// unknownName is the wrong use of a name that is not among known: it names the nearest one, or all if none is near.
func unknownName(problem, name string, known []string) error {
	if near := diag.Suggest(name, known); near != "" {
		return usagef("%s; did you mean %q?", problem, near)
	}
	sorted := slices.Sorted(slices.Values(known))
	return usagef("%s; there are: %s", problem, joinComma(sorted))
}

// countOf writes a number of things: "1 step", "3 steps".
func countOf[N int | int64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
