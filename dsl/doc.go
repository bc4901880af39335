// Package dsl reads recipe text. Text flows in; a File comes out, the syntax tree with a place for every node, and the list of
// all syntax errors. What names mean, whether shapes fit and what a recipe resolves to is not known here: dsl/check reads the
// tree and says so. Format turns the tree back into text, in the one style there is. The prelude, the headers of all kinds of
// sections and values, is embedded.
//
// # The way of the data
//
//	source ──scanner──▶ tokens ──parser──▶ grammar structs ──lowerer──▶ File ──writer──▶ documents ──printer──▶ source
//	        scan.go            parse.go    grammar.go        lower.go   tree.go format.go            layout.go
//
// The scanner is a tokenizer (lex.go) and one filter (scan.go), which decides where a line really ends and which names are
// units, matches brackets, and sets comments aside. The grammar is structs whose tags are its EBNF (grammar.txt is their print).
// What has no fault is read by recursive descent (direct.go), production by production; the parser that is generated from the
// grammar reads only what that does not take, to find the fault. A chain of operators is flat in the grammar; precedence.go
// resolves it by a table. The lowerer turns the structs into the tree and reports what no grammar can see: malformed numbers and
// escapes, names that can't be given, operators that read two ways.
//
// # Recovery
//
// All syntax errors of a file come in one run, one for each fault. The parser generator has no recovery, so faults are fenced
// in at three borders, from the inside out:
//
//   - a bracket: the scanner knows at the end of the file, at a `}` that can't close a bracket, and at a declaration at the
//     margin that some bracket was never closed. It reports that bracket (E005), drops its line and reads on at the next line
//     that is not indented deeper. A declaration at the margin while a brace is open means a missing `}` (E008), which is put
//     in. So the parser sees balanced brackets only.
//   - a line: a declaration that does not parse as a whole is cut into its header and the lines of its body, each of which is
//     parsed alone. Those that parse are kept. In the others the parser's error now stands at the right token; cures.go knows
//     from it and its neighbours what was meant.
//   - a declaration: each is parsed by itself, so a fault never reaches the next one.
//
// What the scanner drops stands among the tokens as one of type typeBad; a line with such a token is passed over in silence,
// since its fault has been told.
//
// # Bounds
//
// Files have at most 4 MiB, lines 64 KiB, files a million tokens; brackets nest at most 200 deep and operators chain at most 200
// links, so whatever walks the tree by recursion is safe. Time is linear in the text but for faults of brackets, each of which
// may read it again, at most a hundred times.
package dsl
