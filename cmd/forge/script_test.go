package main

import (
	"bytes"
	"context"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite the expected outputs inside testdata/script from what the commands print")

// TestMain lets scripts call `forge`: the test binary runs itself as that command.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"forge": main})
}

// TestScript runs every script of testdata/script, each in an empty folder. A script shows a user's session: commands, exit
// codes and output.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: *update,
		Cmds:          scriptCommands,
		Condition:     scriptCondition,
		Setup: func(env *testscript.Env) error {
			fixtures, err := filepath.Abs("../../engine/parity/testdata")
			env.Setenv("FIXTURES", fixtures)
			return err
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// forge runs one command line within the process.
func forge(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errors bytes.Buffer
	code = run(context.Background(), args, strings.NewReader(""), &out, &errors)
	return code, out.String(), errors.String()
}

// TestPanicIsOneLine: a fault of forge itself is one line on standard error and exit code 1, whatever panics.
func TestPanicIsOneLine(t *testing.T) {
	var errors bytes.Buffer
	code := run(context.Background(), []string{"recipes"}, strings.NewReader(""), panicWriter{}, &errors)
	if code != exitFailed {
		t.Errorf("exit code %d, want %d", code, exitFailed)
	}
	if text := errors.String(); strings.Count(text, "\n") != 1 || !strings.HasPrefix(text, "forge: internal error: pulled the plug (") ||
		!strings.Contains(text, "please report") {
		t.Errorf("standard error is %q", text)
	}
}

type panicWriter struct{}

func (panicWriter) Write([]byte) (int, error) { panic("pulled\nthe plug") }

// TestFailedWrite: a result that could not be written is no success.
func TestFailedWrite(t *testing.T) {
	var errors bytes.Buffer
	code := run(context.Background(), []string{"recipes"}, strings.NewReader(""), failingWriter{}, &errors)
	if code != exitFailed || !strings.Contains(errors.String(), io.ErrShortWrite.Error()) {
		t.Errorf("exit code %d, standard error %q", code, errors.String())
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

// TestEveryVerbExplainsItself: every verb has help on standard output.
func TestEveryVerbExplainsItself(t *testing.T) {
	root := newRootCommand(newApp(os.Stdin, io.Discard, io.Discard))
	for _, verb := range root.Commands() {
		if !verb.IsAvailableCommand() {
			continue
		}
		code, stdout, stderr := forge(t, verb.Name(), "--help")
		if code != exitDone || !strings.Contains(stdout, "forge "+verb.Name()) || stderr != "" {
			t.Errorf("forge %s --help: exit code %d, %q, %q", verb.Name(), code, stdout, stderr)
		}
	}
}
