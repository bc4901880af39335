package dsl

import (
	"maps"
	"slices"
	"strings"
)

// reserved are the words that no name can be, as a pattern.
const reserved = `let|if|else|for|in|then|and|or|not|true|false`

var reservedWords = wordSet(strings.ReplaceAll(reserved, "|", " "))

// Words are the words of the language, for those who color it. Kinds of sections and builders of values are no words but names of
// the prelude.
type Words struct {
	Reserved []string // everywhere
	Lines    []string // where a line of a block begins with them
	Top      []string // where a declaration begins with them
	Units    []string // after a number
}

// AllWords lists the words of the language, each list sorted.
func AllWords() Words {
	w := Words{
		Reserved: strings.Split(reserved, "|"),
		Lines:    slices.Sorted(maps.Keys(lineWords)),
		Top:      slices.Sorted(maps.Keys(topWords)),
		Units:    slices.Clone(Units),
	}
	slices.Sort(w.Reserved)
	slices.Sort(w.Units)
	return w
}
