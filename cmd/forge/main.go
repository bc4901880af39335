// Command forge is the command line of the framework: one file a verb. A verb reads its flags, calls the packages that do the
// work (dsl/check, compiler, backends, engine) and prints what they give back. Nothing here computes: whatever a verb prints can
// be had from those packages by any other Go program.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"forge/dsl/diag"
)

// The exit codes of every verb.
const (
	exitDone   = 0 // the work is done
	exitFailed = 1 // it could not be done
	exitUsage  = 2 // the command line makes no sense
	exitRecipe = 3 // the recipe has errors, all of them printed
)

func main() {
	ignoreSignals()
	ctx, stop := signal.NotifyContext(context.Background(), endSignals()...)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends at once, whatever the verb is waiting for
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run executes one command line and returns its exit code. Nothing it does depends on process state other than the working
// folder and the environment, so tests may call it many times.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) (code int) {
	a := newApp(stdin, stdout, stderr)
	defer func() {
		if fault := recover(); fault != nil {
			fmt.Fprintf(stderr, "forge: internal error: %v (%s); please report this line with the command and the recipe\n",
				oneLine(fmt.Sprint(fault)), panicPlace())
			code = exitFailed
		}
	}()
	a.args = args
	root := newRootCommand(a)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		err = a.stdout.Flush()
	} else if flushErr := a.stdout.Flush(); flushErr != nil && ctx.Err() == nil && !errors.Is(err, flushErr) {
		err = errors.Join(err, flushErr)
	}
	if err != nil && !a.started {
		err = &usageError{plainUsage(err)} // cobra refused the verb, a flag or the number of arguments
	}
	return a.report(err)
}

// usageError marks an error that lies in the command line itself.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

// plainUsage is what cobra says of a flag that is no number, without the names of Go functions.
func plainUsage(err error) error {
	words, cause, found := strings.Cut(err.Error(), ": strconv.")
	switch {
	case !found:
		return err
	case strings.Contains(cause, "out of range"):
		return errors.New(words + ": too large")
	case strings.HasPrefix(cause, "ParseInt"):
		return errors.New(words + ": a whole number is wanted")
	}
	return errors.New(words + ": a number is wanted")
}

// usagef makes a usageError.
func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// exitCode ends a verb with a code when everything was said already.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// report prints an error in the form that fits it and returns the exit code.
func (a *app) report(err error) int {
	var usage *usageError
	var found diag.List
	var code exitCode
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &usage):
		fmt.Fprintf(a.stderr, "forge: %s\n", strings.TrimRight(err.Error(), "\n"))
		return exitUsage
	case errors.As(err, &found):
		a.printDiagnostics(found)
		return exitRecipe
	case errors.Is(err, syscall.EPIPE): // whoever read the results wants no more
		return exitFailed
	case errors.As(err, &code):
		return int(code)
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(a.stderr, "forge: interrupted")
		return exitFailed
	default:
		fmt.Fprintf(a.stderr, "forge: %s\n", strings.TrimRight(err.Error(), "\n"))
		return exitFailed
	}
}

// oneLine joins the lines of a text.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// panicPlace is the file and line of the innermost frame of this module below a panic that is being recovered.
func panicPlace() string {
	callers := make([]uintptr, 64)
	frames := runtime.CallersFrames(callers[:runtime.Callers(3, callers)])
	place := "unknown place"
	for {
		frame, more := frames.Next()
		if _, after, found := strings.Cut(frame.Function, "forge/"); found || strings.HasPrefix(frame.Function, "main.") {
			name := frame.Function
			if found {
				name = after
			}
			return fmt.Sprintf("%s:%d", name, frame.Line)
		}
		if !more {
			return place
		}
	}
}
