package weights

import (
	"fmt"
	"os"
	"runtime/debug"

	"github.com/edsrzf/mmap-go"
)

// mapFile maps a file for reading.
func mapFile(path string) (data []byte, unmap func() error, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close() // the mapping stays
	info, err := file.Stat()
	if err != nil {
		return nil, nil, err
	}
	if info.IsDir() {
		return nil, nil, fmt.Errorf("%s is a folder", path)
	}
	if info.Size() == 0 {
		return nil, nil, nil
	}
	mapped, err := mmap.Map(file, mmap.RDONLY, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("mapping %s: %w", path, err)
	}
	return mapped, mapped.Unmap, nil
}

// partSize is how much of a mapping is looked at before its pages are given back; a multiple of every number's size.
const partSize = 4 << 20

// visit hands the bytes from begin to end of the file to use, part by part, and gives their pages back, so that a file of any size
// costs little memory. A file that was shortened since it was opened, or a disk that fails, is an error and no crash.
func (f *File) visit(begin, end int64, use func(part []byte) error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if fault := recover(); fault != nil {
			if _, ok := fault.(interface{ Addr() uintptr }); !ok {
				panic(fault)
			}
			err = fmt.Errorf("reading %s: the file was shortened or its disk failed", f.Path)
		}
	}()
	for begin < end {
		part := f.data[begin:min(begin+partSize, end)]
		if err := use(part); err != nil {
			return err
		}
		if f.unmap != nil {
			release(f.data, begin, begin+int64(len(part)))
		}
		begin += int64(len(part))
	}
	return nil
}
