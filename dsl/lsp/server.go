package lsp

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"forge/dsl/check"
	"forge/dsl/diag"
)

// Options are what the server is given by the command that starts it.
type Options struct {
	Version string                   // of forge, for the client
	Cache   string                   // an absolute folder for copies of the files inside the binary
	Explain func(code string) string // what an error means, as Markdown; nil: nothing is said
	// Delay is how long the text must rest before it is checked; 0: 80 ms.
	Delay time.Duration
}

// document is a file that is open in the editor.
type document struct {
	uri     string
	name    string
	version int
	text    *text
	checked *checked // the last check, of this text or an older one; nil: none yet
}

// checked is what the checker said of a document.
type checked struct {
	name       string
	generation int // of the server's documents when it was checked
	source     *text
	module     *check.Module
	found      diag.List
	read       overlay // the texts of the other documents then
	fault      string  // the checker panicked
}

// server is one client's session. Requests are answered one at a time, in order; documents are checked beside them, and what asks for
// a check of the text as it is now is answered when that is there.
type server struct {
	Options
	cache       string
	out         *writer
	docs        map[string]*document // by name
	trees       map[string]*tree
	generation  int // of the texts: counts every change
	indexes     map[string]*index
	initialized bool
	stopping    bool
	typing      bool // a key is being answered: trees may be a few keys old

	inner, steps int // of the value that is being told

	jobs    chan job
	results chan *checked
	running bool
	stale   map[string]bool // names of documents to be checked
	timer   *time.Timer
	waiting []waiting
}

// waiting is a request about a document that is being checked.
type waiting struct {
	m    *message
	name string
}

type job struct {
	name       string
	generation int
	source     *text
	files      overlay
}

// Serve answers a client until it says exit, its messages end or the context does. The error is nil if the client said
// goodbye as the protocol wants it.
func Serve(ctx context.Context, in io.Reader, out io.Writer, o Options) error {
	if o.Delay == 0 {
		o.Delay = 80 * time.Millisecond
	}
	s := &server{
		Options: o, cache: o.Cache, out: &writer{to: out},
		docs: map[string]*document{}, trees: map[string]*tree{}, indexes: map[string]*index{}, stale: map[string]bool{},
		jobs: make(chan job), results: make(chan *checked, 1), timer: time.NewTimer(time.Hour),
	}
	s.timer.Stop()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go s.check(ctx)

	type received struct {
		m   *message
		err error
	}
	messages := make(chan received)
	go func() {
		r := bufio.NewReader(in)
		for {
			m, err := readMessage(r)
			select {
			case messages <- received{m, err}:
			case <-ctx.Done():
				return
			}
			var bad *badMessage
			if err != nil && !errors.As(err, &bad) {
				return
			}
		}
	}()
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-s.timer.C:
			s.next()
		case c := <-s.results:
			s.running = false
			err = errors.Join(s.publish(c), s.answerWaiting())
			s.next()
		case r := <-messages:
			var bad *badMessage
			switch {
			case errors.As(r.err, &bad):
				err = s.out.respond(nil, nil, &bad.fault)
			case r.err != nil:
				if s.stopping || errors.Is(r.err, io.EOF) {
					return nil
				}
				return fmt.Errorf("the client's messages ended: %w", r.err)
			case r.m.Method == "exit":
				if !s.stopping {
					return errors.New("the client left without saying shutdown")
				}
				return nil
			default:
				err = s.handle(r.m)
			}
		}
		if err != nil {
			return fmt.Errorf("the client does not listen: %w", err)
		}
	}
}

// handle answers one message. Whatever is in it, the session goes on.
func (s *server) handle(m *message) error {
	if m.Method == "" {
		if m.ID == nil {
			return s.out.respond(nil, nil, &fault{codeInvalidRequest, "a message has a method"})
		}
		return nil // an answer: the server asks nothing
	}
	if name, waits := s.mustWait(m); waits {
		s.waiting = append(s.waiting, waiting{m, name})
		return nil
	}
	result, fault := s.call(m)
	var err error
	switch {
	case m.Method == "$/cancelRequest":
		err = s.cancel(m.Params)
	case m.ID != nil: // nobody hears of a notification's fault
		err = s.out.respond(m.ID, result, fault)
	}
	return errors.Join(err, s.answerWaiting())
}

