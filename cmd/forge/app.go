package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// app is what every verb gets: where to read and write, and the flags that all verbs share.
type app struct {
	stdin  io.Reader
	stdout *resultWriter // results
	stderr io.Writer     // everything else: progress, warnings, errors

	json    bool
	quiet   bool
	noColor bool
	device  string
	threads int
	memory  string // a size; "": what the machine has
	sets    []string
	// deterministic asks for results that do not depend on threads.
	deterministic bool

	args []string // the command line without the program's name

	// started says that cobra has accepted the command line and a verb is running.
	started bool
}

func newApp(stdin io.Reader, stdout, stderr io.Writer) *app {
	return &app{stdin: stdin, stdout: &resultWriter{to: bufio.NewWriter(stdout), live: isTerminal(stdout)}, stderr: stderr}
}

// resultWriter buffers results and remembers the first failed write, so that a full disk or a closed pipe is never taken for
// success. On a terminal, and for work that takes long, every write is shown at once.
type resultWriter struct {
	to   *bufio.Writer
	live bool // every write is shown at once
	err  error
}

func (w *resultWriter) Write(p []byte) (int, error) {
	n, err := w.to.Write(p)
	if err == nil && w.live {
		err = w.to.Flush()
	}
	w.keep(err)
	if err != nil {
		err = w.err
	}
	return n, err
}

// Flush hands on what is buffered and gives the first error of any write so far.
func (w *resultWriter) Flush() error {
	w.keep(w.to.Flush())
	return w.err
}

func (w *resultWriter) keep(err error) {
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("the result cannot be written: %w", err)
	}
}

// isTerminal reports whether w is a character device such as a terminal.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// color reports whether w is to get colors: it is a terminal, and neither --no-color nor NO_COLOR says otherwise.
func (a *app) color(w io.Writer) bool {
	return !a.noColor && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && isTerminal(w)
}

// printf writes a result.
func (a *app) printf(format string, args ...any) { fmt.Fprintf(a.stdout, format, args...) }

// notef writes a remark to standard error unless --quiet.
func (a *app) notef(format string, args ...any) {
	if !a.quiet {
		fmt.Fprintf(a.stderr, format, args...)
	}
}

// printJSON writes v as one indented JSON document.
func (a *app) printJSON(v any) error {
	encoder := json.NewEncoder(a.stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}
