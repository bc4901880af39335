package data

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"forge/engine/tokenizer"
)

// tokenFile holds the tokens of every document of a source, encoded once. The file is
//
//	"forgetok"  8 bytes
//	width       uint32, bytes a token: 2 or 4
//	documents   uint32
//	lengths     uint64 for each document: its tokens
//	tokens      all documents, one after the other
//
// with little-endian numbers.
type tokenFile struct {
	file    *os.File
	path    string
	width   int
	ends    []int64 // tokens up to the end of each document
	start   int64   // of the tokens in the file
	scratch []byte
}

const tokenMagic = "forgetok"

func tokenHeader(documents int) int64 { return 16 + 8*int64(documents) }

// tokenBytes is the length of each token's text.
func tokenBytes(t tokenizer.Tokenizer) []int32 {
	lengths := make([]int32, t.Vocab())
	var text []byte
	for i := range lengths {
		text = t.Decode(text[:0], int32(i))
		lengths[i] = int32(len(text))
	}
	return lengths
}

// count is the number of tokens of all documents.
func (s *source) count() int64 {
	if s.tokens == nil {
		return s.bytes
	}
	return s.tokens.ends[len(s.tokens.ends)-1]
}

// tokenize finds or makes the file of the source's tokens. Byte tokenizers need none.
func (s *source) tokenize(t tokenizer.Tokenizer) error {
	if t.Hash() == tokenizer.Bytes().Hash() {
		return nil
	}
	dir, err := cacheFolder("tokens")
	if err != nil {
		return fmt.Errorf("no place for the encoded text: %w", err)
	}
	key := sha256.Sum256([]byte(s.sum + " " + t.Hash()))
	path := filepath.Join(dir, hex.EncodeToString(key[:16])+".tokens")
	if s.tokens, err = openTokens(path, len(s.documents)); err == nil {
		return nil
	}
	if err := s.encode(t, path); err != nil {
		return fmt.Errorf("encoding the text into %s: %w", path, err)
	}
	s.tokens, err = openTokens(path, len(s.documents))
	return err
}

func openTokens(path string, documents int) (*tokenFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	t := &tokenFile{file: f, path: path, start: tokenHeader(documents)}
	header := make([]byte, t.start)
	if _, err := f.ReadAt(header, 0); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s was cut off", path)
	}
	le := binary.LittleEndian
	t.width = int(le.Uint32(header[8:]))
	total := int64(0)
	for i := range documents {
		total += int64(le.Uint64(header[16+8*i:]))
		t.ends = append(t.ends, total)
	}
	info, err := f.Stat()
	if err != nil || string(header[:8]) != tokenMagic || t.width != 2 && t.width != 4 || int(le.Uint32(header[12:])) != documents ||
		info.Size() != t.start+total*int64(t.width) {
		f.Close()
		return nil, fmt.Errorf("%s is damaged", path)
	}
	return t, nil
}

func (t *tokenFile) begin(i int32) int64 {
	if i == 0 {
		return 0
	}
	return t.ends[i-1]
}

func (t *tokenFile) length(i int32) int64 { return t.ends[i] - t.begin(i) }

func (t *tokenFile) read(i int32, at int64, dst []int32) error {
	t.scratch = resize(t.scratch, len(dst)*t.width)
	if _, err := t.file.ReadAt(t.scratch, t.start+(t.begin(i)+at)*int64(t.width)); err != nil {
		return fmt.Errorf("reading %s: %w", t.path, err)
	}
	for k := range dst {
		if t.width == 2 {
			dst[k] = int32(binary.LittleEndian.Uint16(t.scratch[2*k:]))
		} else {
			dst[k] = int32(binary.LittleEndian.Uint32(t.scratch[4*k:]))
		}
	}
	return nil
}

func (t *tokenFile) close() { t.file.Close() }

// encode writes the file of tokens under another name and renames it when it is whole.
func (s *source) encode(t tokenizer.Tokenizer, path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".tokens-*")
	if err != nil {
		return err
	}
	err = s.encodeTo(f, t)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// encodedAtOnce is how many documents are in memory at once while encoding, for each thread. A document is encoded as a whole.
const encodedAtOnce = 16

func (s *source) encodeTo(f *os.File, t tokenizer.Tokenizer) error {
	header := make([]byte, tokenHeader(len(s.documents)))
	width := 2
	if t.Vocab() > 1<<16 {
		width = 4
	}
	copy(header, tokenMagic)
	binary.LittleEndian.PutUint32(header[8:], uint32(width))
	binary.LittleEndian.PutUint32(header[12:], uint32(len(s.documents)))
	if _, err := f.Seek(int64(len(header)), io.SeekStart); err != nil {
		return err
	}
	out := bufio.NewWriterSize(f, 1<<20)
	workers := runtime.GOMAXPROCS(0)
	var texts [][]byte
	var encoded [][]int32
	var number [4]byte
	for from := 0; from < len(s.documents); from += encodedAtOnce * workers {
		n := min(encodedAtOnce*workers, len(s.documents)-from)
		for len(texts) < n {
			texts, encoded = append(texts, nil), append(encoded, nil)
		}
		for i := range n {
			texts[i] = resize(texts[i], int(s.documents[from+i].size))
			if err := s.readText(int32(from+i), 0, texts[i]); err != nil {
				return err
			}
		}
		var wait sync.WaitGroup
		for worker := range workers {
			wait.Go(func() {
				for i := worker; i < n; i += workers {
					encoded[i] = t.Encode(encoded[i][:0], texts[i])
				}
			})
		}
		wait.Wait()
		for i, tokens := range encoded[:n] {
			binary.LittleEndian.PutUint64(header[16+8*(from+i):], uint64(len(tokens)))
			for _, token := range tokens {
				binary.LittleEndian.PutUint32(number[:], uint32(token))
				out.Write(number[:width]) // an error stays until Flush
			}
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	_, err := f.WriteAt(header, 0)
	return err
}