// waitFor are the requests that are answered from a check.
var waitFor = map[string]bool{"textDocument/hover": true, "textDocument/codeAction": true, "textDocument/inlayHint": true}

// mustWait reports whether a request asks for a check that is not there yet, and of which document.
func (s *server) mustWait(m *message) (name string, waits bool) {
	if m.ID == nil || !waitFor[m.Method] || !s.initialized || s.stopping {
		return "", false
	}
	var p documentParams
	if json.Unmarshal(m.Params, &p) != nil {
		return "", false
	}
	name = s.name(p.TextDocument.URI)
	return name, s.unchecked(name)
}

// unchecked reports whether an open document of the user's is to be checked yet.
func (s *server) unchecked(name string) bool {
	d := s.docs[name]
	if _, found := inside(name); found || d == nil {
		return false
	}
	return d.checked == nil || d.checked.generation != s.generation
}

// answerWaiting answers the requests whose documents are checked, or gone.
func (s *server) answerWaiting() error {
	var err error
	s.waiting = slices.DeleteFunc(s.waiting, func(w waiting) bool {
		if s.unchecked(w.name) && !s.stopping {
			return false
		}
		result, fault := s.call(w.m)
		err = errors.Join(err, s.out.respond(w.m.ID, result, fault))
		return true
	})
	return err
}

// cancel answers a request that waits and is not wanted any more.
func (s *server) cancel(raw json.RawMessage) error {
	var p struct {
		ID json.RawMessage `json:"id"`
	}
	if json.Unmarshal(raw, &p) != nil {
		return nil
	}
	var err error
	s.waiting = slices.DeleteFunc(s.waiting, func(w waiting) bool {
		if !bytes.Equal(w.m.ID, p.ID) {
			return false
		}
		err = errors.Join(err, s.out.respond(w.m.ID, nil, &fault{codeCancelled, "cancelled"}))
		return true
	})
	return err
}

// call runs the method of a message; a panic is an error of that message.
func (s *server) call(m *message) (result any, err error) {
	defer func() {
		if p := recover(); p != nil {
			result, err = nil, &fault{codeInternal, fmt.Sprintf("internal error in %s: %v", m.Method, p)}
		}
	}()
	switch {
	case m.Method == "initialize":
		s.initialized = true
		capabilities := maps.Clone(capabilities)
		capabilities["serverInfo"] = map[string]any{"name": "forge", "version": s.Version}
		return capabilities, nil
	case !s.initialized:
		return nil, &fault{codeNotInitialized, "the first request is initialize"}
	case m.Method == "shutdown":
		s.stopping = true
		return nil, nil
	case s.stopping:
		return nil, &fault{codeInvalidRequest, "after shutdown comes exit"}
	}
	if handle := notifications[m.Method]; handle != nil {
		return nil, handle(s, m.Params)
	}
	handle := requests[m.Method]
	if handle == nil {
		return nil, &fault{codeNoMethod, "forge does not answer " + m.Method}
	}
	var p documentParams
	if err := json.Unmarshal(m.Params, &p); err != nil {
		return nil, &fault{codeInvalidParams, err.Error()}
	}
	name := s.name(p.TextDocument.URI)
	if s.docs[name] == nil && (name == "" || s.tree(name) == nil) {
		return nil, &fault{codeInvalidParams, fmt.Sprintf("%q is not open", p.TextDocument.URI)}
	}
	return handle(s, name, &p)
}

