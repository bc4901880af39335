package backends

import (
	"errors"
	"runtime/debug"
)

// ErrMapped says that memory which is mapped from a file can't be read any more.
var ErrMapped = errors.New("a file of weights was shortened while it is in use, or its disk failed")

// Mapped calls f, which reads memory that may be mapped from a file. If the file is shorter than it was, or its disk fails, the error
// is ErrMapped; without this the process would end by a signal. It covers the calling goroutine only.
func Mapped(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if fault := recover(); fault != nil {
			if _, ok := fault.(interface{ Addr() uintptr }); !ok {
				panic(fault)
			}
			err = ErrMapped
		}
	}()
	return f()
}
