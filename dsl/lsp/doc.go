// Package lsp is a language server for recipes: JSON-RPC on a pair of streams. Messages of an editor flow in; diagnostics and
// answers flow out. It reads recipes with packages dsl and check, which know nothing of it; it writes no file but read-only copies
// of what is inside the binary (the prelude, the standard blocks, shipped recipes), so that an editor can show them.
//
// Three things are kept apart by how long they take:
//
//   - A key: a change replaces the text and nothing else. Completion reads the text before the cursor, parses the declaration
//     around it alone, and takes the rest from the newest trees there are (completion.go).
//   - A question (hover, definition, rename): the file is parsed, and names are resolved on the trees (scope.go, index.go), so
//     most is answered while a file has faults. Values and axes come from the checker.
//   - A check: a worker checks documents whose text has rested, and its result is shown if the text is still the same. Hovers, quick
//     fixes and hints that are asked for before then wait for it, and keep nobody else waiting.
//
// Requests are answered one at a time and, but for those that wait, in order. Malformed messages are answered with errors; a panic in a handler is an error of
// that request.
package lsp