// notifications and requests are all that the server does, by method.
var notifications = map[string]func(*server, json.RawMessage) error{
	"initialized":                     func(*server, json.RawMessage) error { return nil },
	"textDocument/didOpen":            (*server).didOpen,
	"textDocument/didChange":          (*server).didChange,
	"textDocument/didSave":            func(s *server, _ json.RawMessage) error { s.changed(); return nil },
	"textDocument/didClose":           (*server).didClose,
	"$/cancelRequest":                 func(*server, json.RawMessage) error { return nil },
	"$/setTrace":                      func(*server, json.RawMessage) error { return nil },
	"workspace/didChangeWatchedFiles": func(s *server, _ json.RawMessage) error { s.changed(); return nil },
}

var requests map[string]func(*server, string, *documentParams) (any, error)

func init() { // the handlers refer back to what calls them
	requests = map[string]func(*server, string, *documentParams) (any, error){
		"textDocument/hover":          (*server).hover,
		"textDocument/completion":     (*server).completion,
		"textDocument/definition":     (*server).definition,
		"textDocument/references":     (*server).references,
		"textDocument/prepareRename":  (*server).prepareRename,
		"textDocument/rename":         (*server).rename,
		"textDocument/formatting":     (*server).formatting,
		"textDocument/documentSymbol": (*server).documentSymbols,
		"textDocument/codeAction":     (*server).codeActions,
		"textDocument/inlayHint":      (*server).inlayHints,
	}
}

func (s *server) didOpen(raw json.RawMessage) error {
	var p didOpenParams
	if err := json.Unmarshal(raw, &p); err != nil {
		return err
	}
	name := s.name(p.TextDocument.URI)
	if name == "" {
		return errors.New("not a file")
	}
	s.docs[name] = &document{uri: p.TextDocument.URI, name: name, version: p.TextDocument.Version, text: newText(p.TextDocument.Text)}
	s.changed()
	return nil
}

func (s *server) didChange(raw json.RawMessage) error {
	var p didChangeParams
	if err := json.Unmarshal(raw, &p); err != nil {
		return err
	}
	d := s.docs[s.name(p.TextDocument.URI)]
	if d == nil {
		return errors.New("not open")
	}
	d.version = p.TextDocument.Version
	for _, c := range p.ContentChanges {
		d.text = d.text.apply(c)
	}
	s.changed()
	return nil
}

func (s *server) didClose(raw json.RawMessage) error {
	var p documentParams
	if err := json.Unmarshal(raw, &p); err != nil {
		return err
	}
	name := s.name(p.TextDocument.URI)
	if d := s.docs[name]; d != nil {
		delete(s.docs, name)
		delete(s.trees, name)
		s.changed()
		return s.out.notify("textDocument/publishDiagnostics", publishParams{URI: d.uri, Diagnostics: []diagnostic{}})
	}
	return nil
}

// changed says that some text is another: every open document is checked again when the editor rests.
func (s *server) changed() {
	s.generation++
	for name := range s.docs {
		if _, found := inside(name); !found {
			s.stale[name] = true
		}
	}
	s.timer.Reset(s.Delay)
}

// next starts the check of one stale document, if none is running.
func (s *server) next() {
	if s.running {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(s.stale)) {
		delete(s.stale, name)
		if d := s.docs[name]; d != nil {
			s.running = true
			s.jobs <- job{name, s.generation, d.text, s.overlay()}
			return
		}
	}
}

// check is the worker that checks documents beside the session.
func (s *server) check(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-s.jobs:
			c := runCheck(j)
			select {
			case s.results <- c:
			case <-ctx.Done():
				return
			}
		}
	}
}

func runCheck(j job) (c *checked) {
	c = &checked{name: j.name, generation: j.generation, source: j.source, read: j.files}
	defer func() {
		if p := recover(); p != nil {
			c.module, c.found, c.fault = nil, nil, fmt.Sprint(p)
		}
	}()
	c.module, c.found = check.File(j.files, j.name)
	return c
}

// current is the check of a document as it is now; nil for a file inside the binary.
func (s *server) current(name string) *checked {
	d := s.docs[name]
	if d == nil {
		return nil
	}
	if d.checked == nil || d.checked.generation != s.generation {
		d.checked = runCheck(job{name, s.generation, d.text, s.overlay()})
	}
	return d.checked
}
