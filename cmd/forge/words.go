package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

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

// oneArgument refuses a command line without exactly one argument, in the words of the verb's usage line.
func oneArgument(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return fmt.Errorf("`%s` wants a %s; `%s --help` shows examples", cmd.CommandPath(), argumentOf(cmd), cmd.CommandPath())
	case len(args) > 1:
		return fmt.Errorf("`%s` wants one %s, not %d: what is %q?", cmd.CommandPath(), argumentOf(cmd), len(args), args[1])
	}
	return nil
}

// arguments refuses a command line with fewer than least or more than most arguments.
func arguments(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch verb := cmd.CommandPath(); {
		case len(args) < least:
			return fmt.Errorf("`%s` wants %s; `%s --help` shows examples", verb, strings.TrimPrefix(cmd.Use, cmd.Name()+" "), verb)
		case len(args) > most && most == 0:
			return fmt.Errorf("`%s` takes no arguments: what is %q?", verb, args[0])
		case len(args) > most:
			return fmt.Errorf("`%s` takes at most %s, not %d: what is %q?", verb, countOf(most, "argument", "arguments"), len(args), args[most])
		}
		return nil
	}
}

// someArguments refuses a command line without any argument.
func someArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("`%s` wants at least one %s; `%s --help` shows examples", cmd.CommandPath(), argumentOf(cmd), cmd.CommandPath())
	}
	return nil
}

// argumentOf is the word for a verb's first argument: RECIPE of "train RECIPE".
func argumentOf(cmd *cobra.Command) string {
	if words := strings.Fields(cmd.Use); len(words) > 1 {
		for _, word := range words[1:] {
			if !strings.HasPrefix(word, "[") {
				return strings.TrimSuffix(word, "...")
			}
		}
	}
	return "argument"
}
