package lsp

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
)

// JSON-RPC 2.0 as the Language Server Protocol frames it: headers, an empty line, and as many bytes of JSON as they say.

// maxMessage bounds the body of one message: a recipe is at most 4 MiB, and JSON may take six bytes for one.
const maxMessage = 64 << 20

// message is a request (ID and Method), a notification (Method alone) or a response, of which the server reads nothing but the ID.
type message struct {
	ID     json.RawMessage `json:"id,omitempty"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params,omitempty"`
}

// The error codes of JSON-RPC and of the protocol that the server gives.
const (
	codeParse          = -32700
	codeInvalidRequest = -32600
	codeNoMethod       = -32601
	codeInvalidParams  = -32602
	codeInternal       = -32603
	codeNotInitialized = -32002
	codeCancelled      = -32800
)

// fault is an error as a response carries it.
type fault struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (f *fault) Error() string { return f.Message }

// badMessage is a message whose frame could be read and whose body could not.
type badMessage struct{ fault }

// readMessage reads the next message. io.EOF means that the client has gone; a *badMessage that the next one can be read.
func readMessage(r *bufio.Reader) (*message, error) {
	length := -1
	for {
		line, err := readLine(r)
		if err != nil {
			return nil, err
		}
		if line == "" {
			if length < 0 {
				continue // what came before is no header of ours: the next message begins somewhere
			}
			break
		}
		name, value, found := strings.Cut(line, ":")
		if found && strings.EqualFold(strings.TrimSpace(name), "Content-Length") {
			n, err := strconv.Atoi(strings.TrimSpace(value))
			if err != nil || n < 0 {
				continue
			}
			length = n
		}
	}
	if length > maxMessage {
		if _, err := io.CopyN(io.Discard, r, int64(length)); err != nil {
			return nil, err
		}
		return nil, &badMessage{fault{codeInvalidRequest, fmt.Sprintf("a message has at most %d bytes", maxMessage)}}
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, err
	}
	m := &message{}
	if err := json.Unmarshal(body, m); err != nil {
		return nil, &badMessage{fault{codeParse, "the message is not JSON-RPC: " + err.Error()}}
	}
	return m, nil
}

// maxHeader bounds a header's line.
const maxHeader = 8 << 10

// readLine reads a line without its end. A line beyond all use is cut off.
func readLine(r *bufio.Reader) (string, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(line) < maxHeader {
			line = append(line, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			return "", err
		}
		return strings.TrimRight(string(line), "\r\n"), nil
	}
}

// writer sends messages, each whole. It may be used concurrently.
type writer struct {
	mu sync.Mutex
	to io.Writer
}

func (w *writer) send(v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, err = fmt.Fprintf(w.to, "Content-Length: %d\r\n\r\n", len(body)); err != nil {
		return err
	}
	_, err = w.to.Write(body)
	return err
}

// respond answers a request: with a result, which may be null, or an error.
func (w *writer) respond(id json.RawMessage, result any, err error) error {
	if id == nil {
		id = json.RawMessage("null")
	}
	if err != nil {
		var f *fault
		if !errors.As(err, &f) {
			f = &fault{codeInternal, err.Error()}
		}
		return w.send(struct {
			Version string          `json:"jsonrpc"`
			ID      json.RawMessage `json:"id"`
			Error   *fault          `json:"error"`
		}{"2.0", id, f})
	}
	return w.send(struct {
		Version string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id"`
		Result  any             `json:"result"`
	}{"2.0", id, result})
}

// notify sends a notification.
func (w *writer) notify(method string, params any) error {
	return w.send(struct {
		Version string `json:"jsonrpc"`
		Method  string `json:"method"`
		Params  any    `json:"params"`
	}{"2.0", method, params})
}
