package data

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"

	"forge/dsl/check"
)

// document is a piece of text that hangs together: a file or a piece of a long one, or a line of JSONL.
type document struct {
	file   int32
	line   int32 // bytes of its line in the file (JSONL), else 0
	offset int64 // where it starts in the file
	size   int64 // bytes of text
	hash   uint64
}

// source is one source of a recipe, listed and hashed. Texts stay in their files: an index of the documents is all that is kept
// in memory, and a few files are kept open.
type source struct {
	recipe    check.Source
	detail    string // what the files are, for the summary: "go1.26.0, /usr/local/go/src"
	files     []string
	documents []document
	bytes     int64
	sum       string // of the texts of all documents in order
	open      handles
	decoded   decodedLine
	tokens    *tokenFile // nil: a token is a byte of the text
	scratch   []byte
}

// length is the number of tokens of document i.
func (s *source) length(i int32) int64 {
	if s.tokens != nil {
		return s.tokens.length(i)
	}
	return s.documents[i].size
}

// read fills dst with the tokens of document i from token at on.
func (s *source) read(i int32, at int64, dst []int32) error {
	if s.tokens != nil {
		return s.tokens.read(i, at, dst)
	}
	s.scratch = resize(s.scratch, len(dst))
	if err := s.readText(i, at, s.scratch); err != nil {
		return err
	}
	for k, b := range s.scratch {
		dst[k] = int32(b)
	}
	return nil
}

// decodedLine is the JSONL document that was read last: the sequences of a long line follow each other.
type decodedLine struct {
	document int32
	valid    bool
	raw      []byte
	text     []byte
}

func (s *source) close() {
	s.open.close()
	if s.tokens != nil {
		s.tokens.close()
	}
}

// openSource lists a source's files, reads every text once and hashes it.
func openSource(s check.Source) (*source, error) {
	src := &source{recipe: s}
	var err error
	switch s.Kind {
	case "gosource":
		src.files, src.detail, err = goFiles()
	case "text", "jsonl":
		src.files, err = listFiles(s.Path)
		src.detail = fmt.Sprintf("%s, %d files", s.Path, len(src.files))
		if len(src.files) == 1 {
			src.detail = s.Path
		}
	default:
		err = fmt.Errorf("this build reads gosource(), text(…) and jsonl(…), not %s(…)", s.Kind)
	}
	if err == nil {
		if s.Kind == "jsonl" {
			err = src.scanLines()
		} else {
			err = src.scanFiles()
		}
	}
	if err == nil && src.bytes == 0 {
		err = fmt.Errorf("%s holds no text: %d files of length zero", s.Kind, len(src.files))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Span, err)
	}
	src.checksum()
	return src, nil
}

// longest is the size from which a file is cut into several documents, each ending with the first line that passes it. Whole files
// would not do for holding out: a corpus is often one file, and of the Go source a quarter lies in fifty generated giants.
const longest = 64 << 10

// scanFiles makes the documents of each file that is not empty. Files are hashed by a few goroutines; the result does not depend
// on how many.
func (s *source) scanFiles() error {
	all := make([][]document, len(s.files))
	errs := make([]error, len(s.files))
	next := make(chan int)
	var wait sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), 8, len(s.files)) {
		wait.Go(func() {
			in := bufio.NewReaderSize(nil, 1<<16)
			for i := range next {
				all[i], errs[i] = cutFile(s.files[i], int32(i), in)
			}
		})
	}
	for i := range s.files {
		next <- i
	}
	close(next)
	wait.Wait()
	for i, documents := range all {
		if errs[i] != nil {
			return errs[i]
		}
		for _, d := range documents {
			s.documents = append(s.documents, d)
			s.bytes += d.size
		}
	}
	return nil
}

// cutFile reads a file once and gives its documents. A line without end is cut where it passes twice the longest size.
func cutFile(path string, file int32, in *bufio.Reader) ([]document, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	in.Reset(f)
	var documents []document
	h := sha256.New()
	at := document{file: file}
	finish := func() {
		if at.size > 0 {
			at.hash = binary.LittleEndian.Uint64(h.Sum(nil))
			documents = append(documents, at)
		}
		h.Reset()
		at = document{file: file, offset: at.offset + at.size}
	}
	for {
		line, err := in.ReadSlice('\n')
		h.Write(line)
		at.size += int64(len(line))
		if err == io.EOF {
			finish()
			return documents, nil
		}
		if err != nil && err != bufio.ErrBufferFull {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		if at.size >= longest && (err == nil || at.size >= 2*longest) {
			finish()
		}
	}
}

// checksum covers the hash and the length of every document in order.
func (s *source) checksum() {
	h := sha256.New()
	var entry [16]byte
	for _, d := range s.documents {
		binary.LittleEndian.PutUint64(entry[:], d.hash)
		binary.LittleEndian.PutUint64(entry[8:], uint64(d.size))
		h.Write(entry[:])
	}
	s.sum = hex.EncodeToString(h.Sum(nil))[:16]
}

// readText fills dst with the text of document i from byte at on.
func (s *source) readText(i int32, at int64, dst []byte) error {
	d := &s.documents[i]
	if d.line == 0 {
		return s.readAt(d.file, d.offset+at, dst)
	}
	if !s.decoded.valid || s.decoded.document != i {
		s.decoded.raw = resize(s.decoded.raw, int(d.line))
		if err := s.readAt(d.file, d.offset, s.decoded.raw); err != nil {
			return err
		}
		text, err := lineText(s.decoded.raw, s.recipe.Field)
		if err != nil || int64(len(text)) != d.size {
			return s.changed(d.file)
		}
		s.decoded.text, s.decoded.document, s.decoded.valid = text, i, true
	}
	copy(dst, s.decoded.text[at:])
	return nil
}

func (s *source) readAt(file int32, offset int64, dst []byte) error {
	f, err := s.open.get(file, s.files[file])
	if err != nil {
		return err
	}
	if _, err := f.ReadAt(dst, offset); err == io.EOF {
		return s.changed(file)
	} else if err != nil {
		return fmt.Errorf("reading %s: %w", s.files[file], err)
	}
	return nil
}

func (s *source) changed(file int32) error {
	return fmt.Errorf("%s changed since the run began", s.files[file])
}

func resize(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}

// handles keeps the files that were used last open, so that a source of few files opens each once.
type handles struct {
	files [64]*os.File
	index [64]int32
	next  int
}

func (h *handles) get(file int32, path string) (*os.File, error) {
	for i, f := range h.files {
		if f != nil && h.index[i] == file {
			return f, nil
		}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if old := h.files[h.next]; old != nil {
		old.Close()
	}
	h.files[h.next], h.index[h.next] = f, file
	h.next = (h.next + 1) % len(h.files)
	return f, nil
}

func (h *handles) close() {
	for i, f := range h.files {
		if f != nil {
			f.Close()
			h.files[i] = nil
		}
	}
}
