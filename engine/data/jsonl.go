package data

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
)

// longestLine bounds the memory that one line of JSONL may take.
const longestLine = 64 << 20

// scanLines makes each line's text a document.
func (s *source) scanLines() error {
	for i := range s.files {
		if err := s.scanFile(int32(i)); err != nil {
			return err
		}
	}
	return nil
}

func (s *source) scanFile(file int32) error {
	path := s.files[file]
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 1<<20)
	var offset int64
	var line []byte
	for number := 1; ; number++ {
		line, err = readLine(in, line[:0])
		if err != nil && err != io.EOF {
			return fmt.Errorf("%s:%d: %w", path, number, err)
		}
		if content := bytes.TrimSpace(line); len(content) > 0 {
			text, err := lineText(content, s.recipe.Field)
			if err != nil {
				return fmt.Errorf("%s:%d: %w", path, number, err)
			}
			if len(text) > 0 {
				sum := sha256.Sum256(text)
				s.documents = append(s.documents, document{file: file, line: int32(len(line)), offset: offset,
					size: int64(len(text)), hash: binary.LittleEndian.Uint64(sum[:])})
				s.bytes += int64(len(text))
			}
		}
		offset += int64(len(line))
		if err == io.EOF {
			return nil
		}
	}
}

// readLine appends the next line with its end to dst; the error is io.EOF at the end of the file.
func readLine(in *bufio.Reader, dst []byte) ([]byte, error) {
	for {
		part, err := in.ReadSlice('\n')
		dst = append(dst, part...)
		if len(dst) > longestLine {
			return dst, fmt.Errorf("the line is longer than %d MiB", longestLine>>20)
		}
		if err != bufio.ErrBufferFull {
			return dst, err
		}
	}
}

// lineText is the text of one line's field.
func lineText(line []byte, field string) ([]byte, error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(line, &object); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return nil, fmt.Errorf("no JSON object: %v at byte %d", err, syntax.Offset)
		}
		return nil, errors.New("no JSON object")
	}
	raw, ok := object[field]
	if !ok {
		names := make([]string, 0, len(object))
		for name := range object {
			names = append(names, name)
		}
		sort.Strings(names)
		return nil, fmt.Errorf("the object has no field %q; it has: %s", field, strings.Join(names, ", "))
	}
	var text *string
	if err := json.Unmarshal(raw, &text); err != nil || text == nil {
		return nil, fmt.Errorf("the field %q holds no text but %.40s", field, raw)
	}
	return []byte(*text), nil
}
