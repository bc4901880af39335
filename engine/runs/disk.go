package runs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// disk is what saving does to the file system; tests put one in its place that fails or dies at a chosen operation.
type disk interface {
	mkdir(path string) error // with all above
	create(path string) (file, error)
	rename(from, to string) error
	removeAll(path string) error
	syncDir(path string) error
}

type file interface {
	io.Writer
	Sync() error
	Close() error
}

type realDisk struct{}

func (realDisk) mkdir(path string) error          { return os.MkdirAll(path, 0o777) }
func (realDisk) create(path string) (file, error) { return os.Create(path) }
func (realDisk) rename(from, to string) error     { return os.Rename(from, to) }
func (realDisk) removeAll(path string) error      { return os.RemoveAll(path) }

// syncDir makes the names in a directory durable. Windows can't sync a directory and does not need to.
func (realDisk) syncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// writeFile writes a file that is durable when it returns without an error.
func writeFile(d disk, path string, write func(io.Writer) error) (size int64, err error) {
	f, err := d.create(path)
	if err != nil {
		return 0, err
	}
	counted := &countingWriter{w: f}
	err = write(counted)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		var named *fs.PathError // names the file once more
		if errors.As(err, &named) {
			err = named.Err
		}
		return 0, fmt.Errorf("writing %s: %w", path, err)
	}
	return counted.n, nil
}

type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// replaceFile puts a new file in the place of an old one: whoever opens path finds all of the one or all of the other, whenever
// the machine stops.
func replaceFile(d disk, path string, content []byte) error {
	dir, name := filepath.Split(path)
	temporary := filepath.Join(dir, "."+name+".partial")
	_, err := writeFile(d, temporary, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
	if err == nil {
		err = d.rename(temporary, path)
	}
	if err != nil {
		d.removeAll(temporary)
		return err
	}
	return d.syncDir(filepath.Clean(dir))
}
