package lsp

import (
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"forge/dsl"
	"forge/plugins/std"
	"forge/recipes"
)

// A file has a name, which is what the checker calls it: a path of the system with `/`, or `prelude.forge`, `std/…`, `recipes/…`
// for what is inside the binary. An editor wants addresses: files of the binary are written, read-only, to a folder of the user's
// cache as soon as one is asked for.

// inside gives the text of a file of the binary.
func inside(name string) (string, bool) {
	var text []byte
	var err error
	switch {
	case name == dsl.PreludeName:
		return dsl.PreludeSource, true
	case strings.HasPrefix(name, "std/"):
		text, err = std.FS.ReadFile(strings.TrimPrefix(name, "std/"))
	case strings.HasPrefix(name, "recipes/"):
		text, err = recipes.FS.ReadFile(strings.TrimPrefix(name, "recipes/"))
	default:
		return "", false
	}
	return string(text), err == nil
}

// name is what the checker calls a document; "" if its address is none of a file.
func (s *server) name(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "file" || u.Path == "" {
		return ""
	}
	p := u.Path
	if len(p) > 2 && p[0] == '/' && p[2] == ':' {
		p = p[1:] // file:///C:/…
	}
	p = path.Clean(p)
	if rest, found := strings.CutPrefix(p, filepath.ToSlash(s.cache)+"/"); found {
		if _, known := inside(rest); known {
			return rest
		}
	}
	return p
}

// uri is the address of a file. Documents keep the one that the editor gave them.
func (s *server) uri(name string) string {
	if d := s.docs[name]; d != nil {
		return d.uri
	}
	if text, found := inside(name); found && !path.IsAbs(name) {
		file := filepath.Join(s.cache, filepath.FromSlash(name))
		if err := writeCopy(file, text); err != nil {
			return ""
		}
		name = filepath.ToSlash(file)
	}
	if !strings.HasPrefix(name, "/") {
		name = "/" + name
	}
	return (&url.URL{Scheme: "file", Path: name}).String()
}

// writeCopy writes a read-only file unless it is there already.
func writeCopy(file, text string) error {
	if old, err := os.ReadFile(file); err == nil && string(old) == text {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(file), "copy-*")
	if err != nil {
		return err
	}
	_, err = temporary.WriteString(text)
	if closed := temporary.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Chmod(temporary.Name(), 0o444)
	}
	if err == nil {
		err = os.Rename(temporary.Name(), file)
	}
	if err != nil {
		os.Remove(temporary.Name())
	}
	return err
}

// overlay reads files for the checker: open documents as they are in the editor, others from the system.
type overlay map[string]string

func (o overlay) ReadFile(name string) ([]byte, error) {
	if text, open := o[name]; open {
		return []byte(text), nil
	}
	info, err := os.Stat(filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrInvalid}
	}
	return os.ReadFile(filepath.FromSlash(name))
}

// overlay is a snapshot of the open documents.
func (s *server) overlay() overlay {
	o := overlay{}
	for name, d := range s.docs {
		o[name] = d.text.source
	}
	return o
}

// tree is a parsed file with its text.
type tree struct {
	text *text
	file *dsl.File
}

// tree parses a file, once for each text. It is nil if there is no such file. While a key is being answered, an open document's
// tree may be of an older text: the check that follows every pause brings the new one.
func (s *server) tree(name string) *tree {
	known := s.trees[name]
	var t *text
	if d := s.docs[name]; d != nil {
		if known != nil && (s.typing || known.text == d.text) {
			return known
		}
		t = d.text
	} else if _, shipped := inside(name); shipped && known != nil {
		return known
	} else if source, found := inside(name); found {
		t = newText(source)
	} else if source, err := (overlay{}).ReadFile(name); err == nil {
		if known != nil && known.text.source == string(source) {
			return known
		}
		t = newText(string(source))
	} else {
		return nil
	}
	parse := dsl.Parse
	if name == dsl.PreludeName {
		parse = dsl.ParseHeader
	}
	file, _ := parse(name, t.source)
	s.trees[name] = &tree{t, file}
	return s.trees[name]
}

// imported is the name of the file that a `use` of a file names; "" for a plugin.
func imported(from string, u *dsl.Use) string {
	p := u.Path.Value
	switch {
	case !strings.HasSuffix(p, ".forge") && strings.Contains(p, "@"):
		return ""
	case !strings.HasSuffix(p, ".forge"):
		return "recipes/" + p + ".forge"
	}
	return path.Join(path.Dir(from), p)
}
